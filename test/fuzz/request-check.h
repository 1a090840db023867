// What must hold for any bytes that are given to the request parser as a message. Anything else aborts, which every
// fuzzer and sanitizer reports with the input.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "protocol/init.h"
#include "protocol/parse.h"
#include "protocol/utf8.h"
#include "protocol/xattr.h"

namespace mvfuse {

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/** UTF-8 the slow way: each character decoded from its bits and encoded again must give the same bytes. */
inline bool decodesAndEncodesAlike(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto byteAt = [&](size_t index) { return static_cast<uint32_t>(static_cast<uint8_t>(text[index])); };
    const uint32_t lead = byteAt(at);
    const size_t size = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (size == 0 || size > text.size() - at) return false;
    uint32_t point = size == 1 ? lead : lead & (0xFFu >> (size + 1));
    for (size_t index = 1; index < size; index++) point = point << 6 | (byteAt(at + index) & 0x3F);
    if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
    std::string encoded;
    const auto trail = [&](int shift) { encoded += static_cast<char>(0x80 | (point >> shift & 0x3F)); };
    if (point < 0x80) {
      encoded += static_cast<char>(point);
    } else if (point < 0x800) {
      encoded += static_cast<char>(0xC0 | point >> 6), trail(0);
    } else if (point < 0x10000) {
      encoded += static_cast<char>(0xE0 | point >> 12), trail(6), trail(0);
    } else {
      encoded += static_cast<char>(0xF0 | point >> 18), trail(12), trail(6), trail(0);
    }
    if (text.substr(at, size) != encoded) return false;
    at += size;
  }
  return true;
}

/** The operands' own rules: views lie in the message, names are names, numbers are those that JavaScript can hold. */
struct OperandsCheck {
  Bytes message;

  void inside(const void* data, size_t size) const {
    const auto* start = static_cast<const uint8_t*>(data);
    if (size == 0) return;
    if (start < message.data || start + size > message.data + message.size) fail("bytes from outside of the message");
  }
  void text(std::string_view text) const {
    inside(text.data(), text.size());
    if (text.empty() || text.find('\0') != text.npos) fail("a name that is none");
    if (!decodesAndEncodesAlike(text)) fail("a name that is not UTF-8");
  }
  void name(std::string_view name) const {
    text(name);
    if (name.find('/') != name.npos) fail("a name with a slash");
  }
  static void number(uint64_t number) {
    if (number > SAFE_INTEGER_MAX) fail("a number that JavaScript cannot hold");
  }
  /** Neither the offset nor the end may be too great; their sum must not be trusted to say so, as it may wrap. */
  static void range(uint64_t offset, uint64_t size) {
    number(offset);
    number(size);
    number(offset + size);
  }

  void operator()(const Plain&) const {}
  void operator()(const Named& in) const { name(in.name); }
  void operator()(const MakeNode& in) const { name(in.name); }
  void operator()(const Create& in) const { name(in.name); }
  void operator()(const Symlink& in) const {
    name(in.name);
    text(in.target);
  }
  void operator()(const Rename& in) const {
    name(in.name);
    name(in.newName);
    number(in.newParent);
  }
  void operator()(const Forgets& in) const {
    if (in.items.size() * sizeof(fuse_forget_one) > message.size + sizeof(fuse_forget_one)) fail("invented forgets");
    for (const fuse_forget_one& item : in.items) {
      number(item.nodeid);
      number(item.nlookup);
    }
  }
  void operator()(const Interrupt& in) const { number(in.target); }
  void operator()(const Getattr& in) const { number(in.fh); }
  void operator()(const Setattr& in) const {
    if ((in.valid & FATTR_FH) != 0) number(in.fh);
    if ((in.valid & FATTR_SIZE) != 0) number(in.size);
  }
  void operator()(const Open&) const {}
  void operator()(const Release& in) const { number(in.fh); }
  void operator()(const Flush& in) const { number(in.fh); }
  void operator()(const Fsync& in) const { number(in.fh); }
  void operator()(const Read& in) const {
    number(in.fh);
    range(in.offset, in.size);
  }
  void operator()(const Write& in) const {
    number(in.fh);
    inside(in.data.data, in.data.size);
    fuse_write_in stated;
    std::memcpy(&stated, message.data + sizeof(fuse_in_header), sizeof(stated));
    if (in.data.size != stated.size) fail("written data of another size than is stated");
    range(in.offset, in.data.size);
  }
  void operator()(const GetXattr& in) const { text(in.name); }
  void operator()(const ListXattr&) const {}
  void operator()(const Lock& in) const {
    number(in.fh);
    number(in.start);
    number(in.last);
    if (in.last < in.start) fail("a lock that ends before it starts");
  }
  void operator()(const Init& in) const {
    fuse_init_out out;
    const int error = negotiate(in.in, 1 << 20, out);
    if (error != 0 && error != EPROTO) fail("a negotiation that ends with an errno that it does not have");
    if ((out.flags & ~in.in.flags) != 0) fail("a flag that the kernel did not offer");
  }
};

/** What is refused unasked is about extended attributes, and never about one that a file here can have. */
inline void checkXattrRefused(const Request& request) {
  const int refused = refusedXattr(request);
  const auto* get = std::get_if<GetXattr>(&request.operands);
  const bool changes = request.header.opcode == FUSE_SETXATTR || request.header.opcode == FUSE_REMOVEXATTR;
  const bool askable = get == nullptr ? !changes : get->name.compare(0, 5, "user.") == 0;
  if (askable != (refused == 0)) fail("refused what is not, or handed on what is");
  if (refused != 0 && refused != ENODATA && refused != EOPNOTSUPP && refused != ENOSYS) fail("an unknown refusal");
}

/** Extensions are not read: a request without them is the same request. */
inline void checkExtensionsIgnored(Bytes message, const Request& request) {
  const size_t size = message.size - size_t{request.header.total_extlen} * 8;
  fuse_in_header header = request.header;
  header.total_extlen = 0;
  header.len = static_cast<uint32_t>(size);
  const std::unique_ptr<uint8_t[]> bytes(new uint8_t[size]);
  std::memcpy(bytes.get(), message.data, size);
  std::memcpy(bytes.get(), &header, sizeof(header));
  Request bare;
  if (parse(Bytes{bytes.get(), size}, bare) != 0) fail("refused without its extensions");
  if (bare.operands.index() != request.operands.index()) fail("another request without its extensions");
}

/** Parses and checks. Returns whether the message was accepted. */
inline bool checkMessage(Bytes message, Request& request) {
  const std::string_view text(reinterpret_cast<const char*>(message.data), message.size);
  if (isUtf8(text) != decodesAndEncodesAlike(text)) fail("two opinions on UTF-8");
  const int outcome = parse(message, request);
  if (outcome == NO_HEADER) {
    if (message.size >= sizeof(fuse_in_header)) fail("a header that was not seen");
    return false;
  }
  if (std::memcmp(&request.header, message.data, sizeof(request.header)) != 0) fail("a header that is not its own");
  if (outcome != 0) {
    if (outcome != EIO && outcome != EILSEQ && outcome != EFBIG && outcome != EINVAL) fail("an unknown outcome");
    return false;
  }
  if (request.header.len != message.size) fail("a length that is not the message's");
  OperandsCheck::number(request.header.unique);
  OperandsCheck::number(request.header.nodeid);
  std::visit(OperandsCheck{message}, request.operands);
  checkXattrRefused(request);
  if (request.header.total_extlen != 0) checkExtensionsIgnored(message, request);
  return true;
}

}  // namespace mvfuse
