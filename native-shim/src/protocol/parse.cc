#include "protocol/parse.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "protocol/utf8.h"

namespace mvfuse {
namespace {

/** Takes fixed structures and names off the front of a span; copies, because the span may be unaligned. */
class Reader {
 public:
  explicit Reader(Bytes rest) : rest_(rest) {}

  template <typename T>
  bool take(T& value) {
    if (rest_.size < sizeof(T)) return false;
    std::memcpy(&value, rest_.data, sizeof(T));
    skip(sizeof(T));
    return true;
  }

  /** Takes what there is of a structure that older kernels send shorter. */
  template <typename T>
  void takePart(T& value) {
    const size_t size = rest_.size < sizeof(T) ? rest_.size : sizeof(T);
    if (size > 0) std::memcpy(&value, rest_.data, size);
    skip(size);
  }

  /** A text ends with a NUL and is not empty. */
  bool takeText(std::string_view& text) {
    if (rest_.size == 0) return false;
    const void* end = std::memchr(rest_.data, 0, rest_.size);
    if (end == nullptr) return false;
    const auto size = static_cast<size_t>(static_cast<const uint8_t*>(end) - rest_.data);
    text = {reinterpret_cast<const char*>(rest_.data), size};
    skip(size + 1);
    return size > 0;
  }

  /** A name of a file is a text without a slash. */
  bool takePath(std::string_view& path) { return takeText(path); }
  bool takeName(std::string_view& name) { return takeText(name) && name.find('/') == std::string_view::npos; }

  Bytes rest() const { return rest_; }

 private:
  void skip(size_t size) {
    rest_.data += size;
    rest_.size -= size;
  }

