// Datagrams to a unix socket, which Node has no way to send. A plain function: no threads, nothing kept open.
#pragma once

#include <string>

#include "protocol/request.h"

namespace mvfuse {

/**
 * Sends one datagram to the socket at `path`, or to an abstract one when it begins with "@". Never waits.
 * Returns 0 or the errno: EAGAIN when the receiver has no room, ENAMETOOLONG when the path is longer than an address.
 */
int sendDatagram(const std::string& path, Bytes data);

}  // namespace mvfuse
