#include "js/read-values.h"

#include <fcntl.h>

#include <cmath>

namespace mvfuse {
namespace {

constexpr uint32_t WRITE_BYTES_MIN = 4096;
constexpr uint32_t WRITE_BYTES_MAX = 1 << 20;
/** Beyond it a double skips milliseconds; it is some 285,000 years. */
constexpr double MILLISECONDS_MAX = 9.007e15;

Napi::Value property(KeyScope& keys, Napi::Value object, Key key) {
  napi_value result = nullptr;
  if (napi_get_property(object.Env(), object, keys[key], &result) != napi_ok) throw Napi::Error::New(object.Env());
  return {object.Env(), result};
}

void requireObject(Napi::Value value, const char* what) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), std::string(what) + " must be an object");
}

double toNumber(Napi::Value value, const char* what) {
  double number = 0;
  if (napi_get_value_double(value.Env(), value, &number) != napi_ok) {
    throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a number");
  }
  return number;
}

uint64_t integerAt(KeyScope& keys, Napi::Value object, Key key, const char* what) {
  return toExactInteger(property(keys, object, key), what);
}

uint32_t uint32At(KeyScope& keys, Napi::Value object, Key key, const char* what) {
  return toUint32(property(keys, object, key), what);
}

double ttlAt(KeyScope& keys, Napi::Value object, Key key, const char* what) {
  const double ttl = toMilliseconds(property(keys, object, key), what);
  if (ttl < 0) throw Napi::RangeError::New(object.Env(), std::string(what) + " must not be negative");
  return ttl;
}

bool toFlag(Napi::Value value, const char* what) {
  if (!value.IsBoolean()) throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a boolean");
  return value.As<Napi::Boolean>().Value();
}

uint32_t toLockType(Napi::Value value) {
  const std::string type = toText(value, "type");
  if (type == "read") return F_RDLCK;
  if (type == "write") return F_WRLCK;
  if (type == "unlock") return F_UNLCK;
  throw Napi::RangeError::New(value.Env(), "type must be 'read', 'write' or 'unlock'");
}

}  // namespace

std::string toText(Napi::Value value, const char* what) {
  if (!value.IsString()) throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) {
    throw Napi::RangeError::New(value.Env(), std::string(what) + " must not contain a NUL character");
  }
  return text;
}

uint64_t toExactInteger(Napi::Value value, const char* what) {
  const double number = toNumber(value, what);
  if (!(number >= 0) || number > static_cast<double>(SAFE_INTEGER_MAX) || number != std::floor(number)) {
    throw Napi::RangeError::New(value.Env(), std::string(what) + " must be an integer from 0 to 2^53 - 1");
  }
  return static_cast<uint64_t>(number);
}

uint32_t toUint32(Napi::Value value, const char* what) {
  const uint64_t number = toExactInteger(value, what);
  if (number > UINT32_MAX) throw Napi::RangeError::New(value.Env(), std::string(what) + " must be below 2^32");
  return static_cast<uint32_t>(number);
}

double toMilliseconds(Napi::Value value, const char* what) {
  const double number = toNumber(value, what);
  if (!(std::fabs(number) <= MILLISECONDS_MAX)) {
    throw Napi::RangeError::New(value.Env(), std::string(what) + " must be a finite number of milliseconds");
  }
  return number;
}

std::string toName(Napi::Value value) {
  std::string name = toText(value, "name");
  if (name.empty() || name.find('/') != std::string::npos) {
    throw Napi::RangeError::New(value.Env(), "name must not be empty or contain a slash");
  }
  return name;
}

Attributes toAttributes(KeyScope& keys, Napi::Value value) {
  requireObject(value, "attributes");
  Attributes attributes;
  attributes.ino = integerAt(keys, value, Key::ino, "ino");
  attributes.size = integerAt(keys, value, Key::size, "size");
  attributes.mode = uint32At(keys, value, Key::mode, "mode");
  attributes.nlink = uint32At(keys, value, Key::nlink, "nlink");
  attributes.uid = uint32At(keys, value, Key::uid, "uid");
  attributes.gid = uint32At(keys, value, Key::gid, "gid");
  attributes.mtimeMs = toMilliseconds(property(keys, value, Key::mtimeMs), "mtimeMs");
  attributes.blockBytes = uint32At(keys, value, Key::blockBytes, "blockBytes");
  return attributes;
}

