#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/jobs/pacer.h"
#include "broker/jobs/replay_state.h"
#include "broker/record_filter.h"
#include "storage/base/bytes.h"

/// From source batches to target batches: which records go, where to, in which order. Pure functions.
namespace tidemark::broker {

/// A stretch of one source partition, read.
struct SourceWindow {
  std::int32_t partition = 0;
  Offset from{};                 ///< Records below are not meant.
  Offset to{};                   ///< Neither are those from here on.
  Offset end{};                  ///< Everything in [from, end) is in `batches`; at most `to`.
  std::vector<Slice> batches{};  ///< Whole batches, in order.
  std::uint64_t skipped = 0;     ///< Offsets found gone while reading.
  std::uint64_t damaged = 0;     ///< Offsets passed over because they are quarantined.
};

struct ChunkRules {
  std::string source;                          ///< Its name, for the filter.
  std::shared_ptr<const RecordFilter> filter;  ///< Null: every record.
  std::int32_t source_partitions = 1;
  std::int32_t target_partitions = 1;
  ProducerIdentity producer;
  bool by_time = false;  ///< Merge the windows by record time; otherwise one after the other.

  /// Take everything, as a chunk that was planned before; what is below plays no part then.
  bool exact = false;
  std::size_t chunk_bytes_max = 1024 * 1024;
  std::size_t batch_bytes_max = 1024 * 1024;     ///< A record that is larger goes alone.
  std::optional<std::int64_t> others_next_time;  ///< by_time: the earliest record time (ms) outside the windows; nothing later is taken.
};

struct BuiltBatch {
  ChunkBatch what;
  Slice bytes;
};

struct BuiltChunk {
  std::vector<ReplayRange> ranges;  ///< One a window; empty where nothing of it was taken.
  /// One a window: the record time of the first record left in it; nullopt when the window holds no further one.
  std::vector<std::optional<std::int64_t>> next_times;
  std::vector<BuiltBatch> batches;  ///< By target partition, at most one each.
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  ///< Of keys and values.
  std::uint64_t filtered = 0;
  bool not_due = false;  ///< Ended at a record that `pacer` does not admit yet.
  Pacer pacer;
};

/// The same windows and rules give the same records in the same order, whatever the pace; so exact rules over the ranges of an earlier
/// chunk build that chunk again. `state` says which sequence each target partition is at. Errors: corrupt_batch, decompression_limit,
/// naming the source and the offset of the batch.
Result<BuiltChunk> build_chunk(const std::vector<SourceWindow>& windows, const ChunkRules& rules, const ReplayState& state, Pacer pacer);

/// Where a record goes.
std::int32_t target_partition(std::optional<ByteView> key, std::int32_t source_partition, const ChunkRules& rules);

}  // namespace tidemark::broker
