#include "mailbox.h"

#include <utility>

namespace mvfuse {

void Mailbox::complete(Completion completion) {
  std::unique_lock<std::mutex> lock(mutex_);
  contents_.completions.push_back(completion);
  wake(lock);
}

void Mailbox::end(int failure) {
  std::unique_lock<std::mutex> lock(mutex_);
  contents_.hasEnded = true;
  contents_.failure = failure;
  wake(lock);
}

void Mailbox::take(Contents& contents) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::swap(contents, contents_);
  contents_.hasEnded = false;
  isWakePending_ = false;
}

void Mailbox::wake(std::unique_lock<std::mutex>& lock) {
  if (isWakePending_) return;
  isWakePending_ = true;
  lock.unlock();
  // It fails only while the environment is torn down, and then nobody is left to wake.
  napi_call_threadsafe_function(waker_, nullptr, napi_tsfn_nonblocking);
}

}  // namespace mvfuse
