#include "js/request-object.h"

#include <fcntl.h>

#include <utility>

namespace mvfuse {
namespace {

/** Below it a copy is cheaper than an external buffer with its finalizer. */
constexpr size_t EXTERNAL_BYTES_MIN = 32 * 1024;

Key operationKey(uint32_t opcode) {
  switch (opcode) {
    case FUSE_LOOKUP: return Key::lookup;
    case FUSE_UNLINK: return Key::unlink;
    case FUSE_RMDIR: return Key::rmdir;
    case FUSE_MKDIR: return Key::mkdir;
    case FUSE_MKNOD: return Key::mknod;
    case FUSE_CREATE: return Key::create;
    case FUSE_SYMLINK: return Key::symlink;
    case FUSE_RENAME:
    case FUSE_RENAME2: return Key::rename;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: return Key::forget;
    case FUSE_INTERRUPT: return Key::interrupt;
    case FUSE_GETATTR: return Key::getattr;
    case FUSE_SETATTR: return Key::setattr;
    case FUSE_READLINK: return Key::readlink;
    case FUSE_STATFS: return Key::statfs;
    case FUSE_OPEN: return Key::open;
    case FUSE_OPENDIR: return Key::opendir;
    case FUSE_RELEASE: return Key::release;
    case FUSE_RELEASEDIR: return Key::releasedir;
    case FUSE_FLUSH: return Key::flush;
    case FUSE_FSYNC: return Key::fsync;
    case FUSE_FSYNCDIR: return Key::fsyncdir;
    case FUSE_READ: return Key::read;
    case FUSE_READDIR: return Key::readdir;
    case FUSE_WRITE: return Key::write;
    case FUSE_GETXATTR: return Key::getxattr;
    case FUSE_LISTXATTR: return Key::listxattr;
    case FUSE_GETLK: return Key::getlk;
    case FUSE_SETLK: return Key::setlk;
    case FUSE_SETLKW: return Key::setlkw;
    default: return Key::other;
  }
}

/** Fills the object with the operands of one request, by their kind. */
class Filler {
 public:
  Filler(napi_env env, KeyScope& keys, Message& message) : env_(env), keys_(keys), message_(message) {}

  napi_value object() {
    const fuse_in_header& header = message_.request.header;
    if (napi_create_object(env_, &object_) != napi_ok) return nullptr;
    set(Key::op, keys_[operationKey(header.opcode)]);
    number(Key::unique, header.unique);
    number(Key::nodeid, header.nodeid);
    number(Key::pid, header.pid);
    number(Key::uid, header.uid);
    number(Key::gid, header.gid);
    std::visit(*this, message_.request.operands);
    return object_;
  }

