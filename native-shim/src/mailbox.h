// What the notifier's thread leaves for the JavaScript thread: finished notifications, and the end of the session.
//
// Any thread may put something in; only the JavaScript thread takes it out. It is woken once for all that is in
// the box: no wake-up is sent while one is under way. The notifier has ended before the thread-safe
// function is released.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <mutex>
#include <vector>

namespace mvfuse {

struct Completion {
  uint64_t id;
  /** 0, or the errno that the kernel refused the notification with. */
  int error;
};

class Mailbox {
 public:
  struct Contents {
    std::vector<Completion> completions;
    bool hasEnded = false;
    /** The errno that ended the session, or 0. */
    int failure = 0;
  };

  /** Before the first thread starts; the caller keeps owning the function. */
  void setWaker(napi_threadsafe_function waker) { waker_ = waker; }

  void complete(Completion completion);
  void end(int failure);

  /** Moves everything into `contents`, which must be empty; its vector's memory is used again. */
  void take(Contents& contents);

 private:
  void wake(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  Contents contents_;
  napi_threadsafe_function waker_ = nullptr;
  bool isWakePending_ = false;
};

}  // namespace mvfuse
