#pragma once

#include <compare>
#include <cstdint>

namespace tidemark {

/// Logical number of a record in its partition. Ranges of offsets are half open.
struct Offset {
  std::int64_t value = 0;
  auto operator<=>(const Offset&) const = default;
};
constexpr Offset operator+(Offset base, std::int64_t count) { return {base.value + count}; }
constexpr Offset operator-(Offset base, std::int64_t count) { return {base.value - count}; }
constexpr std::int64_t operator-(Offset a, Offset b) { return a.value - b.value; }

struct OffsetRange {
  Offset from;
  Offset to;
  bool operator==(const OffsetRange&) const = default;
};

/// Byte place in one file. Never mixed with an Offset.
struct FilePosition {
  std::uint64_t value = 0;
  auto operator<=>(const FilePosition&) const = default;
};
constexpr FilePosition operator+(FilePosition base, std::uint64_t bytes) { return {base.value + bytes}; }
constexpr std::uint64_t operator-(FilePosition a, FilePosition b) { return a.value - b.value; }

}  // namespace tidemark
