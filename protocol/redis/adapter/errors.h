#pragma once

#include <string_view>

/// Error replies that several commands give, in Redis's words.
namespace tidemark::redis {

inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNoSuchKey = "ERR no such key";
inline constexpr std::string_view kInvalidStreamId = "ERR Invalid stream ID specified as stream command argument";

}  // namespace tidemark::redis
