#include "storage/batch/varint.h"

#include <bit>

namespace tidemark {
namespace {

constexpr std::uint64_t to_zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

constexpr std::size_t encoded_size(std::uint64_t raw) {
  return (static_cast<std::size_t>(std::bit_width(raw | 1)) + 6) / 7;  // Zero still takes one byte.
}

std::byte* store(std::byte* at, std::uint64_t raw) {
  while (raw >= 0x80) {
    *at++ = static_cast<std::byte>(raw | 0x80);
    raw >>= 7;
  }
  *at++ = static_cast<std::byte>(raw);
  return at;
}

void append(ByteVector& out, std::uint64_t raw) {
  const std::size_t old_size = out.size();
  out.resize(old_size + encoded_size(raw));
  store(out.data() + old_size, raw);
}

}  // namespace

std::optional<std::uint64_t> varint_detail::read_any_length(ByteView& bytes, std::size_t bytes_max) {
  std::uint64_t raw = 0;
  for (std::size_t i = 0; i < bytes_max && i < bytes.size(); ++i) {
    const auto byte = std::to_integer<std::uint64_t>(bytes[i]);
    if (i == 9 && byte > 1) return std::nullopt;  // The tenth byte has room for bit 63 only.
    raw |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes = bytes.subspan(i + 1);
      return raw;
    }
  }
  return std::nullopt;
}

std::size_t varlong_size(std::int64_t value) { return encoded_size(to_zigzag(value)); }
std::size_t unsigned_varint_size(std::uint32_t value) { return encoded_size(value); }
void append_varlong(ByteVector& out, std::int64_t value) { append(out, to_zigzag(value)); }
void append_unsigned_varint(ByteVector& out, std::uint32_t value) { append(out, value); }
std::byte* store_varlong(std::byte* at, std::int64_t value) { return store(at, to_zigzag(value)); }

}  // namespace tidemark
