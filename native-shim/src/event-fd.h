// A flag that one thread sets and another one can poll for.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace mvfuse {

class EventFd {
 public:
  EventFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~EventFd() { ::close(fd_); }
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;

  int fd() const { return fd_; }
  /** From then on the descriptor is readable. */
  void set() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t size = ::write(fd_, &one, sizeof(one));
  }

 private:
  const int fd_;
};

}  // namespace mvfuse
