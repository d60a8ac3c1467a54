#include <algorithm>
#include <unordered_map>
#include <utility>

#include "broker/partition.h"
#include "storage/base/log.h"
#include "storage/base/units.h"

/// When a partition is compacted, how fast, and what its log is told of producers.
namespace tidemark::broker {
namespace {

constexpr std::size_t kStepBytes = 1024 * 1024;
constexpr std::chrono::milliseconds kPauseMax{60'000};

std::string percent(double ratio) { return std::to_string(static_cast<int>(ratio * 100)) + "%"; }

/// Every producer that may still write keeps the batch with its last sequence. A marker of a transaction on the list of the aborted ones
/// stays: clients leave out what comes from the producer until they meet it.
class PartitionAdvice final : public storage::CleaningAdvice {
 public:
  PartitionAdvice(const std::vector<ProducerSession>& sessions, std::span<const AbortedTransaction> aborted) : aborted_(aborted) {
    for (const ProducerSession& session : sessions) {
      if (!session.batches.empty()) last_[session.id] = session.batches.back().end_offset;
    }
  }
  bool is_aborted(std::int64_t producer_id, OffsetRange offsets) const override { return aborted_.contains(producer_id, offsets.from); }
  bool marker_may_go(std::int64_t producer_id, Offset marker) const override { return !aborted_.ends_with(producer_id, marker); }
  bool keeps_sequence(const BatchHeader& batch) const override {
    const auto last = last_.find(batch.producer_id);
    return last != last_.end() && last->second == batch.end_offset();
  }

 private:
  const AbortedRanges aborted_;
  std::unordered_map<std::int64_t, Offset> last_;
};

}  // namespace

storage::LogConfig log_config(const TopicConfig& config) {
  storage::LogConfig made{.segment_bytes = config.segment_bytes, .segment_age = config.segment_age};
  // Only what is in a full segment is compacted, so one must not stay open for longer than that may take.
  if (config.compact) made.segment_age = std::min(made.segment_age, config.max_compaction_lag);
  return made;
}

/// Nothing at or above the last stable offset, and nothing that a start would read from the middle of a file.
Offset Partition::compaction_limit() const {
  return durable_checkpoint_ ? std::min(last_stable(), durable_checkpoint_->segment_base) : Offset{0};
}

/// What retries are recognised by is read from the records after a restart, so those stay for as long as the windows say.
Timestamp Partition::compactable_until() const {
  std::chrono::milliseconds lag = config().min_compaction_lag;
  const bool ids_unknown = dedup_state_ != DedupState::ready && services_.runtime.clock().steady() - opened_ < config().dedup_window;
  if (ids_unknown || dedup_.size() > 0 || !config().compact) lag = std::max(lag, config().dedup_window);
  if (!config().compact) lag = std::max(lag, config().once_duration);
  return services_.runtime.clock().now() - lag;
}

std::shared_ptr<const storage::CleaningAdvice> Partition::cleaning_advice() const {
  return std::make_shared<const PartitionAdvice>(producers_.all(high_watermark()),
                                                 transactions_.aborted_in(log_->log_start(), compaction_limit()));
}

CompactionInfo Partition::compaction() const {
  CompactionInfo info = compacted_;
  info.enabled = config().compact;
  info.running = compaction_run_ != nullptr;
  if (!info.enabled && entries_.deleted().empty()) {
    info.reason = "cleanup.policy is delete";
    return info;
  }
  const Timestamp now = services_.runtime.clock().now();
  const storage::CleanableState state = log_->cleanable(compaction_limit(), compactable_until());
  info.clean_bytes = state.clean_bytes;
  info.dirty_bytes = state.dirty_bytes;
  info.dirty_ratio = state.dirty_ratio();
  info.clean_end = state.clean_end;
  info.cleanable_end = state.past;
  if (!info.enabled) {
    judge_deleted(info, state);
    return info;
  }
  bool tombstones = false;
  if (const auto& mark = log_->clean_mark()) {
    info.last_time = mark->time;
    if (mark->next_horizon_ms != storage::kNoHorizon) {
      info.next_tombstones_time = Timestamp(std::chrono::milliseconds(mark->next_horizon_ms));
      tombstones = *info.next_tombstones_time <= now;
    }
  }
  const bool overdue = state.dirty_bytes > 0 && state.oldest_dirty && now - *state.oldest_dirty > config().max_compaction_lag;
  info.due = overdue || (tombstones && state.segments > 0) || (state.dirty_bytes > 0 && info.dirty_ratio >= config().min_dirty_ratio);
  if (info.running) {
    info.reason = "running";
  } else if (services_.options.compaction_bytes_per_second == 0) {
    info.due = false;
    info.reason = "compaction.rate is 0";
  } else if (!log_->times_known()) {
    info.due = false;
    info.reason = "the times of its segments are not read yet";
  } else if (overdue) {
    info.reason = "records are older than max.compaction.lag.ms";
  } else if (info.due && tombstones) {
    info.reason = "tombstones are past delete.retention.ms";
  } else if (info.due) {
    info.reason = percent(info.dirty_ratio) + " of " + format_size(state.clean_bytes + state.dirty_bytes) + " is dirty";
  } else if (state.dirty_bytes > 0) {
    info.reason = percent(info.dirty_ratio) + " is dirty, min.cleanable.dirty.ratio asks for " + percent(config().min_dirty_ratio);
  } else if (log_->cleanable(compaction_limit(), Timestamp::max()).past > state.past) {
    const bool as_asked = compactable_until() == now - config().min_compaction_lag;
    info.reason = std::string("what is dirty is younger than ") + (as_asked ? "min.compaction.lag.ms" : "dedup.window.ms");
  } else if (state.clean_end < high_watermark()) {
    info.reason = "what is dirty lies in the segment being filled; segment.ms and segment.bytes say when it is full";
  } else {
    info.reason = "nothing is dirty";
  }
  return info;
}

/// Deleted records that still take room, among those that may be cleaned.
void Partition::judge_deleted(CompactionInfo& info, const storage::CleanableState& state) const {
  const Offset start = log_->log_start();
  const std::uint64_t bytes = state.clean_bytes + state.dirty_bytes;
  if (state.past > start) {
    const std::uint64_t waiting = entries_.deleted().count(start, state.past) - erased_.count(start, state.past);
    info.dirty_ratio = static_cast<double>(waiting) / static_cast<double>(state.past - start);
  }
  info.dirty_bytes = static_cast<std::uint64_t>(static_cast<double>(bytes) * info.dirty_ratio);
  info.clean_bytes = bytes - info.dirty_bytes;
  info.due = info.dirty_ratio > 0 && info.dirty_ratio >= config().min_dirty_ratio;
  if (info.running) {
    info.reason = "running";
  } else if (services_.options.compaction_bytes_per_second == 0) {
    info.due = false;
    info.reason = "compaction.rate is 0";
  } else if (info.due) {
    info.reason = percent(info.dirty_ratio) + " of its records are deleted and still on the disk";
  } else if (info.dirty_ratio > 0) {
    info.reason = percent(info.dirty_ratio) + " of its records are deleted and still on the disk, min.cleanable.dirty.ratio asks for " +
                  percent(config().min_dirty_ratio);
  } else {
    info.reason = "no deleted record is in a segment that is full and old enough";
  }
}

std::optional<double> Partition::compaction_urgency() {
  if (closed_ || compaction_run_ || (!config().compact && entries_.deleted().empty())) return std::nullopt;
  if (!log_->times_known()) {
    look_up_times([name = name()](Status read) {
      if (!read) log_warn(name + ": " + read.error().to_string());
    });
    return std::nullopt;
  }
  const CompactionInfo info = compaction();
  if (!info.due) return std::nullopt;
  // What is asked for by time goes before what is asked for by size.
  return info.dirty_ratio < config().min_dirty_ratio ? 2.0 : info.dirty_ratio;
}

void Partition::compact(const CompactionPace& pace, UniqueFunction<void(bool)> done) {
  CHECK(!compaction_run_);
  const Offset limit = compaction_limit();
  const Timestamp until = compactable_until();
  storage::CleaningRules rules;
  rules.compact = config().compact;
  rules.deleted = entries_.deleted().ranges(log_->log_start(), log_->cleanable(limit, until).past);
  rules.now = services_.runtime.clock().now();
  rules.tombstone_retention = config().tombstone_retention;
  rules.segment_bytes = config().segment_bytes;
  rules.key_map_bytes = pace.key_map_bytes;
  rules.key_seed = {services_.runtime.random(), services_.runtime.random()};
  rules.advice = cleaning_advice();
  std::vector<OffsetRange> deleted = rules.deleted;
  std::shared_ptr<storage::Cleaning> cleaning = log_->plan_cleaning(std::move(rules), limit, until);
  if (closed_ || !cleaning) return done(false);
  compaction_run_ = std::make_unique<CompactionRun>();
  compaction_run_->pace = pace;
  compaction_run_->cleaning = std::move(cleaning);
  compaction_run_->deleted = std::move(deleted);
  compaction_run_->done = std::move(done);
  compaction_run_->began = services_.runtime.clock().steady();
  compaction_step();
}

void Partition::compaction_step() {
  on_disk<storage::Cleaning::Next>(
      [cleaning = compaction_run_->cleaning](storage::FileCache& files) { return cleaning->step(files, kStepBytes); },
      [this](Result<storage::Cleaning::Next> next) { compaction_stepped(std::move(next)); });
}

void Partition::compaction_stepped(Result<storage::Cleaning::Next> next) {
  const std::shared_ptr<storage::Cleaning> cleaning = compaction_run_->cleaning;
  if (!next) {
    log_warn(name() + ": compaction: " + next.error().to_string());
    if (next.error().code != Errc::disk_full && next.error().code != Errc::shutting_down) services_.fatal(next.error());
    return end_compaction(false);
  }
  if (closed_) return end_compaction(false);
  switch (*next) {
    case storage::Cleaning::Next::step:
      return pause_compaction();
    case storage::Cleaning::Next::swap:
      return exchange_segments();
    case storage::Cleaning::Next::done:
      break;
  }
  const storage::CleaningSummary& summary = cleaning->summary();
  for (const storage::Damage& damage : summary.damage) log_error(name() + ": damaged, quarantined: " + damage.to_string());
  for (const storage::Damage& left : summary.left_alone) log_warn(name() + ": not compacted: " + left.to_string());
  log_->apply(summary);
  forget_aborted(summary);
  erased_.forget_below(log_->log_start());
  for (const OffsetRange& range : compaction_run_->deleted) erased_.add(range.from, range.to);
  log_info(name() + ": compacted: " + std::to_string(summary.counts.records_dropped) + " records dropped, " +
           format_size(summary.counts.bytes_freed) + " freed");
  end_compaction(true);
}

void Partition::exchange_segments() {
  auto plan = std::make_shared<storage::SwapPlan>(compaction_run_->cleaning->take_swap());
  const bool accepted = log_->accept(*plan);
  if (!accepted) compaction_run_->cleaning->refused(*plan);
  on_disk<bool>(
      [plan, accepted](storage::FileCache& files) -> Result<bool> {
        if (!accepted) {
          plan->abandon(files.file_system());
          return false;
        }
        if (Status exchanged = plan->execute(files); !exchanged) return std::move(exchanged).error();
        return true;
      },
      [this, plan](Result<bool> exchanged) {
        if (!exchanged) {
          services_.fatal(exchanged.error());  // Names and contents may not agree: the next start sees to it.
          return end_compaction(false);
        }
        if (*exchanged) {
          const Offset end = plan->fresh->flushed_end;
          log_->apply(std::move(*plan));
          if (tail_.reaches_below(end)) tail_.clear();  // Readers get what is left, whoever reads first.
          remove_files();                               // What was trimmed meanwhile had to wait.
        }
        if (closed_)
          end_compaction(false);
        else
          pause_compaction();
      });
}

/// Their markers go in later compactions: by then no client is told of them, even after a crash.
void Partition::forget_aborted(const storage::CleaningSummary& summary) {
  if (!summary.damage.empty() || !summary.left_alone.empty()) return;  // Some of their records may still be there.
  const Offset end = summary.mark.tried;
  if (!transactions_.has_aborted_before(end)) return;
  state::PartitionChange change;
  change.set_aborted_gone_below(end.value);
  submit_change(change, [this, end](const Status& recorded) {
    if (!recorded) return;  // They are just remembered for longer.
    aborted_gone_below_ = std::max(aborted_gone_below_, end);
    transactions_.forget_aborted_before(end);
  });
}

/// As long as the work done since the last pause may take at the rate.
void Partition::pause_compaction() {
  CompactionRun& run = *compaction_run_;
  const std::uint64_t total = run.cleaning->work();
  const std::uint64_t work = total - std::exchange(run.paid, total);
  const auto rate = static_cast<double>(std::max<std::uint64_t>(run.pace.bytes_per_second, 1));
  const auto wanted = std::chrono::milliseconds(static_cast<std::int64_t>(std::min(static_cast<double>(work) / rate * 1000, 1e9)));
  run.timer = services_.shard.run_after(std::min(wanted, kPauseMax), [self = shared_from_this()] {
    self->compaction_run_->timer.reset();
    self->compaction_step();
  });
}

void Partition::end_compaction(bool finished) {
  const std::unique_ptr<CompactionRun> run = std::exchange(compaction_run_, nullptr);
  if (run->timer) services_.shard.cancel(*run->timer);
  const storage::CleaningCounts& counts = run->cleaning->summary().counts;
  ++compacted_.runs;
  compacted_.bytes_read += counts.bytes_read;
  compacted_.bytes_written += counts.bytes_written;
  compacted_.bytes_freed += counts.bytes_freed;
  compacted_.records_dropped += counts.records_dropped;
  compacted_.seconds += std::chrono::duration<double>(services_.runtime.clock().steady() - run->began).count();
  on_disk<bool>(
      [cleaning = run->cleaning](storage::FileCache&) -> Result<bool> {
        cleaning->abandon();
        return true;
      },
      [](Result<bool>) {});
  run->done(finished);
}

}  // namespace tidemark::broker
