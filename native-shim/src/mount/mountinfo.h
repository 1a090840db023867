// Reads the mount table (/proc/self/mountinfo, proc(5)). It never touches a mount itself, so it cannot hang on one.
#pragma once

#include <string>

namespace mvfuse {

/** "major:minor" of what is mounted on `path` now (the topmost mount), or "" when nothing is. */
std::string mountedDevice(const std::string& path);

}  // namespace mvfuse
