#include "storage/base/units.h"

#include <array>
#include <charconv>
#include <limits>

namespace tidemark {
namespace {

struct SizeUnit {
  std::string_view name;  // Lower case.
  std::uint64_t bytes;
};
constexpr std::array<SizeUnit, 10> kSizeUnits = {{{"", 1},
                                                  {"b", 1},
                                                  {"kib", std::uint64_t{1} << 10},
                                                  {"mib", std::uint64_t{1} << 20},
                                                  {"gib", std::uint64_t{1} << 30},
                                                  {"tib", std::uint64_t{1} << 40},
                                                  {"kb", 1'000},
                                                  {"mb", 1'000'000},
                                                  {"gb", 1'000'000'000},
                                                  {"tb", 1'000'000'000'000}}};

struct DurationUnit {
  std::string_view name;
  std::uint64_t ms;
};
constexpr std::array<DurationUnit, 6> kDurationUnits = {
    {{"w", 604'800'000}, {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }
Error bad_size(std::string_view text, std::string_view why) {
  return {Errc::invalid_argument, quoted(text) + " is not a size: " + std::string(why)};
}
Error bad_duration(std::string_view text, std::string_view why) {
  return {Errc::invalid_argument, quoted(text) + " is not a duration: " + std::string(why)};
}

/// Locale-free, unlike std::tolower.
std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

enum class Number { taken, missing, too_large };

/// Takes the decimal digits at the front of `rest`.
Number take_number(std::string_view& rest, std::uint64_t& number) {
  const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (failure == std::errc::invalid_argument) return Number::missing;
  if (failure != std::errc{}) return Number::too_large;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return Number::taken;
}

std::string_view take_letters(std::string_view& rest) {
  const std::size_t end = std::min(rest.find_first_of("0123456789"), rest.size());
  const std::string_view letters = rest.substr(0, end);
  rest.remove_prefix(end);
  return letters;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::string_view rest = text;
  std::uint64_t number = 0;
  switch (take_number(rest, number)) {
    case Number::missing:
      return bad_size(text, "it must start with a whole number, as in 10MiB");
    case Number::too_large:
      return bad_size(text, "the number is too large");
    case Number::taken:
      break;
  }
  const std::string name = ascii_lower(rest);
  for (const SizeUnit& unit : kSizeUnits) {
    if (unit.name != name) continue;
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(number, unit.bytes, &bytes)) return bad_size(text, "the number is too large");
    return bytes;
  }
  return bad_size(text, "units are B, KiB, MiB, GiB, TiB, KB, MB, GB and TB");
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::chrono::milliseconds::rep>::max();
  std::string_view rest = text;
  std::uint64_t total_ms = 0;
  std::size_t next_unit = 0;  // Falling order: each part takes a smaller unit than the one before.
  bool bare = false;
  do {
    std::uint64_t number = 0;
    switch (take_number(rest, number)) {
      case Number::missing:
        return bad_duration(text, "it must be whole numbers with units, as in 1h30m");
      case Number::too_large:
        return bad_duration(text, "the number is too large");
      case Number::taken:
        break;
    }
    const std::string_view name = take_letters(rest);
    bare = name.empty();
    if (bare && next_unit != 0) return bad_duration(text, "the last number has no unit");
    std::size_t unit = 0;
    while (unit < kDurationUnits.size() && kDurationUnits[unit].name != (bare ? std::string_view("ms") : name)) ++unit;
    if (unit == kDurationUnits.size()) return bad_duration(text, "units are ms, s, m, h, d and w");
    if (unit < next_unit) return bad_duration(text, "units must be in falling order, each at most once, as in 1h30m");
    next_unit = unit + 1;
    std::uint64_t part_ms = 0;
    if (__builtin_mul_overflow(number, kDurationUnits[unit].ms, &part_ms) || __builtin_add_overflow(total_ms, part_ms, &total_ms) ||
        total_ms > kMax)
      return bad_duration(text, "the number is too large");
  } while (!rest.empty());
  return std::chrono::milliseconds(static_cast<std::int64_t>(total_ms));
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kNames = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  std::size_t name = 0;
  std::uint64_t unit = 1024;
  const auto tenths = [&] { return bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit; };
  while (name + 1 < kNames.size() && tenths() >= 10'240) {  // Judged after rounding: never "1024 KiB".
    unit *= 1024;
    ++name;
  }
  const std::uint64_t rounded = tenths();
  std::string text = std::to_string(rounded / 10);
  if (rounded % 10 != 0) text += '.' + std::to_string(rounded % 10);
  return text + ' ' + std::string(kNames[name]);
}

std::string format_duration(std::chrono::milliseconds duration) {
  const bool negative = duration.count() < 0;
  auto rest = static_cast<std::uint64_t>(duration.count());
  if (negative) rest = -rest;  // Unsigned, so the smallest value has a magnitude too.
  if (rest == 0) return "0ms";
  std::string text = negative ? "-" : "";
  for (const DurationUnit& unit : kDurationUnits) {
    if (unit.name == "w") continue;  // Days read better: "7d", "10d".
    if (rest >= unit.ms) text += std::to_string(rest / unit.ms) + std::string(unit.name);
    rest %= unit.ms;
  }
  return text;
}

}  // namespace tidemark
