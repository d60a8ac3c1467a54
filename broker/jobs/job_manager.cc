#include "broker/jobs/job_manager.h"

#include <algorithm>
#include <cmath>

#include "broker/jobs/replay_range.h"
#include "storage/base/log.h"

namespace tidemark::broker {
namespace {

Result<std::shared_ptr<const Topic>> find_topic(const TopicTable& topics, const std::string& name) {
  const auto found = topics.by_name.find(name);
  if (found != topics.by_name.end()) return found->second;
  Error error{Errc::unknown_topic, "no topic '" + name + "'"};
  const std::string close = topics.suggestion(name);
  if (!close.empty()) error.detail += "; did you mean '" + close + "'?";
  return error;
}

storage::StateRecord end_of_stream(JobId id) { return {ReplayState::stream(id), storage::StateRecordType::deleted, true, 0, {}}; }

}  // namespace

// --- Recovery.

Status JobManager::replay(const storage::StateRecord& record) {
  const std::optional<JobId> id = ReplayState::job_of(record.stream);
  if (!id) return Error{Errc::corrupt_batch, "a job's stream has a bad id"};
  if (record.type == storage::StateRecordType::deleted) {
    recovered_.erase(*id);
    return {};
  }
  return recovered_[*id].apply(record);
}

void JobManager::hold_producers() {
  for (const auto& [id, state] : recovered_) {
    if (!is_finished(state.state)) services_.holds.hold(state.producer().id);
  }
}

void JobManager::begin() {
  for (auto& [id, state] : std::exchange(recovered_, {})) {
    Result<std::shared_ptr<ReplayJob>> job = load(state);
    if (job) {
      jobs_.emplace(id, *std::move(job));
      continue;
    }
    // Its filter parsed when it was made. It stays in the log as it is, for a version that understands it, and moves nothing.
    log_error("job " + std::to_string(id) + " cannot go on: " + job.error().to_string());
    state.state = JobState::failed;
    state.error = std::move(job).error();
    state.finished = services_.runtime.clock().now();
    state.spec.filter.clear();
    if (Result<std::shared_ptr<ReplayJob>> shown = load(std::move(state))) jobs_.emplace(id, *std::move(shown));
  }
  drop_old();
  give_turns();
}

void JobManager::stop() {
  stopping_ = true;
  for (const auto& [id, job] : jobs_) job->stop();
}

// --- Making.

Status JobManager::check(const ReplaySpec& spec, std::shared_ptr<const Topic>& source, std::shared_ptr<const Topic>& target) const {
  const TopicTable& topics = services_.partitions.topics();
  Result<std::shared_ptr<const Topic>> found = find_topic(topics, spec.source);
  if (!found) return std::move(found).error();
  source = *std::move(found);
  found = find_topic(topics, spec.into);
  if (!found) return std::move(found).error();
  target = *std::move(found);
  if (is_internal_topic(spec.into)) return Error{Errc::invalid_argument, "topic '" + spec.into + "' is the broker's own"};
  if (spec.pace.kind != ReplayPace::Kind::unbounded && !(std::isfinite(spec.pace.value) && spec.pace.value > 0)) {
    return Error{Errc::invalid_argument, "a rate or speed must be a number above zero"};
  }
  if (unfinished() + being_made_.size() >= kUnfinishedMax) {
    return Error{Errc::overloaded, std::to_string(kUnfinishedMax) + " jobs are unfinished; cancel one or wait"};
  }
  return {};
}

void JobManager::create(ReplaySpec spec, bool dry_run, Done<JobInfo> done) {
  if (stopping_) return done(Error{Errc::shutting_down, "the broker is stopping"});
  std::shared_ptr<const Topic> source;
  std::shared_ptr<const Topic> target;
  if (Status checked = check(spec, source, target); !checked) return done(std::move(checked).error());
  ReplayState state;
  state.spec = std::move(spec);
  state.source = source->id;
  state.target = target->id;
  state.target_partitions = target->partitions;
  state.created = services_.runtime.clock().now();
  if (Result<std::shared_ptr<ReplayJob>> parsed = load(state); !parsed) return done(std::move(parsed).error());
  const ReplayPosition from = state.spec.from;
  const ReplayPosition to = state.spec.to;
  resolve_replay_ranges(
      services_, source, from, to,
      [this, state = std::move(state), dry_run, done = std::move(done)](Result<std::vector<ReplayProgress>> ranges) mutable {
        if (!ranges) return done(std::move(ranges).error());
        state.partitions = *std::move(ranges);
        if (!dry_run) return make(std::move(state), std::move(done));
        const Result<std::shared_ptr<ReplayJob>> planned = load(std::move(state));
        if (!planned) return done(planned.error());
        done((*planned)->info());
      });
}

void JobManager::make(ReplayState state, Done<JobInfo> done) {
  services_.new_producer([this, state = std::move(state), done = std::move(done)](Result<ProducerIdentity> producer) mutable {
    if (!producer) return done(std::move(producer).error());
    state.id = producer->id + 1;
    state.epoch = producer->epoch;
    being_made_.insert(state.id);
    std::vector<storage::StateRecord> records;
    records.push_back(state.snapshot());
    services_.committer->submit(std::move(records), services_.shard,
                                [this, state = std::move(state), done = std::move(done)](Status recorded) mutable {
                                  being_made_.erase(state.id);
                                  if (!recorded) return done(std::move(recorded).error());
                                  Result<std::shared_ptr<ReplayJob>> job = load(std::move(state));
                                  if (!job) return done(std::move(job).error());
                                  const std::shared_ptr<ReplayJob> made = *std::move(job);
                                  add(made);
                                  done(made->info());
                                });
  });
}

Result<std::shared_ptr<ReplayJob>> JobManager::load(ReplayState state) {
  return ReplayJob::make(services_, std::move(state), [this] {
    drop_old();
    give_turns();
  });
}

void JobManager::add(std::shared_ptr<ReplayJob> job) {
  services_.holds.hold(job->state().producer().id);
  if (stopping_) job->stop();
  jobs_.emplace(job->state().id, std::move(job));
  drop_old();
  give_turns();
}

// --- Looking and steering.

std::vector<JobInfo> JobManager::list() {
  drop_old();
  std::vector<JobInfo> infos;
  for (const auto& [id, job] : jobs_) infos.push_back(job->info());
  return infos;
}

Error JobManager::not_found(JobId id) const { return {Errc::not_found, "no job " + std::to_string(id)}; }

Result<JobInfo> JobManager::describe(JobId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return not_found(id);
  return found->second->info();
}

void JobManager::control(JobId id, JobAction action, Done<JobInfo> done) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return done(not_found(id));
  const std::shared_ptr<ReplayJob> job = found->second;
  switch (action) {
    case JobAction::pause:
      return job->pause(std::move(done));
    case JobAction::resume:
      return job->resume(std::move(done));
    case JobAction::cancel:
      return job->cancel(std::move(done));
  }
  done(Error{Errc::invalid_argument, "an unknown action"});
}

