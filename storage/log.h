#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "storage/clean_mark.h"
#include "storage/damage.h"
#include "storage/file_cache.h"
#include "storage/file_system.h"
#include "storage/segment_index.h"

/// The append-only log of one partition: a directory of segments.
///
/// The object itself belongs to one thread (the partition's shard) and never blocks: it decides and keeps the books. Everything that
/// touches the disk is a *plan*: made here, executed by a free-standing blocking call on any other thread, and applied here when it is
/// done. So the shard never waits for the disk, and the crash tests can stop between any two calls.
///
///     stage() ... take_group() -> WriteGroup::write() + file.sync() -> flushed()        append
///     plan_space() -> SpacePlan::execute() -> apply()                                   space before offsets; starts the next segment
///     plan_read() -> ReadPlan::execute()                                                read, verified
///     plan_checkpoint() -> CheckpointPlan::execute() -> apply()                         bounds the work of the next recovery
///     set_log_start() -> take_removable() -> RemovePlan::execute()                      trim, retention
///     plan_cleaning() -> Cleaning::step() ... accept() -> SwapPlan::execute() -> apply()  compaction
///
/// Directory (docs/FILE_FORMAT.md):
///     <base20>.log       batches back to back, nothing else: Kafka's layout and naming
///     <base20>.idx       derived; see segment_index.h
///     <base20>.seal      written when the segment is sealed: length, offsets, times, the checksum of every interval, its own checksum
///     <base20>.log.torn-<position>   what recovery cut off, kept aside
///     <base20>.*.deleted             on its way out
///     <base20>.*.cleaned, .seal.swap on its way in; see segment_swap.h
///     cleaned                        how far it was compacted; see clean_mark.h
///
/// A crash leaves: in the active segment at most one unflushed group (<= kGroupBytesMax), of which any part may be there, zero, or
/// missing; an empty or missing next segment; a seal or index that is missing or short; `.deleted` files. All of it is normal and
/// open() deals with it. Anything else is damage: open() reports the range, keeps the file, and the rest of the log works.
namespace tidemark::storage {

/// G: the most that is in flight, unflushed, per log; hence the most that can look torn after a crash.
inline constexpr std::size_t kGroupBytesMax = 8 * 1024 * 1024;
/// The most offsets one batch may span; a segment is rolled before its span could pass 2^31 - 1.
inline constexpr std::int64_t kBatchOffsetsMax = std::int64_t{1} << 30;

struct LogConfig {
  /// Roll before a segment would grow past this (or 2 GiB). At least one batch goes in.
  std::uint64_t segment_bytes = 128 * 1024 * 1024;
  std::chrono::milliseconds segment_age = std::chrono::hours(24 * 7);  ///< Roll at the first append after this much append time.
};

/// How far the log is known to be flushed, verified and indexed: recovery reads only from here. Kept in the state log by the partition.
struct LogCheckpoint {
  Offset segment_base;
  FilePosition position;  ///< In that segment.
  Offset offset;          ///< Base offset the next batch at `position` must have.
  std::int32_t leader_epoch = 0;
  bool operator==(const LogCheckpoint&) const = default;
};

/// What the state log knows about the log before it is opened.
struct LogHints {
  Offset log_start;                         ///< Everything below is trimmed.
  std::optional<LogCheckpoint> checkpoint;  ///< None: scan from the first segment.
  bool clean = false;                       ///< The broker stopped in good order: the checkpoint is the end, nothing is scanned.
};

struct TornTail {
  std::string file;         ///< The segment.
  FilePosition position;    ///< Where it was cut.
  std::uint64_t bytes = 0;  ///< Cut off and kept aside in `kept`.
  std::string kept;         ///< Path of the copy; empty where nothing was worth keeping (zeros) or the disk was full.
};

/// What open() found and did.
struct RecoveryReport {
  std::uint64_t scanned_bytes = 0;
  std::uint32_t indexes_rebuilt = 0;
  std::optional<TornTail> torn;
  std::vector<Damage> damage;
};

struct Segment;      // segment.h: the books of one segment file, shared between the log and plans under way.
struct LoadedIndex;  // segment.h: the index of a segment, or a copy of the part a plan needs.

/// A batch that has its offsets and waits for the disk.
struct StagedBatch {
  Slice bytes;
  Offset base;
  Offset end;
  Timestamp append_time;
  std::int64_t max_timestamp_ms = -1;
  EntryId first_id;
  // Books of the index, kept here on the way: whether the batch begins an interval, and the checksum of that interval up to and with it.
  bool starts_interval = false;
  std::uint32_t interval_crc = 0;
};

/// Bytes on their way to the disk: consecutive batches for one segment. At most one group of a log exists at a time.
struct WriteGroup {
  std::shared_ptr<Segment> segment;
  FilePosition position;
  std::vector<StagedBatch> batches;
  std::size_t bytes = 0;
  Offset first;
  Offset end;
  std::uint32_t interval_crc = 0;  ///< Of the interval the first batch goes on with.
  std::shared_ptr<File> file;      ///< Open after write(): the committer flushes it.