  void operator()(const Plain&) {
    const uint32_t opcode = message_.request.header.opcode;
    if (operationKey(opcode) == Key::other) number(Key::opcode, opcode);
  }
  void operator()(const Named& in) { text(Key::name, in.name); }
  void operator()(const MakeNode& in) {
    text(Key::name, in.name);
    number(Key::mode, in.mode);
  }
  void operator()(const Create& in) {
    text(Key::name, in.name);
    number(Key::flags, in.flags);
    number(Key::mode, in.mode);
  }
  void operator()(const Rename& in) {
    text(Key::name, in.name);
    number(Key::newParent, in.newParent);
    text(Key::newName, in.newName);
    number(Key::flags, in.flags);
  }
  void operator()(const Symlink& in) {
    text(Key::name, in.name);
    text(Key::target, in.target);
  }
  void operator()(const Forgets& in) {
    napi_value list = nullptr;
    if (napi_create_array_with_length(env_, in.items.size(), &list) != napi_ok) return;
    napi_value request = object_;
    for (size_t index = 0; index < in.items.size(); index++) {
      if (napi_create_object(env_, &object_) != napi_ok) return;
      number(Key::nodeid, in.items[index].nodeid);
      number(Key::count, in.items[index].nlookup);
      napi_set_element(env_, list, static_cast<uint32_t>(index), object_);
    }
    object_ = request;
    set(Key::forgets, list);
  }
  void operator()(const Interrupt& in) { number(Key::target, in.target); }
  void operator()(const Getattr& in) {
    if (in.hasHandle) number(Key::fh, in.fh);
  }
  void operator()(const Setattr& in) {
    if ((in.valid & FATTR_SIZE) != 0) number(Key::size, in.size);
    if ((in.valid & FATTR_MODE) != 0) number(Key::mode, in.mode);
    if ((in.valid & FATTR_UID) != 0) number(Key::setUid, in.uid);
    if ((in.valid & FATTR_GID) != 0) number(Key::setGid, in.gid);
    if ((in.valid & FATTR_MTIME) != 0) number(Key::mtimeMs, in.mtimeMs);
    if ((in.valid & FATTR_FH) != 0) number(Key::fh, in.fh);
  }
  void operator()(const Open& in) { number(Key::flags, in.flags); }
  void operator()(const Release& in) {
    number(Key::fh, in.fh);
    number(Key::flags, in.flags);
    bigint(Key::lockOwner, in.lockOwner);
  }
  void operator()(const Flush& in) {
    number(Key::fh, in.fh);
    bigint(Key::lockOwner, in.lockOwner);
  }
  void operator()(const Fsync& in) {
    number(Key::fh, in.fh);
    napi_value value = nullptr;
    napi_get_boolean(env_, in.dataOnly, &value);
    set(Key::dataOnly, value);
  }
  void operator()(const Read& in) {
    number(Key::fh, in.fh);
    number(Key::offset, in.offset);
    number(Key::size, in.size);
  }
  void operator()(const Write& in) {
    number(Key::fh, in.fh);
    number(Key::offset, in.offset);
    set(Key::data, buffer(in.data));
  }
  void operator()(const GetXattr& in) {
    text(Key::name, in.name);
    number(Key::size, in.size);
  }
  void operator()(const ListXattr& in) { number(Key::size, in.size); }
  void operator()(const Lock& in) {
    number(Key::fh, in.fh);
    bigint(Key::owner, in.owner);
    number(Key::start, in.start);
    number(Key::end, in.last);
    set(Key::type, keys_[in.type == F_RDLCK ? Key::read : in.type == F_WRLCK ? Key::write : Key::unlock]);
    number(Key::lockPid, in.pid);
  }
  /** Answered by the reader, never seen here. */
  void operator()(const Init&) {}

 private:
  void set(Key key, napi_value value) {
    if (value != nullptr) napi_set_property(env_, object_, keys_[key], value);
  }

  template <typename Number>
  void number(Key key, Number number) {
    napi_value value = nullptr;
    napi_create_double(env_, static_cast<double>(number), &value);
    set(key, value);
  }

  void bigint(Key key, uint64_t number) {
    napi_value value = nullptr;
    napi_create_bigint_uint64(env_, number, &value);
    set(key, value);
  }

  void text(Key key, std::string_view text) {
    napi_value value = nullptr;
    napi_create_string_utf8(env_, text.data(), text.size(), &value);
    set(key, value);
  }

  napi_value buffer(Bytes data) {
    napi_value value = nullptr;
    if (data.size < EXTERNAL_BYTES_MIN) {
      napi_create_buffer_copy(env_, data.size, data.data, nullptr, &value);
      return value;
    }
    uint8_t* block = message_.bytes.get();
    const auto free = [](napi_env, void*, void* hint) { delete[] static_cast<uint8_t*>(hint); };
    if (napi_create_external_buffer(env_, data.size, const_cast<uint8_t*>(data.data), free, block, &value) == napi_ok) {
      message_.bytes.release();
    }
    return value;
  }

  napi_env env_;
  KeyScope& keys_;
  Message& message_;
  napi_value object_ = nullptr;
};

}  // namespace

napi_value makeRequestObject(napi_env env, KeyScope& keys, Message&& message) {
  Message owned = std::move(message);
  return Filler(env, keys, owned).object();
}

}  // namespace mvfuse
