#include "tools/tidemark/top_keys.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/base/text.h"

namespace tidemark::tools {
namespace {

constexpr std::size_t kSequenceMax = 16;  ///< No key is longer: what is, is no sequence of a terminal.

bool is_final(char byte) { return byte >= 0x40 && byte <= 0x7E; }

std::optional<Key::Kind> key_of(std::string_view sequence) {
  static constexpr std::pair<std::string_view, Key::Kind> kSequences[] = {
      {"[A", Key::Kind::up},       {"[B", Key::Kind::down},       {"OA", Key::Kind::up},    {"OB", Key::Kind::down},
      {"[5~", Key::Kind::page_up}, {"[6~", Key::Kind::page_down}, {"[H", Key::Kind::home},  {"[F", Key::Kind::end},
      {"OH", Key::Kind::home},     {"OF", Key::Kind::end},        {"[1~", Key::Kind::home}, {"[4~", Key::Kind::end},
      {"[7~", Key::Kind::home},    {"[8~", Key::Kind::end}};
  for (const auto& [text, kind] : kSequences) {
    if (text == sequence) return kind;
  }
  return std::nullopt;
}

/// Bytes of the escape sequence at the start of `bytes` (which begins with ESC); 0: it goes on.
std::size_t sequence_length(std::string_view bytes) {
  if (bytes.size() < 2) return 0;
  if (bytes[1] == 'O') return bytes.size() < 3 ? 0 : 3;
  if (bytes[1] != '[') return 1;  // Escape, and then another key.
  for (std::size_t i = 2; i < bytes.size() && i < kSequenceMax; ++i) {
    if (is_final(bytes[i])) return i + 1;
  }
  return bytes.size() < kSequenceMax ? 0 : kSequenceMax;
}

/// Whether what is missing may come with the next bytes; what can be no character is passed over.
bool may_become_character(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes.front());
  return bytes.size() < 4 && lead >= 0xC2 && lead <= 0xF4 &&
         std::ranges::all_of(bytes.substr(1), [](char byte) { return (byte & 0xC0) == 0x80; });
}

std::optional<Key> control_key(char byte) {
  switch (byte) {
    case '\r':
    case '\n':
      return Key{Key::Kind::enter};
    case '\x7f':
    case '\b':
      return Key{Key::Kind::backspace};
    case '\x03':
      return Key{Key::Kind::interrupt};
    case '\x06':
      return Key{Key::Kind::page_down};
    case '\x02':
      return Key{Key::Kind::page_up};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::vector<Key> KeyDecoder::feed(std::string_view bytes) {
  buffer_ += bytes;
  std::vector<Key> keys;
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    std::size_t length = 1;
    if (rest.front() == '\x1b') {
      length = sequence_length(rest);
      if (length == 0) break;
      if (length == 1) {
        keys.push_back({Key::Kind::escape});
      } else if (const auto kind = key_of(rest.substr(1, length - 1))) {
        keys.push_back({*kind});
      }
    } else if (static_cast<unsigned char>(rest.front()) < 0x20 || rest.front() == '\x7f') {
      if (const std::optional<Key> key = control_key(rest.front())) keys.push_back(*key);
    } else {
      length = utf8_sequence(rest);
      if (length == 0 && may_become_character(rest)) break;
      if (length == 0) {
        length = 1;
      } else {
        keys.push_back({Key::Kind::character, std::string(rest.substr(0, length))});
      }
    }
    rest.remove_prefix(length);
  }
  buffer_.erase(0, buffer_.size() - rest.size());
  return keys;
}

std::vector<Key> KeyDecoder::flush() {
  const bool was_escape = buffer_.starts_with('\x1b');
  buffer_.clear();
  if (!was_escape) return {};
  return {{Key::Kind::escape}};
}

}  // namespace tidemark::tools
