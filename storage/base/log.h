#pragma once

#include <string_view>

namespace tidemark {

enum class LogLevel { debug, info, warn, error };

/// The process's own log, one line an event, to stderr. Callers format first (fmt or std::string): spdlog stays in one file,
/// because every translation unit that includes it costs seconds.
void log(LogLevel level, std::string_view message);
void set_log_level(LogLevel level);
bool parse_log_level(std::string_view name, LogLevel& level);

inline void log_info(std::string_view message) { log(LogLevel::info, message); }
inline void log_warn(std::string_view message) { log(LogLevel::warn, message); }
inline void log_error(std::string_view message) { log(LogLevel::error, message); }

}  // namespace tidemark
