#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/entry_id.h"
#include "broker/queues/queue_window.h"
#include "storage/base/check.h"
#include "storage/base/offset.h"

/// Where a queue group's window keeps what it knows of single records.
namespace tidemark::broker {

/// One record of a window, in 24 bytes. All zero: done.
class QueueEntry {
 public:
  static constexpr std::uint32_t kNobody = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::int64_t kDueMax = (std::int64_t{1} << 48) - 1;
  enum Flag : std::uint8_t {
    has_reason = 1 << 3,  ///< Its text is in the window's table.
    has_id = 1 << 4,
    own_lease = 1 << 5,   ///< Its due time is not the member's common one.
    in_ready = 1 << 6,    ///< Which index of what may be handed out has it: that one,
    in_suspects = 1 << 7  ///< or this one; neither: its page's bits, or none.
  };

  EntryState state() const { return static_cast<EntryState>(bits_ & 7); }
  void set_state(EntryState state) { bits_ = static_cast<std::uint8_t>((bits_ & ~7U) | static_cast<std::uint8_t>(state)); }
  bool is(Flag flag) const { return (bits_ & flag) != 0; }
  void set(Flag flag, bool on) { bits_ = static_cast<std::uint8_t>(on ? bits_ | flag : bits_ & ~static_cast<unsigned>(flag)); }

  /// Milliseconds since 1970 UTC; 0: none.
  std::int64_t due() const { return static_cast<std::int64_t>(due_high_) << 32 | due_low_; }
  void set_due(std::int64_t ms) {
    const std::int64_t kept = ms < 0 ? 0 : ms > kDueMax ? kDueMax : ms;
    due_low_ = static_cast<std::uint32_t>(kept);
    due_high_ = static_cast<std::uint16_t>(kept >> 32);
  }
  bool handed_out() const { return delivered != 0; }

  std::int64_t delivered = 0;  ///< Last hand-out, milliseconds since 1970 UTC; 0: never.
  std::uint32_t deliveries = 0;
  std::uint32_t member = kNobody;  ///< Slot of who has it.

 private:
  std::uint32_t due_low_ = 0;
  std::uint16_t due_high_ = 0;

 public:
  std::uint8_t failures = 0;

 private:
  std::uint8_t bits_ = 0;
};
static_assert(sizeof(QueueEntry) == 24);

/// Entries of kEntries offsets in a row.
struct EntryPage {
  static constexpr std::int64_t kEntries = 1024;
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  using Bits = std::array<std::uint64_t, kEntries / 64>;
  using Ids = std::array<EntryId, kEntries>;

  explicit EntryPage(std::int64_t page_number) : number(page_number) {}

  Offset first() const { return {number * kEntries}; }
  static std::size_t index(Offset offset) { return static_cast<std::size_t>(offset.value & (kEntries - 1)); }
  QueueEntry& at(Offset offset) { return entries[index(offset)]; }
  const QueueEntry& at(Offset offset) const { return entries[index(offset)]; }
  std::uint32_t count(EntryState state) const { return by_state[static_cast<std::size_t>(state)]; }
  std::uint32_t unfinished() const {
    std::uint32_t sum = 0;
    for (std::size_t state = 1; state < by_state.size(); ++state) sum += by_state[state];
    return sum;
  }
  /// Entries with one of the states (bit mask of 1 << state).
  bool has_any(unsigned states) const {
    for (std::size_t state = 1; state < by_state.size(); ++state) {
      if ((states >> state & 1) != 0 && by_state[state] != 0) return true;
    }
    return false;
  }
  static std::uint64_t member_bit(std::uint32_t slot) { return std::uint64_t{1} << (slot % 64); }

  const std::int64_t number;
  std::array<QueueEntry, kEntries> entries{};
  Bits offered{};                           ///< What may be handed out without regard to order or priority.
  Bits changed{};                           ///< Since the last records.
  std::array<std::uint16_t, 6> by_state{};  ///< Of `done` none are counted.
  bool is_changed = false;                  ///< It is in the list of changed pages.
  std::uint64_t members = 0;                ///< Bits of members that may have an entry here.
  std::int64_t next_due = kNever;           ///< No due time in here is earlier.
  /// No entry in here that can be claimed comes before this in the line of those (queue_window_idle.cc).
  std::int64_t oldest = std::numeric_limits<std::int64_t>::min();
  std::unique_ptr<Ids> ids;           ///< In windows that keep ids.
  EntryId first_id = EntryId::max();  ///< None in here was ever lower.
};

/// The pages of a window that have something to tell: found by number in O(1), walked in order, and indexed by what they have to offer,
/// when something in them is due, and by id. A page of an old record far below the others costs no more than any.
class EntryPages {
 public:
  using Ordered = std::map<std::int64_t, std::unique_ptr<EntryPage>>;
  static std::int64_t number_of(Offset offset) { return offset.value / EntryPage::kEntries; }

  EntryPage* find(Offset offset) const {
    const auto found = by_number_.find(number_of(offset));
    return found == by_number_.end() ? nullptr : found->second;
  }
  /// nullptr: its page is not there, so it is done.
  QueueEntry* entry(Offset offset) const {
    EntryPage* const page = find(offset);
    return page == nullptr ? nullptr : &page->at(offset);
  }
  EntryPage& make(Offset offset);
  const Ordered& all() const { return ordered_; }
  Ordered::const_iterator from(Offset offset) const { return ordered_.lower_bound(number_of(offset)); }
  void clear();

  // --- What may be handed out.
  void offer(EntryPage& page, Offset offset);
  void withdraw(EntryPage& page, Offset offset);
  void withdraw_all();
  bool offers() const { return !offering_.empty(); }
  /// The first offered ones, at most `max` more, into `out`.
  void first_offered(std::size_t max, std::vector<Offset>& out) const;

  // --- When something is due.
  void due_at(EntryPage& page, std::int64_t due);        ///< At `due`, or earlier as before.
  void set_next_due(EntryPage& page, std::int64_t due);  ///< kNever: nothing in it is.
  /// The page where something may be due first; nullptr: nowhere.
  EntryPage* first_due() const;

  // --- Ids.
  void set_id(EntryPage& page, Offset offset, EntryId id);
  /// Where the search for `id` begins.
  Ordered::const_iterator from_id(EntryId id) const;

  // --- What changed.
  void note_change(EntryPage& page, Offset offset) {
    const std::size_t index = EntryPage::index(offset);
    page.changed[index / 64] |= std::uint64_t{1} << (index % 64);
    if (!page.is_changed) {
      page.is_changed = true;
      changed_.push_back(page.number);
    }
  }
  bool has_changes() const { return !changed_.empty(); }
  /// Numbers of the changed pages, ascending.
  const std::vector<std::int64_t>& changed();
  /// Forgets the changes, and pages where everything is done.
  void forget_changes();
  /// Removes a page whatever is in it.
  void remove(std::int64_t number);

  std::size_t memory_bytes() const;

 private:
  Ordered ordered_;
  std::unordered_map<std::int64_t, EntryPage*> by_number_;
  std::set<std::int64_t> offering_;
  std::set<std::pair<std::int64_t, std::int64_t>> due_;  ///< (next due, page)
  std::map<EntryId, std::int64_t> by_id_;
  std::vector<std::int64_t> changed_;
  std::size_t pages_with_ids_ = 0;
};

}  // namespace tidemark::broker
