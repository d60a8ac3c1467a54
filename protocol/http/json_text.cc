#include "protocol/http/json_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "storage/base/text.h"

namespace tidemark::http {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool is_control(std::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return lead < 0x20 || lead == 0x7f;
  return lead == 0xc2 && static_cast<unsigned char>(sequence[1]) < 0xa0;  // C1 controls: some terminals obey them.
}

}  // namespace

std::string shown(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = utf8_sequence(bytes);
    const std::string_view sequence = bytes.substr(0, std::max<std::size_t>(length, 1));
    if (length > 0 && !is_control(sequence)) {
      text += sequence;
    } else {
      for (const char c : sequence) {
        const auto byte = static_cast<unsigned char>(c);
        text += "\\x";
        text += kHex[byte >> 4];
        text += kHex[byte & 15];
      }
    }
    bytes.remove_prefix(sequence.size());
  }
  return text;
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) word = word << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) text += j <= count ? kDigits[word >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  const Error bad{Errc::invalid_argument, "this is not base64: digits A-Z a-z 0-9 + / in groups of four, padded with ="};
  if (text.size() % 4 != 0) return bad;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t word = 0;
    std::size_t padding = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const char c = text[i + j];
      const std::size_t digit = kDigits.find(c);
      const bool last_two = i + 4 == text.size() && j >= 2;
      if (c == '=' && last_two) {
        ++padding;
        word <<= 6;
      } else if (digit != std::string_view::npos && padding == 0) {
        word = word << 6 | static_cast<std::uint32_t>(digit);
      } else {
        return bad;
      }
    }
    for (std::size_t j = 0; j < 3 - padding; ++j) bytes += static_cast<char>(word >> (16 - 8 * j) & 255);
  }
  return bytes;
}

std::string time_text(Timestamp time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02ld:%02ld:%02ld.%03ldZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<long>(clock.hours().count()),
                static_cast<long>(clock.minutes().count()), static_cast<long>(clock.seconds().count()),
                static_cast<long>(clock.subseconds().count()));
  return text.data();
}

void put_name(boost::json::object& object, std::string_view key, std::string_view name) {
  object[key] = shown(name);
  if (!is_utf8(name)) object[std::string(key) + "_base64"] = to_base64(name);
}

void put_bytes(boost::json::object& object, std::string_view key, std::optional<std::string_view> bytes) {
  if (!bytes) {
    object[key] = nullptr;
  } else if (is_utf8(*bytes)) {
    object[key] = *bytes;
  } else {
    object[std::string(key) + "_base64"] = to_base64(*bytes);
  }
}

void put_time(boost::json::object& object, std::string_view key, std::optional<Timestamp> time) {
  boost::json::value& text = object[std::string(key) + "_time"];
  if (time) text = time_text(*time);
  boost::json::value& number = object[std::string(key) + "_ms"];
  if (time) number = time->time_since_epoch().count();
}

boost::json::value seconds_value(std::optional<std::chrono::milliseconds> duration) {
  if (!duration) return nullptr;
  return static_cast<double>(duration->count()) / 1000;
}

boost::json::value seconds_value(std::optional<double> seconds) {
  if (!seconds || !std::isfinite(*seconds)) return nullptr;
  return std::round(*seconds * 1000) / 1000;
}

}  // namespace tidemark::http
