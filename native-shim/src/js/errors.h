// JavaScript errors with a stable `code`.
#pragma once

#include <napi.h>

#include <string>

namespace mvfuse {

Napi::Error codeError(Napi::Env env, const std::string& code, const std::string& message);

/** `code` is the errno's name, the message "NAME: text, context". */
Napi::Error errnoError(Napi::Env env, int error, const std::string& context);

/** Hands a pending exception of a callback to process 'uncaughtException': nobody up the stack could catch it. */
void reportUncaught(napi_env env);

}  // namespace mvfuse
