#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/entry_id.h"
#include "broker/queues/queue_settings.h"
#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/base/uuid.h"
#include "storage/state_log.h"

/// Which records of one partition one queue group has not finished, who has them, and when they come back. Pure state: no I/O, no clock;
/// time is handed in.
namespace tidemark::broker {

enum class EntryState : std::uint8_t {
  done = 0,       ///< Finished, passed over by a filter, or gone from the log.
  available = 1,  ///< Nobody has it: never handed out, or released.
  acquired = 2,   ///< A member has it.
  delayed = 3,    ///< Nobody has it; available again at its due time.
  parked = 4,     ///< Failed too often, or rejected, without a dead letter topic: kept until somebody kicks, settles or purges it.
  dying = 5,      ///< On its way to the dead letters.
};
std::string_view to_string(EntryState state);

/// Offsets [first, first + count).
struct OffsetRun {
  Offset first;
  std::int64_t count = 0;
  bool operator==(const OffsetRun&) const = default;
};

/// Records handed out in one go with equal counters.
struct TakenRun {
  OffsetRun offsets;
  std::uint32_t deliveries = 1;  ///< With this one. It fences the settlement: a later hand-out has a higher one.
  std::uint32_t failures = 0;
  bool operator==(const TakenRun&) const = default;
};

/// An unfinished record as it is shown.
struct PendingEntry {
  Offset offset;
  EntryState state = EntryState::available;
  std::string_view member;       ///< Empty: nobody has it. Valid until the next call that changes the window.
  Timestamp delivered{};         ///< Last hand-out; epoch: never.
  std::optional<Timestamp> due;  ///< acquired: when it is taken back; delayed: when it is available.
  std::uint32_t deliveries = 0;
  std::uint32_t failures = 0;
  std::string_view last_member;  ///< Who has it, or who failed last.
  std::string_view reason;       ///< Of the last failure; may be empty.
  EntryId id;                    ///< In groups that keep ids (QueueSettings::keeps_ids).
};

/// By state. Each unfinished record below the cursor is in exactly one of the first six.
struct QueueCounts {
  std::uint64_t waiting = 0;  ///< Looked at and never handed out.
  std::uint64_t in_flight = 0;
  std::uint64_t retrying = 0;  ///< Handed out before, available now.
  std::uint64_t delayed = 0;
  std::uint64_t parked = 0;
  std::uint64_t dying = 0;
  // Since the group began.
  std::uint64_t done = 0;  ///< Acknowledged.
  std::uint64_t filtered = 0;
  std::uint64_t gone = 0;  ///< Removed from the log before they were finished.
  std::uint64_t dead = 0;  ///< Given to the dead letters.
  std::uint64_t redelivered = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t unfinished() const { return waiting + in_flight + retrying + delayed + parked + dying; }
};

struct QueueMemberInfo {
  std::string name;
  Timestamp created{};
  Timestamp seen{};    ///< Last call of any kind.
  Timestamp active{};  ///< Last one that got it a record; epoch: never. (Redis: `inactive`.)
  std::uint64_t in_flight = 0;
};

/// A record to take over.
struct EntryClaim {
  Offset offset;
  std::chrono::milliseconds min_idle{0};
  std::optional<Timestamp> delivered;       ///< The hand-out counts from here; nullopt: from now.
  std::optional<std::uint32_t> deliveries;  ///< Set to this; nullopt: one more, unless `just_id`.
  bool just_id = false;
  bool force = false;  ///< Also an offset below or above the cursor that is not unfinished; the record must exist.
  EntryId id;          ///< For `force`, in groups that keep ids.
};

/// A record that its member, or somebody for it, gives back.
struct EntryGiveBack {
  Offset offset;
  enum class Kind : std::uint8_t {
    silent,  ///< The last hand-out does not count.
    fail,    ///< It counts.
    fatal,   ///< It counts as if all had been used up.
  } kind = Kind::fail;
  std::optional<std::uint32_t> deliveries;  ///< Set to this, whatever the kind.
  bool force = false;                       ///< Also an offset that is not unfinished; the record must exist.
  EntryId id;                               ///< For `force`, in groups that keep ids.
};

enum class Settled : std::uint8_t {
  ok,
  not_delivered,    ///< It was never handed out.
  already_settled,  ///< It is finished, on its way to the dead letters, or (not for an ack) parked.
  not_owner,        ///< Another member has it.
  lease_lost,       ///< It was taken back from this member, and perhaps handed out again.
};

/// Where the group of a Redis stream stands, beyond what the cursor says: an id that may lie between entries or ahead of them all.
struct StreamPosition {
  EntryId last_id;                            ///< The id last handed out, or set: only higher ones are new.
  std::optional<std::uint64_t> entries_read;  ///< Of all entries ever added, those up to last_id; nullopt: not known.
  Offset cursor;                              ///< Everything below has been read, or has an id that is not new.
  bool operator==(const StreamPosition&) const = default;
};

/// What was found when the log was read at the cursor.
struct LookedAt {
  Offset offset;
  enum class What : std::uint8_t {
    candidate,  ///< May be handed out; needed only in windows that look ahead (others take every offset not named).
    filtered,
    gone,     ///< No such record (deleted, compacted away, a control record).
    expired,  ///< Older than record.ttl: goes to the dead letters.
  } what = What::candidate;
  std::uint64_t key = 0;      ///< Hash of the key; 0: free of order.
  std::uint8_t priority = 0;  ///< 0-9, higher first.
};

/// The fate of one (group, topic, partition). Lives on the partition's shard.
///
/// *decide -> record -> apply*: a change is made here at once and noted; take_records() gives the notes as state records in the order of
/// the changes, whose flush an answer waits for where it must. Operations on entries go to the streams of *slices* of kSliceOffsets offsets
/// each, everything else to the head stream, so that a snapshot is bounded and what does not change is not written again. Records hold
/// values (queue_record_format.h): what none of them speaks of is done, and a slice where everything is done has no stream. Growing the
/// window is told with the next change of another kind, or after 16 384 offsets; a crash before that takes it back with its counters, and
/// the log is read again from the older cursor. Extending a lease is not recorded: after a restart every lease is given `ack.timeout` anew.
/// When a member was seen is recorded to the minute, with other changes.
///
/// A window that looks ahead keeps per unfinished entry its key and priority in memory; they are not recorded. With key order nothing is
/// handed out after a restart until looked_again() has told them for every unfinished entry; without it priorities are forgotten.
class QueueWindow {
 public:
  static constexpr std::int64_t kSliceOffsets = 65'536;
  static constexpr std::size_t kReasonBytesMax = 1024;
  static constexpr std::size_t kMoveOffsetsMax = 100'000;
  static constexpr std::size_t kReasonsKept = 100'000;  ///< Texts in memory; further failures are counted without their text.

