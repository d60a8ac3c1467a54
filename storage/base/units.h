#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/result.h"

namespace tidemark {

/// "10MiB", "10MB", "10000000": a number of bytes. Binary (KiB MiB GiB TiB) and decimal (KB MB GB TB) units, no unit = bytes.
Result<std::uint64_t> parse_size(std::string_view text);
/// "250ms", "1h30m", "7d", "2w": units ms s m h d w, combinable in falling order; a bare integer is milliseconds, as in Kafka's configs.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "12.3 MiB", "512 B"
std::string format_size(std::uint64_t bytes);
/// "7d", "1h30m", "250ms": the shortest exact form that parse_duration reads back.
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace tidemark
