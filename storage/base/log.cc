#include "storage/base/log.h"

#include <memory>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace tidemark {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("tidemark", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

}  // namespace

void log(LogLevel level, std::string_view message) { logger().log(to_spdlog(level), "{}", message); }
void set_log_level(LogLevel level) { logger().set_level(to_spdlog(level)); }

bool parse_log_level(std::string_view name, LogLevel& level) {
  if (name == "debug")
    level = LogLevel::debug;
  else if (name == "info")
    level = LogLevel::info;
  else if (name == "warn")
    level = LogLevel::warn;
  else if (name == "error")
    level = LogLevel::error;
  else
    return false;
  return true;
}

}  // namespace tidemark