  struct Identity {
    std::string group;
    Uuid topic;
    std::int32_t partition = 0;
  };

  /// A new window; nothing is recorded before the first change.
  QueueWindow(Identity identity, Offset start, std::shared_ptr<const QueueSettings> settings);
  ~QueueWindow();

  const Identity& identity() const;
  /// Takes effect for what happens from now on. Turning on look-ahead makes needs_look() true.
  void configure(std::shared_ptr<const QueueSettings> settings);
  const QueueSettings& settings() const;

  // --- Looking.

  Offset start() const;   ///< Where the group began, or was moved to.
  Offset cursor() const;  ///< Everything from here on was never looked at.
  /// The first unfinished offset; the cursor if there is none below it. Parked entries do not hold it back, dying ones do.
  Offset floor() const;
  const QueueCounts& counts() const;
  bool has_work() const;  ///< Something is available now, whoever may have it.
  /// When expire() has something to do next.
  std::optional<Timestamp> next_deadline() const;
  std::vector<QueueMemberInfo> members() const;
  std::optional<QueueMemberInfo> member(std::string_view name) const;
  std::optional<PendingEntry> entry(Offset offset) const;
  /// Calls `visit` for unfinished entries with one of the `states` (bit mask of 1 << state) in [from, to), ascending, until it answers
  /// false; with `member`, only those it has. Answers how many entries were looked at.
  std::size_t visit(Offset from, Offset to, unsigned states, std::optional<std::string_view> member,
                    const std::function<bool(const PendingEntry&)>& visit) const;
  /// The last unfinished entry with one of the `states`.
  std::optional<Offset> last_of(unsigned states) const;
  /// nullopt: it was never set, or the cursor has been moved since by somebody who does not count in ids.
  std::optional<StreamPosition> stream_position() const;
  /// First unfinished entry with that id or a higher one, in windows that keep ids.
  std::optional<Offset> find_id(EntryId id) const;
  /// What Redis calls pending: somebody has it; or it was given back, and only a claim hands it out.
  bool is_pending(const PendingEntry& entry) const;
  std::uint64_t pending() const;
  /// The first `max` of the pending entries that nobody has, by when they were given back, and behind them of those handed out at `until`
  /// or earlier, by that time. O(pages) and what is in those pages that have such an entry.
  std::vector<Offset> idle(Timestamp until, std::size_t max) const;
  /// When the first of the entries that somebody has since later than `until` was handed out, or a little earlier; nullopt: there is none.
  std::optional<Timestamp> next_idle(Timestamp until) const;
  struct BlockedKey {
    std::uint64_t key = 0;
    Offset by;  ///< The entry that blocks it.
    EntryState state = EntryState::acquired;
    std::size_t waiting = 0;  ///< Entries behind it.
  };
  /// Keys with most waiting entries first, at most `max`. Windows that look ahead only.
  std::vector<BlockedKey> blocked_keys(std::size_t max) const;
  /// The look-ahead is used up: nothing new is looked at until something is settled. Parked and dying entries that step aside do not use
  /// it; in windows that do not look ahead only waiting entries do.
  bool lookahead_full() const;
  std::size_t memory_bytes() const;  ///< Roughly, everything this window holds.

