#include "tools/tidemark/rate.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include <fmt/format.h>

namespace tidemark::tools {
namespace {

constexpr std::chrono::nanoseconds kCatchUpMax = std::chrono::milliseconds(50);
/// A rate of one record in 10^12 s is no rate; this also keeps the arithmetic in range.
constexpr std::chrono::duration<double> kWaitMax = std::chrono::hours(24 * 365);

struct Unit {
  std::string_view name;
  double factor;
  Rate::Unit unit;
};
constexpr Unit kUnits[] = {
    {"", 1, Rate::Unit::records},
    {"k", 1e3, Rate::Unit::records},
    {"K", 1e3, Rate::Unit::records},
    {"M", 1e6, Rate::Unit::records},
    {"G", 1e9, Rate::Unit::records},
    {"B", 1, Rate::Unit::bytes},
    {"kB", 1e3, Rate::Unit::bytes},
    {"KB", 1e3, Rate::Unit::bytes},
    {"MB", 1e6, Rate::Unit::bytes},
    {"GB", 1e9, Rate::Unit::bytes},
    {"KiB", 1024, Rate::Unit::bytes},
    {"MiB", 1024 * 1024, Rate::Unit::bytes},
    {"GiB", 1024.0 * 1024 * 1024, Rate::Unit::bytes},
};

std::chrono::nanoseconds to_wait(double seconds) {
  const auto bounded = std::clamp(std::chrono::duration<double>(seconds), std::chrono::duration<double>(0), kWaitMax);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(bounded);
}

/// A finite number above zero at the start of `text`, which is shortened by it.
std::optional<double> take_number(std::string_view& text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || !std::isfinite(number) || number <= 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

Result<Rate> parse_rate(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = take_number(rest);
  if (rest.ends_with("/s")) rest.remove_suffix(2);
  const auto* const unit = std::ranges::find(kUnits, rest, &Unit::name);
  if (!number || unit == std::end(kUnits)) {
    return Error{.code = Errc::invalid_argument, .detail = fmt::format("`{}` is not a rate such as 500, 5k/s or 10MB/s", text)};
  }
  return Rate{unit->unit, *number * unit->factor};
}

Result<double> parse_speed(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = take_number(rest);
  if (!number || (!rest.empty() && rest != "x")) {
    return Error{.code = Errc::invalid_argument, .detail = fmt::format("`{}` is not a speed such as 1x, 4x or 0.5x", text)};
  }
  return *number;
}

std::chrono::nanoseconds RateLimiter::reserve(std::uint64_t bytes, SteadyTime now) {
  const double amount = rate_.unit == Rate::Unit::records ? 1.0 : static_cast<double>(bytes);
  const SteadyTime earliest = now - kCatchUpMax;
  const SteadyTime due = next_ ? std::max(*next_, earliest) : now;
  next_ = due + to_wait(amount / rate_.per_second);
  return std::max<std::chrono::nanoseconds>(due - now, std::chrono::nanoseconds(0));
}

}  // namespace tidemark::tools
