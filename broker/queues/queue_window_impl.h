#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/queues/entry_pages.h"
#include "broker/queues/queue_window.h"

/// What the parts of QueueWindow share.
namespace tidemark::broker {

inline std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }
inline Timestamp from_ms(std::int64_t ms) { return Timestamp(std::chrono::milliseconds(ms)); }

struct QueueWindow::Impl {
  struct Member {
    std::string name;
    Timestamp created{}, seen{}, active{};
    Timestamp recorded{};            ///< The `seen` that was last recorded.
    std::int64_t renewed_until = 0;  ///< Leases of what it has run at least until then, but for own leases.
    std::uint64_t in_flight = 0;
    std::uint64_t own_leases = 0;  ///< At most this many of its entries have one.
    bool changed = false;
  };
  struct Looked {
    std::uint64_t key = 0;
    std::uint8_t priority = 0;
  };
  /// The unfinished entries of one key that matter for its order.
  struct KeyQueue {
    std::set<std::int64_t> entries;
    std::size_t acquired = 0;
    std::optional<std::int64_t> ready;  ///< Its entry in `ready` or `suspects`.
  };
  /// (9 - priority, offset): the order of handing out.
  using Rank = std::pair<int, std::int64_t>;
  /// A stream of this window in the state log.
  struct Recorded {
    std::size_t snapshot_bytes = 0;
    std::size_t delta_bytes = 0;  ///< Since that snapshot.
  };
  /// What of the head does not come in rows.
  struct Head {
    Offset start, cursor;
    std::uint64_t done = 0, filtered = 0, gone = 0, dead = 0, redelivered = 0, timed_out = 0;
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = 0;
    std::int32_t next_sequence = 0;
    std::optional<StreamPosition> stream;
    bool operator==(const Head&) const = default;
  };

  Impl(Identity who, Offset first, std::shared_ptr<const QueueSettings> how);

  // --- Entries (queue_window.cc).

  /// An entry taken out of every count and index while it is changed, and put back at the end of the scope.
  class Edit {
   public:
    Edit(Impl& window, Offset offset) : window_(window), offset_(offset), page_(window.pages.make(offset)) {
      window_.leave(page_, offset_);
    }
    ~Edit() { window_.enter(page_, offset_); }
    Edit(const Edit&) = delete;
    Edit& operator=(const Edit&) = delete;
    QueueEntry* operator->() { return &page_.at(offset_); }
    QueueEntry& operator*() { return page_.at(offset_); }
    EntryPage& page() { return page_; }

   private:
    Impl& window_;
    const Offset offset_;
    EntryPage& page_;
  };
  void leave(EntryPage& page, Offset offset);
  void enter(EntryPage& page, Offset offset);
  void count(const QueueEntry& entry, std::uint64_t by);  ///< `by` may be -1, wrapped.
  void finish(Offset offset);
  std::optional<std::int64_t> due_of(const QueueEntry& entry) const;
  PendingEntry show(Offset offset, const QueueEntry& entry, const EntryPage& page) const;
  bool in_move(Offset offset) const;
  EntryState dead_state() const { return settings->dead_letter_topic.empty() ? EntryState::parked : EntryState::dying; }
  /// Offsets in [from, to) whose state is among `states`, ascending.
  std::vector<Offset> offsets_in(Offset from, Offset to, unsigned states) const;
  /// What is kept of a failure: who had the record, and why it failed.
  struct Story {
    std::string_view member, reason;
  };
  static std::string note(std::string_view member, std::string_view reason);
  std::string note_of(const QueueEntry& entry, std::string_view reason) const;
  Story story(const QueueEntry& entry, Offset offset) const;
  /// Empty: nothing is kept any more.
  void set_note(QueueEntry& entry, Offset offset, std::string_view note);
  void give_up_dying();

  // --- Members (queue_members.cc).
  std::optional<std::uint32_t> slot_of(std::string_view name) const;
  std::uint32_t touch(std::string_view name, Timestamp now);
  /// The same, but nobody is made.
  std::optional<std::uint32_t> note_seen(std::string_view name, Timestamp now);
  std::vector<Offset> entries_of(std::uint32_t slot) const;
  void forget_member(std::uint32_t slot);
  Member& place_member(std::uint32_t slot, std::string name);  ///< Pre: neither slot nor name is taken.