  // --- Members.

  /// Notes that the member is here; makes it if need be. At most 2^24 members at a time; names 0-249 bytes.
  void touch(std::string_view name, Timestamp now);
  bool add_member(std::string_view name, Timestamp now);  ///< False: it exists.
  /// Forgets it. `drop` (Redis): its entries are finished, else they are released without counting. Answers how many it had.
  std::uint64_t remove_member(std::string_view name, bool drop, Timestamp now);
  /// It went away without a word: what it has counts as failed if `failed`, and comes back at once (or dies of it).
  std::uint64_t release_all(std::string_view name, bool failed, std::string_view reason, Timestamp now);

  // --- Handing out.

  /// The log was read from the cursor up to `to`; what is not named is available. Pre: to >= cursor; `looked` ascending, within.
  void extend(Offset to, std::span<const LookedAt> looked);
  /// Keys are not known (restart, key order turned on, an entry revived or claimed by force): nothing is handed out. Key order only.
  bool needs_look() const;
  /// What is told of entries that are not unfinished is passed over. All unfinished ones are to be told, also parked ones below the floor
  /// and those from the cursor on (visit() names them); looked_again() ends needs_look().
  void look_again(std::span<const LookedAt> looked);
  void looked_again();

  /// What the member would get of what is available, at most `max`: by priority, then by offset, as order, caps, suspects and pause allow.
  /// A suspect comes alone, and only to a member that has nothing in flight. Changes nothing. Ascending by offset where there is no
  /// priority.
  std::vector<Offset> choose(std::string_view member, std::size_t max, Timestamp now) const;
  /// How many the member may get at most, by the caps.
  std::size_t room(std::string_view member) const;
  /// Hands out what of `offsets` is available; `ids`: one for each, or none. Answers runs, in the order given.
  std::vector<TakenRun> take(std::string_view member, std::span<const Offset> offsets, std::span<const EntryId> ids, Timestamp now);
  /// Whatever state [run) is in: handed out anew, with a count of one (Redis: a `>` read after XGROUP SETID went back). Moves the cursor.
  std::vector<TakenRun> take_new(std::string_view member, OffsetRun run, std::span<const EntryId> ids, Timestamp now);
  /// True if a crash must not forget this hand-out: a suspect is among them.
  bool must_record(std::span<const TakenRun> runs) const;

  // --- Settling. `member` nullopt: an operator, or a protocol without fences. `deliveries` 0: whatever the count.

