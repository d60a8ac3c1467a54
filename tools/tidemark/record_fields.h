#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

#include "tidemark/record.h"

namespace tidemark::tools {

/// One record as the command line looks at it, wherever it comes from: a reader, a fetched batch or a segment file. Views only.
struct RecordFields {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = -1;  ///< Record time; negative: it has none.
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::span<const Header> headers;
  std::optional<std::int64_t> deliveries;  ///< Nothing outside a queue group counts them.
  std::optional<std::string_view> reason;  ///< Of a dead letter.
};

/// Everything but the headers, whose decoding costs an allocation: callers that need them keep the vector and set the span.
RecordFields fields_of(const Message& message);

/// {"topic","partition","offset","time","timestamp_ms","key","value","headers":[{"name","value"}],"deliveries"}. A key, value or
/// name that is not UTF-8 stands as key_base64, value_base64, name_base64 instead. Without a count of its own a record was delivered once.
boost::json::object record_to_json(const RecordFields& record);

}  // namespace tidemark::tools
