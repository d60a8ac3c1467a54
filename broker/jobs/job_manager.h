#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "broker/jobs/job.h"
#include "broker/jobs/job_services.h"
#include "broker/jobs/replay_job.h"
#include "broker/jobs/replay_state.h"

namespace tidemark::broker {

/// The jobs of the broker: made, listed, steered, brought back after a restart. Each has a stream of its own in the state log.
///
/// Some run, the others wait for their turn in the order they were made. Finished ones stay to be looked at for a while. Lives on the
/// metadata shard; replay() and hold_producers() run before there is one.
class JobManager {
 public:
  static constexpr std::size_t kRunningMax = 4;
  static constexpr std::size_t kUnfinishedMax = 100;
  static constexpr std::size_t kFinishedKept = 100;
  static constexpr std::chrono::hours kFinishedKeptFor{24 * 7};

  explicit JobManager(JobServices services) : services_(std::move(services)) {}

  /// Recovery, in this order: every record of the streams of jobs; then the producers of unfinished jobs are held, before partitions
  /// forget sessions that have expired.
  Status replay(const storage::StateRecord& record);
  void hold_producers();
  /// The jobs go on. Before it, attach().
  void begin();
  void attach(Committer& committer) { services_.committer = &committer; }
  /// No job begins another step; those under way are waited for through end_work.
  void stop();

  /// Answers once the job is durable; it runs then, or waits for its turn. With `dry_run` nothing is made: the answer shows the ranges, its
  /// id is 0. Errors: unknown_topic, invalid_argument (filter, pace, an internal target), offset_out_of_range, overloaded (too many
  /// unfinished jobs), disk_full, shutting_down.
  void create(ReplaySpec spec, bool dry_run, Done<JobInfo> done);
  /// By id.
  std::vector<JobInfo> list();
  /// Error not_found.
  Result<JobInfo> describe(JobId id);
  /// Answers how the job stands once the change is durable. Errors: not_found, conflict, disk_full, shutting_down.
  void control(JobId id, JobAction action, Done<JobInfo> done);

  /// The stream restated: its job, or the end of a stream whose job was dropped; empty when it is only just being made.
  std::vector<storage::StateRecord> snapshot(const storage::StreamKey& stream) const;

 private:
  Status check(const ReplaySpec& spec, std::shared_ptr<const Topic>& source, std::shared_ptr<const Topic>& target) const;
  void make(ReplayState state, Done<JobInfo> done);
  void add(std::shared_ptr<ReplayJob> job);
  Result<std::shared_ptr<ReplayJob>> load(ReplayState state);
  std::size_t unfinished() const;
  void give_turns();
  void drop_old();
  void drop(JobId id);
  Error not_found(JobId id) const;

  JobServices services_;
  std::map<JobId, ReplayState> recovered_;
  std::map<JobId, std::shared_ptr<ReplayJob>> jobs_;
  std::set<JobId> being_made_;
  bool giving_turns_ = false;
  bool stopping_ = false;
};

}  // namespace tidemark::broker
