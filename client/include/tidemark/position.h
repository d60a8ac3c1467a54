#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/base/time_text.h"

namespace tidemark {

/// A place in a partition, in the words people use; resolved for each partition on its own when reading starts.
struct Position {
  enum class Kind {
    earliest,     ///< The log start.
    latest,       ///< The end: only what comes later.
    committed,    ///< Where the group stands; only with a group.
    offset,       ///< `count` is the offset.
    after_start,  ///< `count` records after the log start, at most the end.
    before_end,   ///< `count` records before the end, at least the log start.
    time,         ///< The first record at or after `time`, else the end.
    ago,          ///< `duration` before now.
  };
  Kind kind = Kind::latest;
  std::int64_t count = 0;
  Timestamp time{};
  std::chrono::milliseconds duration{0};

  static Position earliest() { return {.kind = Kind::earliest}; }
  static Position latest() { return {.kind = Kind::latest}; }
  static Position committed() { return {.kind = Kind::committed}; }
  static Position at(std::int64_t offset) { return {.kind = Kind::offset, .count = offset}; }
  static Position after_start(std::int64_t count) { return {.kind = Kind::after_start, .count = count}; }
  static Position before_end(std::int64_t count) { return {.kind = Kind::before_end, .count = count}; }
  static Position at_time(Timestamp time) { return {.kind = Kind::time, .time = time}; }
  static Position ago(std::chrono::milliseconds duration) { return {.kind = Kind::ago, .duration = duration}; }

  bool operator==(const Position&) const = default;
};

/// `earliest latest committed 42 +5 -5 -15m -1h30m @2026-03-01T10:00 @2026-03-01T10:00:00.5Z @now @-1h`. A number with a unit is a
/// duration, one without is a count. Times are RFC 3339; hours and minutes may end the text, and without an offset the time is local (TZ).
/// Error invalid_argument names the text and the grammar.
Result<Position> parse_position(std::string_view text);
/// A form that parse_position reads back; times in UTC.
std::string to_string(const Position& position);

}  // namespace tidemark
