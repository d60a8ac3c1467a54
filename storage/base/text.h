#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "storage/base/result.h"

/// Text as people write it and bytes that may be none.
namespace tidemark {

/// Length of the UTF-8 sequence at the start of `bytes`; 0 if there is none (overlong forms and surrogates included). RFC 3629.
std::size_t utf8_sequence(std::string_view bytes);
bool is_utf8(std::string_view bytes);

/// Replaces `\n \t \r \0 \\ \" \' \xNN` by the byte they stand for. Error invalid_argument names any other.
Result<std::string> unescape(std::string_view text);

}  // namespace tidemark
