#pragma once

#include <cstdint>

#include "storage/base/bytes.h"

namespace tidemark {

/// 128 bits. Equal for equal bytes under one seed; two different byte strings that somebody chose without knowing the seed meet with a
/// chance of 2^-128.
struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
};

/// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). The seed is its key.
Hash128 siphash128(ByteView bytes, const Hash128& seed);

}  // namespace tidemark
