// What the native threads leave for the JavaScript thread: requests, finished notifications, the end of the session.
//
// Any thread may put something in; only the JavaScript thread takes it out. The JavaScript thread is woken once for
// all that is in the box: no wake-up is sent while one is under way. Nothing is put in after `end`, and the threads
// that put have ended before the thread-safe function is released.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "protocol/request.h"

namespace mvfuse {

/** A request and the bytes that its views point into. */
struct Message {
  std::unique_ptr<uint8_t[]> bytes;
  Request request;
};

struct Completion {
  uint64_t id;
  /** 0, or the errno that the kernel refused the notification with. */
  int error;
};

class Mailbox {
 public:
  struct Contents {
    std::vector<Message> messages;
    std::vector<Completion> completions;
    bool hasEnded = false;
    /** The errno that ended the session, or 0. */
    int failure = 0;
  };

  /** Before the first thread starts; the caller keeps owning the function. */
  void setWaker(napi_threadsafe_function waker) { waker_ = waker; }

  /** Returns false, and takes nothing, once the box is severed. */
  bool push(Message&& message);
  void complete(Completion completion);
  void end(int failure);

  /** Requests that wait to be taken. */
  size_t length() const { return length_.load(); }

  /** Moves everything into `contents`, which must be empty; its vectors' memory is used again. */
  void take(Contents& contents);
  /** From now on no request is accepted; returns those that nobody took. */
  std::vector<Message> sever();

 private:
  void wake(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  Contents contents_;
  std::atomic<size_t> length_{0};
  napi_threadsafe_function waker_ = nullptr;
  bool isWakePending_ = false;
  bool isSevered_ = false;
};

}  // namespace mvfuse
