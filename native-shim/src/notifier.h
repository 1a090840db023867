// The thread that sends notifications to the kernel. It is apart from the thread that answers because the kernel may block
// such a write until a read or lookup in flight is answered: a thread that serves requests would wait for itself.
// Notifications are sent one by one in the order they were queued; each is reported to the mailbox once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "device.h"
#include "mailbox.h"

namespace mvfuse {

/** More than any invalidation of a working set; what is beyond is refused, not queued. */
constexpr size_t NOTIFICATIONS_QUEUED_MAX = 65536;

struct Notification {
  enum class Kind { invalidInode, invalidEntry, remove };
  uint64_t id = 0;
  Kind kind = Kind::invalidInode;
  /** The inode, or the parent directory. */
  uint64_t nodeid = 0;
  uint64_t child = 0;
  int64_t offset = 0;
  int64_t length = 0;
  std::string name;
};

class Notifier {
 public:
  Notifier(Device& device, Mailbox& mailbox) : device_(device), mailbox_(mailbox) {}

  /** `onStopped` runs on the thread as the last thing it does. */
  void start(std::function<void()> onStopped);
  /** Returns false when the queue is full or the notifier stops. */
  bool queue(Notification notification);
  /** What is not yet sent is dropped without a report; the one being sent is waited for by `join`. */
  void requestStop();
  bool hasStopped() const { return hasStopped_.load(); }
  void join();

 private:
  void run();
  int send(const Notification& notification);

  Device& device_;
  Mailbox& mailbox_;
  std::function<void()> onStopped_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Notification> queue_;
  bool mustStop_ = false;
  std::atomic<bool> hasStopped_{false};
  std::thread thread_;
};

}  // namespace mvfuse
