#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "storage/base/result.h"

namespace tidemark::tools {

/// Replaces `\n \t \r \0 \\ \" \' \xNN` by the byte they stand for. Error invalid_argument names any other.
Result<std::string> unescape(std::string_view text);

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate closest to a misspelt word; empty when none is close enough to be meant.
std::string_view closest(std::string_view word, std::span<const std::string> candidates);

/// "NAME=VALUE" -> both parts; nothing before the `=` is invalid_argument, the value may be empty and may hold more `=`.
struct NameValue {
  std::string name;
  std::string value;
};
Result<NameValue> parse_name_value(std::string_view text);

/// "T:P:OFF", split from the right, because topic names may hold colons.
struct RecordAddress {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
};
Result<RecordAddress> parse_record_address(std::string_view text);

}  // namespace tidemark::tools
