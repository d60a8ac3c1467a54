#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "storage/base/bytes.h"

namespace tidemark {

/// Protocol-buffer style zigzag varints, as records use them (at most 5 bytes for 32 bits, 10 for 64), and unsigned ones.
/// Readers advance `bytes` past what they took; nullopt on truncation or overflow, and `bytes` is then unspecified.
/// Longer encodings than needed are read, as Kafka does, within these maxima.
std::optional<std::int64_t> read_varlong(ByteView& bytes);
std::optional<std::int32_t> read_varint(ByteView& bytes);
std::optional<std::uint32_t> read_unsigned_varint(ByteView& bytes);

std::size_t varlong_size(std::int64_t value);
std::size_t unsigned_varint_size(std::uint32_t value);
void append_varlong(ByteVector& out, std::int64_t value);
void append_unsigned_varint(ByteVector& out, std::uint32_t value);
/// Writes varlong_size(value) bytes and returns the place after them.
std::byte* store_varlong(std::byte* at, std::int64_t value);

namespace varint_detail {

std::optional<std::uint64_t> read_any_length(ByteView& bytes, std::size_t bytes_max);

constexpr std::int64_t from_zigzag(std::uint64_t raw) { return static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1); }

/// One and two bytes inline: lengths and deltas of ordinary records are nearly always that short.
inline std::optional<std::uint64_t> read(ByteView& bytes, std::size_t bytes_max) {
  if (bytes.size() >= 2) [[likely]] {
    const auto low = std::to_integer<std::uint32_t>(bytes[0]);
    if (low < 0x80) {
      bytes = bytes.subspan(1);
      return low;
    }
    const auto high = std::to_integer<std::uint32_t>(bytes[1]);
    if (high < 0x80) {
      bytes = bytes.subspan(2);
      return (high << 7) | (low & 0x7f);
    }
  }
  return read_any_length(bytes, bytes_max);
}

}  // namespace varint_detail

inline std::optional<std::int64_t> read_varlong(ByteView& bytes) {
  const auto raw = varint_detail::read(bytes, 10);
  if (!raw) [[unlikely]]
    return std::nullopt;
  return varint_detail::from_zigzag(*raw);
}

inline std::optional<std::uint32_t> read_unsigned_varint(ByteView& bytes) {
  const auto raw = varint_detail::read(bytes, 5);
  if (!raw || *raw > std::numeric_limits<std::uint32_t>::max()) [[unlikely]]
    return std::nullopt;
  return static_cast<std::uint32_t>(*raw);
}

inline std::optional<std::int32_t> read_varint(ByteView& bytes) {
  const auto raw = read_unsigned_varint(bytes);
  if (!raw) [[unlikely]]
    return std::nullopt;
  return static_cast<std::int32_t>(varint_detail::from_zigzag(*raw));
}

}  // namespace tidemark