std::vector<storage::StateRecord> JobManager::snapshot(const storage::StreamKey& stream) const {
  std::vector<storage::StateRecord> records;
  const std::optional<JobId> id = ReplayState::job_of(stream);
  if (!id || being_made_.contains(*id)) return records;
  const auto found = jobs_.find(*id);
  records.push_back(found == jobs_.end() ? end_of_stream(*id) : found->second->state().snapshot());
  return records;
}

std::size_t JobManager::unfinished() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(jobs_, [](const auto& entry) { return !is_finished(entry.second->state().state); }));
}

/// In order of their making. A job that begins may end at once and ask for turns itself: once through the list is enough then.
void JobManager::give_turns() {
  if (giving_turns_ || stopping_) return;
  giving_turns_ = true;
  auto running = static_cast<std::size_t>(std::ranges::count_if(jobs_, [](const auto& entry) { return entry.second->has_turn(); }));
  for (const auto& [id, job] : jobs_) {
    if (running >= kRunningMax) break;
    if (!job->wants_turn()) continue;
    job->give_turn();
    ++running;
  }
  giving_turns_ = false;
}

void JobManager::drop_old() {
  std::vector<std::pair<Timestamp, JobId>> finished;
  for (const auto& [id, job] : jobs_) {
    if (job->state().finished && !job->has_turn()) finished.emplace_back(*job->state().finished, id);
  }
  std::ranges::sort(finished);
  const std::size_t too_many = finished.size() > kFinishedKept ? finished.size() - kFinishedKept : 0;
  const Timestamp kept_since = services_.runtime.clock().now() - kFinishedKeptFor;
  for (std::size_t i = 0; i < finished.size(); ++i) {
    if (i < too_many || finished[i].first < kept_since) drop(finished[i].second);
  }
}

void JobManager::drop(JobId id) {
  jobs_.erase(id);
  std::vector<storage::StateRecord> records;
  records.push_back(end_of_stream(id));
  services_.committer->submit(std::move(records), services_.shard, [id](Status recorded) {
    if (!recorded) log_warn("finished job " + std::to_string(id) + " is dropped after the next start: " + recorded.error().to_string());
  });
}

}  // namespace tidemark::broker
