#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/siphash.h"

namespace tidemark::storage {

/// The newest offset of each key, for compaction: 24 bytes a key, however long the key is. Keys are known by a hash of 128 bits under a
/// random seed, so that nobody can make two keys meet. Grows as it fills, up to its bound; what growing takes for a moment is within it.
class KeyMap {
 public:
  /// Fewer bytes than this are taken for it: a map of a few keys would make compaction crawl.
  static constexpr std::size_t kBytesMin = 64 * 1024;

  KeyMap(std::size_t bytes_max, const Hash128& seed);

  /// Notes `offset` unless a larger one is known. False: the map is full and the key new, nothing was noted.
  bool put(ByteView key, Offset offset);
  std::optional<Offset> find(ByteView key) const;

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return keys_of(slots_max_); }
  std::size_t memory_bytes() const { return slots_.capacity() * sizeof(Slot); }
  void clear();

 private:
  struct Slot {
    Hash128 hash;
    Offset offset{-1};  ///< -1: free.
  };

  static std::size_t keys_of(std::size_t slots) { return slots - slots / 5; }
  /// Where the key is, or would go.
  std::size_t slot_of(const Hash128& hash) const;
  void grow();

  const std::size_t slots_max_;
  const Hash128 seed_;
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace tidemark::storage
