#include "datagram.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace mvfuse {

int sendDatagram(const std::string& path, Bytes data) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool isAbstract = path[0] == '@';
  // A path in the file system ends with a NUL; an abstract name is as long as it is, with a NUL in place of the "@".
  const size_t size = path.size() + (isAbstract ? 0 : 1);
  if (size > sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (isAbstract) address.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  const ssize_t sent =
      sendto(fd, data.data, data.size, MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length);
  const int error = sent < 0 ? errno : 0;
  close(fd);
  return error;
}

}  // namespace mvfuse
