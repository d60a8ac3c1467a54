#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "storage/base/clock.h"
#include "storage/base/result.h"

namespace tidemark::tools {

/// So many records, or so many bytes, a second.
struct Rate {
  enum class Unit { records, bytes };
  Unit unit = Unit::records;
  double per_second = 0;
};

/// "100", "5k/s", "1.5M/s": records (k M G are thousands); "10MB/s", "512KiB/s": bytes; the "/s" may be missing. Above zero.
Result<Rate> parse_rate(std::string_view text);
/// "4x", "0.5x", "4": how much faster than recorded. Above zero.
Result<double> parse_speed(std::string_view text);

/// Spreads work evenly at a rate: answers how long to wait before the next piece. Up to 50 ms of work may be made up for after a delay,
/// so that a coarse timer does not lower the rate, and no more, so that a stall is not followed by a burst.
class RateLimiter {
 public:
  explicit RateLimiter(Rate rate) : rate_(rate) {}
  /// Time until a record of so many bytes may go; zero: now. The caller then sends it.
  std::chrono::nanoseconds reserve(std::uint64_t bytes, SteadyTime now);

 private:
  Rate rate_;
  std::optional<SteadyTime> next_;
};

}  // namespace tidemark::tools
