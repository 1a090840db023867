// The answers' wire structures, built from plain values. Pure functions; the shapes are those of <linux/fuse.h>.
#pragma once

#include <linux/fuse.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mvfuse {

struct Attributes {
  uint64_t ino = 0;
  uint64_t size = 0;
  double mtimeMs = 0;
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t blockBytes = 0;
};

struct Entry {
  /** 0: the name does not exist. */
  uint64_t nodeid = 0;
  double entryTtlMs = 0;
  double attrTtlMs = 0;
  Attributes attributes;
};

struct DirectoryEntry {
  std::string name;
  uint64_t ino = 0;
  uint64_t nextOffset = 0;
  uint32_t mode = 0;
};

struct LockDescription {
  uint64_t start = 0;
  /** Included; SAFE_INTEGER_MAX stands for the end of the file. */
  uint64_t last = 0;
  uint32_t type = 0;
  uint32_t pid = 0;
};

fuse_attr_out encodeAttributes(double ttlMs, const Attributes& attributes);
fuse_entry_out encodeEntry(const Entry& entry);
fuse_lk_out encodeLock(const LockDescription& lock);

/** Appends the entry to a readdir answer and returns true, or returns false when it does not fit in `bytesMax`. */
bool appendDirectoryEntry(std::vector<uint8_t>& answer, const DirectoryEntry& entry, size_t bytesMax);

}  // namespace mvfuse
