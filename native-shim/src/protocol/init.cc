#include "protocol/init.h"

#include <algorithm>
#include <cerrno>

namespace mvfuse {
namespace {

constexpr uint32_t WANTED = FUSE_POSIX_LOCKS | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ATOMIC_O_TRUNC |
                            FUSE_NO_OPENDIR_SUPPORT | FUSE_PARALLEL_DIROPS | FUSE_EXPLICIT_INVAL_DATA |
                            FUSE_HANDLE_KILLPRIV_V2;
constexpr uint32_t PAGE_BYTES = 4096;
/** Requests that the kernel sends without a waiting caller (RELEASE, mostly); its own default of 12 throttles. */
constexpr uint16_t BACKGROUND_MAX = 64;

}  // namespace

int negotiate(const fuse_init_in& in, uint32_t writeBytesMax, fuse_init_out& out) {
  out = {};
  out.major = FUSE_KERNEL_VERSION;
  out.minor = FUSE_KERNEL_MINOR_VERSION;
  // A newer major asks again with ours.
  if (in.major > FUSE_KERNEL_VERSION) return 0;
  if (in.major < FUSE_KERNEL_VERSION || in.minor < KERNEL_MINOR_MIN) return EPROTO;
  if ((in.flags & FUSE_POSIX_LOCKS) == 0) return EPROTO;
  out.minor = std::min<uint32_t>(in.minor, FUSE_KERNEL_MINOR_VERSION);
  out.max_readahead = in.max_readahead;
  out.flags = in.flags & WANTED;
  out.max_background = BACKGROUND_MAX;
  out.congestion_threshold = BACKGROUND_MAX * 3 / 4;
  out.max_write = writeBytesMax;
  out.time_gran = 1;
  out.max_pages = static_cast<uint16_t>((writeBytesMax + PAGE_BYTES - 1) / PAGE_BYTES);
  return 0;
}

}  // namespace mvfuse
