#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/result.h"
#include "storage/base/text.h"

namespace tidemark::tools {

/// "NAME=VALUE" -> both parts; nothing before the `=` is invalid_argument, the value may be empty and may hold more `=`.
struct NameValue {
  std::string name;
  std::string value;
};
Result<NameValue> parse_name_value(std::string_view text);

/// "T:P", split from the right.
struct PartitionAddress {
  std::string topic;
  std::int32_t partition = 0;
};
Result<PartitionAddress> parse_partition_address(std::string_view text);

/// "T:P:OFF", split from the right, because topic names may hold colons.
struct RecordAddress {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
};
Result<RecordAddress> parse_record_address(std::string_view text);

}  // namespace tidemark::tools
