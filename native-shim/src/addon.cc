// The addon's exports. Session's face is described in ../index.d.ts.
#include <linux/fuse.h>
#include <napi.h>

#include "session.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new mvfuse::AddonData(env);
  env.SetInstanceData(data);
  const Napi::Function sessionClass = mvfuse::Session::define(env);
  data->sessionClass = Napi::Persistent(sessionClass);
  exports.Set("Session", sessionClass);
  exports.Set("OPEN_DIRECT_IO", Napi::Number::New(env, FOPEN_DIRECT_IO));
  exports.Set("OPEN_KEEP_CACHE", Napi::Number::New(env, FOPEN_KEEP_CACHE));
  return exports;
}

}  // namespace

NODE_API_MODULE(mvfuse_native, init)
