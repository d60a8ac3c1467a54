#pragma once

#include <algorithm>
#include <string_view>

namespace tidemark::redis {

inline constexpr std::string_view kBadClientName = "ERR Client names cannot contain spaces, newlines or special characters.";
inline constexpr std::size_t kClientNameBytesMax = 1024;

/// Names stand in the lines of CLIENT LIST, so nothing in them may look like the end of one.
inline bool is_client_name(std::string_view name) {
  return name.size() <= kClientNameBytesMax && std::ranges::all_of(name, [](char c) { return c >= '!' && c <= '~'; });
}

}  // namespace tidemark::redis
