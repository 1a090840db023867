// Runs fusermount3, the set-uid helper of the fuse3 package. It mounts on behalf of an ordinary user and sends the
// /dev/fuse descriptor back over the socket that _FUSE_COMMFD names.
#pragma once

#include <string>

#include "mount/mount.h"

namespace mvfuse {

/** Returns the descriptor. @throws SystemFailure with what the helper said */
int mountByHelper(const MountOptions& options, const std::string& path);

/** @throws SystemFailure with what the helper said */
void unmountByHelper(const std::string& path);

}  // namespace mvfuse
