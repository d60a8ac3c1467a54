#include "storage/base/time_text.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>

#include "storage/base/units.h"

namespace tidemark {
namespace {

using std::chrono::milliseconds;

Error malformed(std::string_view text, std::string_view expected) {
  return {Errc::invalid_argument, "time \"" + std::string(text) + "\": expected " + std::string(expected)};
}

bool all_digits(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

/// Takes exactly `width` digits off the front.
std::optional<int> take_digits(std::string_view& text, std::size_t width) {
  if (text.size() < width) return std::nullopt;
  int value = 0;
  const std::string_view digits = text.substr(0, width);
  if (!all_digits(digits) || std::from_chars(digits.data(), digits.data() + width, value).ec != std::errc{}) return std::nullopt;
  text.remove_prefix(width);
  return value;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

struct CivilTime {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  milliseconds fraction{0};
};

/// "+02:00", "-0530" or "Z"; nothing else may follow.
std::optional<std::chrono::minutes> take_zone(std::string_view& text) {
  if (take(text, 'Z') || take(text, 'z')) return std::chrono::minutes(0);
  const int sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = take_digits(text, 2);
  const bool separated = take(text, ':');
  const auto minutes = hours && (separated || !text.empty()) ? take_digits(text, 2) : std::optional<int>(0);
  if (!hours || !minutes || (separated && text.size() == 1) || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (std::chrono::hours(*hours) + std::chrono::minutes(*minutes));
}

std::optional<CivilTime> take_civil(std::string_view& text) {
  CivilTime civil;
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  civil.year = *year;
  civil.month = *month;
  civil.day = *day;

  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return civil;
  const auto hour = take_digits(text, 2);
  if (!hour) return std::nullopt;
  civil.hour = *hour;
  if (!take(text, ':')) return civil;
  const auto minute = take_digits(text, 2);
  if (!minute) return std::nullopt;
  civil.minute = *minute;
  if (!take(text, ':')) return civil;
  const auto second = take_digits(text, 2);
  if (!second) return std::nullopt;
  civil.second = *second;
  if (!take(text, '.')) return civil;
  if (text.empty() || !all_digits(text.substr(0, 1))) return std::nullopt;
  for (int scale = 100; !text.empty() && all_digits(text.substr(0, 1)); scale /= 10) {
    civil.fraction += milliseconds((text.front() - '0') * scale);  // Digits beyond the third count nothing.
    text.remove_prefix(1);
  }
  return civil;
}

std::optional<Timestamp> from_civil(const CivilTime& civil, std::optional<std::chrono::minutes> zone) {
  const std::chrono::year_month_day date{std::chrono::year(civil.year), std::chrono::month(static_cast<unsigned>(civil.month)),
                                         std::chrono::day(static_cast<unsigned>(civil.day))};
  if (!date.ok() || civil.hour > 23 || civil.minute > 59 || civil.second > 60) return std::nullopt;
  if (zone) {
    return Timestamp(std::chrono::sys_days(date)) + std::chrono::hours(civil.hour) + std::chrono::minutes(civil.minute) +
           std::chrono::seconds(civil.second) + civil.fraction - *zone;
  }
  std::tm local{};
  local.tm_year = civil.year - 1900;
  local.tm_mon = civil.month - 1;
  local.tm_mday = civil.day;
  local.tm_hour = civil.hour;
  local.tm_min = civil.minute;
  local.tm_sec = civil.second;
  local.tm_isdst = -1;  // The zone's rules decide.
  return Timestamp(std::chrono::seconds(std::mktime(&local))) + civil.fraction;
}

}  // namespace

Result<milliseconds> parse_span(std::string_view text) {
  // A bare number is a count of records, never of milliseconds.
  if (text.empty() || all_digits(text)) return Error{Errc::invalid_argument, "a duration needs a unit"};
  return parse_duration(text);
}

Result<Timestamp> parse_time(std::string_view text, Timestamp now) {
  constexpr std::string_view kExpected = "a time as 2026-03-01T10:00, 2026-03-01T10:00:00Z, now or -1h";
  if (text == "now") return now;
  if (text.starts_with('-')) {
    const Result<milliseconds> back = parse_span(text.substr(1));
    if (!back) return malformed(text, kExpected);
    return now - *back;
  }
  std::string_view rest = text;
  const std::optional<CivilTime> civil = take_civil(rest);
  if (!civil) return malformed(text, kExpected);
  std::optional<std::chrono::minutes> zone;
  if (!rest.empty() && std::string_view("Zz+-").find(rest.front()) != std::string_view::npos) {
    zone = take_zone(rest);
    if (!zone) return malformed(text, kExpected);
  }
  const std::optional<Timestamp> time = from_civil(*civil, zone);
  if (!time || !rest.empty()) return malformed(text, kExpected);
  return *time;
}

std::string format_time(Timestamp time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count()));
  return text.data();
}

}  // namespace tidemark
