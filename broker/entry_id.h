#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace tidemark::broker {

/// How Redis names an entry of a stream: `<ms>-<seq>`. Strictly ascending within a partition. (https://redis.io/docs/latest/commands/xadd/)
struct EntryId {
  std::uint64_t ms = 0;
  std::uint64_t seq = 0;
  auto operator<=>(const EntryId&) const = default;
  static constexpr EntryId min() { return {0, 0}; }
  static constexpr EntryId max() { return {std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint64_t>::max()}; }
};

}  // namespace tidemark::broker
