// The fuzz target for the request parser: one message from /dev/fuse is the input. scripts/fuzz.sh links it with
// libFuzzer, test/fuzz/replay.cc with a main that replays files.
#include "request-check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mvfuse::Request request;
  mvfuse::checkMessage(mvfuse::Bytes{data, size}, request);
  return 0;
}
