// Whether bytes are UTF-8 that a JavaScript string gives back unchanged.
#pragma once

#include <string_view>

namespace mvfuse {

/** Strict: no overlong forms, no surrogates, nothing above U+10FFFF (Unicode 15, table 3-7). */
bool isUtf8(std::string_view text);

}  // namespace mvfuse