  Settled ack(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries, Timestamp now);
  /// Failed: comes back after `delay` (nullopt: the group's backoff), or dies of it.
  Settled fail(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries,
               std::optional<std::chrono::milliseconds> delay, std::string_view reason, Timestamp now);
  /// Back at once, uncounted; but where hand-outs count, the last one allowed was this. `forget_delivery`: this hand-out did not happen
  /// (Redis XNACK SILENT).
  Settled release(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries, bool forget_delivery, Timestamp now);
  /// Redis XNACK. Where the group hands out nothing twice by itself, the entry waits for a claim, without a member; else it is released,
  /// failed or rejected. False: it is not pending.
  bool give_back(const EntryGiveBack& asked, Timestamp now);
  /// Dead at once.
  Settled reject(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries, std::string_view reason, Timestamp now);
  /// The lease runs `ack.timeout` (or `lease`) from now.
  Settled extend_lease(Offset offset, std::string_view member, std::uint32_t deliveries, std::optional<std::chrono::milliseconds> lease,
                       Timestamp now);
  /// Shown once more to the member that has it (Redis: a read of the history): counts as a hand-out, of now. False: it has not got it. Not
  /// worth a record of its own.
  bool show_again(Offset offset, std::string_view member, Timestamp now);
  /// Renews everything the member has.
  void extend_all(std::string_view member, Timestamp now);
  /// Takes over. False: it is not unfinished, or not idle for so long. Entries nobody has can be claimed if they were handed out before,
  /// whatever the idle time; parked and dying ones cannot. Where hand-outs count, a claim beyond the limit kills the entry instead, unless
  /// it is a `just_id` or sets the count. In key order an entry that would overtake another of its key is not claimed.
  bool claim(std::string_view member, const EntryClaim& claim, Timestamp now);
  /// Finished, whoever has it; counts as done. False: it is finished already, or on its way to the dead letters.
  bool dismiss(Offset offset);
  /// The record turned out to be gone from the log: finished. False: it was already.
  bool gone(Offset offset);
  /// Leases that ran out and delays that are over, at most about `max` entries; the rest stays due.
  void expire(Timestamp now, std::size_t max);

  // --- Dead letters. reject(), fail() and expire() make entries `dying` where settings().dead_letter_topic is set, else `parked`.

  /// The first dying entries, at most `max`, that are not in a move.
  std::vector<Offset> dying(std::size_t max) const;
  struct Move {
    std::vector<Offset> offsets;
    std::int32_t first_sequence = 0;
  };
  /// About to append copies of `offsets` (ascending, all dying) under sequences from `first_sequence` on; the record must be flushed first.
  void begin_move(Move move);
  const std::optional<Move>& move() const;  ///< Under way; after a restart: to be repeated.
  /// The copies are durable, but for `lost` ones, whose record is gone: all are finished.
  void end_move(std::span<const Offset> lost);
  /// Dying, and there is no place for it among the dead letters: parked instead. Pre: not in a move.
  void park(Offset offset, std::string_view why);
  /// Of the moves; sequences begin anew.
  void set_producer(std::int64_t id, std::int16_t epoch);
  std::int64_t producer_id() const;  ///< -1: none yet.
  std::int16_t producer_epoch() const;
  std::int32_t next_sequence() const;

  /// Parked or delayed: available at once; parked ones forget their failures. False: neither.
  bool kick(Offset offset, Timestamp now);
  /// Finished: available again, with its counters forgotten. Pre: the record exists, below the cursor. False: it is not finished.
  bool revive(Offset offset, Timestamp now);

  // --- Moving.

  /// Everything unfinished is forgotten, members keep nothing, the group goes on at `to`.
  void reset(Offset to);
  /// Only the cursor moves; entries stay as they are (Redis XGROUP SETID).
  void set_cursor(Offset to);
  /// The cursor moves, and the position in ids with it; entries stay as they are.
  void set_stream_position(const StreamPosition& position);
  /// Everything that nobody has is finished, and everything in [cursor, to) as well. Answers how many.
  std::uint64_t purge(Offset to);
  /// The log begins at `log_start` now: what lies below is gone. In groups that keep ids, entries somebody has stay (Redis).
  void trimmed(Offset log_start);
  /// Recovery: the log ends before the cursor.
  bool clamp(Offset log_end);

  // --- Records.

  /// State records of what changed, in order; empty: nothing did.
  std::vector<storage::StateRecord> take_records();
  /// The whole of one of this window's streams as it is now, in one or more parts; empty vector: the stream is not (any more) this
  /// window's. Take records first and submit both together: a snapshot may say what no delta has said yet.
  std::vector<storage::StateRecord> snapshot(const storage::StreamKey& stream) const;
  /// Those that have records; for deletion. (Streams whose deltas outweigh them by far are restated by take_records() itself.)
  std::vector<storage::StreamKey> streams() const;
  /// Records of its streams, in log order. Error corrupt_batch.
  Status replay(const storage::StateRecord& record);
  /// After the last one: leases begin anew, indexes are built.
  void recovered(Timestamp now);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Stream ids: topic UUID (16 bytes), partition (4, big-endian; -1: the group itself, no window), slice (8, big-endian; -1: head), group
/// name.
storage::StreamKey queue_stream(const QueueWindow::Identity& identity, std::int64_t slice);
struct QueueStream {
  QueueWindow::Identity identity;
  std::int64_t slice = -1;
};
/// nullopt: not of that form.
std::optional<QueueStream> parse_queue_stream(const storage::StreamKey& stream);

}  // namespace tidemark::broker
