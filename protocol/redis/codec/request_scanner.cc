#include "protocol/redis/codec/request_scanner.h"

#include <string>
#include <string_view>

#include "protocol/redis/codec/resp_request.h"

namespace tidemark::redis {
namespace {

constexpr std::size_t kLineEndBytes = 2;

Error protocol_error(std::string what) { return {Errc::protocol_error, "Protocol error: " + std::move(what)}; }

}  // namespace

Result<std::optional<std::size_t>> RequestScanner::scan(ByteView bytes) {
  std::size_t whole = 0;
  for (;;) {
    const Result<std::optional<std::size_t>> end = scan_one(bytes);
    if (end && *end && **end <= bytes.size()) {
      whole = begin_ = position_ = **end;
      in_array_ = false;
      if (whole < bytes.size()) continue;
    } else if (whole == 0) {
      // Nothing whole to hand out: the caller hears what there is to say of the first request.
      if (end && *end) {
        position_ = begin_ = 0;
        in_array_ = false;
      }
      return end;
    }
    // What follows is looked at anew from its first byte, when it has become the first request.
    begin_ = position_ = 0;
    in_array_ = false;
    return std::optional(whole);
  }
}

Result<std::optional<RequestScanner::Line>> RequestScanner::next_line(ByteView bytes, const char* too_long) {
  const std::string_view text = as_text(bytes);
  const std::size_t end = text.find('\r', position_);
  if (end == std::string_view::npos) {
    if (text.size() - position_ > limits_.inline_bytes_max) return protocol_error(too_long);
    return std::optional<Line>();
  }
  if (end + kLineEndBytes > text.size()) return std::optional<Line>();
  return std::optional(Line{position_, end});
}

Result<std::optional<std::size_t>> RequestScanner::scan_inline(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  const std::size_t end = text.find('\n', position_);
  if (end == std::string_view::npos) {
    if (text.size() - position_ > limits_.inline_bytes_max) return protocol_error("too big inline request");
    return std::optional<std::size_t>();
  }
  std::string_view line = text.substr(position_, end - position_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!has_balanced_quotes(as_bytes(line))) return protocol_error("unbalanced quotes in request");
  return std::optional(end + 1);
}

Result<std::optional<std::size_t>> RequestScanner::scan_one(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  if (!in_array_) {
    if (position_ == text.size()) return std::optional<std::size_t>();
    if (text[position_] != '*') return scan_inline(bytes);
    const Result<std::optional<Line>> line = next_line(bytes, "too big mbulk count string");
    if (!line) return line.error();
    if (!*line) return std::optional<std::size_t>();
    const auto count = parse_integer(text.substr((*line)->begin + 1, (*line)->end - (*line)->begin - 1));
    if (!count || *count > static_cast<std::int64_t>(limits_.arguments_max)) return protocol_error("invalid multibulk length");
    position_ = (*line)->end + kLineEndBytes;
    arguments_left_ = *count;
    in_array_ = true;
  }
  while (arguments_left_ > 0) {
    const Result<std::optional<Line>> line = next_line(bytes, "too big bulk count string");
    if (!line) return line.error();
    if (!*line) return std::optional<std::size_t>();
    if (text[(*line)->begin] != '$') return protocol_error("expected '$', got '" + std::string(1, text[(*line)->begin]) + "'");
    const auto length = parse_integer(text.substr((*line)->begin + 1, (*line)->end - (*line)->begin - 1));
    if (!length || *length < 0 || *length > static_cast<std::int64_t>(limits_.bulk_bytes_max)) return protocol_error("invalid bulk length");
    const std::size_t end = (*line)->end + kLineEndBytes + static_cast<std::size_t>(*length) + kLineEndBytes;
    if (end - begin_ > limits_.request_bytes_max) return protocol_error("invalid bulk length");
    // The last argument says where the request ends. Any other is waited for, and its length read again.
    if (end > text.size()) {
      if (arguments_left_ == 1) return std::optional(end);
      return std::optional<std::size_t>();
    }
    position_ = end;
    --arguments_left_;
  }
  return std::optional(position_);
}

}  // namespace tidemark::redis
