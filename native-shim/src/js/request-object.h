// Makes the request objects of index.d.ts. The hot path of the JavaScript thread: raw Node-API calls, cached keys.
#pragma once

#include <napi.h>

#include "js/keys.h"
#include "protocol/message.h"

namespace mvfuse {

/**
 * The object of one request; written data of some size is handed over with the message's own bytes, without a copy.
 * Returns nullptr when the environment is out of memory or ends.
 */
napi_value makeRequestObject(napi_env env, KeyScope& keys, Message&& message);

}  // namespace mvfuse
