// The addon's exports. Session's face is described in ../index.d.ts.
#include <linux/fuse.h>
#include <napi.h>
#include <time.h>

#include "datagram.h"
#include "js/errors.h"
#include "session.h"

namespace {

Napi::Value bootTimeMs(const Napi::CallbackInfo& info) {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return Napi::Number::New(info.Env(), static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6);
}

void sendDatagram(const Napi::CallbackInfo& info) {
  const std::string path = mvfuse::toText(info[0], "path");
  const mvfuse::Bytes data = mvfuse::toBytes(info[1], "data");
  if (path.size() < 2 || (path[0] != '/' && path[0] != '@')) {
    throw Napi::RangeError::New(info.Env(), "path must be absolute, or an abstract name that begins with @");
  }
  const int error = mvfuse::sendDatagram(path, data);
  if (error != 0) throw mvfuse::errnoError(info.Env(), error, "datagram to " + path);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new mvfuse::AddonData(env);
  env.SetInstanceData(data);
  const Napi::Function sessionClass = mvfuse::Session::define(env);
  data->sessionClass = Napi::Persistent(sessionClass);
  exports.Set("Session", sessionClass);
  exports.Set("OPEN_DIRECT_IO", Napi::Number::New(env, FOPEN_DIRECT_IO));
  exports.Set("OPEN_KEEP_CACHE", Napi::Number::New(env, FOPEN_KEEP_CACHE));
  exports.Set("bootTimeMs", Napi::Function::New(env, bootTimeMs));
  exports.Set("sendDatagram", Napi::Function::New(env, sendDatagram));
  return exports;
}

}  // namespace

NODE_API_MODULE(mvfuse_native, init)