Entry toEntry(KeyScope& keys, Napi::Value value) {
  requireObject(value, "entry");
  Entry entry;
  entry.nodeid = integerAt(keys, value, Key::nodeid, "nodeid");
  entry.entryTtlMs = ttlAt(keys, value, Key::entryTtlMs, "entryTtlMs");
  entry.attrTtlMs = ttlAt(keys, value, Key::attrTtlMs, "attrTtlMs");
  if (entry.nodeid != 0) entry.attributes = toAttributes(keys, property(keys, value, Key::attributes));
  return entry;
}

LockDescription toLock(KeyScope& keys, Napi::Value value) {
  requireObject(value, "lock");
  LockDescription lock;
  lock.start = integerAt(keys, value, Key::start, "start");
  lock.last = integerAt(keys, value, Key::end, "end");
  lock.type = toLockType(property(keys, value, Key::type));
  lock.pid = uint32At(keys, value, Key::pid, "pid");
  return lock;
}

fuse_statfs_out toStatfs(KeyScope& keys, Napi::Value value) {
  requireObject(value, "statfs");
  fuse_statfs_out out{};
  out.st.blocks = integerAt(keys, value, Key::blocks, "blocks");
  out.st.bfree = integerAt(keys, value, Key::blocksFree, "blocksFree");
  out.st.bavail = integerAt(keys, value, Key::blocksAvailable, "blocksAvailable");
  out.st.files = integerAt(keys, value, Key::files, "files");
  out.st.ffree = integerAt(keys, value, Key::filesFree, "filesFree");
  out.st.bsize = out.st.frsize = uint32At(keys, value, Key::blockBytes, "blockBytes");
  out.st.namelen = uint32At(keys, value, Key::nameBytesMax, "nameBytesMax");
  return out;
}

DirectoryEntry toDirectoryEntry(KeyScope& keys, Napi::Value value) {
  requireObject(value, "directory entry");
  DirectoryEntry entry;
  entry.name = toName(property(keys, value, Key::name));
  entry.ino = integerAt(keys, value, Key::ino, "ino");
  entry.mode = uint32At(keys, value, Key::mode, "mode");
  entry.nextOffset = integerAt(keys, value, Key::nextOffset, "nextOffset");
  return entry;
}

std::vector<Bytes> toPieces(Napi::Value value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "pieces must be an array of Uint8Array");
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<Bytes> pieces(list.Length());
  for (uint32_t index = 0; index < pieces.size(); index++) pieces[index] = toBytes(list[index], "a piece");
  return pieces;
}

Bytes toBytes(Napi::Value value, const char* what) {
  napi_typedarray_type type;
  size_t size = 0;
  void* data = nullptr;
  const napi_status status = napi_get_typedarray_info(value.Env(), value, &type, &size, &data, nullptr, nullptr);
  if (status != napi_ok || type != napi_uint8_array) {
    throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a Uint8Array");
  }
  return {static_cast<const uint8_t*>(data), size};
}

SessionOptions toSessionOptions(Napi::Value value) {
  requireObject(value, "options");
  const Napi::Object object = value.As<Napi::Object>();
  SessionOptions options;
  options.mount.mountpoint = toText(object.Get("mountpoint"), "mountpoint");
  options.mount.fsName = toText(object.Get("fsName"), "fsName");
  options.mount.subtype = toText(object.Get("subtype"), "subtype");
  options.mount.allowOther = toFlag(object.Get("allowOther"), "allowOther");
  options.mount.defaultPermissions = toFlag(object.Get("defaultPermissions"), "defaultPermissions");
  options.mount.readOnly = toFlag(object.Get("readOnly"), "readOnly");
  options.writeBytesMax = toUint32(object.Get("writeBytesMax"), "writeBytesMax");
  options.queueLengthMax = toUint32(object.Get("queueLengthMax"), "queueLengthMax");
  options.cachesLists = toFlag(object.Get("cachesLists"), "cachesLists");
  const Napi::Env env = value.Env();
  if (options.mount.mountpoint.empty() || options.mount.mountpoint[0] != '/') {
    throw Napi::RangeError::New(env, "mountpoint must be an absolute path");
  }
  if (options.mount.fsName.empty()) throw Napi::RangeError::New(env, "fsName must not be empty");
  if (options.writeBytesMax < WRITE_BYTES_MIN || options.writeBytesMax > WRITE_BYTES_MAX) {
    throw Napi::RangeError::New(env, "writeBytesMax must be from 4096 to 1048576");
  }
  if (options.queueLengthMax == 0) throw Napi::RangeError::New(env, "queueLengthMax must be at least 1");
  return options;
}

}  // namespace mvfuse
