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
///
/// Directory (docs/FILE_FORMAT.md):
///     <base20>.log       batches back to back, nothing else: Kafka's layout and naming
///     <base20>.idx       derived; see segment_index.h
///     <base20>.seal      written when the segment is sealed: length, offsets, times, the checksum of every interval, its own checksum
///     <base20>.log.torn-<position>   what recovery cut off, kept aside
///     <base20>.*.deleted             on its way out
///
/// A crash leaves: in the active segment at most one unflushed group (<= kGroupBytesMax), of which any part may be there, zero, or
/// missing; an empty or missing next segment; a seal or index that is missing or short; `.deleted` files. All of it is normal and
/// open() deals with it. Anything else is damage: open() reports the range, keeps the file, and the rest of the log works.
namespace tidemark::storage {

/// G: the most that is in flight, unflushed, per log; hence the most that can look torn after a crash.
inline constexpr std::size_t kGroupBytesMax = 8 * 1024 * 1024;

struct LogConfig {
  std::uint64_t segment_bytes = 128 * 1024 * 1024;  ///< Roll before a segment would grow past this. At least one batch goes in.
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

/// A damaged range: reads touching it fail with `quarantined`, everything else is served.
struct Damage {
  std::string file;
  FilePosition position;
  Offset from;  ///< Half open.
  Offset to;
  std::string reason;  ///< "crc", "chain", "missing", "length", "epoch" ...
  /// "00000000000000000042.log at 8192: offsets 42..61: crc"
  std::string to_string() const;
};

struct TornTail {
  std::string file;         ///< The segment.
  FilePosition position;    ///< Where it was cut.
  std::uint64_t bytes = 0;  ///< Cut off and kept aside in `kept`.
  std::string kept;
};

/// What open() found and did.
struct RecoveryReport {
  std::uint64_t scanned_bytes = 0;
  std::uint32_t indexes_rebuilt = 0;
  std::optional<TornTail> torn;
  std::vector<Damage> damage;
};

/// Bounded cache of open files, shared by the logs of a data directory. Thread-safe. A file in use stays open after eviction.
class FileCache {
 public:
  FileCache(FileSystem& files, std::size_t open_max);
  ~FileCache();
  Result<std::shared_ptr<File>> open(const std::string& path);
  void forget(const std::string& path);
  std::size_t open_files() const;
  FileSystem& file_system() const { return files_; }

 private:
  struct Impl;
  FileSystem& files_;
  std::unique_ptr<Impl> impl_;
};

struct Segment;  // segment.h: the books of one segment file, shared between the log and plans under way.

/// Bytes on their way to the disk: consecutive batches for one segment. At most one group of a log exists at a time.
struct WriteGroup {
  std::shared_ptr<Segment> segment;
  FilePosition position;
  std::vector<Slice> batches;
  std::size_t bytes = 0;
  Offset first;
  Offset end;
  std::shared_ptr<File> file;  ///< Open after write(): the committer flushes it.

  /// Blocking: appends the bytes to the segment file. Not durable yet. Any error is final for the log.
  Status write(FileCache& files);
};

/// Disk space for batches to come, and the next segment when the active one is full.
struct SpacePlan {
  std::shared_ptr<Segment> segment;  ///< The one that grows; when `creates`, a new one.
  bool creates = false;
  std::uint64_t reserve_to = 0;  ///< Bytes from the start of the file.
  std::string directory;

  /// Blocking: reserves, and for a new segment creates the file (and the directory if missing), flushes it and its name.
  /// Errors: disk_full (nothing changed, try again later), io_error.
  Status execute(FileCache& files);
};

struct ReadResult {
  Slice batches;  ///< Whole batches, the first one containing the offset asked for; empty only if nothing lies below the limit.
  Offset next;    ///< Where the next read goes on.
};

struct ReadPlan {
  std::vector<std::shared_ptr<Segment>> segments;  ///< The one that holds `from`, and what follows while bytes_max allows.
  Offset from;
  Offset limit;  ///< Batches at or beyond are not returned.
  std::size_t bytes_max = 0;
  std::vector<Damage> known_damage;

  /// Blocking: reads whole batches, at least one even if it is larger than bytes_max, checked against the interval checksums (or batch by
  /// batch where an interval is cut). Stops before a damaged batch; error `quarantined` when `from` itself lies in one, and
  /// `found` then says so. io_error otherwise.
  Result<ReadResult> execute(FileCache& files, std::vector<Damage>& found);
};

struct TimestampPlan {
  std::vector<std::shared_ptr<Segment>> segments;
  std::int64_t time_ms = 0;
  Offset log_start;
  Offset limit;
  struct Found {
    Offset offset;
    std::int64_t timestamp_ms = -1;
  };
  /// Blocking: the first record at or above the log start and below the limit with timestamp >= time; nullopt if there is none.
  Result<std::optional<Found>> execute(FileCache& files);
};

struct CheckpointPlan {
  std::shared_ptr<Segment> segment;
  LogCheckpoint checkpoint;
  ByteVector index_bytes;  ///< Entries since the last checkpoint.
  std::uint64_t index_position = 0;
  std::vector<std::shared_ptr<Segment>> to_seal;  ///< Full segments whose seal is still missing; sealed first, oldest first.
  std::size_t index_entries = 0;

