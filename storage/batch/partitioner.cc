#include "storage/batch/partitioner.h"

#include <cstddef>

#include "storage/base/bytes.h"
#include "storage/base/check.h"

namespace tidemark {

std::int32_t murmur2(std::string_view key) {
  constexpr std::uint32_t kSeed = 0x9747b28c;
  constexpr std::uint32_t kMix = 0x5bd1e995;
  const ByteView bytes = as_bytes(key);
  const std::size_t whole = bytes.size() / 4 * 4;

  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(bytes.size());
  for (std::size_t at = 0; at < whole; at += 4) {
    auto word = load_le<std::uint32_t>(bytes.data() + at);
    word *= kMix;
    word ^= word >> 24;
    word *= kMix;
    hash *= kMix;
    hash ^= word;
  }
  if (whole < bytes.size()) {
    std::uint32_t tail = 0;
    for (std::size_t at = bytes.size(); at > whole; --at) tail = tail << 8 | std::to_integer<std::uint32_t>(bytes[at - 1]);
    hash ^= tail;
    hash *= kMix;
  }
  hash ^= hash >> 13;
  hash *= kMix;
  hash ^= hash >> 15;
  return static_cast<std::int32_t>(hash);
}

std::int32_t partition_for_key(std::string_view key, std::int32_t partitions) {
  CHECK(partitions > 0);
  // Kafka's toPositive: the sign bit is dropped, not negated.
  return (murmur2(key) & 0x7fffffff) % partitions;
}

}  // namespace tidemark
