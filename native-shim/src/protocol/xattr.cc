#include "protocol/xattr.h"

#include <cerrno>

namespace mvfuse {
namespace {

bool startsWith(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

}  // namespace

int refusedXattr(const Request& request) {
  const uint32_t opcode = request.header.opcode;
  if (opcode == FUSE_SETXATTR || opcode == FUSE_REMOVEXATTR) return ENOSYS;
  const auto* get = std::get_if<GetXattr>(&request.operands);
  if (get == nullptr || startsWith(get->name, "user.")) return 0;
  return startsWith(get->name, "security.") || startsWith(get->name, "trusted.") ? ENODATA : EOPNOTSUPP;
}

}  // namespace mvfuse
