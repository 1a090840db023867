// Which requests about extended attributes are refused without asking JavaScript, as a pure function.
//
// Only names that begin with "user." can be anything here. The kernel itself asks for security.capability before writes
// (see README.md), and tools for ACLs and labels of every file that they list: that must cost no more than it has to.
#pragma once

#include "protocol/request.h"

namespace mvfuse {

/**
 * Returns 0 for a request to hand on, or the errno to refuse it with:
 * ENODATA: a name of "security." or "trusted.", which no file here has; EOPNOTSUPP: a name of any other kind but "user.",
 * ACLs among them; ENOSYS: setting or removing, which the kernel then turns into EOPNOTSUPP and never asks again.
 */
int refusedXattr(const Request& request);

}  // namespace mvfuse
