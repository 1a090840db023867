#include "notifier.h"

#include <linux/fuse.h>
#include <pthread.h>

#include <cerrno>
#include <utility>

namespace mvfuse {

void Notifier::start(std::function<void()> onStopped) {
  onStopped_ = std::move(onStopped);
  thread_ = std::thread([this] { run(); });
}

bool Notifier::queue(Notification notification) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (mustStop_ || queue_.size() >= NOTIFICATIONS_QUEUED_MAX) return false;
    queue_.push_back(std::move(notification));
  }
  changed_.notify_one();
  return true;
}

void Notifier::requestStop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    mustStop_ = true;
  }
  changed_.notify_one();
}

void Notifier::join() {
  if (thread_.joinable()) thread_.join();
}

void Notifier::run() {
  pthread_setname_np(pthread_self(), "mvfuse-notify");
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return mustStop_ || !queue_.empty(); });
    if (mustStop_) break;
    const Notification notification = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    const int error = send(notification);
    // Nothing is cached of what the kernel does not know, nor of a mount that is gone.
    mailbox_.complete({notification.id, isUnwanted(error) ? 0 : error});
    lock.lock();
  }
  lock.unlock();
  hasStopped_.store(true);
  onStopped_();
}

int Notifier::send(const Notification& notification) {
  fuse_out_header header{};
  fuse_notify_inval_inode_out inode{};
  fuse_notify_inval_entry_out entry{};
  fuse_notify_delete_out remove{};
  const auto nameBytes = static_cast<uint32_t>(notification.name.size());
  iovec body{};
  // Both named messages end with a NUL that their length does not count.
  iovec name{const_cast<char*>(notification.name.c_str()), nameBytes + size_t{1}};

  switch (notification.kind) {
    case Notification::Kind::invalidInode:
      header.error = FUSE_NOTIFY_INVAL_INODE;
      inode = {notification.nodeid, notification.offset, notification.length};
      body = {&inode, sizeof(inode)};
      name.iov_len = 0;
      break;
    case Notification::Kind::invalidEntry:
      header.error = FUSE_NOTIFY_INVAL_ENTRY;
      entry.parent = notification.nodeid;
      entry.namelen = nameBytes;
      body = {&entry, sizeof(entry)};
      break;
    case Notification::Kind::remove:
      header.error = FUSE_NOTIFY_DELETE;
      remove.parent = notification.nodeid;
      remove.child = notification.child;
      remove.namelen = nameBytes;
      body = {&remove, sizeof(remove)};
      break;
  }
  header.len = static_cast<uint32_t>(sizeof(header) + body.iov_len + name.iov_len);
  const iovec pieces[3] = {{&header, sizeof(header)}, body, name};
  return device_.write(pieces, name.iov_len > 0 ? 3 : 2);
}

}  // namespace mvfuse
