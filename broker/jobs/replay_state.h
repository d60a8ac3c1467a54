#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "broker/broker.h"
#include "broker/jobs/job.h"
#include "broker/state.pb.h"
#include "storage/base/uuid.h"
#include "storage/state_log.h"

namespace tidemark::broker {

struct ReplayRange {
  std::int32_t partition = 0;  ///< Of the source.
  Offset from;                 ///< Half open.
  Offset to;
  bool operator==(const ReplayRange&) const = default;
};

/// One batch that a chunk puts into one partition of the target.
struct ChunkBatch {
  std::int32_t partition = 0;
  std::int32_t first_sequence = 0;
  std::int32_t records = 0;
  bool appended = false;  ///< Known to be there.
  std::int32_t last_sequence() const;
  std::int32_t next_sequence() const;
  bool operator==(const ChunkBatch&) const = default;
};

/// A move that may or may not have happened: which records, and under which sequences they go into the target. Whoever reads the same
/// ranges again comes to the same batches, and the target knows by their sequences whether it has them.
struct OpenChunk {
  std::vector<ReplayRange> ranges;
  std::vector<ChunkBatch> batches;  ///< At most one a partition, so that a repeat lies within the five the target remembers.
  bool operator==(const OpenChunk&) const = default;
};

/// All that the state log knows of a replay job. Written before the append it speaks of, so that after a crash at any moment the job
/// goes on with the open chunk and neither loses nor doubles a record.
struct ReplayState {
  JobId id = 0;
  ReplaySpec spec;
  Uuid source;
  Uuid target;
  std::int32_t target_partitions = 0;
  Timestamp created{};

  JobState state = JobState::running;
  std::optional<Error> error;
  std::optional<Timestamp> finished;
  std::int16_t epoch = 0;
  std::vector<ReplayProgress> partitions;               ///< All of the source, by number.
  std::map<std::int32_t, std::int32_t> next_sequences;  ///< By target partition; what is not there is 0.
  std::optional<OpenChunk> chunk;
  ReplayTotals totals;

  /// What the job appends as.
  ProducerIdentity producer() const { return {id - 1, epoch}; }
  std::int32_t next_sequence(std::int32_t target_partition) const;
  bool operator==(const ReplayState&) const = default;

  /// The whole state as one snapshot.
  storage::StateRecord snapshot() const;
  /// What may have changed: of progress and sequences only the partitions named.
  storage::StateRecord delta(const std::set<std::int32_t>& progress, const std::set<std::int32_t>& sequences) const;
  /// Recovery: takes up a record of the job's stream. Error corrupt_batch.
  Status apply(const storage::StateRecord& record);
  static storage::StreamKey stream(JobId id);
  /// nullopt for an id that is no job's.
  static std::optional<JobId> job_of(const storage::StreamKey& stream);
};

}  // namespace tidemark::broker
