#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "storage/base/bytes.h"

namespace tidemark {

/// Protocol-buffer style zigzag varints, as records use them (at most 5 bytes for 32 bits, 10 for 64), and unsigned ones.
/// Readers advance `bytes` past what they took; nullopt on truncation or overflow, and `bytes` is then unspecified.
std::optional<std::int64_t> read_varlong(ByteView& bytes);
std::optional<std::int32_t> read_varint(ByteView& bytes);
std::optional<std::uint32_t> read_unsigned_varint(ByteView& bytes);

std::size_t varlong_size(std::int64_t value);
void append_varlong(ByteVector& out, std::int64_t value);
void append_unsigned_varint(ByteVector& out, std::uint32_t value);

}  // namespace tidemark
