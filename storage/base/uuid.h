#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark {

/// 128-bit identifier of a topic or a data directory. All zero means "none".
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  /// Version 4 from two random words; the caller owns the source of randomness.
  static Uuid from_random(std::uint64_t high, std::uint64_t low);
  /// "6f1c0d6e-6c0b-4f3a-9d2e-0123456789ab", lower case. Anything else is refused.
  static std::optional<Uuid> parse(std::string_view text);

  bool is_nil() const { return *this == Uuid{}; }
  std::string to_string() const;
  auto operator<=>(const Uuid&) const = default;
};

}  // namespace tidemark

template <>
struct std::hash<tidemark::Uuid> {
  std::size_t operator()(const tidemark::Uuid& id) const noexcept {
    std::size_t h = 0;
    for (int i = 0; i < 8; ++i) h = h << 8 | id.bytes[static_cast<std::size_t>(i)];
    return h;
  }
};
