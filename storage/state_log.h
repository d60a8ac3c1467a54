#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/file_system.h"

/// The one log of everything that is not a record: metadata, partition checkpoints, groups, transactions, jobs.
///
/// A record belongs to a *stream* and carries the stream's sequence number. Streams live by decide -> record -> apply: the owner decides,
/// submits the record, applies it at once, and answers when it is flushed. A stream can be shortened by a *snapshot*: one or more records
/// that restate all of it; older records of the stream are dead then. The log is a row of files; when the oldest is mostly dead, the owners
/// of the streams that still need it are asked for snapshots, which go to the end like any record, and the file is removed. So a cold
/// stream never pins the log, and start-up reads about twice the live state.
///
/// Files: <data>/state/<number20>.state (docs/FILE_FORMAT.md). Same tail rule as the partition logs: only the last file, within the last
/// kGroupBytesMax, can look torn; it is cut and kept aside. Damage elsewhere is an error that names file and position, and start-up stops.
namespace tidemark::storage {

enum class StreamKind : std::uint8_t {
  metadata = 1,         ///< Topics, configs, identities. One stream, id "".
  partition = 2,        ///< Log start, checkpoint, producers. id = topic UUID and partition.
  group = 3,            ///< Membership, settings, committed offsets.
  group_partition = 4,  ///< Queue group entries of one partition.
  transaction = 5,
  job = 6,     ///< Internal moves: replay, dead letters, schedules.
  broker = 7,  ///< Starts, producer id blocks. One stream, id "".
};

struct StreamKey {
  StreamKind kind = StreamKind::metadata;
  std::string id;  ///< Any bytes, at most 1 KiB.
  bool operator==(const StreamKey&) const = default;
};

}  // namespace tidemark::storage

template <>
struct std::hash<tidemark::storage::StreamKey> {
  std::size_t operator()(const tidemark::storage::StreamKey& key) const noexcept {
    return std::hash<std::string>()(key.id) * 31 + static_cast<std::size_t>(key.kind);
  }
};

namespace tidemark::storage {

enum class StateRecordType : std::uint8_t {
  delta = 1,
  snapshot = 2,       ///< The stream's whole state begins here; replay clears the stream first.
  snapshot_more = 3,  ///< A further part of the snapshot before it.
  deleted = 4,        ///< The stream is gone.
};

/// A snapshot that has several parts counts only when its last part is there; `last_part` marks it. (Single-part: set on the snapshot.)
/// A delta of the stream between the parts, or a restart, abandons the snapshot: begin again with a new one.
struct StateRecord {
  StreamKey stream;
  StateRecordType type = StateRecordType::delta;
  bool last_part = true;
  std::uint64_t sequence = 0;  ///< Set by append(); ascending per stream.
  ByteVector payload;          ///< At most 4 MiB.
};

struct StateLogOptions {
  std::uint64_t file_bytes = 16 * 1024 * 1024;        ///< A file is closed when it passes this.
  std::uint64_t reserve_step_bytes = 1024 * 1024;     ///< Space is taken ahead in steps of this.
  std::uint64_t emergency_bytes = 8 * 1024 * 1024;    ///< Kept in <directory>/reserve for writing on a full disk.
  std::uint64_t garbage_bytes_min = 8 * 1024 * 1024;  ///< Snapshots are asked for only when at least this much would be freed.
};

/// Where the log ends; written into the clean-shutdown marker.
struct StateLogPosition {
  std::uint64_t file = 0;
  FilePosition position;
  bool operator==(const StateLogPosition&) const = default;
};

/// Not thread-safe: belongs to the committer. All calls may block.
class StateLog {
 public:
  /// Called in log order for every live record.
  using Replay = std::function<Status(const StateRecord&)>;

  /// Opens or creates the log in `directory` (whose parent exists) and replays it. An unfinished snapshot is skipped and the records it was
  /// to replace stay live. After replay everything shown is durable. Errors: corrupt_batch naming file and position, io_error, disk_full,
  /// or whatever `replay` returns.
  static Result<std::unique_ptr<StateLog>> open(FileSystem& files, std::string directory, StateLogOptions options, const Replay& replay);
  ~StateLog();

  /// Writes the records behind each other; not durable yet. Fills in the sequence numbers. Starts a new file when the present one is
  /// full (never between the parts of one call); that, and more than kGroupBytesMax unflushed, make it flush inside. disk_full and
  /// invalid_argument (id or payload too large, snapshot_more without an open snapshot) leave the log unchanged; io_error is final: every
  /// later call returns it.
  Status append(std::span<StateRecord> records);
  /// Bytes that append() would write.
  static std::size_t encoded_size(const StateRecord& record);

  /// The file written since its last flush, if any; the committer flushes it and then calls flushed(). The pointer is good until flushed(),
  /// also across append(), but what is appended in between is not covered by that flush.
  std::vector<File*> unflushed_files();
  void flushed();
  /// append's own durability for callers outside commit rounds: syncs and calls flushed().
  Status flush();

  StateLogPosition end() const;
  std::uint64_t size_bytes() const;

  /// Streams whose live records lie in the oldest file, when removing it is worth it; empty otherwise. The owners submit snapshots.
  std::vector<StreamKey> snapshots_wanted() const;
  /// Removes leading files that no live record needs. Call after flushed(): with anything unflushed it does nothing. A failed removal
  /// leaves the log as it was; a failed flush of the directory is final.
  Status remove_dead_files();
  std::size_t file_count() const;

 private:
  struct Impl;
  explicit StateLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemark::storage
