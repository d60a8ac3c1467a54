#include "tools/tidemark/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "storage/base/text.h"

namespace tidemark::tools {
namespace {

constexpr std::array<std::string_view, 8> kSteps = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

/// "12.3k"; below 100 of the unit one decimal, above none.
std::string in_units(double value) {
  static constexpr std::array<std::string_view, 5> kUnits = {"k", "M", "G", "T", "P"};
  std::size_t unit = 0;
  value /= 1000;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return value < 99.95 ? fmt::format("{:.1f}{}", value, kUnits[unit]) : fmt::format("{:.0f}{}", value, kUnits[unit]);
}

}  // namespace

std::string sparkline(std::span<const double> values, std::size_t width) {
  values = values.last(std::min(values.size(), width));
  const double top = values.empty() ? 0 : *std::ranges::max_element(values);
  std::string line(width - values.size(), ' ');
  for (const double value : values) {
    const double share = top > 0 ? std::clamp(value / top, 0.0, 1.0) : 0;
    line += kSteps[static_cast<std::size_t>(std::lround(share * static_cast<double>(kSteps.size() - 1)))];
  }
  return line;
}

std::string short_count(std::uint64_t count) { return count < 100'000 ? std::to_string(count) : in_units(static_cast<double>(count)); }

std::string short_rate(std::optional<double> per_second) {
  if (!per_second) return "-";
  const double rate = *per_second;
  if (rate < 0.05) return "0/s";
  if (rate < 9.95) return fmt::format("{:.1f}/s", rate);
  return rate < 9999.5 ? fmt::format("{:.0f}/s", rate) : in_units(rate) + "/s";
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

std::string fit(std::string_view text, std::size_t width, bool right) {
  const std::size_t columns = columns_of(text);
  if (columns <= width) {
    const std::string blanks(width - columns, ' ');
    return right ? blanks + std::string(text) : std::string(text) + blanks;
  }
  if (width == 0) return {};
  std::string cut;
  for (std::size_t i = 0; i + 1 < width; ++i) {
    const std::size_t length = std::max<std::size_t>(utf8_sequence(text), 1);
    cut += text.substr(0, length);
    text.remove_prefix(length);
  }
  return cut + "…";
}

}  // namespace tidemark::tools
