#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/result.h"

namespace tidemark {

/// "10MiB", "10MB", "10000000": a number of bytes. Binary (KiB MiB GiB TiB) and decimal (KB MB GB TB) units, in any case; no unit or B =
/// bytes. Whole numbers, no spaces. Error invalid_argument, also when the value does not fit 64 bits.
Result<std::uint64_t> parse_size(std::string_view text);
/// "250ms", "1h30m", "7d", "2w": units ms s m h d w, combinable in falling order; a bare integer is milliseconds, as in Kafka's configs.
/// Never negative. Error invalid_argument, also when the value does not fit.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "12.3 MiB", "512 B", "16 MiB": binary units, rounded to one decimal.
std::string format_size(std::uint64_t bytes);
/// "7d", "1h30m", "250ms": exact, parts of zero left out; parse_duration reads it back. A negative duration gets a leading minus, which
/// parse_duration refuses.
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace tidemark
