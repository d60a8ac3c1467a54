#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "broker/memory_budget.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"

namespace tidemark::broker {

/// What a dedup id is compared by: the first 128 bits of the SHA-256 of its bytes.
struct DedupId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  static DedupId of(std::string_view text);
  std::array<char, 16> bytes() const;
  auto operator<=>(const DedupId&) const = default;
};

}  // namespace tidemark::broker

template <>
struct std::hash<tidemark::broker::DedupId> {
  std::size_t operator()(const tidemark::broker::DedupId& id) const noexcept { return id.low; }
};

namespace tidemark::broker {

/// The dedup ids that a partition has seen within its window, and where the first record of each lies. Exact while memory lasts.
///
/// Every id takes kBytesPerId of the budget. When that is used up, the partition's oldest ids are forgotten before their time and counted;
/// should it have none, the new one is. A value without clock or disk: the partition says what time it is, and reads the ids back
/// from its log after a restart.
class DedupWindow {
 public:
  static constexpr std::size_t kBytesPerId = 96;

  /// `budget` outlives the window.
  explicit DedupWindow(MemoryBudget& budget) : budget_(budget) {}
  ~DedupWindow() { clear(); }
  DedupWindow(const DedupWindow&) = delete;
  DedupWindow& operator=(const DedupWindow&) = delete;

  /// Where the record with this id lies, if it came no longer than `window` ago.
  std::optional<Offset> find(const DedupId& id, Timestamp now, std::chrono::milliseconds window);
  /// The first record of an id counts: adding it again while it is known changes nothing. Times come in rising order, nearly.
  void add(const DedupId& id, Offset offset, Timestamp time);
  /// Forgets what is older than `window`.
  void expire(Timestamp now, std::chrono::milliseconds window);
  void clear();

  std::size_t size() const { return seen_.size(); }
  std::uint64_t forgotten_early() const { return forgotten_early_; }

 private:
  struct Seen {
    Offset offset;
    Timestamp time;
  };
  void forget_oldest();

  MemoryBudget& budget_;
  std::unordered_map<DedupId, Seen> seen_;
  std::deque<std::pair<DedupId, Timestamp>> order_;  ///< As added.
  std::uint64_t forgotten_early_ = 0;
};

}  // namespace tidemark::broker
