// Mounting and unmounting. Nothing here knows the protocol: it yields the /dev/fuse descriptor of a mount.
// As root it is mount(2); otherwise, or where mount(2) is not permitted, fusermount3 does it.
#pragma once

#include <string>

namespace mvfuse {

struct MountOptions {
  std::string mountpoint;
  std::string fsName;
  std::string subtype;
  bool allowOther = false;
  bool defaultPermissions = false;
  bool readOnly = false;
};

/** A failed system call or helper: the errno and a sentence. */
struct SystemFailure {
  int error;
  std::string message;
};

struct Mount {
  int fd = -1;
  /** Resolved, as the mount table has it. */
  std::string mountpoint;
  /** "major:minor" in the mount table: while connected, it tells this mount from a later one on the same path. */
  std::string device;
};

/** @throws SystemFailure */
Mount mountFilesystem(const MountOptions& options);

/** Detaches a mount that is still connected from the tree; fine if it is off it already. @throws SystemFailure */
void unmountFilesystem(const Mount& mount);

}  // namespace mvfuse
