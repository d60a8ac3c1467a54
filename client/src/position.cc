#include "tidemark/position.h"

#include <charconv>
#include <optional>

#include "storage/base/time_text.h"
#include "storage/base/units.h"

namespace tidemark {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kGrammar = "earliest, latest, committed, OFFSET, +N, -N, -15m, @2026-03-01T10:00, @now or @-1h";

Error malformed(std::string_view what, std::string_view text, std::string_view expected) {
  return {Errc::invalid_argument, std::string(what) + " \"" + std::string(text) + "\": expected " + std::string(expected)};
}

bool all_digits(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

std::optional<std::int64_t> parse_count(std::string_view text) {
  std::int64_t value = 0;
  if (!all_digits(text)) return std::nullopt;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<Position> parse_position(std::string_view text) {
  if (text == "earliest") return Position::earliest();
  if (text == "latest") return Position::latest();
  if (text == "committed") return Position{.kind = Position::Kind::committed};
  if (const auto offset = parse_count(text)) return Position::at(*offset);
  if (text.starts_with('+')) {
    if (const auto count = parse_count(text.substr(1))) return Position::after_start(*count);
  } else if (text.starts_with('-')) {
    if (const auto count = parse_count(text.substr(1))) return Position::before_end(*count);
    if (const Result<milliseconds> back = parse_span(text.substr(1)); back) return Position::ago(*back);
  } else if (text == "@now") {
    return Position::ago(milliseconds(0));
  } else if (text.starts_with("@-")) {
    if (const Result<milliseconds> back = parse_span(text.substr(2)); back) return Position::ago(*back);
  } else if (text.starts_with('@')) {
    if (const Result<Timestamp> time = parse_time(text.substr(1), Timestamp{}); time) return Position::at_time(*time);
  }
  return malformed("position", text, kGrammar);
}

std::string to_string(const Position& position) {
  switch (position.kind) {
    case Position::Kind::earliest:
      return "earliest";
    case Position::Kind::latest:
      return "latest";
    case Position::Kind::committed:
      return "committed";
    case Position::Kind::offset:
      return std::to_string(position.count);
    case Position::Kind::after_start:
      return "+" + std::to_string(position.count);
    case Position::Kind::before_end:
      return "-" + std::to_string(position.count);
    case Position::Kind::ago:
      return position.duration == milliseconds(0) ? "@now" : "-" + format_duration(position.duration);
    case Position::Kind::time:
      break;
  }
  return "@" + format_time(position.time);
}

}  // namespace tidemark
