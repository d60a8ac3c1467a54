#include "storage/base/printable.h"

#include <cstdint>

#include "storage/base/text.h"

namespace tidemark {

std::string printable(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    if (const std::size_t length = utf8_sequence(text); length > 0) {
      result += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    const auto byte = static_cast<std::uint8_t>(text.front());
    result += "\\x";
    result += kHex[byte >> 4];
    result += kHex[byte & 15];
    text.remove_prefix(1);
  }
  return result;
}

}  // namespace tidemark
