#pragma once

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

/// What travels on the bus: the key names the order, the value is "STEP WORD", such as "1 paid". The steps of an order are numbered from 0.
namespace event_bus {

inline constexpr std::array<std::string_view, 3> kSteps = {"placed", "paid", "shipped"};

struct Event {
  std::size_t step = 0;
  std::string word;
};

inline std::string to_value(std::size_t step, std::string_view word) { return std::to_string(step) + " " + std::string(word); }

inline std::optional<Event> parse_value(std::string_view value) {
  Event event;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), event.step);
  const auto space = static_cast<std::size_t>(end - value.data());
  if (failed != std::errc() || event.step >= kSteps.size() || space >= value.size() || value[space] != ' ') return std::nullopt;
  event.word = value.substr(space + 1);
  return event;
}

/// The value behind `flag` on the command line.
inline std::optional<std::string> argument(int argc, char** argv, std::string_view flag) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (argv[i] == flag) return argv[i + 1];
  }
  return std::nullopt;
}

}  // namespace event_bus
