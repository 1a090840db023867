// A client of a mount, for the tests of the native session; compiled by the test that uses it.
//
//   hold FILE read|write START LENGTH    lock at once, print "locked" or the errno's name, keep it until stdin ends
//   wait FILE read|write START LENGTH    the same, but wait for the lock; SIGUSR1 interrupts (prints EINTR)
//   ask FILE read|write START LENGTH     F_GETLK: print "free" or "TYPE START LENGTH"
//   write FILE BYTES                     one write(2) of that many bytes; print what it returned
//   read FILE BYTES                      open, print "open", one pread(2) per line of stdin: print the first byte or errno
//   xattr FILE NAME ROOM                 one getxattr(2), or listxattr(2) for an empty NAME: print the size, with room the value, too
//   storm FILE ROUNDS                    write, read back, compare, stat, lock, unlock; print "ok"
//   bench DIRECTORY ROUNDS               median microseconds of a round trip, on the file "f" and the absent name "x"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

namespace {

int say(const std::string& text) {
  std::cout << text << std::endl;
  return 0;
}

int sayErrno() { return say(strerrorname_np(errno)); }

struct flock lockOf(char** argument) {
  struct flock lock {};
  lock.l_type = std::strcmp(argument[0], "read") == 0 ? F_RDLCK : F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = std::atoll(argument[1]);
  lock.l_len = std::atoll(argument[2]);
  return lock;
}

int openOrExit(const char* path, int flags) {
  const int fd = open(path, flags, 0644);
  if (fd >= 0) return fd;
  sayErrno();
  std::exit(1);
}

int lockAndKeep(char** argument, int command) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  const int fd = openOrExit(argument[0], O_RDWR);
  struct flock lock = lockOf(argument + 1);
  if (command == F_SETLKW) say("waiting");
  if (fcntl(fd, command, &lock) != 0) return sayErrno();
  say("locked");
  while (std::cin.get() != EOF) continue;
  return close(fd);
}

int ask(char** argument) {
  const int fd = openOrExit(argument[0], O_RDWR);
  struct flock lock = lockOf(argument + 1);
  if (fcntl(fd, F_GETLK, &lock) != 0) return sayErrno();
  if (lock.l_type == F_UNLCK) return say("free");
  const char* type = lock.l_type == F_RDLCK ? "read " : "write ";
  return say(type + std::to_string(lock.l_start) + " " + std::to_string(lock.l_len));
}

int writeOnce(char** argument) {
  const int fd = openOrExit(argument[0], O_RDWR | O_CREAT);
  const size_t bytes = std::strtoull(argument[1], nullptr, 10);
  // On a page boundary: the kernel counts pages, and a buffer astride of one more is sent in two requests.
  auto* data = static_cast<unsigned char*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
  for (size_t index = 0; index < bytes; index++) data[index] = static_cast<unsigned char>(index % 251);
  const ssize_t size = write(fd, data, bytes);
  std::free(data);
  return size < 0 ? sayErrno() : say(std::to_string(size));
}

int readByLine(char** argument) {
  const int fd = openOrExit(argument[0], O_RDONLY);
  std::string data(std::strtoull(argument[1], nullptr, 10), '\0');
  say("open");
  for (std::string line; std::getline(std::cin, line);) {
    const ssize_t size = pread(fd, data.data(), data.size(), 0);
    size < 0 ? sayErrno() : say(size == 0 ? "end" : data.substr(0, 1));
  }
  return 0;
}

int xattr(char** argument) {
  std::string value(std::strtoull(argument[2], nullptr, 10), '\0');
  const std::string name = argument[1];
  const ssize_t size = name.empty() ? listxattr(argument[0], value.data(), value.size())
                                    : getxattr(argument[0], name.c_str(), value.data(), value.size());
  if (size < 0) return sayErrno();
  return say(std::to_string(size) + (value.empty() ? "" : " " + value.substr(0, static_cast<size_t>(size))));
}

int storm(char** argument) {
  const int fd = openOrExit(argument[0], O_RDWR | O_CREAT);
  for (int round = 0; round < std::atoi(argument[1]); round++) {
    const std::string data(1 + static_cast<size_t>(round) * 677 % 9000, static_cast<char>('a' + round % 26));
    std::string back(data.size(), '\0');
    struct stat status {};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    const bool isDone = fcntl(fd, F_SETLK, &lock) == 0 && ftruncate(fd, 0) == 0 &&
                        pwrite(fd, data.data(), data.size(), 0) == static_cast<ssize_t>(data.size()) &&
                        pread(fd, back.data(), back.size(), 0) == static_cast<ssize_t>(back.size()) && back == data &&
                        fstat(fd, &status) == 0 && status.st_size == static_cast<off_t>(data.size());
    if (!isDone) return say("round " + std::to_string(round) + " failed: " + strerrorname_np(errno));
    lock.l_type = F_UNLCK;
    if (fcntl(fd, F_SETLK, &lock) != 0) return sayErrno();
  }
  return say("ok");
}

double median(int rounds, const std::function<bool(int)>& operation) {
  std::vector<double> times;
  for (int round = 0; round < rounds; round++) {
    const auto start = std::chrono::steady_clock::now();
    if (!operation(round)) return -1;
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

int bench(char** argument) {
  const std::string file = std::string(argument[0]) + "/f";
  const std::string absent = std::string(argument[0]) + "/x";
  const int rounds = std::atoi(argument[1]);
  const int fd = openOrExit(file.c_str(), O_RDWR);
  struct stat status {};
  std::vector<char> page(4096);
  const auto lookup = [&](int) { return stat(absent.c_str(), &status) != 0 && errno == ENOENT; };
  const auto getattr = [&](int) { return fstat(fd, &status) == 0; };
  const auto read = [&](int) { return pread(fd, page.data(), page.size(), 0) == 4096; };
  const auto write = [&](int) { return pwrite(fd, page.data(), page.size(), 0) == 4096; };
  const auto setlk = [&](int round) {
    struct flock lock {};
    lock.l_type = static_cast<short>(round % 2 == 0 ? F_RDLCK : F_UNLCK);
    return fcntl(fd, F_SETLK, &lock) == 0;
  };
  std::printf("lookup %.1f\ngetattr %.1f\nread4k %.1f\nwrite4k %.1f\nsetlk %.1f\n", median(rounds, lookup),
              median(rounds, getattr), median(rounds, read), median(rounds, write), median(rounds, setlk));
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string command = count > 2 ? arguments[1] : "";
  char** rest = arguments + 2;
  if (command == "hold" && count == 6) return lockAndKeep(rest, F_SETLK);
  if (command == "wait" && count == 6) return lockAndKeep(rest, F_SETLKW);
  if (command == "ask" && count == 6) return ask(rest);
  if (command == "write" && count == 4) return writeOnce(rest);
  if (command == "read" && count == 4) return readByLine(rest);
  if (command == "xattr" && count == 5) return xattr(rest);
  if (command == "storm" && count == 4) return storm(rest);
  if (command == "bench" && count == 4) return bench(rest);
  return 2;
}
