// Reads the answers' values from JavaScript. Everything is checked here, before anything is taken from the pending
// requests: a caller that gets a TypeError or RangeError can still answer the request.
#pragma once

#include <linux/fuse.h>
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "js/keys.h"
#include "mount/mount.h"
#include "protocol/encode.h"
#include "protocol/request.h"

namespace mvfuse {

/** @throws Napi::TypeError or Napi::RangeError, with `what` in the message; so do all of these. */
uint64_t toExactInteger(Napi::Value value, const char* what);
uint32_t toUint32(Napi::Value value, const char* what);
double toMilliseconds(Napi::Value value, const char* what);
/** Any text without a NUL character. */
std::string toText(Napi::Value value, const char* what);
/** A name for the kernel: not empty, no slash, no NUL. */
std::string toName(Napi::Value value);

Attributes toAttributes(KeyScope& keys, Napi::Value value);
Entry toEntry(KeyScope& keys, Napi::Value value);
LockDescription toLock(KeyScope& keys, Napi::Value value);
fuse_statfs_out toStatfs(KeyScope& keys, Napi::Value value);
DirectoryEntry toDirectoryEntry(KeyScope& keys, Napi::Value value);
/** The memory stays JavaScript's: use it before returning. */
std::vector<Bytes> toPieces(Napi::Value value);
Bytes toBytes(Napi::Value value, const char* what);

struct SessionOptions {
  MountOptions mount;
  uint32_t writeBytesMax = 0;
  uint32_t queueLengthMax = 0;
  bool cachesLists = true;
};
SessionOptions toSessionOptions(Napi::Value value);

}  // namespace mvfuse
