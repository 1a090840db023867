#include "device.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace mvfuse {

Device::Device(int fd) : fd_(fd) {
  const int flags = fcntl(fd_, F_GETFL);
  if (flags >= 0) fcntl(fd_, F_SETFL, flags | O_NONBLOCK);
  fcntl(fd_, F_SETFD, FD_CLOEXEC);
}

Device::~Device() { close(); }

void Device::close() {
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
}

bool Device::isConnected() const {
  if (fd_ < 0) return false;
  pollfd state{fd_, 0, 0};
  return poll(&state, 1, 0) == 0;
}

Device::ReadResult Device::read(uint8_t* buffer, size_t capacity) {
  for (;;) {
    const ssize_t size = ::read(fd_, buffer, capacity);
    if (size >= 0) return {Status::message, static_cast<size_t>(size), 0};
    switch (errno) {
      case EINTR:
      case ENOENT: continue;  // the request was withdrawn while it was read
      case EAGAIN: return {Status::empty, 0, 0};
      case ENODEV:
      case ECONNABORTED: return {Status::gone, 0, 0};
      default: return {Status::failed, 0, errno};
    }
  }
}

int Device::write(const iovec* pieces, int count) {
  if (fd_ < 0) return ENODEV;
  while (::writev(fd_, pieces, count) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int Device::answer(uint64_t unique, int error) {
  fuse_out_header header{sizeof(fuse_out_header), -error, unique};
  const iovec piece{&header, sizeof(header)};
  return write(&piece, 1);
}

int Device::answerWith(uint64_t unique, iovec* pieces, int count) {
  size_t size = sizeof(fuse_out_header);
  for (int index = 1; index < count; index++) size += pieces[index].iov_len;
  if (size > UINT32_MAX) return EINVAL;
  fuse_out_header header{static_cast<uint32_t>(size), 0, unique};
  pieces[0] = {&header, sizeof(header)};
  return write(pieces, count);
}

bool isUnwanted(int writeError) {
  return writeError == ENOENT || writeError == ENODEV || writeError == ECONNABORTED || writeError == ENOTCONN;
}

}  // namespace mvfuse