  /// Blocking: appends the bytes to the segment file. Not durable yet. Any error is final for the log.
  Status write(FileCache& files);
};

/// Disk space for batches to come, and the next segment when the active one is full.
struct SpacePlan {
  std::shared_ptr<Segment> segment;  ///< The one that grows; when `creates`, a new one.
  bool creates = false;
  bool creates_directory = false;  ///< The first segment: the directory may be missing; its parent exists.
  std::uint64_t reserve_to = 0;    ///< Bytes from the start of the file.

  /// Blocking: reserves, and for a new segment creates the file (and the directory), flushes it, its name and the directory's.
  /// Errors: disk_full (nothing changed, try again later), io_error.
  Status execute(FileCache& files);
};

struct ReadResult {
  Slice batches;  ///< Whole batches of one segment, the first containing the offset asked for or, behind a gap that cleaning left,
                  ///< following it.
  Offset next;    ///< Where the next read goes on; beyond `from` also when `batches` is empty, because cleaning left nothing here.
};

/// What a plan may see of a segment.
struct SegmentView {
  std::shared_ptr<Segment> segment;
  std::shared_ptr<const LoadedIndex> index;  ///< Null: execute() loads it.
  Offset end;                                ///< Where the next segment, or the unflushed part, begins.
};

struct ReadPlan {
  std::vector<SegmentView> segments;  ///< The one that holds `from`, and a few that follow in case cleaning emptied it.
  Offset from;
  Offset limit;  ///< Batches at or beyond are not returned.
  std::size_t bytes_max = 0;
  std::vector<Damage> known_damage;

  /// Blocking: reads whole batches, at least one even if it is larger than bytes_max, checked against the checksums of their intervals.
  /// Stops before a damaged batch. `found` gets the damage met that was not known. Errors: quarantined when `from` itself lies in damage;
  /// io_error when it cannot be read at all (then `found` says so, too); offset_out_of_range when it was removed while the plan waited.
  Result<ReadResult> execute(FileCache& files, std::vector<Damage>& found);
};

struct TimestampPlan {
  std::vector<SegmentView> segments;
  std::int64_t time_ms = 0;
  Offset log_start;
  Offset limit;
  struct Found {
    Offset offset;
    std::int64_t timestamp_ms = -1;
  };
  /// Blocking: the first record at or above the log start and below the limit with timestamp >= time; nullopt if there is none.
  /// Errors as ReadPlan; quarantined when damage lies where the record may have been.
  Result<std::optional<Found>> execute(FileCache& files);
};

struct CheckpointPlan {
  struct ToSeal {
    std::shared_ptr<Segment> segment;
    std::shared_ptr<const LoadedIndex> index;  ///< Null: loaded or rebuilt.
    std::size_t indexed = 0;
  };

