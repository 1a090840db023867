// A request and the bytes that its views point into.
#pragma once

#include <memory>

#include "protocol/request.h"

namespace mvfuse {

struct Message {
  std::unique_ptr<uint8_t[]> bytes;
  Request request;
};

}  // namespace mvfuse
