#include "protocol/redis/codec/resp_request.h"

#include <algorithm>
#include <charconv>

namespace tidemark::redis {
namespace {

constexpr std::size_t kLineEndBytes = 2;

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

/// Walks over a line; what an argument says is handed to `sink`, an object with begin(), put(char) and end().
template <class Sink>
bool walk_inline(std::string_view line, Sink& sink) {
  std::size_t i = 0;
  for (;;) {
    while (i < line.size() && is_blank(line[i])) ++i;
    if (i == line.size()) return true;
    sink.begin();
    char quote = 0;
    for (;; ++i) {
      if (i == line.size()) {
        if (quote != 0) return false;
        break;
      }
      const char c = line[i];
      const bool more = i + 1 < line.size();
      if (quote == '"' && c == '\\' && i + 3 < line.size() && line[i + 1] == 'x' && hex_digit(line[i + 2]) >= 0 &&
          hex_digit(line[i + 3]) >= 0) {
        sink.put(static_cast<char>(hex_digit(line[i + 2]) * 16 + hex_digit(line[i + 3])));
        i += 3;
      } else if (quote == '"' && c == '\\' && more) {
        sink.put(unescaped(line[++i]));
      } else if (quote == '\'' && c == '\\' && more && line[i + 1] == '\'') {
        sink.put(line[++i]);
      } else if (quote != 0 && c == quote) {
        // A closing quote ends the argument: a blank must follow, or nothing.
        if (more && !is_blank(line[i + 1])) return false;
        ++i;
        break;
      } else if (quote == 0 && (c == '"' || c == '\'')) {
        quote = c;
      } else if (quote == 0 && (is_blank(c) || c == '\0')) {
        break;
      } else {
        sink.put(c);
      }
    }
    sink.end();
    // Redis reads lines as C text: behind a zero byte there is nothing.
    if (i < line.size() && line[i] == '\0') return true;
  }
}

/// What is written never overtakes what is read: unescaping only shrinks.
struct InPlace {
  char* out;
  Arguments& arguments;
  char* start = nullptr;
  void begin() { start = out; }
  void put(char c) { *out++ = c; }
  void end() { arguments.emplace_back(start, static_cast<std::size_t>(out - start)); }
};

struct Nowhere {
  void begin() {}
  void put(char) {}
  void end() {}
};

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text == "0") return 0;
  const bool negative = text.starts_with('-');
  const std::string_view digits = negative ? text.substr(1) : text;
  if (digits.empty() || digits.front() < '1' || digits.front() > '9') return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
  if (text == "0") return 0;
  if (text.empty() || text.front() < '1' || text.front() > '9') return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool split_inline(MutableBytes line, Arguments& arguments) {
  char* const start = reinterpret_cast<char*>(line.data());
  InPlace sink{start, arguments};
  return walk_inline(std::string_view(start, line.size()), sink);
}

bool has_balanced_quotes(ByteView line) {
  Nowhere sink;
  return walk_inline(as_text(line), sink);
}

std::size_t parse_request(MutableBytes bytes, Arguments& arguments) {
  arguments.clear();
  const std::string_view text = as_text(bytes);
  if (!text.starts_with('*')) {
    const std::size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::size_t line = without_line_end(text.substr(0, size)).size();
    // The scanner has refused what does not split; nothing is left of such a line.
    if (!split_inline(bytes.first(line), arguments)) arguments.clear();
    return size;
  }
  std::size_t at = text.find('\r');
  const std::int64_t count = parse_integer(text.substr(1, at - 1)).value_or(0);
  at += kLineEndBytes;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::size_t end = text.find('\r', at);
    const auto length = static_cast<std::size_t>(parse_integer(text.substr(at + 1, end - at - 1)).value_or(0));
    at = end + kLineEndBytes;
    arguments.push_back(text.substr(at, length));
    at += length + kLineEndBytes;
  }
  return at;
}

}  // namespace tidemark::redis