  LogCheckpoint checkpoint;
  std::vector<std::shared_ptr<Segment>> to_sync;  ///< Written but perhaps not durable (weak durability).
  std::vector<ToSeal> to_seal;                    ///< Full segments whose seal is still missing, oldest first.
  std::shared_ptr<Segment> segment;               ///< The one being filled; null if there is none.
  ByteVector index_bytes;                         ///< Its entries since the last checkpoint, the open one included.
  std::size_t index_first = 0;                    ///< Number of the first of them.
  std::size_t index_entries = 0;
  std::uint64_t bytes = 0;  ///< Covered since the last checkpoint.

  /// Blocking: flushes what may not be durable, then writes and flushes seals and index. Then the checkpoint may be recorded.
  /// Errors: disk_full (only the next recovery takes longer), io_error.
  Status execute(FileCache& files);
};

/// Where and when a record was appended, as exactly as the index says: of the interval that holds it, so never later than the truth.
struct Place {
  Timestamp append_time{};
  bool estimated = false;          ///< The time was rebuilt from the log.
  std::uint64_t bytes_before = 0;  ///< Of the log, from its first segment to the interval: the difference of two is what lies between.
};

struct PlacePlan {
  SegmentView view;
  Offset offset;
  std::uint64_t bytes_before = 0;  ///< The segment.
  /// Blocking. Errors: io_error; offset_out_of_range when the segment was removed meanwhile.
  Result<Place> execute(FileCache& files);
  Place in(const LoadedIndex& index) const;
};

/// Finds an entry by its id, in a log whose ids ascend.
struct IdPlan {
  /// The id of the first record of a whole batch; nullopt for one without records.
  using FirstId = std::optional<EntryId> (*)(ByteView batch);

  std::vector<SegmentView> segments;
  EntryId id;
  FirstId first_id = nullptr;  ///< Asked where the index does not know it: indexes that were rebuilt have no ids.
  Offset log_start;
  Offset limit;
  /// Blocking: an offset at or before the first entry whose id is not below `id`, with little in between: the base of the batch before or
  /// around it, or further back where damage hides ids. Errors: io_error; offset_out_of_range when the segment was removed meanwhile.
  Result<Offset> execute(FileCache& files);
};

/// Append times of sealed segments that nobody has looked at since open(): retention and lag time ask for them.
struct TimesPlan {
  std::vector<std::shared_ptr<Segment>> segments;
  /// Blocking: reads seal headers. Afterwards the times are known; where a segment cannot be read, as the time of open(). Returns the last
  /// error met.
  Status execute(FileCache& files);
};

/// How a log stands towards cleaning (storage/cleaning.h).
struct CleanableState {
  Offset clean_end;  ///< Below, keys were compacted; at least the log start.
  Offset past;       ///< The first offset that may not be cleaned yet.
  std::uint64_t clean_bytes = 0;
  std::uint64_t dirty_bytes = 0;          ///< From clean_end to past.
  std::size_t segments = 0;               ///< That may be cleaned.
  std::optional<Timestamp> oldest_dirty;  ///< Append time of the first dirty segment, cleanable or not; nullopt if there is none.
  double dirty_ratio() const {
    return dirty_bytes == 0 ? 0 : static_cast<double>(dirty_bytes) / static_cast<double>(clean_bytes + dirty_bytes);
  }
};

class Cleaning;
struct CleaningRules;
struct CleaningSummary;
struct SwapPlan;

struct RemovePlan {
  std::vector<std::shared_ptr<Segment>> segments;
  std::string directory;
  std::uint64_t bytes = 0;  ///< Freed by it.
  /// Blocking: renames to `.deleted`, flushes the directory, removes. A crash in between is finished by the next open().
  Status execute(FileCache& files);
};

class Log {
 public:
  /// Called for every whole batch that recovery scans, in order: rebuilds producer state above the checkpoint. The bytes live until it
  /// returns.
  using OnBatch = std::function<void(const BatchHeader&, ByteView batch)>;

