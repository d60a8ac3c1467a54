#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "broker/jobs/job.h"
#include "broker/jobs/job_services.h"
#include "broker/jobs/pacer.h"
#include "broker/jobs/rate_meter.h"
#include "broker/jobs/replay_chunk.h"
#include "broker/jobs/replay_state.h"
#include "broker/jobs/source_reader.h"

namespace tidemark::broker {

/// Moves the records of one replay, a chunk at a time, each exactly once:
///
///   1. read at most 1 MiB of the source, choose and pack the records of one chunk (on the disk pool);
///   2. record the chunk: its source ranges and the sequences it will have in the target; wait for the flush;
///   3. append its batches as the job's own producer; wait until they are as durable as the target asks.
///
/// The record of the next chunk says that this one is done. After a crash, or when an append was refused, the open chunk is read and packed
/// again from the recorded ranges: the same records under the same sequences, so that the target drops what it has. Its memory of
/// the job's producer does not expire while the job is unfinished (ProducerHolds). Should records of the open chunk have gone from the
/// source meanwhile, the target is asked for each batch whether it has it, and the rest is recorded anew.
///
/// Lives on the metadata shard. Steps under way share ownership.
class ReplayJob : public std::enable_shared_from_this<ReplayJob> {
 public:
  /// `changed` runs when the job has given up its turn or wants one. Error invalid_argument: the filter does not parse.
  static Result<std::shared_ptr<ReplayJob>> make(const JobServices& services, ReplayState state, std::function<void()> changed);

  const ReplayState& state() const { return state_; }
  JobInfo info() const;
  bool has_turn() const { return has_turn_; }
  bool wants_turn() const { return !has_turn_ && !stopping_ && state_.state == JobState::running; }

  /// Begins or goes on. Pre: wants_turn().
  void give_turn();
  /// Each answers how the job stands then, once that is durable. What is under way is finished first. Doing it twice is fine. Errors:
  /// conflict (a finished job), disk_full (nothing changed), shutting_down.
  void pause(Done<JobInfo> done);
  void resume(Done<JobInfo> done);
  void cancel(Done<JobInfo> done);
  /// Begins nothing more; the chunk under way is finished (begin_work, end_work).
  void stop();

 private:
  enum class Wish { pause, cancel };

  ReplayJob(const JobServices& services, ReplayState state, std::shared_ptr<const RecordFilter> filter, std::function<void()> changed);

  // Steps: one is under way at a time.
  void step();
  void begin_step();
  void end_step();
  void wait(JobWait what, std::chrono::milliseconds delay);
  void cancel_timer();

  void plan();
  std::vector<SourceWindow> choose_windows();
  void repeat_chunk();
  void build(SourceRead read, bool exact);
  void judge_planned(BuiltChunk built);
  void judge_repeated(BuiltChunk built, std::uint64_t lost);
  void ask_target(BuiltChunk built, std::vector<std::size_t> differing, std::uint64_t lost);
  void shrink_chunk(const BuiltChunk& built, const std::vector<std::size_t>& gone);
  void append(BuiltChunk built);
  void judge_appends(const std::vector<Error>& errors);
  void start_epoch();
  void chunk_done();
  void give_up(const Error& error);

  void wish(Wish wish, Done<JobInfo> done);
  void grant_wish();
  void finish(JobState state, std::optional<Error> error);
  void finished();
  void answer_wishes(const std::optional<Error>& refusal);
  /// Submits what has changed since the last record. On an error nothing is recorded and everything stays due.
  void record(UniqueFunction<void(Status)> done);

  ChunkRules rules() const;
  std::optional<Error> finished_already(const char* action) const;

  const JobServices& services_;
  ReplayState state_;
  const std::shared_ptr<const RecordFilter> filter_;
  const std::function<void()> changed_;

  bool has_turn_ = false;
  bool busy_ = false;
  bool stopping_ = false;
  JobWait wait_ = JobWait::nothing;
  std::optional<TimerId> timer_;
  std::optional<Wish> wish_;
  std::vector<Done<JobInfo>> wishers_;
  std::optional<std::pair<JobState, std::optional<Error>>> ending_;  ///< Decided, but not yet on the disk.

  std::set<std::int32_t> changed_progress_;              ///< Source partitions, since the last record.
  std::set<std::int32_t> changed_sequences_;             ///< Target partitions.
  std::size_t unrecorded_reads_ = 0;                     ///< Reads of which nothing was copied.
  std::size_t turn_ = 0;                                 ///< The source partition to go on with.
  std::vector<std::optional<std::int64_t>> next_times_;  ///< With a speed: per source partition, the record time to come.
  Pacer pacer_;
  ReplayTotals chunk_totals_;  ///< Of the open chunk.
  RateMeter record_rate_, byte_rate_, offset_rate_;
};

}  // namespace tidemark::broker
