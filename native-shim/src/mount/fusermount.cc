#include "mount/fusermount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

extern char** environ;

namespace mvfuse {
namespace {

constexpr const char* HELPER = "fusermount3";
/** As much of the helper's complaint as a message should carry. */
constexpr size_t COMPLAINT_BYTES_MAX = 4096;

/** Closes a descriptor at the end of the scope. All are close-on-exec: no other child gets them. */
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

void require(bool isDone, const char* step) {
  if (!isDone) throw SystemFailure{errno, step};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/** `socket` (or -1) keeps its number in the helper, which learns it from the environment. */
pid_t spawnHelper(std::vector<std::string> arguments, int socket, int errorFd) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; entry++) {
    if (std::strncmp(*entry, "_FUSE_COMMFD=", 13) != 0) environment.emplace_back(*entry);
  }
  if (socket >= 0) environment.push_back("_FUSE_COMMFD=" + std::to_string(socket));

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, errorFd, 2);
  // Duplicating a descriptor onto itself only takes close-on-exec off it (glibc 2.29).
  if (socket >= 0) posix_spawn_file_actions_adddup2(&actions, socket, socket);

  arguments.insert(arguments.begin(), HELPER);
  pid_t pid = -1;
  const int error =
      posix_spawnp(&pid, HELPER, &actions, nullptr, pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw SystemFailure{error, error == ENOENT ? "fusermount3 is not installed (package fuse3)" : "start fusermount3"};
  }
  return pid;
}

std::string readComplaint(int fd) {
  std::string text;
  char part[512];
  for (;;) {
    const ssize_t size = read(fd, part, sizeof(part));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    if (text.size() < COMPLAINT_BYTES_MAX) text.append(part, static_cast<size_t>(size));
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool succeeded(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/** Returns the descriptor that came as ancillary data, or -1 when the helper closed the socket without one. */
int receiveDescriptor(int socket) {
  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t size;
  do {
    size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  const cmsghdr* header = size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return -1;
  int fd;
  std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return fd;
}

/** In an option list a comma separates and a backslash protects. */
std::string escapeOption(const std::string& text) {
  std::string result;
  for (const char character : text) {
    if (character == ',' || character == '\\') result += '\\';
    result += character;
  }
  return result;
}

std::string optionList(const MountOptions& options) {
  std::string list = "nosuid,nodev,fsname=" + escapeOption(options.fsName);
  if (!options.subtype.empty()) list += ",subtype=" + escapeOption(options.subtype);
  if (options.allowOther) list += ",allow_other";
  if (options.defaultPermissions) list += ",default_permissions";
  if (options.readOnly) list += ",ro";
  return list;
}

SystemFailure refusal(const std::string& complaint) {
  return {EPERM, complaint.empty() ? "fusermount3 failed and gave no reason" : complaint};
}

}  // namespace

int mountByHelper(const MountOptions& options, const std::string& path) {
  int sockets[2];
  require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "socketpair");
  Descriptor ours(sockets[0]);
  Descriptor theirs(sockets[1]);
  int pipes[2];
  require(pipe2(pipes, O_CLOEXEC) == 0, "pipe");
  Descriptor errorRead(pipes[0]);
  Descriptor errorWrite(pipes[1]);

  const pid_t pid = spawnHelper({"-o", optionList(options), "--", path}, theirs.get(), errorWrite.get());
  theirs.reset();
  errorWrite.reset();
  const int fd = receiveDescriptor(ours.get());
  ours.reset();
  const std::string complaint = readComplaint(errorRead.get());
  const bool isDone = succeeded(pid);
  if (fd >= 0 && isDone) return fd;
  if (fd >= 0) close(fd);
  throw refusal(complaint);
}

void unmountByHelper(const std::string& path) {
  int pipes[2];
  require(pipe2(pipes, O_CLOEXEC) == 0, "pipe");
  Descriptor errorRead(pipes[0]);
  Descriptor errorWrite(pipes[1]);
  const pid_t pid = spawnHelper({"-u", "-z", "--", path}, -1, errorWrite.get());
  errorWrite.reset();
  const std::string complaint = readComplaint(errorRead.get());
  if (!succeeded(pid)) throw refusal(complaint);
}

}  // namespace mvfuse