  /// Blocking. Opens or creates (in memory only: the directory appears with the first segment) the log in `directory`, repairs what a crash
  /// leaves, and makes everything it is going to show durable before it returns. Idempotent: a crash inside and another open() give the
  /// same log. Damage does not fail it; an I/O error does.
  static Result<std::unique_ptr<Log>> open(FileCache& files, std::string directory, LogConfig config, LogHints hints, Timestamp now,
                                           const OnBatch& on_batch, RecoveryReport& report);
  ~Log();

  Offset log_start() const { return log_start_; }
  Offset end_offset() const { return end_offset_; }          ///< Staged end: the offset the next record gets.
  Offset flushed_offset() const { return flushed_offset_; }  ///< Everything below is written (and flushed, where the topic says so).
  std::uint64_t size_bytes() const;                          ///< Of all segments kept, flushed part.
  std::size_t segment_count() const { return segments_.size(); }
  std::int32_t leader_epoch() const { return leader_epoch_; }
  const std::vector<Damage>& damage() const { return damage_; }
  /// Set when damage in the active segment forbids appending; names it.
  const std::optional<Error>& append_error() const { return append_error_; }
  const LogConfig& config() const { return config_; }
  void set_config(LogConfig config) { config_ = config; }
  /// Batches appended from now on carry this epoch. Must not go back.
  void set_leader_epoch(std::int32_t epoch);

  // --- Appending.

  /// True if a batch of `bytes` can be staged now without asking the disk for space. False while a next segment is being made.
  bool has_space(std::size_t bytes, Timestamp now) const;
  /// What to do so that has_space(bytes) becomes true. Call only when it is false and no space plan is under way.
  SpacePlan plan_space(std::size_t bytes, Timestamp now);
  void apply(SpacePlan&& done);
  /// After a failed execute(): the log is as before plan_space().
  void abandon(SpacePlan&& failed);

  /// Gives the batch its offsets (patching base offset and epoch) and queues it. The slice must be the only writer of its bytes.
  /// Pre: has_space(), no append_error(), batch.size() <= kGroupBytesMax, valid header spanning at most kBatchOffsetsMax offsets.
  /// `first_id`: id of the first record on topics with ids. Returns the base offset.
  Offset stage(Slice batch, const BatchHeader& header, Timestamp append_time, EntryId first_id = {});

  bool group_in_flight() const { return in_flight_; }
  bool has_staged() const { return !staged_.empty(); }
  std::size_t staged_bytes() const { return staged_bytes_; }
  /// The next group: staged batches of one segment, at most `bytes_max` (at least one batch). Pre: has_staged(), none in flight.
  WriteGroup take_group(std::size_t bytes_max = kGroupBytesMax);
  /// The group is written: its batches become readable. `synced`: its file was flushed after; otherwise the next checkpoint does it.
  void flushed(WriteGroup&& group, bool synced = false);

  // --- Reading. Offsets in [log_start, flushed_offset) exist.

  /// Pre: log_start <= from < limit <= flushed_offset.
  ReadPlan plan_read(Offset from, Offset limit, std::size_t bytes_max) const;
  TimestampPlan plan_timestamp(std::int64_t time_ms, Offset limit) const;
  /// The largest record time below flushed_offset(), that of trimmed records in the first segment included; -1 without any.
  /// Pre: times_known().
  std::int64_t max_timestamp_ms() const;
  /// Remembers damage that a read found.
  void add_damage(const std::vector<Damage>& found);
  /// The damaged range that contains `offset`, if known.
  const Damage* damage_at(Offset offset) const;
  /// What the index says of the record at `offset`; nullopt when the index of its segment is not in memory: plan_place() reads it.
  /// Pre: log_start <= offset < flushed_offset.
  std::optional<Place> place_of(Offset offset) const;
  PlacePlan plan_place(Offset offset) const;

  /// Looks among [log_start, limit). Pre: log_start < limit <= flushed_offset.
  IdPlan plan_id(EntryId id, Offset limit, IdPlan::FirstId first_id) const;

  /// True if every segment's append times are known, as retention_start() needs them.
  bool times_known() const;
  TimesPlan plan_times() const;

