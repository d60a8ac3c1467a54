#include "broker/committer.h"

#include <algorithm>
#include <map>

#include "storage/base/log.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kRoundBytesMin = 1024 * 1024;
constexpr std::size_t kRoundBytesMax = 32 * 1024 * 1024;
constexpr auto kRoundTarget = std::chrono::milliseconds(5);
constexpr std::size_t kManyFiles = 2;         ///< From here on one syncfs may beat a flush per file.
constexpr std::uint64_t kExploreEvery = 256;  ///< How often the method not preferred is measured again.

double seconds(std::chrono::steady_clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

void learn(double& average, double sample) { average = average == 0 ? sample : average * 0.9 + sample * 0.1; }

}  // namespace

Committer::Committer(Runtime& runtime, storage::FileCache& files, std::unique_ptr<storage::StateLog> state_log,
                     BrokerOptions::FlushMethod method, std::function<void(Error)> fatal)
    : runtime_(runtime), files_(files), state_log_(std::move(state_log)), method_(method), fatal_(std::move(fatal)) {
  state_log_bytes_ = state_log_->size_bytes();
}

void Committer::submit(storage::WriteGroup group, Shard& home, GroupDone done) {
  runtime_.committer().post([this, group = std::move(group), home = &home, done = std::move(done)]() mutable {
    groups_.push_back({std::move(group), home, std::move(done)});
    schedule_round();
  });
}

void Committer::submit(std::vector<storage::StateRecord> records, Shard& home, StateDone done) {
  runtime_.committer().post([this, records = std::move(records), home = &home, done = std::move(done)]() mutable {
    states_.push_back({std::move(records), home, std::move(done), Status()});
    schedule_round();
  });
}

void Committer::write_only(storage::WriteGroup group, Shard& home, GroupDone done) {
  runtime_.disk_pool().post([this, group = std::move(group), home = &home, done = std::move(done)]() mutable {
    if (const Status written = group.write(files_); !written) return fail(written.error());
    home->post([group = std::move(group), done = std::move(done)]() mutable { done(std::move(group)); });
  });
}

/// The round runs behind everything that is in the committer's inbox by now, so it takes all of it.
void Committer::schedule_round() {
  if (round_scheduled_) return;
  round_scheduled_ = true;
  runtime_.committer().post([this] {
    round_scheduled_ = false;
    run_round();
  });
}

void Committer::run_round() {
  if (failed() || (groups_.empty() && states_.empty())) return;
  const SteadyTime began = runtime_.clock().steady();

  std::vector<GroupWork> round;
  std::size_t bytes = 0;
  while (!groups_.empty() && (round.empty() || bytes + groups_.front().group.bytes <= round_bytes_max_)) {
    bytes += groups_.front().group.bytes;
    round.push_back(std::move(groups_.front()));
    groups_.pop_front();
  }
  std::vector<StateWork> states(std::make_move_iterator(states_.begin()), std::make_move_iterator(states_.end()));
  states_.clear();

  // Records before the state that speaks of them: progress must not become durable ahead of the data it refers to. Both are flushed
  // together below, and recovery clamps what a crash in between leaves.
  for (GroupWork& work : round) {
    if (const Status written = work.group.write(files_); !written) return fail(written.error());
  }
  bool state_written = false;
  for (StateWork& work : states) {
    work.status = state_log_->append(work.records);
    if (!work.status && work.status.error().code != Errc::disk_full) return fail(work.status.error());
    state_written |= work.status.has_value();
    for (const storage::StateRecord& record : work.records) bytes += record.payload.size();
  }

  std::vector<storage::File*> dirty;
  for (const GroupWork& work : round) dirty.push_back(work.group.file.get());
  if (state_written) {
    for (storage::File* file : state_log_->unflushed_files()) dirty.push_back(file);
  }
  const SteadyTime flush_began = runtime_.clock().steady();
  if (const Status flushed = flush_files(dirty); !flushed) return fail(flushed.error());
  if (state_written) state_log_->flushed();
  const SteadyTime ended = runtime_.clock().steady();

  // Rounds grow while they stay short: a fast disk takes more at once, a slow one keeps its latency.
  if (bytes >= round_bytes_max_) {
    round_bytes_max_ =
        ended - began < kRoundTarget ? std::min(round_bytes_max_ * 2, kRoundBytesMax) : std::max(round_bytes_max_ / 2, kRoundBytesMin);
  }
  {
    const std::lock_guard lock(stats_mutex_);
    if (!dirty.empty()) flush_durations_.record(ended - flush_began);
    ++rounds_;
    bytes_ += bytes;
    state_log_bytes_ = state_log_->size_bytes();
  }

  // One hand-over per shard, groups and state in order.
  struct Completions {
    std::vector<GroupWork> groups;
    std::vector<StateWork> states;
  };
  std::map<std::size_t, std::pair<Shard*, Completions>> by_shard;
  for (GroupWork& work : round) {
    auto& [shard, completions] = by_shard[work.home->index()];
    shard = work.home;
    completions.groups.push_back(std::move(work));
  }
  for (StateWork& work : states) {
    auto& [shard, completions] = by_shard[work.home->index()];
    shard = work.home;
    completions.states.push_back(std::move(work));
  }
  for (auto& [index, entry] : by_shard) {
    entry.first->post([completions = std::move(entry.second)]() mutable {
      for (GroupWork& work : completions.groups) work.done(std::move(work.group));
      for (StateWork& work : completions.states) work.done(std::move(work.status));
    });
  }

  if (state_written) maintain_state_log();
  if (!groups_.empty() || !states_.empty()) schedule_round();
}

