#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "protocol/redis/codec/resp_request.h"
#include "storage/base/clock.h"

namespace tidemark::redis {

/// How long a command may block.
struct BlockingTimeout {
  std::chrono::milliseconds wait{0};  ///< 0: for ever.
  std::string_view error;             ///< Not empty: the argument is no timeout.
};

/// Reads the milliseconds behind BLOCK.
inline BlockingTimeout parse_timeout(std::string_view text, Timestamp now) {
  const std::optional<std::int64_t> ms = parse_integer(text);
  if (!ms) return {{}, "ERR timeout is not an integer or out of range"};
  if (*ms < 0) return {{}, "ERR timeout is negative"};
  if (*ms > std::numeric_limits<std::int64_t>::max() - now.time_since_epoch().count()) return {{}, "ERR timeout is out of range"};
  // Timers do not reach as far as numbers do, and nobody waits for a century.
  constexpr std::int64_t kCenturyMs = std::int64_t{100} * 366 * 24 * 3600 * 1000;
  return {std::chrono::milliseconds(*ms > kCenturyMs ? 0 : *ms), {}};
}

}  // namespace tidemark::redis
