// The open /dev/fuse descriptor of one mount. Reads never block; writes are whole messages, and the kernel takes them
// from any thread. It is closed once, by the JavaScript thread, after every other thread has ended: until then
// the number cannot be taken by another file.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace mvfuse {

class Device {
 public:
  enum class Status { message, empty, gone, failed };
  struct ReadResult {
    Status status;
    size_t size;
    /** The errno of `failed`. */
    int error;
  };

  /** Takes over `fd`. */
  explicit Device(int fd);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int fd() const { return fd_; }
  /** Whether the kernel's side is alive: neither unmounted nor aborted. */
  bool isConnected() const;
  void close();

  ReadResult read(uint8_t* buffer, size_t capacity);

  /** Writes one message; returns 0 or the errno. */
  int write(const iovec* pieces, int count);

  /** Answers with an error (positive errno) or with 0 and nothing else; returns as `write`. */
  int answer(uint64_t unique, int error);
  /** Answers with a payload; `pieces[0]` is left free for the header and filled in here. */
  int answerWith(uint64_t unique, iovec* pieces, int count);

 private:
  int fd_;
};

/** Whether the kernel does not want a message any more: the caller was killed, or the mount is gone. */
bool isUnwanted(int writeError);

}  // namespace mvfuse
