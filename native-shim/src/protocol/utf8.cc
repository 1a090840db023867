#include "protocol/utf8.h"

#include <cstddef>
#include <cstdint>

namespace mvfuse {
namespace {

struct Range {
  uint8_t low;
  uint8_t high;
  bool has(uint8_t byte) const { return byte >= low && byte <= high; }
};

/** What may follow a lead byte: how many bytes, and the range of the first of them (the others are 80..BF). */
bool following(uint8_t lead, size_t& count, Range& first) {
  first = {0x80, 0xBF};
  if (lead >= 0xC2 && lead <= 0xDF) return count = 1, true;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (lead == 0xE0) first.low = 0xA0;
    if (lead == 0xED) first.high = 0x9F;
    return count = 2, true;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (lead == 0xF0) first.low = 0x90;
    if (lead == 0xF4) first.high = 0x8F;
    return count = 3, true;
  }
  return false;
}

}  // namespace

bool isUtf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  size_t at = 0;
  while (at < text.size()) {
    const uint8_t lead = bytes[at++];
    if (lead < 0x80) continue;
    size_t count = 0;
    Range range{};
    if (!following(lead, count, range) || text.size() - at < count) return false;
    for (size_t index = 0; index < count; index++) {
      if (!range.has(bytes[at++])) return false;
      range = {0x80, 0xBF};
    }
  }
  return true;
}

}  // namespace mvfuse
