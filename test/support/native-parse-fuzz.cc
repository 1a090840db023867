// Feeds the request parser seeded random and broken messages; built with the address and undefined-behaviour sanitizers.
// Usage: native-parse-fuzz SEED ROUNDS. Each message lies in a block of exactly its size, so a read past it is found.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "protocol/parse.h"
#include "protocol/utf8.h"

namespace {

using mvfuse::Bytes;
using mvfuse::Request;

void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

bool isInside(Bytes message, const void* data, size_t size) {
  const auto* start = static_cast<const uint8_t*>(data);
  return size == 0 || (start >= message.data && start + size <= message.data + message.size);
}

void checkName(Bytes message, std::string_view name) {
  if (!isInside(message, name.data(), name.size())) fail("a name lies outside of its message");
  if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos) fail("a name that is none");
  if (!mvfuse::isUtf8(name)) fail("a name that is not UTF-8");
}

void checkNumber(uint64_t number) {
  if (number > mvfuse::SAFE_INTEGER_MAX) fail("a number that JavaScript cannot hold");
}

struct Check {
  Bytes message;
  void operator()(const mvfuse::Named& in) { checkName(message, in.name); }
  void operator()(const mvfuse::MakeNode& in) { checkName(message, in.name); }
  void operator()(const mvfuse::Create& in) { checkName(message, in.name); }
  void operator()(const mvfuse::Rename& in) {
    checkName(message, in.name);
    checkName(message, in.newName);
    checkNumber(in.newParent);
  }
  void operator()(const mvfuse::Write& in) {
    if (!isInside(message, in.data.data, in.data.size)) fail("written data lies outside of its message");
    checkNumber(in.offset + in.data.size);
  }
  void operator()(const mvfuse::Read& in) { checkNumber(in.offset + in.size); }
  void operator()(const mvfuse::Lock& in) {
    checkNumber(in.start);
    checkNumber(in.last);
    if (in.last < in.start) fail("a lock that ends before it starts");
  }
  void operator()(const mvfuse::Forgets& in) {
    if (in.items.size() * sizeof(fuse_forget_one) > message.size + sizeof(fuse_forget_one)) fail("invented forgets");
  }
  template <typename Other>
  void operator()(const Other&) {}
};

/** Mostly well-formed: small operands, names and lengths that are right or nearly right. */
size_t makeMessage(std::mt19937_64& random, uint8_t* bytes, size_t capacity) {
  const size_t size = random() % (capacity + 1);
  for (size_t at = 0; at < size; at++) {
    const auto kind = random() % 8;
    bytes[at] = static_cast<uint8_t>(kind < 4 ? 0 : kind < 7 ? 'a' + random() % 3 : random());
  }
  fuse_in_header header{};
  if (size < sizeof(header)) return size;
  header.len = static_cast<uint32_t>(random() % 16 == 0 ? random() : size);
  header.opcode = static_cast<uint32_t>(1 + random() % 54);
  header.unique = random() % 32 == 0 ? random() : random() >> 12;
  header.nodeid = random() % 32 == 0 ? random() : random() >> 12;
  header.total_extlen = static_cast<uint16_t>(random() % 16 == 0 ? random() : 0);
  std::memcpy(bytes, &header, sizeof(header));
  if (header.opcode == FUSE_WRITE && size >= sizeof(header) + sizeof(fuse_write_in) && random() % 2 == 0) {
    const auto dataBytes = static_cast<uint32_t>(size - sizeof(header) - sizeof(fuse_write_in));
    std::memcpy(bytes + sizeof(header) + offsetof(fuse_write_in, size), &dataBytes, sizeof(dataBytes));
  }
  if (header.opcode == FUSE_BATCH_FORGET && size >= sizeof(header) + sizeof(fuse_batch_forget_in)) {
    const auto count = static_cast<uint32_t>(random() % 4 == 0 ? random() : random() % 8);
    std::memcpy(bytes + sizeof(header), &count, sizeof(count));
  }
  return size;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  std::mt19937_64 random(std::strtoull(arguments[1], nullptr, 10));
  const long rounds = std::atol(arguments[2]);
  long accepted[64] = {};
  uint8_t scratch[256];
  for (long round = 0; round < rounds; round++) {
    const size_t size = makeMessage(random, scratch, round % 2 == 0 ? sizeof(scratch) : 96);
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
    std::memcpy(exact.get(), scratch, size);
    const Bytes message{exact.get(), size};
    Request request;
    if (mvfuse::parse(message, request) != 0) continue;
    if (request.header.len != size) fail("a length that is not the message's");
    checkNumber(request.header.unique);
    std::visit(Check{message}, request.operands);
    if (request.header.opcode < 64) accepted[request.header.opcode]++;
  }
  // A fuzzer that never gets past a check proves nothing: each shape must have been accepted some time.
  for (const int opcode : {FUSE_LOOKUP, FUSE_CREATE, FUSE_RENAME2, FUSE_WRITE, FUSE_READ, FUSE_SETLK, FUSE_BATCH_FORGET,
                           FUSE_SETATTR, FUSE_MKNOD, FUSE_RELEASE, FUSE_INTERRUPT}) {
    if (accepted[opcode] == 0) fail("an operation was never accepted");
  }
  std::puts("ok");
  return 0;
}
