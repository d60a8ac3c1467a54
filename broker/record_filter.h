#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark::broker {

/// One record as a filter looks at it. Views only.
struct FilteredRecord {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = -1;  ///< Record time; negative: it has none.
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::span<const HeaderView> headers;     ///< Needed only by filters that use them.
  std::optional<std::int64_t> deliveries;  ///< Nothing outside a queue group counts them.
  std::optional<std::string_view> reason;  ///< Of a dead letter.
};

/// A condition on records, one grammar wherever records are chosen:
///
///     expression := term { "or" term }        term := factor { "and" factor }
///     factor     := "not" factor | "(" expression ")" | field operator value
///     field      := key | value | header.NAME | header."ANY NAME" | topic | partition | offset | time | deliveries | reason
///     operator   := =  !=  <  <=  >  >=  ^= (prefix)  ~ (RE2, anywhere in the text)  *= (glob: * ? over the whole text)
///     value      := "string" | 'string' | number | time
///
/// In strings `\"`, `\'`, `\\`, `\n`, `\t`, `\r`, `\0` and `\xNN` are understood; after `~` the string goes to RE2 as it stands. A string
/// compares bytes; a bare number compares numbers: with a key, value or header it holds only if that field's text is a number. `time` takes
/// `@2026-03-01T10:00`, `2026-03-01T10:00Z`, `@now`,
/// `-1h` or milliseconds since 1970. A field the record does not have (absent header, null key) matches no operator, so only
/// `not (..)` finds such records.
///
///     key = "42" and (header.type ^= "order." or value ~ "card [0-9]+")
class RecordFilter {
 public:
  /// `now` is what relative times count from. Error invalid_argument names the column and what was expected there. Bounded: 64 KiB
  /// of text, nesting of 64, 8 MiB for a regular expression.
  static Result<RecordFilter> parse(std::string_view text, Timestamp now);

  RecordFilter(RecordFilter&&) noexcept;
  RecordFilter& operator=(RecordFilter&&) noexcept;
  ~RecordFilter();

  bool matches(const FilteredRecord& record) const;
  /// False: matches() does not look at FilteredRecord::headers.
  bool uses_headers() const;

  struct Node;

 private:
  explicit RecordFilter(std::unique_ptr<const Node> root);
  std::unique_ptr<const Node> root_;
};

}  // namespace tidemark::broker
