#include "storage/base/text.h"

#include <charconv>
#include <cstdint>
#include <cstring>

namespace tidemark {
namespace {

Error invalid(std::string detail) { return Error{.code = Errc::invalid_argument, .detail = std::move(detail)}; }

bool parse_hex_byte(std::string_view digits, unsigned char& byte) {
  if (digits.size() != 2) return false;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + 2, byte, 16);
  return failure == std::errc() && end == digits.data() + 2;
}

}  // namespace

std::size_t utf8_sequence(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto continues = [&](std::size_t i) { return i < bytes.size() && (byte(i) & 0xc0) == 0x80; };
  if (bytes.empty()) return 0;
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!continues(1) || !continues(2)) return 0;
    if (lead == 0xe0 && byte(1) < 0xa0) return 0;
    if (lead == 0xed && byte(1) > 0x9f) return 0;
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (lead == 0xf0 && byte(1) < 0x90) return 0;
    if (lead == 0xf4 && byte(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    // Most text is ASCII: eight bytes at a time.
    if (bytes.size() >= 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data(), sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        bytes.remove_prefix(8);
        continue;
      }
    }
    const std::size_t length = utf8_sequence(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

Result<std::string> unescape(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    if (++i == text.size()) return invalid("a single backslash at the end; write \\\\");
    switch (text[i]) {
      case 'n':
        plain += '\n';
        break;
      case 't':
        plain += '\t';
        break;
      case 'r':
        plain += '\r';
        break;
      case '0':
        plain += '\0';
        break;
      case '\\':
      case '"':
      case '\'':
        plain += text[i];
        break;
      case 'x': {
        unsigned char byte = 0;
        if (!parse_hex_byte(text.substr(i + 1, 2), byte)) return invalid("\\x takes two hexadecimal digits");
        plain += static_cast<char>(byte);
        i += 2;
        break;
      }
      default:
        return invalid(std::string("unknown escape `\\") + text[i] + "`; known are \\n \\t \\r \\0 \\\\ \\\" \\' \\xNN");
    }
  }
  return plain;
}

}  // namespace tidemark