  Bytes rest_;
};

bool isExact(uint64_t number) { return number <= SAFE_INTEGER_MAX; }

int checkRange(uint64_t offset, uint64_t size) {
  return isExact(offset) && size <= SAFE_INTEGER_MAX - offset ? 0 : EFBIG;
}

int parseNamed(Reader reader, Operands& operands) {
  Named named;
  if (!reader.takeName(named.name)) return EIO;
  operands = named;
  return isUtf8(named.name) ? 0 : EILSEQ;
}

template <typename In>
int parseMakeNode(Reader reader, Operands& operands) {
  In in;
  MakeNode node;
  if (!reader.take(in) || !reader.takeName(node.name)) return EIO;
  node.mode = in.mode;
  operands = node;
  return isUtf8(node.name) ? 0 : EILSEQ;
}

int parseCreate(Reader reader, Operands& operands) {
  fuse_create_in in;
  Create create;
  if (!reader.take(in) || !reader.takeName(create.name)) return EIO;
  create.flags = in.flags;
  create.mode = in.mode;
  operands = create;
  return isUtf8(create.name) ? 0 : EILSEQ;
}

int parseSymlink(Reader reader, Operands& operands) {
  Symlink symlink;
  if (!reader.takeName(symlink.name) || !reader.takePath(symlink.target)) return EIO;
  operands = symlink;
  return isUtf8(symlink.name) && isUtf8(symlink.target) ? 0 : EILSEQ;
}

int parseRename(Reader reader, bool withFlags, Operands& operands) {
  Rename rename;
  if (withFlags) {
    fuse_rename2_in in;
    if (!reader.take(in)) return EIO;
    rename.newParent = in.newdir;
    rename.flags = in.flags;
  } else {
    fuse_rename_in in;
    if (!reader.take(in)) return EIO;
    rename.newParent = in.newdir;
  }
  if (!reader.takeName(rename.name) || !reader.takeName(rename.newName) || !isExact(rename.newParent)) return EIO;
  operands = rename;
  return isUtf8(rename.name) && isUtf8(rename.newName) ? 0 : EILSEQ;
}

int parseForget(Reader reader, uint64_t nodeid, Operands& operands) {
  fuse_forget_in in;
  if (!reader.take(in) || !isExact(in.nlookup)) return EIO;
  operands = Forgets{{fuse_forget_one{nodeid, in.nlookup}}};
  return 0;
}

int parseBatchForget(Reader reader, Operands& operands) {
  fuse_batch_forget_in in;
  if (!reader.take(in) || in.count > reader.rest().size / sizeof(fuse_forget_one)) return EIO;
  Forgets forgets;
  forgets.items.resize(in.count);
  for (fuse_forget_one& item : forgets.items) {
    if (!reader.take(item) || !isExact(item.nodeid) || !isExact(item.nlookup)) return EIO;
  }
  operands = std::move(forgets);
  return 0;
}

int parseInterrupt(Reader reader, Operands& operands) {
  fuse_interrupt_in in;
  if (!reader.take(in) || !isExact(in.unique)) return EIO;
  operands = Interrupt{in.unique};
  return 0;
}

int parseGetattr(Reader reader, Operands& operands) {
  fuse_getattr_in in;
  if (!reader.take(in)) return EIO;
  const bool hasHandle = (in.getattr_flags & FUSE_GETATTR_FH) != 0;
  if (hasHandle && !isExact(in.fh)) return EIO;
  operands = Getattr{hasHandle, hasHandle ? in.fh : 0};
  return 0;
}

int parseSetattr(Reader reader, Operands& operands) {
  fuse_setattr_in in;
  if (!reader.take(in)) return EIO;
  if ((in.valid & FATTR_FH) != 0 && !isExact(in.fh)) return EIO;
  if ((in.valid & FATTR_SIZE) != 0 && !isExact(in.size)) return EFBIG;
  Setattr set;
  set.valid = in.valid;
  set.fh = in.fh;
  set.size = in.size;
  // Seconds before 1970 are negative; that is exact in a double for any date that matters.
  set.mtimeMs = static_cast<double>(static_cast<int64_t>(in.mtime)) * 1e3 + static_cast<double>(in.mtimensec) / 1e6;
  set.mode = in.mode;
  set.uid = in.uid;
  set.gid = in.gid;
  operands = set;
  return 0;
}

int parseOpen(Reader reader, Operands& operands) {
  fuse_open_in in;
  if (!reader.take(in)) return EIO;
  operands = Open{in.flags};
  return 0;
}

int parseRelease(Reader reader, Operands& operands) {
  fuse_release_in in;
  if (!reader.take(in) || !isExact(in.fh)) return EIO;
  operands = Release{in.fh, in.lock_owner, in.flags};
  return 0;
}

int parseFlush(Reader reader, Operands& operands) {
  fuse_flush_in in;
  if (!reader.take(in) || !isExact(in.fh)) return EIO;
  operands = Flush{in.fh, in.lock_owner};
  return 0;
}

int parseFsync(Reader reader, Operands& operands) {
  fuse_fsync_in in;
  if (!reader.take(in) || !isExact(in.fh)) return EIO;
  operands = Fsync{in.fh, (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0};
  return 0;
}

int parseRead(Reader reader, Operands& operands) {
  fuse_read_in in;
  if (!reader.take(in) || !isExact(in.fh)) return EIO;
  operands = Read{in.fh, in.offset, in.size};
  return checkRange(in.offset, in.size);
}

int parseWrite(Reader reader, Operands& operands) {
  fuse_write_in in;
  if (!reader.take(in) || !isExact(in.fh) || in.size != reader.rest().size) return EIO;
  operands = Write{in.fh, in.offset, reader.rest()};
  return checkRange(in.offset, in.size);
}

int parseGetXattr(Reader reader, Operands& operands) {
  fuse_getxattr_in in;
  GetXattr get;
  if (!reader.take(in) || !reader.takeText(get.name)) return EIO;
  get.size = in.size;
  operands = get;
  return isUtf8(get.name) ? 0 : EILSEQ;
}

int parseListXattr(Reader reader, Operands& operands) {
  fuse_getxattr_in in;
  if (!reader.take(in)) return EIO;
  operands = ListXattr{in.size};
  return 0;
}

int parseLock(Reader reader, Operands& operands) {
  fuse_lk_in in;
  if (!reader.take(in) || !isExact(in.fh)) return EIO;
  const bool knownType = in.lk.type == F_RDLCK || in.lk.type == F_WRLCK || in.lk.type == F_UNLCK;
  // BSD locks are not negotiated: the kernel keeps them to itself.
  if (!knownType || (in.lk_flags & FUSE_LK_FLOCK) != 0 || in.lk.end < in.lk.start) return EINVAL;
  if (!isExact(in.lk.start)) return EFBIG;
  const uint64_t last = isExact(in.lk.end) ? in.lk.end : SAFE_INTEGER_MAX;
  operands = Lock{in.fh, in.owner, in.lk.start, last, in.lk.type, in.lk.pid};
  return 0;
}

int parseInit(Reader reader, Operands& operands) {
  Init init;
  if (reader.rest().size < 4 * sizeof(uint32_t)) return EIO;
  reader.takePart(init.in);
  operands = init;
  return 0;
}

int parseOperands(Reader reader, const fuse_in_header& header, Operands& operands) {
  switch (header.opcode) {
    case FUSE_LOOKUP:
    case FUSE_UNLINK:
    case FUSE_RMDIR: return parseNamed(reader, operands);
    case FUSE_MKDIR: return parseMakeNode<fuse_mkdir_in>(reader, operands);
    case FUSE_MKNOD: return parseMakeNode<fuse_mknod_in>(reader, operands);
    case FUSE_CREATE: return parseCreate(reader, operands);
    case FUSE_SYMLINK: return parseSymlink(reader, operands);
    case FUSE_RENAME: return parseRename(reader, false, operands);
    case FUSE_RENAME2: return parseRename(reader, true, operands);
    case FUSE_FORGET: return parseForget(reader, header.nodeid, operands);
    case FUSE_BATCH_FORGET: return parseBatchForget(reader, operands);
    case FUSE_INTERRUPT: return parseInterrupt(reader, operands);
    case FUSE_GETATTR: return parseGetattr(reader, operands);
    case FUSE_SETATTR: return parseSetattr(reader, operands);
    case FUSE_OPEN:
    case FUSE_OPENDIR: return parseOpen(reader, operands);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: return parseRelease(reader, operands);
    case FUSE_FLUSH: return parseFlush(reader, operands);
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: return parseFsync(reader, operands);
    case FUSE_READ:
    case FUSE_READDIR: return parseRead(reader, operands);
    case FUSE_WRITE: return parseWrite(reader, operands);
    case FUSE_GETXATTR: return parseGetXattr(reader, operands);
    case FUSE_LISTXATTR: return parseListXattr(reader, operands);
    case FUSE_GETLK:
    case FUSE_SETLK:
    case FUSE_SETLKW: return parseLock(reader, operands);
    case FUSE_INIT: return parseInit(reader, operands);
    default: operands = Plain{}; return 0;
  }
}

}  // namespace

int parse(Bytes message, Request& request) {
  Reader reader(message);
  if (!reader.take(request.header)) return NO_HEADER;
  const fuse_in_header& header = request.header;
  if (header.len != message.size || !isExact(header.unique) || !isExact(header.nodeid)) return EIO;
  // Extensions lie behind the operands; none is negotiated, none is read.
  const size_t extensionBytes = size_t{header.total_extlen} * 8;
  Bytes body = reader.rest();
  if (extensionBytes > body.size) return EIO;
  body.size -= extensionBytes;
  return parseOperands(Reader(body), header, request.operands);
}

}  // namespace mvfuse
