// Every property name and operation name that crosses the border, made once per environment.
//
// They are kept in one array, because Node-API has no references to strings; a KeyScope fetches from it what one native
// call uses. They are V8's internalized strings (taken from an object's own keys), so a property access does not hash.
#pragma once

#include <napi.h>

#include <array>
#include <cstddef>

namespace mvfuse {

#define MVFUSE_KEYS(KEY)                                                                                         \
  KEY(op) KEY(unique) KEY(nodeid) KEY(pid) KEY(uid) KEY(gid) KEY(name) KEY(fh) KEY(mode) KEY(flags)              \
  KEY(newParent) KEY(newName) KEY(forgets) KEY(count) KEY(target) KEY(lockOwner) KEY(dataOnly) KEY(offset)       \
  KEY(size) KEY(data) KEY(owner) KEY(start) KEY(end) KEY(type) KEY(lockPid) KEY(setUid) KEY(setGid) KEY(mtimeMs) \
  KEY(opcode) KEY(ino) KEY(nlink) KEY(blockBytes) KEY(entryTtlMs) KEY(attrTtlMs) KEY(attributes) KEY(nextOffset) \
  KEY(blocks) KEY(blocksFree) KEY(blocksAvailable) KEY(files) KEY(filesFree) KEY(nameBytesMax)                   \
  KEY(lookup) KEY(unlink) KEY(rmdir) KEY(mkdir) KEY(mknod) KEY(create) KEY(rename) KEY(symlink) KEY(forget) KEY(interrupt)    \
  KEY(getattr) KEY(setattr) KEY(readlink) KEY(statfs) KEY(open) KEY(opendir) KEY(release) KEY(releasedir)        \
  KEY(flush) KEY(fsync) KEY(fsyncdir) KEY(read) KEY(readdir) KEY(write) KEY(getlk) KEY(setlk) KEY(setlkw)        \
  KEY(getxattr) KEY(listxattr) KEY(other) KEY(unlock)

enum class Key : size_t {
#define KEY(name) name,
  MVFUSE_KEYS(KEY)
#undef KEY
      COUNT
};

class Keys {
 public:
  explicit Keys(Napi::Env env);
  napi_value array() const { return array_.Value(); }

 private:
  Napi::ObjectReference array_;
};

/** Usable until the surrounding handle scope ends. */
class KeyScope {
 public:
  KeyScope(napi_env env, const Keys& keys) : env_(env), array_(keys.array()) {}
  napi_value operator[](Key key);

 private:
  napi_env env_;
  napi_value array_;
  std::array<napi_value, static_cast<size_t>(Key::COUNT)> values_{};
};

}  // namespace mvfuse
