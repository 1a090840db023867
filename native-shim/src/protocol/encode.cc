#include "protocol/encode.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "protocol/request.h"

namespace mvfuse {
namespace {

struct Time {
  uint64_t seconds;
  uint32_t nanoseconds;
};

/** Past times are negative seconds (as the kernel reads them) with nanoseconds from 0 up. */
Time fromMilliseconds(double milliseconds) {
  const double seconds = std::floor(milliseconds / 1e3);
  const double nanoseconds = std::round((milliseconds - seconds * 1e3) * 1e6);
  const auto whole = static_cast<int64_t>(seconds);
  return {static_cast<uint64_t>(whole), static_cast<uint32_t>(std::fmin(nanoseconds, 999999999.0))};
}

fuse_attr encode(const Attributes& attributes) {
  const Time time = fromMilliseconds(attributes.mtimeMs);
  fuse_attr out{};
  out.ino = attributes.ino;
  out.size = attributes.size;
  out.blocks = attributes.size / 512 + (attributes.size % 512 == 0 ? 0 : 1);
  out.atime = out.mtime = out.ctime = time.seconds;
  out.atimensec = out.mtimensec = out.ctimensec = time.nanoseconds;
  out.mode = attributes.mode;
  out.nlink = attributes.nlink;
  out.uid = attributes.uid;
  out.gid = attributes.gid;
  out.blksize = attributes.blockBytes;
  return out;
}

}  // namespace

fuse_attr_out encodeAttributes(double ttlMs, const Attributes& attributes) {
  const Time ttl = fromMilliseconds(ttlMs);
  fuse_attr_out out{};
  out.attr_valid = ttl.seconds;
  out.attr_valid_nsec = ttl.nanoseconds;
  out.attr = encode(attributes);
  return out;
}

fuse_entry_out encodeEntry(const Entry& entry) {
  const Time entryTtl = fromMilliseconds(entry.entryTtlMs);
  const Time attrTtl = fromMilliseconds(entry.attrTtlMs);
  fuse_entry_out out{};
  out.nodeid = entry.nodeid;
  out.entry_valid = entryTtl.seconds;
  out.entry_valid_nsec = entryTtl.nanoseconds;
  out.attr_valid = attrTtl.seconds;
  out.attr_valid_nsec = attrTtl.nanoseconds;
  if (entry.nodeid != 0) out.attr = encode(entry.attributes);
  return out;
}

fuse_lk_out encodeLock(const LockDescription& lock) {
  fuse_lk_out out{};
  out.lk.start = lock.start;
  out.lk.end = lock.last >= SAFE_INTEGER_MAX ? static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) : lock.last;
  out.lk.type = lock.type;
  out.lk.pid = lock.pid;
  return out;
}

bool appendDirectoryEntry(std::vector<uint8_t>& answer, const DirectoryEntry& entry, size_t bytesMax) {
  fuse_dirent head{};
  head.ino = entry.ino;
  head.off = entry.nextOffset;
  head.namelen = static_cast<uint32_t>(entry.name.size());
  head.type = (entry.mode >> 12) & 15;  // S_IFMT bits to DT_*
  const size_t start = answer.size();
  const size_t recordBytes = FUSE_REC_ALIGN(FUSE_NAME_OFFSET + entry.name.size());
  if (bytesMax < start || recordBytes > bytesMax - start) return false;
  answer.resize(start + recordBytes, 0);
  std::memcpy(answer.data() + start, &head, FUSE_NAME_OFFSET);
  std::memcpy(answer.data() + start + FUSE_NAME_OFFSET, entry.name.data(), entry.name.size());
  return true;
}

}  // namespace mvfuse