  // --- Order (queue_window_look.cc).
  bool offered(const QueueEntry& entry) const {
    return entry.state() == EntryState::available && (settings->redelivers || !entry.handed_out());
  }
  /// Nobody has it, and only a claim hands it out again.
  bool given_back(const QueueEntry& entry) const {
    return entry.state() == EntryState::available && entry.handed_out() && !settings->redelivers;
  }
  bool claimable(const QueueEntry& entry) const;
  void note_in_line(EntryPage& page, const QueueEntry& entry);
  bool suspect(const QueueEntry& entry) const {
    const std::uint32_t from = settings->suspect_from();
    return from != 0 && (settings->count_deliveries ? entry.deliveries : entry.failures) >= from;
  }
  bool steps_aside(EntryState state) const {
    return settings->on_dead == OnDead::go_on && (state == EntryState::parked || state == EntryState::dying);
  }
  std::optional<std::uint64_t> key_of(Offset offset) const;
  Rank rank(Offset offset) const;
  void unindex(EntryPage& page, Offset offset);
  void index(EntryPage& page, Offset offset);
  void put(EntryPage& page, Offset offset);
  void take_out(EntryPage& page, Offset offset);
  void refresh(std::uint64_t key);
  void rebuild_indexes();
  void start_look();
  void note_looked(const LookedAt& looked);

  // --- Settling (queue_window_settle.cc).
  Settled standing(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries, bool only_owner) const;
  Settled in_flight_standing(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries) const;
  std::int64_t lease_end(Timestamp now) const {
    return settings->ack_timeout.count() == 0 ? 0 : to_ms(now) + settings->ack_timeout.count();
  }
  void hand_out(QueueEntry& entry, std::uint32_t slot, Timestamp delivered, Timestamp now);
  void release(QueueEntry& entry);
  void die(QueueEntry& entry, Offset offset, std::string_view reason);
  void fail(QueueEntry& entry, Offset offset, std::optional<std::chrono::milliseconds> delay, std::string_view reason, Timestamp now);
  bool at_limit(const QueueEntry& entry) const {
    return settings->delivery_limit != 0 && (settings->count_deliveries ? entry.deliveries : entry.failures) >= settings->delivery_limit;
  }

  // --- Records (queue_window_records.cc).
  Head head() const;
  storage::StreamKey slice_stream(std::int64_t slice) const { return queue_stream(identity, slice); }
  bool slice_unfinished(std::int64_t slice) const;
  std::vector<storage::StateRecord> slice_snapshot(std::int64_t slice) const;
  std::vector<storage::StateRecord> slice_delta(std::int64_t slice, std::span<const std::int64_t> changed_pages) const;
  EntryPage* page_numbered(std::int64_t number) const { return pages.find({number * EntryPage::kEntries}); }
  std::vector<storage::StateRecord> head_records(bool snapshot) const;
  Status replay_head(ByteView payload);
  Status replay_slice(std::int64_t slice, ByteView payload);
  void drop_slice(std::int64_t slice);

  const Identity identity;
  const std::uint64_t seed;  ///< Of the jitter: from the group's name.
  const Offset first_start;
  std::shared_ptr<const QueueSettings> settings;

  Offset start, cursor;
  std::optional<StreamPosition> stream;
  EntryPages pages;
  QueueCounts counts;
  /// Nothing below holds the floor; moves up when floor() looks.
  std::int64_t floor_hint = 0;
  std::unordered_map<std::int64_t, std::string> reasons;
  std::size_t reason_bytes = 0;

  std::vector<std::unique_ptr<Member>> slots;
  std::map<std::string, std::uint32_t, std::less<>> slots_by_name;
  std::set<std::uint32_t> free_slots;

  bool needs_look = false;
  std::unordered_map<std::int64_t, Looked> looked;  ///< All unfinished entries in windows that look ahead; else those with a priority.
  std::unordered_map<std::uint64_t, KeyQueue> keys;
  std::set<Rank> ready;     ///< What may be handed out in regard of order and priority.
  std::set<Rank> suspects;  ///< What may be handed out alone.

  std::set<std::int64_t> dying;
  std::optional<Move> move;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  std::int32_t next_sequence = 0;

  bool must_tell = false;  ///< Something changed that a crash should not take back.
  bool wiped = false;      ///< What is recorded of slices is void.
  bool move_changed = false;
  std::vector<std::uint32_t> members_changed;
  std::set<std::uint32_t> members_forgotten;
  std::optional<Head> recorded_head;
  std::map<std::int64_t, Recorded> recorded;  ///< By slice; -1: the head.
};

}  // namespace tidemark::broker
