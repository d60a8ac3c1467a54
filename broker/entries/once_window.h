#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "broker/dedup_window.h"
#include "broker/entry_id.h"
#include "broker/memory_budget.h"
#include "storage/base/offset.h"

namespace tidemark::broker {

/// By what an entry is told from another one of the same producer, so that it is added once (XADD IDMP). Hashes: comparing them is enough.
struct EntryOnce {
  DedupId producer;
  DedupId entry;  ///< Over the producer's name, too: no two producers have it in common.
  bool operator==(const EntryOnce&) const = default;
};

/// The entries of a partition that were added once, as far back as the window goes: `duration` by the time in their ids, and no more than
/// the last so many of each producer. Exact while memory lasts: then the oldest are forgotten early, and counted. A value without clock
/// or disk; after a restart it is filled from the log, where each such record says what it is.
class OnceWindow {
 public:
  static constexpr std::size_t kBytesPerEntry = 200;

  /// `budget` outlives the window.
  explicit OnceWindow(MemoryBudget& budget) : budget_(budget) {}
  ~OnceWindow() { clear(); }
  OnceWindow(const OnceWindow&) = delete;
  OnceWindow& operator=(const OnceWindow&) = delete;

  struct Seen {
    EntryId id;
    Offset offset;
  };
  std::optional<Seen> find(const EntryOnce& once, std::uint64_t now_ms, std::chrono::milliseconds duration);
  /// In the order of ids. Pre: find() has not found it.
  void add(const EntryOnce& once, Seen seen, std::size_t per_producer_max);
  void clear();

  std::size_t size() const { return entries_.size(); }
  std::uint64_t forgotten_early() const { return forgotten_early_; }

 private:
  struct Kept {
    Seen seen;
    DedupId producer;
  };
  void expire(std::uint64_t now_ms, std::chrono::milliseconds duration);
  void forget_first();
  void forget(const DedupId& entry);

  MemoryBudget& budget_;
  std::unordered_map<DedupId, Kept> entries_;
  std::unordered_map<DedupId, std::deque<DedupId>> producers_;  ///< Their entries, the oldest first; none is empty.
  /// As added. What was forgotten since may stay for a while, but never most of it.
  std::deque<std::pair<DedupId, EntryId>> order_;
  std::uint64_t forgotten_early_ = 0;
};

}  // namespace tidemark::broker
