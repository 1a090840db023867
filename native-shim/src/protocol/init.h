// The INIT negotiation, as a pure function. What is chosen and why:
//  * POSIX_LOCKS: SQLite's locks are the requests that a snapshot hangs on. FLOCK_LOCKS is left to the kernel.
//  * no AUTO_INVAL_DATA, no ASYNC_READ, no WRITEBACK_CACHE, no CACHE_SYMLINKS: a kernel cache changes only when told
//    to, no read is in flight unasked, the file size is ours, every READLINK arrives.
//  * HANDLE_KILLPRIV_V2: "writing takes away setuid, setgid and capabilities" is promised, and kept by files that never have
//    any. In return the kernel does not look for them before every write (README.md has the figures).
//  * no READDIRPLUS: nothing here needs it.
#pragma once

#include <linux/fuse.h>

#include <cstdint>

namespace mvfuse {

/** The oldest protocol that is served: 7.28 (Linux 4.20) brought MAX_PAGES. */
constexpr uint32_t KERNEL_MINOR_MIN = 28;

/** Returns 0, or the errno to refuse the kernel with (EPROTO: too old, or without POSIX locks). */
int negotiate(const fuse_init_in& in, uint32_t writeBytesMax, fuse_init_out& out);

}  // namespace mvfuse
