#include "protocol/redis/adapter/glob.h"

#include <cstddef>
#include <string>
#include <utility>

namespace tidemark::redis {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// What one element of a pattern (not a star) takes.
struct Element {
  bool matches = false;
  std::size_t size = 1;  ///< Of the element in the pattern.
};

Element match_class(std::string_view pattern, char c) {
  std::size_t i = 1;
  const bool negated = i < pattern.size() && pattern[i] == '^';
  if (negated) ++i;
  bool found = false;
  for (;; ++i) {
    if (i >= pattern.size()) {
      --i;  // A class without its end: the pattern ends with it.
      break;
    }
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      found = pattern[++i] == c || found;
    } else if (pattern[i] == ']') {
      break;
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      auto first = static_cast<unsigned char>(pattern[i]);
      auto last = static_cast<unsigned char>(pattern[i + 2]);
      if (first > last) std::swap(first, last);
      const auto byte = static_cast<unsigned char>(c);
      found = (byte >= first && byte <= last) || found;
      i += 2;
    } else {
      found = pattern[i] == c || found;
    }
  }
  return {found != negated, i + 1};
}

Element match_element(std::string_view pattern, char c) {
  if (pattern[0] == '?') return {true, 1};
  if (pattern[0] == '[') return match_class(pattern, c);
  if (pattern[0] == '\\' && pattern.size() > 1) return {pattern[1] == c, 2};
  return {pattern[0] == c, 1};
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view text) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t p = 0, t = 0;
  // Where to go on when what follows the last star does not fit: the star takes one character more.
  std::size_t star = kNone, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    const Element element = p < pattern.size() ? match_element(pattern.substr(p), text[t]) : Element();
    if (element.matches) {
      p += element.size;
      ++t;
    } else if (star != kNone) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool matches_glob_in_any_case(std::string_view pattern, std::string_view text) {
  std::string lower_pattern(pattern), lower_text(text);
  for (char& c : lower_pattern) c = lower(c);
  for (char& c : lower_text) c = lower(c);
  return matches_glob(lower_pattern, lower_text);
}

}  // namespace tidemark::redis
