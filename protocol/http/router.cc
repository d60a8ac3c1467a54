#include "protocol/http/router.h"

#include <algorithm>

namespace tidemark::http {
namespace {

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);  // The slash; whoever calls has seen to it that there is one.
    const std::size_t slash = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  return parts;
}

bool is_name(std::string_view segment) { return segment.starts_with('{'); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool fits(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& path) {
  return std::ranges::equal(
      pattern, path, [](std::string_view wanted, std::string_view given) { return is_name(wanted) ? !given.empty() : wanted == given; });
}

}  // namespace

Result<std::string> percent_decode(std::string_view text, bool form) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && form) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return Error{Errc::invalid_argument, "a % is followed by two hexadecimal digits"};
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

void Router::add(std::string method, std::string pattern, Handler handler) {
  routes_.push_back({std::move(method), std::move(pattern), std::move(handler)});
}

Result<Router::Match> Router::find(std::string_view method, std::string_view path) const {
  Match match;
  if (!path.starts_with('/')) return match;
  if (method == "HEAD") method = "GET";
  const std::vector<std::string_view> given = segments(path);
  for (const Route& route : routes_) {
    const std::vector<std::string_view> wanted = segments(route.pattern);
    if (!fits(wanted, given)) continue;
    if (route.method != method) {
      match.allowed.push_back(route.method);
      continue;
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!is_name(wanted[i])) continue;
      Result<std::string> value = percent_decode(given[i], false);
      if (!value) return value.error();
      match.path_values.push_back(*std::move(value));
    }
    match.route = &route;
    match.allowed.clear();
    return match;
  }
  return match;
}

Result<std::map<std::string, std::string>> parse_query(std::string_view text) {
  std::map<std::string, std::string> query;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const Result<std::string> name = percent_decode(pair.substr(0, equals), true);
    if (!name) return name.error();
    Result<std::string> value = percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!value) return value.error();
    query[*name] = *std::move(value);
  }
  return query;
}

}  // namespace tidemark::http
