#include "js/errors.h"

#include <cstring>

namespace mvfuse {

Napi::Error codeError(Napi::Env env, const std::string& code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

Napi::Error errnoError(Napi::Env env, int error, const std::string& context) {
  const char* known = strerrorname_np(error);
  const std::string name = known != nullptr ? known : "ERRNO_" + std::to_string(error);
  const char* text = strerrordesc_np(error);
  return codeError(env, name, name + ": " + (text != nullptr ? text : "unknown error") + ", " + context);
}

void reportUncaught(napi_env env) {
  bool isPending = false;
  napi_value error = nullptr;
  if (napi_is_exception_pending(env, &isPending) != napi_ok || !isPending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

}  // namespace mvfuse
