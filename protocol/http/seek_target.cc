#include "protocol/http/seek_target.h"

#include <charconv>
#include <optional>

#include "storage/base/time_text.h"

namespace tidemark::http {
namespace {

using Kind = broker::SeekTarget::Kind;

constexpr std::string_view kGrammar =
    "a position: earliest latest committed OFFSET +n (after the start) -n (before the end) -15m @2026-03-01T10:00 @-1h";

std::optional<std::int64_t> count_of(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || text[0] == '-' || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }

std::optional<std::int64_t> time_of(std::string_view text, Timestamp now) {
  if (text.starts_with('-')) {
    const Result<std::chrono::milliseconds> back = parse_span(text.substr(1));
    if (back) return to_ms(now - *back);
    return std::nullopt;
  }
  if (!text.starts_with('@')) return std::nullopt;
  const Result<Timestamp> time = parse_time(text.substr(1), now);
  if (time) return to_ms(*time);
  return std::nullopt;
}

}  // namespace

Result<broker::SeekTarget> parse_seek_target(const std::string& text, Timestamp now) {
  constexpr std::string_view kGroup = "group:";
  const auto target = [&text](Kind kind, std::int64_t value = 0) { return broker::SeekTarget{kind, value, {}, text}; };
  if (text == "earliest") return target(Kind::earliest);
  if (text == "latest") return target(Kind::latest);
  if (text == "committed") return target(Kind::committed);
  if (text.starts_with(kGroup) && text.size() > kGroup.size()) return broker::SeekTarget{Kind::group, 0, text.substr(kGroup.size()), text};
  if (const auto offset = count_of(text)) return target(Kind::offset, *offset);
  if (text.starts_with('+')) {
    if (const auto count = count_of(std::string_view(text).substr(1))) return target(Kind::after_start, *count);
  } else if (text.starts_with('-')) {
    if (const auto count = count_of(std::string_view(text).substr(1))) return target(Kind::before_end, *count);
  }
  if (const auto time = time_of(text, now)) return target(Kind::time, *time);
  return Error{Errc::invalid_argument, std::string(kGrammar)};
}

Result<broker::StartAt> parse_start(const std::string& text, Timestamp now) {
  const Result<broker::SeekTarget> target = parse_seek_target(text, now);
  if (!target) return target.error();
  switch (target->kind) {
    case Kind::earliest:
      return broker::StartAt{broker::StartAt::Kind::earliest, 0};
    case Kind::latest:
      return broker::StartAt{broker::StartAt::Kind::latest, 0};
    case Kind::offset:
      return broker::StartAt{broker::StartAt::Kind::offset, target->value};
    case Kind::time:
      return broker::StartAt{broker::StartAt::Kind::time, target->value};
    case Kind::relative:
    case Kind::group:
    case Kind::committed:
    case Kind::after_start:
    case Kind::before_end:
      break;
  }
  return Error{Errc::invalid_argument, "a group starts at earliest, latest, an offset or a time"};
}

Result<broker::ReplayPosition> parse_replay_position(const std::string& text, Timestamp now) {
  using Position = broker::ReplayPosition;
  const Result<broker::SeekTarget> target = parse_seek_target(text, now);
  if (!target) return target.error();
  switch (target->kind) {
    case Kind::earliest:
      return Position{Position::Kind::earliest, 0};
    case Kind::latest:
      return Position{Position::Kind::latest, 0};
    case Kind::offset:
      return Position{Position::Kind::offset, target->value};
    case Kind::time:
      return Position{Position::Kind::timestamp_ms, target->value};
    case Kind::after_start:
      return Position{Position::Kind::after_start, target->value};
    case Kind::before_end:
      return Position{Position::Kind::before_end, target->value};
    case Kind::relative:
    case Kind::group:
    case Kind::committed:
      break;
  }
  return Error{Errc::invalid_argument, "a replay goes between positions of the log: no group's"};
}

}  // namespace tidemark::http
