// Turns the bytes of one message from /dev/fuse into a Request. A pure function over the span: it reads no byte
// outside of it, whatever the bytes are, and it trusts no length or number in it.
#pragma once

#include "protocol/request.h"

namespace mvfuse {

/** `parse` returns it for a span too short for a header: there is nobody to answer. */
constexpr int NO_HEADER = -1;

/**
 * Returns 0, NO_HEADER, or the errno to answer the request with:
 * EIO: malformed; EILSEQ: a name that is not UTF-8; EFBIG: an offset or size past SAFE_INTEGER_MAX;
 * EINVAL: a value that the operation does not have.
 * `request.header` is set whenever there is one; the rest only on 0.
 */
int parse(Bytes message, Request& request);

}  // namespace mvfuse
