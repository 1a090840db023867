#include "mount/mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "mount/fusermount.h"
#include "mount/mountinfo.h"

namespace mvfuse {
namespace {

std::string resolve(const std::string& mountpoint) {
  char path[PATH_MAX];
  if (realpath(mountpoint.c_str(), path) == nullptr) throw SystemFailure{errno, "mount point " + mountpoint};
  struct stat status;
  if (stat(path, &status) != 0) throw SystemFailure{errno, "mount point " + mountpoint};
  if (!S_ISDIR(status.st_mode)) throw SystemFailure{ENOTDIR, "mount point " + mountpoint};
  return path;
}

/** Returns 0 and the descriptor, or the errno. */
int mountDirectly(const MountOptions& options, const std::string& path, int& fd, std::string& step) {
  step = "open /dev/fuse";
  fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno;
  std::string data = "fd=" + std::to_string(fd) + ",rootmode=40000,user_id=" + std::to_string(getuid()) +
                     ",group_id=" + std::to_string(getgid());
  if (options.allowOther) data += ",allow_other";
  if (options.defaultPermissions) data += ",default_permissions";
  const unsigned long flags = MS_NOSUID | MS_NODEV | (options.readOnly ? MS_RDONLY : 0);
  const std::string type = options.subtype.empty() ? "fuse" : "fuse." + options.subtype;
  step = "mount on " + path;
  if (mount(options.fsName.c_str(), path.c_str(), type.c_str(), flags, data.c_str()) == 0) return 0;
  const int error = errno;
  close(fd);
  fd = -1;
  return error;
}

}  // namespace

Mount mountFilesystem(const MountOptions& options) {
  Mount result;
  result.mountpoint = resolve(options.mountpoint);
  int error = EPERM;
  std::string step;
  if (geteuid() == 0) error = mountDirectly(options, result.mountpoint, result.fd, step);
  if (error == EPERM) {
    result.fd = mountByHelper(options, result.mountpoint);
  } else if (error != 0) {
    throw SystemFailure{error, step};
  }
  result.device = mountedDevice(result.mountpoint);
  return result;
}

void unmountFilesystem(const Mount& mount) {
  const std::string device = mountedDevice(mount.mountpoint);
  if (device.empty() || device != mount.device) return;
  if (umount2(mount.mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return;
  if (errno != EPERM) throw SystemFailure{errno, "unmount " + mount.mountpoint};
  unmountByHelper(mount.mountpoint);
}

}  // namespace mvfuse
