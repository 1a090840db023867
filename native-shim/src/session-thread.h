// The thread that reads /dev/fuse. It answers INIT, DESTROY and whatever cannot be handed on (malformed requests,
// a full lock queue, a closing session) and puts the rest into the mailbox.
//
// Back-pressure: it stops reading at `queueLengthMax` unanswered or untaken requests. A SETLKW may wait for long and
// the INTERRUPT that ends it has to be read, so those are counted apart and refused with ENOLCK past their own limit.
// After `close` it goes on answering ENOTCONN until the notifier has stopped: the notifier may hang in a write
// that waits for exactly such an answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "device.h"
#include "mailbox.h"
#include "notifier.h"

namespace mvfuse {

/** One blocked client thread each; past it a client is told that there are no locks left. */
constexpr uint32_t WAITING_LOCKS_MAX = 16384;

class SessionThread {
 public:
  struct Limits {
    uint32_t writeBytesMax;
    uint32_t queueLengthMax;
  };

  SessionThread(Device& device, Mailbox& mailbox, Notifier& notifier, Limits limits);
  ~SessionThread();
  SessionThread(const SessionThread&) = delete;
  SessionThread& operator=(const SessionThread&) = delete;

  /**
   * Starts this thread and the notifier's; no signal is ever handled on them.
   * @throws std::system_error when there are no threads to be had; then neither runs
   */
  void start();
  /** From the JavaScript thread, after each answer to a request that went through the mailbox. */
  void answered(uint32_t opcode);
  /** From the JavaScript thread, after the mailbox was emptied. */
  void emptied() { resume(); }
  /** Asks the thread to end; the mailbox hears of it. */
  void close();
  void join();

 private:
  void run();
  /** Returns an errno that ends the session, or 0. */
  int handle(size_t size);
  int handleInit(const Request& request);
  void handOn(Message&& message);
  bool mustEnd() const { return isClosing_.load() && notifier_.hasStopped(); }
  bool isFull() const;
  /** Waits until there is something to do; `forRequests` unless back-pressure holds. */
  void wait(bool forRequests);
  void waitForRoom();
  void resume();
  void wake();

  Device& device_;
  Mailbox& mailbox_;
  Notifier& notifier_;
  const Limits limits_;
  const int wakeFd_;
  std::vector<uint8_t> buffer_;
  std::atomic<uint32_t> unansweredCount_{0};
  std::atomic<uint32_t> waitingLockCount_{0};
  std::atomic<bool> isStalled_{false};
  std::atomic<bool> isClosing_{false};
  std::thread thread_;
};

}  // namespace mvfuse
