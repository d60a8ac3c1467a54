#include "tools/tidemark/text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

namespace tidemark::tools {
namespace {

Error invalid(std::string detail) { return Error{.code = Errc::invalid_argument, .detail = std::move(detail)}; }

template <class T>
bool parse_whole(std::string_view text, T& number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size();
}

bool parse_hex_byte(std::string_view digits, unsigned char& byte) {
  if (digits.size() != 2) return false;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + 2, byte, 16);
  return failure == std::errc() && end == digits.data() + 2;
}

}  // namespace

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
        return invalid(fmt::format("unknown escape `\\{}`; known are \\n \\t \\r \\0 \\\\ \\\" \\' \\xNN", text[i]));
    }
  }
  return plain;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Damerau-Levenshtein with adjacent swaps, three rows.
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, previous);
    std::swap(previous, row);
  }
  return previous[b.size()];
}

std::string_view closest(std::string_view word, std::span<const std::string> candidates) {
  std::string_view best;
  std::size_t best_distance = word.size() / 3 + 2;  // One slip in a short word, more in a long one.
  for (const std::string& candidate : candidates) {
    const std::size_t distance = candidate.starts_with(word) && word.size() >= 2 ? 1 : edit_distance(word, candidate);
    if (distance >= best_distance || distance >= candidate.size()) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

Result<NameValue> parse_name_value(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return invalid(fmt::format("`{}` is not NAME=VALUE", text));
  return NameValue{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<RecordAddress> parse_record_address(std::string_view text) {
  RecordAddress address;
  const std::size_t second = text.rfind(':');
  const std::size_t first = second == std::string_view::npos || second == 0 ? std::string_view::npos : text.rfind(':', second - 1);
  if (first == std::string_view::npos || first == 0 || !parse_whole(text.substr(first + 1, second - first - 1), address.partition) ||
      !parse_whole(text.substr(second + 1), address.offset) || address.partition < 0 || address.offset < 0) {
    return invalid(fmt::format("`{}` is not TOPIC:PARTITION:OFFSET", text));
  }
  address.topic = text.substr(0, first);
  return address;
}

}  // namespace tidemark::tools
