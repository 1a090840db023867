#include "mount/mountinfo.h"

#include <fstream>
#include <sstream>

namespace mvfuse {
namespace {

bool isOctal(char digit) { return digit >= '0' && digit <= '7'; }

/** Blanks, newlines and backslashes are written as three octal digits after a backslash. */
std::string unescape(const std::string& text) {
  std::string result;
  for (size_t at = 0; at < text.size(); at++) {
    const bool isEscape = text[at] == '\\' && at + 3 < text.size() && isOctal(text[at + 1]) && isOctal(text[at + 2]) &&
                          isOctal(text[at + 3]);
    if (!isEscape) {
      result += text[at];
      continue;
    }
    result += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
    at += 3;
  }
  return result;
}

}  // namespace

std::string mountedDevice(const std::string& path) {
  std::ifstream table("/proc/self/mountinfo");
  std::string line;
  std::string found;
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string id, parent, device, root, mountpoint;
    fields >> id >> parent >> device >> root >> mountpoint;
    if (unescape(mountpoint) == path) found = device;
  }
  return found;
}

}  // namespace mvfuse
