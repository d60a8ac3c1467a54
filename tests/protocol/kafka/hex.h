#pragma once

#include <cstdlib>
#include <string>

#include "storage/base/bytes.h"

namespace tidemark::kafka {

/// Pairs of digits; spaces between them are for the reader.
inline ByteVector from_hex(std::string text) {
  std::erase(text, ' ');
  ByteVector bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::strtoul(text.substr(i, 2).c_str(), nullptr, 16)));
  }
  return bytes;
}

}  // namespace tidemark::kafka
