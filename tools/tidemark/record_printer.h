#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/record_filter.h"
#include "storage/base/result.h"
#include "tidemark/record.h"
#include "tools/tidemark/format.h"
#include "tools/tidemark/output.h"

namespace tidemark::tools {

/// Turns messages into text as the flags of consume and get ask: the value and a delimiter, a --format, or one JSON object a line.
class RecordPrinter {
 public:
  /// `format` empty: values. Error invalid_argument.
  static Result<RecordPrinter> make(const std::string& format, char delimiter, OutputFormat output);

  /// `deliveries`: as a queue group counts them.
  void append(const Message& message, std::string& out, std::optional<std::int64_t> deliveries = std::nullopt) const;

 private:
  RecordPrinter(std::optional<RecordFormat> format, char delimiter, OutputFormat output)
      : format_(std::move(format)), delimiter_(delimiter), output_(output) {}

  std::optional<RecordFormat> format_;
  char delimiter_;
  OutputFormat output_;
};

/// Whether the filter holds for a message; decodes headers only when the filter looks at them.
bool matches(const broker::RecordFilter& filter, const Message& message);

}  // namespace tidemark::tools
