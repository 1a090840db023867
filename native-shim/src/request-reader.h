// Reads /dev/fuse on the JavaScript thread's event loop, and hands on what is there. It answers INIT, DESTROY, questions
// for extended attributes that no file here has, and whatever cannot be handed on (malformed requests, a full lock queue) by
// itself.
//
// A client's next request mostly comes within microseconds of the answer, and to be woken for it takes longer than to look
// for it that long: so when everything is answered it looks for SPIN_NS before it goes back to the event loop.
//
// Back-pressure: it stops reading at `queueLengthMax` unanswered requests. A SETLKW may wait for long and the INTERRUPT
// that ends it has to be read, so those are counted apart and refused with ENOLCK past their own limit.
// Everything here runs on the JavaScript thread.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "device.h"
#include "protocol/message.h"

namespace mvfuse {

/** One blocked client thread each; past it a client is told that there are no locks left. */
constexpr uint32_t WAITING_LOCKS_MAX = 16384;
/** Requests handed on at once, before the event loop sees to anything else. */
constexpr size_t BATCH_LENGTH_MAX = 64;
/** About what two wake-ups of another processor take. */
constexpr int64_t SPIN_NS = 50'000;
/** Batches in a row before the event loop sees to its timers and other descriptors all the same. */
constexpr int BATCHES_MAX = 32;

class RequestReader {
 public:
  struct Limits {
    uint32_t writeBytesMax;
    uint32_t queueLengthMax;
    /** Whether the kernel may remember what a directory lists, as long as it is not told otherwise. */
    bool cachesLists;
  };
  /** Gets the requests that are there; it may answer them, and close the reader. */
  using Deliver = std::function<void(std::vector<Message>&)>;
  /** The kernel's side is gone (0), or reading failed with this errno. Nothing is delivered any more. */
  using Ended = std::function<void(int failure)>;

  RequestReader(Device& device, Limits limits);
  ~RequestReader() { stop(); }
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /** Begins to watch the device. Returns 0, or the errno that libuv refuses it with. */
  int start(uv_loop_t* loop, Deliver deliver, Ended ended);
  /** After each answer to a request that was delivered. */
  void answered(uint32_t opcode);
  /** Ends reading; the descriptor may be closed afterwards. */
  void stop();
  /** Answers everything with ENOTCONN until `wakeFd` is readable. Only after `stop`. */
  void refuseUntil(int wakeFd);
  /** Requests that were refused without being handed on. */
  uint64_t refusedCount() const { return refusedCount_; }

 private:
  static void onReadable(uv_poll_t* handle, int status, int events);
  void readBatches();
  /** Returns whether reading goes on and everything is answered. */
  bool readBatch();
  /** Whether there is a request before SPIN_NS are over and before anything else that the event loop waits for. */
  bool comesSoon() const;
  /** Takes what was read; returns an errno that ends the session, or 0. */
  int handle(size_t size);
  int handleInit(const Request& request);
  void refuse(const fuse_in_header& header, int error);
  /** Lets a directory be opened and closed without asking JavaScript. Returns whether the request was that. */
  bool handleDirectory(const fuse_in_header& header);
  void keep(Message&& message);
  void watch();
  bool isFull() const { return unansweredCount_ >= limits_.queueLengthMax; }

  Device& device_;
  const Limits limits_;
  std::vector<uint8_t> buffer_;
  std::vector<Message> batch_;
  Deliver deliver_;
  Ended ended_;
  uv_loop_t* loop_ = nullptr;
  const bool spins_;
  /** libuv frees a handle later than it is closed, so it is apart from this object. */
  uv_poll_t* handle_ = nullptr;
  bool isWatching_ = false;
  uint32_t unansweredCount_ = 0;
  uint32_t waitingLockCount_ = 0;
  uint64_t refusedCount_ = 0;
};

}  // namespace mvfuse
