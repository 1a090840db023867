// The answers and notifications of Session. Each reads and checks its arguments first, then takes the request from the
// pending ones, then writes: an answer that throws a TypeError or RangeError has left the request unanswered.

#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "js/errors.h"
#include "session.h"

namespace mvfuse {
namespace {

/** The kernel's range: errors above are its own (include/linux/errno.h). */
constexpr uint32_t ERRNO_MAX = 511;
/** The kernel's own limit (XATTR_SIZE_MAX, XATTR_LIST_MAX); it asks with no more room than that. */
constexpr size_t XATTR_BYTES_MAX = 65536;
/** Well below IOV_MAX (1024); more pieces than this are copied together. */
constexpr size_t PIECES_MAX = 512;

uint64_t uniqueOf(const Napi::CallbackInfo& info) { return toExactInteger(info[0], "unique"); }

template <typename T>
iovec pieceOf(T& value) {
  return {&value, sizeof(value)};
}

fuse_open_out openOut(const Napi::CallbackInfo& info, size_t at) {
  fuse_open_out out{};
  out.fh = toExactInteger(info[at], "fh");
  out.open_flags = toUint32(info[at + 1], "openFlags");
  return out;
}

}  // namespace

bool Session::take(Napi::Env env, uint64_t unique) {
  const auto found = pending_.find(unique);
  if (found == pending_.end()) {
    throw codeError(env, "ERR_NOT_PENDING", "request " + std::to_string(unique) + " is not waiting for an answer");
  }
  const uint32_t opcode = found->second;
  pending_.erase(found);
  if (state_ != State::running) return false;
  reader_.answered(opcode);
  return true;
}

void Session::answerError(Napi::Env env, uint64_t unique, int error) {
  if (take(env, unique)) checkWritten(env, unique, device_.answer(unique, error));
}

void Session::answerWith(Napi::Env env, uint64_t unique, iovec* pieces, int count) {
  if (take(env, unique)) checkWritten(env, unique, device_.answerWith(unique, pieces, count));
}

void Session::checkWritten(Napi::Env env, uint64_t unique, int writeError) {
  if (writeError == 0 || isUnwanted(writeError)) return;
  // The kernel refused the answer (more data than it asked for, say). The caller must not wait for ever.
  device_.answer(unique, EIO);
  throw errnoError(env, writeError, "the kernel refused the answer to request " + std::to_string(unique));
}

void Session::replyOk(const Napi::CallbackInfo& info) { answerError(info.Env(), uniqueOf(info), 0); }

void Session::replyError(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  const uint32_t error = toUint32(info[1], "errno");
  if (error == 0 || error > ERRNO_MAX) throw Napi::RangeError::New(info.Env(), "errno must be from 1 to 511");
  answerError(info.Env(), unique, static_cast<int>(error));
}

void Session::replyEntry(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  KeyScope keyScope = keys(info.Env());
  fuse_entry_out out = encodeEntry(toEntry(keyScope, info[1]));
  iovec pieces[2] = {{}, pieceOf(out)};
  answerWith(info.Env(), unique, pieces, 2);
}

void Session::replyAttributes(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  KeyScope keyScope = keys(info.Env());
  const double ttlMs = toMilliseconds(info[1], "attrTtlMs");
  if (ttlMs < 0) throw Napi::RangeError::New(info.Env(), "attrTtlMs must not be negative");
  fuse_attr_out out = encodeAttributes(ttlMs, toAttributes(keyScope, info[2]));
  iovec pieces[2] = {{}, pieceOf(out)};
  answerWith(info.Env(), unique, pieces, 2);
}

void Session::replyOpen(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  fuse_open_out out = openOut(info, 1);
  iovec pieces[2] = {{}, pieceOf(out)};
  answerWith(info.Env(), unique, pieces, 2);
}

void Session::replyCreate(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  KeyScope keyScope = keys(info.Env());
  fuse_entry_out entry = encodeEntry(toEntry(keyScope, info[1]));
  fuse_open_out open = openOut(info, 2);
  iovec pieces[3] = {{}, pieceOf(entry), pieceOf(open)};
  answerWith(info.Env(), unique, pieces, 3);
}

void Session::replyData(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  const std::vector<Bytes> data = toPieces(info[1]);
  if (data.size() <= PIECES_MAX) {
    iovec pieces[PIECES_MAX + 1];
    for (size_t index = 0; index < data.size(); index++) {
      pieces[index + 1] = {const_cast<uint8_t*>(data[index].data), data[index].size};
    }
    answerWith(info.Env(), unique, pieces, static_cast<int>(data.size()) + 1);
    return;
  }
  std::vector<uint8_t> together;
  for (const Bytes& piece : data) together.insert(together.end(), piece.data, piece.data + piece.size);
  iovec pieces[2] = {{}, {together.data(), together.size()}};
  answerWith(info.Env(), unique, pieces, 2);
}

void Session::replyWrite(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  fuse_write_out out{toUint32(info[1], "bytes"), 0};
  iovec pieces[2] = {{}, pieceOf(out)};
  answerWith(info.Env(), unique, pieces, 2);
}

void Session::replyDirectory(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  if (!info[1].IsArray()) throw Napi::TypeError::New(info.Env(), "entries must be an array");
  const Napi::Array entries = info[1].As<Napi::Array>();
  const uint32_t bytesMax = toUint32(info[2], "size");
  KeyScope keyScope = keys(info.Env());
  std::vector<uint8_t> answer;
  for (uint32_t index = 0; index < entries.Length(); index++) {
    const Napi::HandleScope scope(info.Env());
    KeyScope entryKeys = keyScope;
    if (!appendDirectoryEntry(answer, toDirectoryEntry(entryKeys, entries[index]), bytesMax)) break;
  }
  iovec pieces[2] = {{}, {answer.data(), answer.size()}};
  answerWith(info.Env(), unique, pieces, 2);
}

void Session::replyStatfs(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  KeyScope keyScope = keys(info.Env());
  fuse_statfs_out out = toStatfs(keyScope, info[1]);
  iovec pieces[2] = {{}, pieceOf(out)};
  answerWith(info.Env(), unique, pieces, 2);
}

void Session::replyLock(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  KeyScope keyScope = keys(info.Env());
  fuse_lk_out out = encodeLock(toLock(keyScope, info[1]));
  iovec pieces[2] = {{}, pieceOf(out)};
  answerWith(info.Env(), unique, pieces, 2);
}

void Session::replyXattr(const Napi::CallbackInfo& info) {
  const uint64_t unique = uniqueOf(info);
  const Bytes value = toBytes(info[1], "value");
  const uint32_t room = toUint32(info[2], "size");
  if (value.size > XATTR_BYTES_MAX) throw Napi::RangeError::New(info.Env(), "value must not be longer than 65536 bytes");
  if (room != 0 && value.size > room) {
    answerError(info.Env(), unique, ERANGE);
    return;
  }
  fuse_getxattr_out needed{static_cast<uint32_t>(value.size), 0};
  iovec pieces[2] = {{}, pieceOf(needed)};
  if (room != 0) pieces[1] = {const_cast<uint8_t*>(value.data), value.size};
  answerWith(info.Env(), unique, pieces, 2);
}

Napi::Value Session::notifyInvalidInode(const Napi::CallbackInfo& info) {
  Notification notification;
  notification.kind = Notification::Kind::invalidInode;
  notification.nodeid = toExactInteger(info[0], "nodeid");
  notification.offset = info[1].As<Napi::Number>().Int64Value();
  notification.length = info[2].As<Napi::Number>().Int64Value();
  return notify(info.Env(), std::move(notification));
}

Napi::Value Session::notifyInvalidEntry(const Napi::CallbackInfo& info) {
  Notification notification;
  notification.kind = Notification::Kind::invalidEntry;
  notification.nodeid = toExactInteger(info[0], "parent");
  notification.name = toName(info[1]);
  return notify(info.Env(), std::move(notification));
}

Napi::Value Session::notifyDelete(const Napi::CallbackInfo& info) {
  Notification notification;
  notification.kind = Notification::Kind::remove;
  notification.nodeid = toExactInteger(info[0], "parent");
  notification.child = toExactInteger(info[1], "child");
  notification.name = toName(info[2]);
  return notify(info.Env(), std::move(notification));
}

Napi::Value Session::notify(Napi::Env env, Notification notification) {
  const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(env);
  notification.id = ++lastNotificationId_;
  if (state_ != State::running) {
    deferred.Resolve(env.Undefined());
  } else if (const uint64_t id = notification.id; notifier_.queue(std::move(notification))) {
    notifications_.emplace(id, deferred);
  } else {
    deferred.Reject(codeError(env, "ENOBUFS", "ENOBUFS: too many kernel notifications are queued").Value());
  }
  return deferred.Promise();
}

}  // namespace mvfuse
