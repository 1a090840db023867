#include "mailbox.h"

#include <utility>

namespace mvfuse {

bool Mailbox::push(Message&& message) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (isSevered_) return false;
  contents_.messages.push_back(std::move(message));
  length_.store(contents_.messages.size());
  wake(lock);
  return true;
}

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
  length_.store(0);
  isWakePending_ = false;
}

std::vector<Message> Mailbox::sever() {
  const std::lock_guard<std::mutex> lock(mutex_);
  isSevered_ = true;
  length_.store(0);
  return std::exchange(contents_.messages, {});
}

void Mailbox::wake(std::unique_lock<std::mutex>& lock) {
  if (isWakePending_) return;
  isWakePending_ = true;
  lock.unlock();
  // It fails only while the environment is torn down, and then nobody is left to wake.
  napi_call_threadsafe_function(waker_, nullptr, napi_tsfn_nonblocking);
}

}  // namespace mvfuse
