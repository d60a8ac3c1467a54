#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"

namespace tidemark::broker {

class TailCache;

/// The newest batches of one partition, contiguous in offsets, kept in memory so that readers at the tail never touch the disk.
class PartitionTail {
 public:
  explicit PartitionTail(TailCache& cache) : cache_(cache) {}
  ~PartitionTail() { clear(); }
  PartitionTail(const PartitionTail&) = delete;
  PartitionTail& operator=(const PartitionTail&) = delete;

  /// Pre: base is the end of the newest cached batch, if any.
  void push(Offset base, Offset end, Slice batch);
  void clear();
  /// Whether there is anything below `end`.
  bool reaches_below(Offset end) const { return !entries_.empty() && entries_.front().base < end; }

  struct Found {
    std::vector<Slice> batches;
    std::size_t bytes = 0;
    Offset next;
  };
  /// Batches from the one that contains `from`, all below `limit`, at least one and otherwise at most `bytes_max`; nullopt if `from` is not
  /// cached.
  std::optional<Found> read(Offset from, Offset limit, std::size_t bytes_max) const;
  /// Cached bytes from `from` to `limit`, counted up to `enough`; nullopt if `from` is not cached.
  std::optional<std::size_t> bytes_between(Offset from, Offset limit, std::size_t enough) const;

 private:
  friend class TailCache;
  struct Entry {
    Offset base;
    Offset end;
    Slice batch;
  };
  /// Index of the entry that contains `from`.
  std::optional<std::size_t> find(Offset from) const;

  TailCache& cache_;
  std::deque<Entry> entries_;
};

/// Bounds the tails of all partitions of one shard: the batch cached longest ago goes first, whichever partition it is of.
class TailCache {
 public:
  explicit TailCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  std::size_t bytes() const { return bytes_; }

 private:
  friend class PartitionTail;
  void added(PartitionTail& tail, std::size_t bytes);
  void removed(std::size_t bytes) { bytes_ -= bytes; }
  void forget(PartitionTail& tail);
  void shrink();

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  /// One mark per cached batch, oldest first; null where the tail was cleared meanwhile.
  std::deque<PartitionTail*> order_;
};

}  // namespace tidemark::broker
