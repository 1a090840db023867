// Feeds the request parser seeded random and broken messages, whose shape it knows; built with the address and
// undefined-behaviour sanitizers. Fuzzing guided by coverage is test/fuzz/request.cc, with the same checks.
// Usage: native-parse-fuzz SEED ROUNDS. Each message lies in a block of exactly its size, so a read past it is found.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "../fuzz/request-check.h"

namespace {

using mvfuse::Bytes;
using mvfuse::Request;

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
    if (mvfuse::checkMessage(message, request) && request.header.opcode < 64) accepted[request.header.opcode]++;
  }
  // A fuzzer that never gets past a check proves nothing: each shape must have been accepted some time.
  for (const int opcode : {FUSE_LOOKUP, FUSE_CREATE, FUSE_RENAME2, FUSE_WRITE, FUSE_READ, FUSE_SETLK, FUSE_BATCH_FORGET,
                           FUSE_SETATTR, FUSE_MKNOD, FUSE_RELEASE, FUSE_INTERRUPT, FUSE_GETXATTR, FUSE_LISTXATTR}) {
    if (accepted[opcode] == 0) mvfuse::fail("an operation was never accepted");
  }
  std::puts("ok");
  return 0;
}