/// fdatasync per file, or one syncfs for all, whichever has been cheaper on this disk.
Status Committer::flush_files(std::vector<storage::File*> files) {
  std::ranges::sort(files);
  files.erase(std::ranges::unique(files).begin(), files.end());
  if (files.empty()) return {};
  bool all_at_once = false;
  if (method_ == BrokerOptions::FlushMethod::automatic && files.size() >= kManyFiles) {
    all_at_once = fdatasync_cost_ * static_cast<double>(files.size()) > syncfs_cost_;
    if (++flushes_of_many_ % kExploreEvery == 0 || (fdatasync_cost_ > 0 && syncfs_cost_ == 0)) all_at_once = !all_at_once;
  }
  const SteadyTime began = runtime_.clock().steady();
  if (all_at_once) {
    const Status flushed = files_.file_system().sync_all(*files.front());
    if (flushed) learn(syncfs_cost_, seconds(runtime_.clock().steady() - began));
    return flushed;
  }
  for (storage::File* file : files) {
    if (const Status flushed = file->sync(); !flushed) return flushed;
  }
  learn(fdatasync_cost_, seconds(runtime_.clock().steady() - began) / static_cast<double>(files.size()));
  return {};
}

void Committer::maintain_state_log() {
  if (const Status removed = state_log_->remove_dead_files(); !removed) {
    // Dead files cost space, not data: say it and go on.
    log_warn("state log: " + removed.error().to_string());
  }
  if (!want_snapshots_) return;
  std::vector<storage::StreamKey> wanted = state_log_->snapshots_wanted();
  if (wanted.empty()) {
    snapshots_under_way_ = false;
  } else if (!snapshots_under_way_) {
    snapshots_under_way_ = true;
    want_snapshots_(std::move(wanted));
  }
}

void Committer::fail(Error error) {
  {
    const std::lock_guard lock(stats_mutex_);
    if (failed_) return;
    failed_ = true;
  }
  error.detail = "write or flush failed, acknowledgements stop for good: " + error.detail;
  log_error(error.to_string());
  if (fatal_) fatal_(std::move(error));
}

FlushStats Committer::stats() const {
  const std::lock_guard lock(stats_mutex_);
  return {.rounds = rounds_,
          .bytes = bytes_,
          .p50_ms = flush_durations_.quantile_ms(0.5),
          .p99_ms = flush_durations_.quantile_ms(0.99),
          .seconds_histogram = flush_durations_.cumulative(),
          .seconds_sum = flush_durations_.seconds_sum()};
}

std::uint64_t Committer::state_log_bytes() const {
  const std::lock_guard lock(stats_mutex_);
  return state_log_bytes_;
}

bool Committer::failed() const {
  const std::lock_guard lock(stats_mutex_);
  return failed_;
}

Result<storage::StateLogPosition> Committer::finish() {
  if (failed()) return Error{Errc::io_error, "a write or flush failed while running"};
  if (const Status flushed = state_log_->flush(); !flushed) return flushed.error();
  return state_log_->end();
}

}  // namespace tidemark::broker