  // --- Checkpoints.

  /// Bytes flushed since the last checkpoint; 0 = a checkpoint would say nothing new.
  std::uint64_t bytes_since_checkpoint() const { return bytes_since_checkpoint_; }
  /// Pre: no checkpoint plan is under way.
  CheckpointPlan plan_checkpoint() const;
  /// Pre: execute() succeeded. Returns the checkpoint to record.
  LogCheckpoint apply(CheckpointPlan&& done);

  // --- Trim and retention.

  /// The log start that time and size retention ask for now; the present one if nothing is due. The active segment stays, unless all its
  /// records are older than `age`: then the answer is flushed_offset(), and roll() before take_removable() lets it go. Segments whose times
  /// are not known stay.
  Offset retention_start(Timestamp now, std::optional<std::chrono::milliseconds> age, std::optional<std::uint64_t> bytes) const;
  /// Ends the active segment: the next append starts a new one. No effect on an empty one.
  void roll();
  /// Moves the log start forward (never back, never beyond flushed_offset). The caller makes it durable before take_removable().
  void set_log_start(Offset start);
  /// Segments wholly below the log start, given up by the log. nullopt if there are none.
  std::optional<RemovePlan> take_removable();

  // --- Cleaning: storage/cleaning.h. log_clean.cc

  /// What may be cleaned are full, sealed segments that end at or below `limit` and were last appended to at or before `appended_until`.
  /// `limit` must not lie above a checkpoint that is durable: its position is one in a file that stays as it is. Segments whose times are
  /// not known count as too young.
  CleanableState cleanable(Offset limit, Timestamp appended_until) const;
  /// A cleaning of these segments; null if there are none. Pre: none is under way. One that is dropped at any time does no harm.
  std::unique_ptr<Cleaning> plan_cleaning(CleaningRules rules, Offset limit, Timestamp appended_until) const;
  /// False: a segment it would replace has been given up meanwhile. Otherwise none of them is until the plan is applied.
  bool accept(const SwapPlan& plan);
  /// Pre: accepted and executed.
  void apply(SwapPlan&& done);
  void apply(const CleaningSummary& done);
  /// What the last compaction came to; nullopt before the first.
  const std::optional<CleanMark>& clean_mark() const { return clean_mark_; }

  /// Checks the books against each other; tests call it after each step.
  void check_invariants() const;

 private:
  Log(FileCache& files, std::string directory, LogConfig config);
  friend class LogRecovery;

  struct Staged {
    StagedBatch batch;
    std::shared_ptr<Segment> segment;
  };

  /// The segment that a batch of `bytes` would have to go into is not the present one.
  bool must_roll(std::size_t bytes, Timestamp now) const;
  /// The segment whose range contains `offset`, or the one before the gap it lies in; the first if it lies before all.
  std::size_t segment_at(Offset offset) const;
  /// What a plan that looks at offsets from `from` on and at most `bytes_max` bytes may see of segment number `i`.
  SegmentView view(std::size_t i, Offset from, std::size_t bytes_max) const;
  void freeze_if_done(Segment& segment);
  Offset segment_end(std::size_t i) const;

  FileCache& files_;
  std::string directory_;
  LogConfig config_;
  Offset log_start_;
  Offset end_offset_;
  Offset flushed_offset_;
  std::int32_t leader_epoch_ = 0;
  std::deque<std::shared_ptr<Segment>> segments_;  ///< Oldest first; the last one is active. Empty until the first append.
  std::deque<Staged> staged_;
  std::size_t staged_bytes_ = 0;
  bool in_flight_ = false;
  bool space_planned_ = false;
  bool creating_ = false;  ///< The plan under way makes the next segment: nothing may be staged into this one any more.
  std::uint64_t bytes_since_checkpoint_ = 0;
  std::vector<Damage> damage_;
  std::optional<Error> append_error_;
  std::optional<CleanMark> clean_mark_;
};

}  // namespace tidemark::storage
