// One request of the kernel, decoded: the header fields and, by kind, the operands.
//
// Views (names, written data) point into the message that was parsed: a Request lives as long as its message.
// Every number in it is at most 2^53 - 1 (lock owners and init flags apart), so JavaScript can hold it exactly.
#pragma once

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

namespace mvfuse {

/** The greatest integer that a JavaScript number holds exactly. */
constexpr uint64_t SAFE_INTEGER_MAX = (uint64_t{1} << 53) - 1;

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

/** readlink, statfs, destroy and every operation without a shape of its own. */
struct Plain {};
/** lookup, unlink, rmdir */
struct Named {
  std::string_view name;
};
/** mkdir, mknod */
struct MakeNode {
  std::string_view name;
  uint32_t mode = 0;
};
struct Create {
  std::string_view name;
  uint32_t flags = 0;
  uint32_t mode = 0;
};
struct Rename {
  std::string_view name;
  std::string_view newName;
  uint64_t newParent = 0;
  uint32_t flags = 0;
};
struct Symlink {
  std::string_view name;
  std::string_view target;
};
/** forget, batch forget */
struct Forgets {
  std::vector<fuse_forget_one> items;
};
struct Interrupt {
  uint64_t target = 0;
};
struct Getattr {
  bool hasHandle = false;
  uint64_t fh = 0;
};
struct Setattr {
  /** FATTR_* bits that say which of the others are set. */
  uint32_t valid = 0;
  uint64_t fh = 0;
  uint64_t size = 0;
  double mtimeMs = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};
/** open, opendir */
struct Open {
  uint32_t flags = 0;
};
/** release, releasedir */
struct Release {
  uint64_t fh = 0;
  uint64_t lockOwner = 0;
  uint32_t flags = 0;
};
struct Flush {
  uint64_t fh = 0;
  uint64_t lockOwner = 0;
};
/** fsync, fsyncdir */
struct Fsync {
  uint64_t fh = 0;
  bool dataOnly = false;
};
/** read, readdir */
struct Read {
  uint64_t fh = 0;
  uint64_t offset = 0;
  uint32_t size = 0;
};
struct Write {
  uint64_t fh = 0;
  uint64_t offset = 0;
  Bytes data;
};
/** getxattr: `size` is the room for the value; 0 asks how much is needed. */
struct GetXattr {
  std::string_view name;
  uint32_t size = 0;
};
/** listxattr: `size` as above. */
struct ListXattr {
  uint32_t size = 0;
};
/** getlk, setlk, setlkw: `start` and `last` are the first and the last byte, `type` is F_RDLCK, F_WRLCK or F_UNLCK. */
struct Lock {
  uint64_t fh = 0;
  uint64_t owner = 0;
  uint64_t start = 0;
  uint64_t last = 0;
  uint32_t type = 0;
  uint32_t pid = 0;
};
/** A field that an older kernel does not send is zero. */
struct Init {
  fuse_init_in in{};
};

using Operands = std::variant<Plain, Named, MakeNode, Create, Rename, Symlink, Forgets, Interrupt, Getattr, Setattr, Open, Release,
                              Flush, Fsync, Read, Write, GetXattr, ListXattr, Lock, Init>;

struct Request {
  fuse_in_header header{};
  Operands operands;
};

/** FORGET and INTERRUPT have no answer; the kernel waits for one to everything else. */
inline bool expectsAnswer(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

}  // namespace mvfuse
