#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"

namespace tidemark::broker {

/// Offsets of one partition, one bit each from the lowest to the highest of them.
class OffsetSet {
 public:
  /// False if it was there. Offsets below what forget_below() took are not taken up any more.
  bool insert(Offset offset);
  bool erase(Offset offset);
  bool contains(Offset offset) const;
  /// The first at or above `from`.
  std::optional<Offset> first(Offset from = {}) const;
  void forget_below(Offset offset);

  std::uint64_t size() const { return size_; }
  std::size_t memory_bytes() const { return words_.size() * sizeof(std::uint64_t); }

  /// The bits of at most `bytes_max` bytes from `from` (a multiple of 64) on, trailing zero bytes left out.
  ByteVector bits(Offset from, std::size_t bytes_max) const;
  void insert_bits(Offset from, ByteView bits);
  Offset base() const { return {base_ * 64}; }
  Offset limit() const { return {(base_ + static_cast<std::int64_t>(words_.size())) * 64}; }

 private:
  std::uint64_t* word(Offset offset);
  const std::uint64_t* word(Offset offset) const;

  std::int64_t base_ = 0;  ///< In words.
  bool based_ = false;
  std::deque<std::uint64_t> words_;
  std::uint64_t size_ = 0;
};

}  // namespace tidemark::broker
