#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "storage/base/offset.h"

namespace tidemark::broker {

/// The offsets of a partition whose records are not there for readers: deleted, or never used. A bitmap in pages of 1024 offsets, of which
/// a page that is deleted as a whole needs no bits: at most 200 bytes for each 1024 offsets that have a deleted one among them, nothing for
/// the others. Look-ups O(log pages); counting and walking O(pages in the range).
class DeletedOffsets {
 public:
  static constexpr std::int64_t kPageOffsets = 1024;

  bool empty() const { return total_ == 0; }
  std::uint64_t count() const { return total_; }
  std::size_t pages() const { return pages_.size(); }

  bool contains(Offset offset) const;
  std::uint64_t count(Offset from, Offset to) const;
  bool any(Offset from, Offset to) const;
  /// The first offset from `from` on that is not in the set.
  Offset first_kept(Offset from) const;
  /// The offset before which, from `from` on, `count` offsets are not in the set: the least of them. Pre: from >= 0.
  Offset behind_kept(Offset from, std::uint64_t count) const;
  /// What lies in [from, to), in order, adjoining ranges merged.
  std::vector<OffsetRange> ranges(Offset from, Offset to) const;
  std::vector<OffsetRange> ranges() const;

  /// Adding twice is fine. Pre: 0 <= from <= to.
  void add(Offset from, Offset to);
  void add(const DeletedOffsets& other);
  /// What lies below `start` is forgotten.
  void forget_below(Offset start);

 private:
  using Bits = std::array<std::uint64_t, kPageOffsets / 64>;
  struct Page {
    std::uint16_t count = 0;
    std::unique_ptr<Bits> bits;  ///< Null: the whole page.
  };
  void add_in_page(std::int64_t page, std::int64_t from, std::int64_t to);
  static std::uint64_t count_in_page(const Page& page, std::int64_t from, std::int64_t to);

  std::map<std::int64_t, Page> pages_;  ///< By offset / kPageOffsets; none is empty.
  std::uint64_t total_ = 0;
};

}  // namespace tidemark::broker
