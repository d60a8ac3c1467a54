#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/result.h"

/// Moments and spans of time as people write them.
namespace tidemark {

/// `2026-03-01T10:00`, `2026-03-01T10:00:00.5Z`, `now`, `-1h`: RFC 3339; hours and minutes may end the text, and without an offset the
/// time is local (TZ). `now` and `-1h` count from `now`. Error invalid_argument names the text and the grammar.
Result<Timestamp> parse_time(std::string_view text, Timestamp now);
/// A duration that has a unit: a bare number is a count of something else. Error invalid_argument.
Result<std::chrono::milliseconds> parse_span(std::string_view text);
/// "2026-03-01T10:00:00.250Z"; RFC 3339 in UTC with milliseconds.
std::string format_time(Timestamp time);

}  // namespace tidemark
