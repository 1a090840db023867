#include "js/keys.h"

namespace mvfuse {
namespace {

constexpr const char* TEXTS[] = {
#define KEY(name) #name,
    MVFUSE_KEYS(KEY)
#undef KEY
};

}  // namespace

Keys::Keys(Napi::Env env) {
  Napi::Object object = Napi::Object::New(env);
  for (const char* text : TEXTS) object.Set(text, env.Null());
  array_ = Napi::Persistent(Napi::Object(object.GetPropertyNames()));
}

napi_value KeyScope::operator[](Key key) {
  const auto index = static_cast<size_t>(key);
  napi_value& value = values_[index];
  if (value == nullptr) napi_get_element(env_, array_, static_cast<uint32_t>(index), &value);
  return value;
}

}  // namespace mvfuse
