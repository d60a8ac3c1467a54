#pragma once

#include <string>
#include <string_view>

/// Error replies that several commands give, in Redis's words.
namespace tidemark::redis {

inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNoSuchKey = "ERR no such key";
/// Of a subcommand that exists, with arguments that it does not take. `container` in upper case.
inline std::string wrong_subcommand(std::string_view subcommand, std::string_view container) {
  return "ERR unknown subcommand or wrong number of arguments for '" + std::string(subcommand.substr(0, 128)) + "'. Try " +
         std::string(container) + " HELP.";
}

inline constexpr std::string_view kInvalidStreamId = "ERR Invalid stream ID specified as stream command argument";

}  // namespace tidemark::redis