  /// Blocking: writes and flushes seals and index. Then the checkpoint may be recorded.
  Status execute(FileCache& files);
};

struct RemovePlan {
  std::vector<std::shared_ptr<Segment>> segments;
  std::string directory;
  std::uint64_t bytes = 0;
  /// Blocking: renames to `.deleted`, flushes the directory, removes. A crash in between is finished by the next open().
  Status execute(FileCache& files);
};

class Log {
 public:
  /// Called for every whole batch that recovery scans, in order: rebuilds producer state above the checkpoint.
  using OnBatch = std::function<void(const BatchHeader&)>;

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

  /// True if a batch of `bytes` can be staged now without asking the disk for space.
  bool has_space(std::size_t bytes, Timestamp now) const;
  /// What to do so that has_space(bytes) becomes true. Call only when it is false and no space plan is under way.
  SpacePlan plan_space(std::size_t bytes, Timestamp now);
  void apply(SpacePlan&& done);
  /// After a failed execute(): the log is as before plan_space().
  void abandon(SpacePlan&& failed);

  /// Gives the batch its offsets (patching base offset and epoch) and queues it. The slice must be the only writer of its bytes.
  /// Pre: has_space(), batch.size() <= kGroupBytesMax, valid header. Returns the base offset.
  Offset stage(Slice batch, const BatchHeader& header, Timestamp append_time);

  bool group_in_flight() const { return in_flight_; }
  bool has_staged() const { return !staged_.empty(); }
  std::size_t staged_bytes() const { return staged_bytes_; }
  /// The next group: staged batches of one segment, at most `bytes_max` (at least one batch). Pre: has_staged(), none in flight.
  WriteGroup take_group(std::size_t bytes_max = kGroupBytesMax);
  /// The group is on the disk: its batches become readable.
  void flushed(WriteGroup&& group);

  // --- Reading. Offsets in [log_start, flushed_offset) exist.

  /// Pre: log_start <= from < limit <= flushed_offset.
  ReadPlan plan_read(Offset from, Offset limit, std::size_t bytes_max) const;
  TimestampPlan plan_timestamp(std::int64_t time_ms, Offset limit) const;
  /// Remembers damage that a read found.
  void add_damage(const std::vector<Damage>& found);
  /// The damaged range that contains `offset`, if known.
  const Damage* damage_at(Offset offset) const;
  /// Append time of the record at `offset` (of its interval: never later than the truth), for lag time and retention. From memory for the
  /// active segment; sealed segments answer from their first interval until `TimestampPlan` style look-ups are needed.
  std::optional<Timestamp> append_time_at(Offset offset) const;

  // --- Checkpoints.

  /// Bytes flushed since the last checkpoint; 0 = a checkpoint would say nothing new.
  std::uint64_t bytes_since_checkpoint() const;
  CheckpointPlan plan_checkpoint();
  /// Pre: execute() succeeded. Returns the checkpoint to record.
  LogCheckpoint apply(CheckpointPlan&& done);

  // --- Trim and retention.

  /// The log start that time and size retention ask for now; the present one if nothing is due. The active segment stays, unless all its
  /// records are older than `age` and it is not empty (then it is rolled: pass through `roll()` first).
  Offset retention_start(Timestamp now, std::optional<std::chrono::milliseconds> age, std::optional<std::uint64_t> bytes) const;
  /// Ends the active segment: the next append starts a new one. No effect on an empty one.
  void roll();
  /// Moves the log start forward (never back, never beyond flushed_offset). The caller makes it durable before take_removable().
  void set_log_start(Offset start);
  /// Segments wholly below the log start, given up by the log. nullopt if there are none.
  std::optional<RemovePlan> take_removable();

  /// Checks the books against each other; tests call it after each step.
  void check_invariants() const;

 private:
  Log(FileCache& files, std::string directory, LogConfig config);
  friend class LogRecovery;

  struct Staged {
    Slice bytes;
    Offset base;
    Offset end;
    std::shared_ptr<Segment> segment;
  };

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
  bool roll_requested_ = false;
  LogCheckpoint checkpoint_;
  std::vector<Damage> damage_;
  std::optional<Error> append_error_;
};

}  // namespace tidemark::storage
