// The addon's exports. Session's face is described in ../index.d.ts.
#include <linux/fuse.h>
#include <napi.h>
#include <time.h>

#include "session.h"

namespace {

Napi::Value bootTimeMs(const Napi::CallbackInfo& info) {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return Napi::Number::New(info.Env(), static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6);
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
  return exports;
}

}  // namespace

NODE_API_MODULE(mvfuse_native, init)
