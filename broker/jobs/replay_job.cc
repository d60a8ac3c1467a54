#include "broker/jobs/replay_job.h"

#include <algorithm>
#include <limits>

#include "storage/base/log.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kChunkBytes = 1024 * 1024;
constexpr std::size_t kMergedWindowBytes = 64 * 1024;
constexpr std::size_t kMergedWindows = 16;         ///< Partitions read at once to merge by time.
constexpr std::size_t kUnrecordedReadsMax = 16;    ///< A crash repeats at most so many reads of records that a filter leaves out.
constexpr std::chrono::milliseconds kPaceMin{10};  ///< Records that are due within it go together.
constexpr std::chrono::milliseconds kDiskWait{1000};
constexpr std::chrono::milliseconds kMemoryWait{100};
constexpr std::size_t kErrorTextMax = 1024;

bool must_wait(Errc code) { return code == Errc::disk_full || code == Errc::overloaded; }

}  // namespace

Result<std::shared_ptr<ReplayJob>> ReplayJob::make(const JobServices& services, ReplayState state, std::function<void()> changed) {
  std::shared_ptr<const RecordFilter> filter;
  if (!state.spec.filter.empty()) {
    Result<RecordFilter> parsed = RecordFilter::parse(state.spec.filter, state.created);
    if (!parsed) return std::move(parsed).error();
    filter = std::make_shared<const RecordFilter>(*std::move(parsed));
  }
  return std::shared_ptr<ReplayJob>(new ReplayJob(services, std::move(state), std::move(filter), std::move(changed)));
}

ReplayJob::ReplayJob(const JobServices& services, ReplayState state, std::shared_ptr<const RecordFilter> filter,
                     std::function<void()> changed)
    : services_(services),
      state_(std::move(state)),
      filter_(std::move(filter)),
      changed_(std::move(changed)),
      next_times_(state_.partitions.size()),
      pacer_(state_.spec.pace) {}

JobInfo ReplayJob::info() const {
  JobInfo info;
  info.id = state_.id;
  info.spec = state_.spec;
  info.state = state_.state;
  info.error = state_.error;
  info.created = state_.created;
  info.finished = state_.finished;
  info.partitions = state_.partitions;
  info.totals = state_.totals;
  if (state_.state != JobState::running) return info;
  info.wait = has_turn_ ? wait_ : JobWait::turn;
  const SteadyTime now = services_.runtime.clock().steady();
  info.records_per_second = record_rate_.per_second(now);
  info.bytes_per_second = byte_rate_.per_second(now);
  std::int64_t left = 0;
  for (const ReplayProgress& progress : state_.partitions) left += progress.to - progress.next;
  if (const double rate = offset_rate_.per_second(now); rate > 0) info.eta_seconds = static_cast<double>(left) / rate;
  return info;
}

// --- Steps.

void ReplayJob::give_turn() {
  CHECK(wants_turn());
  has_turn_ = true;
  step();
}

void ReplayJob::step() {
  if (busy_) return;
  if (stopping_) return answer_wishes(Error{Errc::shutting_down, "the broker is stopping"});
  cancel_timer();
  wait_ = JobWait::nothing;
  if (ending_) return finish(ending_->first, ending_->second);
  if (wish_) return grant_wish();
  if (!has_turn_ || state_.state != JobState::running) return;
  begin_step();
  if (state_.chunk) return repeat_chunk();
  plan();
}

void ReplayJob::begin_step() {
  CHECK(!busy_);
  busy_ = true;
  services_.begin_work();
}

void ReplayJob::end_step() {
  CHECK(busy_);
  busy_ = false;
  // Through the queue of the shard: others have their turn in between.
  services_.shard.post([self = shared_from_this()] { self->step(); });
  services_.end_work();
}

void ReplayJob::wait(JobWait what, std::chrono::milliseconds delay) {
  CHECK(busy_);
  busy_ = false;
  if (wish_ || stopping_) {
    services_.shard.post([self = shared_from_this()] { self->step(); });
  } else {
    wait_ = what;
    timer_ = services_.shard.run_after(delay, [self = shared_from_this()] {
      self->timer_.reset();
      self->step();
    });
  }
  services_.end_work();
}

void ReplayJob::cancel_timer() {
  if (timer_) services_.shard.cancel(*std::exchange(timer_, std::nullopt));
}

// --- 1. Read and pack.

ChunkRules ReplayJob::rules() const {
  ChunkRules rules;
  rules.source = state_.spec.source;
  rules.filter = filter_;
  rules.source_partitions = static_cast<std::int32_t>(state_.partitions.size());
  rules.target_partitions = state_.target_partitions;
  rules.producer = state_.producer();
  rules.by_time = state_.spec.pace.kind == ReplayPace::Kind::speed;
  return rules;
}

/// With a speed, the partitions whose records are next by time, as far as that is known; otherwise one after the other.
std::vector<SourceWindow> ReplayJob::choose_windows() {
  std::vector<SourceWindow> windows;
  const std::size_t count = state_.partitions.size();
  if (!rules().by_time) {
    for (std::size_t i = 0; i < count && windows.empty(); ++i) {
      const ReplayProgress& progress = state_.partitions[turn_ = (turn_ + 1) % count];
      if (progress.next < progress.to) windows.push_back({.partition = progress.partition, .from = progress.next, .to = progress.to});
    }
    return windows;
  }
  std::vector<std::size_t> pending;
  for (std::size_t i = 0; i < count; ++i) {
    if (state_.partitions[i].next < state_.partitions[i].to) pending.push_back(i);
  }
  const std::size_t taken = std::min(pending.size(), kMergedWindows);
  std::ranges::partial_sort(pending, pending.begin() + static_cast<std::ptrdiff_t>(taken), {},
                            [this](std::size_t i) { return std::pair(next_times_[i], i); });  // Unknown ones first.
  for (std::size_t i = 0; i < taken; ++i) {
    const ReplayProgress& progress = state_.partitions[pending[i]];
    windows.push_back({.partition = progress.partition, .from = progress.next, .to = progress.to});
  }
  return windows;
}

void ReplayJob::plan() {
  std::vector<SourceWindow> windows = choose_windows();
  if (windows.empty()) {
    busy_ = false;
    finish(JobState::done, std::nullopt);
    return services_.end_work();
  }
  const SourceReader::Options options{.topic = state_.source,
                                      .name = state_.spec.source,
                                      .skip_damaged = state_.spec.skip_damaged,
                                      .bytes_max = rules().by_time ? kMergedWindowBytes : kChunkBytes,
                                      .whole = false};
  SourceReader::read(services_, options, std::move(windows),
                     [self = shared_from_this()](SourceRead read) { self->build(std::move(read), false); });
}

void ReplayJob::repeat_chunk() {
  std::vector<SourceWindow> windows;
  for (const ReplayRange& range : state_.chunk->ranges)
    windows.push_back({.partition = range.partition, .from = range.from, .to = range.to});
  const SourceReader::Options options{.topic = state_.source,
                                      .name = state_.spec.source,
                                      .skip_damaged = state_.spec.skip_damaged,
                                      .bytes_max = kChunkBytes,
                                      .whole = true};
  SourceReader::read(services_, options, std::move(windows),
                     [self = shared_from_this()](SourceRead read) { self->build(std::move(read), true); });
}

void ReplayJob::build(SourceRead read, bool exact) {
  if (read.error) return give_up(*read.error);
  std::uint64_t lost = 0;
  std::size_t bytes = 0;
  for (const SourceWindow& window : read.windows) {
    lost += window.skipped + window.damaged;
    for (const Slice& slice : window.batches) bytes += slice.size();
    if (exact || window.skipped + window.damaged == 0) continue;
    // Gone before the job came to it: what a plan passes over is not part of any chunk.
    state_.partitions[static_cast<std::size_t>(window.partition)].next = window.from;
    next_times_[static_cast<std::size_t>(window.partition)].reset();
    changed_progress_.insert(window.partition);
    state_.totals.skipped += window.skipped;
    state_.totals.damaged += window.damaged;
  }
  if (!exact) std::erase_if(read.windows, [](const SourceWindow& window) { return window.batches.empty(); });
  if (read.windows.empty()) return end_step();

  // What was read, and about as much again while it is packed anew.
  const std::size_t memory = 2 * bytes;
  if (!services_.memory.try_take(memory)) return wait(JobWait::overloaded, kMemoryWait);
  ChunkRules how = rules();
  how.exact = exact;
  if (const Topic* const target = services_.partitions.topics().find(state_.spec.into); target != nullptr) {
    // Packing may add a little to what does not shrink.
    how.batch_bytes_max =
        std::min<std::size_t>(kChunkBytes, target->effective.message_bytes_max - target->effective.message_bytes_max / 16);
  }
  if (how.by_time && !exact) {
    for (const ReplayProgress& progress : state_.partitions) {
      const bool here = std::ranges::find(read.windows, progress.partition, &SourceWindow::partition) != read.windows.end();
      if (here || progress.next >= progress.to) continue;
      const std::int64_t time =
          next_times_[static_cast<std::size_t>(progress.partition)].value_or(std::numeric_limits<std::int64_t>::min());
      how.others_next_time = std::min(how.others_next_time.value_or(time), time);
    }
  }
  Pacer pacer = pacer_;
  pacer.look(services_.runtime.clock().steady());
  // Nothing changes state_ while a step is under way, so the pool may read it.
  services_.runtime.disk_pool().post([self = shared_from_this(), read = std::move(read), how, pacer, exact, lost, memory]() mutable {
    Result<BuiltChunk> built = build_chunk(read.windows, how, self->state_, pacer);
    read.windows.clear();
    JobServices const& services = self->services_;
    services.shard.post([self = std::move(self), built = std::move(built), exact, lost, memory]() mutable {
      self->services_.memory.give_back(memory);
      if (!built) return self->give_up(built.error());
      if (exact) return self->judge_repeated(*std::move(built), lost);
      self->judge_planned(*std::move(built));
    });
  });
}

// --- 2. Record the chunk.

void ReplayJob::judge_planned(BuiltChunk built) {
  pacer_ = built.pacer;
  std::vector<ReplayRange> ranges;
  for (std::size_t i = 0; i < built.ranges.size(); ++i) {
    next_times_[static_cast<std::size_t>(built.ranges[i].partition)] = built.next_times[i];
    if (built.ranges[i].from < built.ranges[i].to) ranges.push_back(built.ranges[i]);
  }
  built.ranges = std::move(ranges);
  chunk_totals_ = {.records = built.records, .bytes = built.bytes, .filtered = built.filtered};

  OpenChunk chunk{.ranges = built.ranges, .batches = {}};
  for (const BuiltBatch& batch : built.batches) chunk.batches.push_back(batch.what);
  if (chunk.batches.empty()) {
    const bool not_due = built.not_due;
    const auto delay = std::max(kPaceMin, built.pacer.wait());
    if (!chunk.ranges.empty()) {
      // Nothing to append, so nothing can be lost or doubled: noted now and then.
      state_.chunk = std::move(chunk);
      chunk_done();
      ++unrecorded_reads_;
    }
    if (unrecorded_reads_ < kUnrecordedReadsMax) return not_due ? wait(JobWait::pace, delay) : end_step();
    return record([self = shared_from_this()](Status recorded) {
      if (!recorded) return self->wait(JobWait::disk_full, kDiskWait);
      self->end_step();
    });
  }
  state_.chunk = std::move(chunk);
  record([self = shared_from_this(), built = std::move(built)](Status recorded) mutable {
    if (recorded) return self->append(std::move(built));
    // Not begun; what was learnt of record times to come is behind the records that are now read again.
    self->state_.chunk.reset();
    for (const ReplayRange& range : built.ranges) self->next_times_[static_cast<std::size_t>(range.partition)].reset();
    self->wait(JobWait::disk_full, kDiskWait);
  });
}

/// The open chunk, packed again. Batches of as many records as recorded are the very same; others miss records that have gone since.
void ReplayJob::judge_repeated(BuiltChunk built, std::uint64_t lost) {
  chunk_totals_ = {.records = 0, .bytes = built.bytes, .filtered = built.filtered};
  std::vector<std::size_t> differing;
  for (std::size_t i = 0; i < state_.chunk->batches.size(); ++i) {
    const ChunkBatch& wanted = state_.chunk->batches[i];
    const bool same = std::ranges::any_of(built.batches, [&](const BuiltBatch& batch) {
      return batch.what.partition == wanted.partition && batch.what.records == wanted.records;
    });
    if (!same && !wanted.appended) differing.push_back(i);
  }
  if (differing.empty()) return append(std::move(built));
  ask_target(std::move(built), std::move(differing), lost);
}

void ReplayJob::ask_target(BuiltChunk built, std::vector<std::size_t> differing, std::uint64_t lost) {
  struct Gather {
    BuiltChunk built;
    std::vector<std::size_t> gone;
    std::optional<Error> error;
    std::size_t left = 0;
  };
  auto gather = std::make_shared<Gather>();
  gather->built = std::move(built);
  gather->left = differing.size();
  const ProducerIdentity producer = state_.producer();
  log_info("job " + std::to_string(state_.id) + ": " + std::to_string(lost) + " offsets of its open chunk have gone from the source");
  for (const std::size_t index : differing) {
    const ChunkBatch batch = state_.chunk->batches[index];
    services_.partitions.call<bool>(
        {state_.target, batch.partition}, state_.spec.into,
        [self = shared_from_this(), gather, index](Result<bool> there) {
          if (!there) {
            gather->error = std::move(there).error();
          } else if (*there) {
            self->state_.chunk->batches[index].appended = true;
          } else {
            gather->gone.push_back(index);
          }
          if (--gather->left > 0) return;
          if (gather->error) return self->give_up(*gather->error);
          if (gather->gone.empty()) return self->append(std::move(gather->built));
          self->shrink_chunk(gather->built, gather->gone);
        },
        [producer, batch](Partition& partition, Done<bool> answer) {
          answer(partition.holds_batch(producer, batch.first_sequence, batch.last_sequence()));
        });
  }
}

/// Batches that were never appended and cannot be any more, as they were: recorded anew with what is left of them.
void ReplayJob::shrink_chunk(const BuiltChunk& built, const std::vector<std::size_t>& gone) {
  // Ranges only lose records. Should they hold more, the filter has come to mean something else, and nobody can say what was appended.
  const bool grown = std::ranges::any_of(built.batches, [&](const BuiltBatch& batch) {
    const auto wanted = std::ranges::find(state_.chunk->batches, batch.what.partition, &ChunkBatch::partition);
    return wanted == state_.chunk->batches.end() || (!wanted->appended && batch.what.records > wanted->records);
  });
  if (grown) return give_up({Errc::internal, "the chunk under way at the last stop cannot be built again"});
  const OpenChunk before = *state_.chunk;
  const ReplayTotals totals_before = state_.totals;
  for (const std::size_t index : gone) {
    ChunkBatch& batch = state_.chunk->batches[index];
    const auto left = std::ranges::find_if(built.batches, [&](const BuiltBatch& other) { return other.what.partition == batch.partition; });
    const std::int32_t records = left == built.batches.end() ? 0 : left->what.records;
    state_.totals.skipped += static_cast<std::uint64_t>(batch.records - records);
    batch.records = records;
  }
  std::erase_if(state_.chunk->batches, [](const ChunkBatch& batch) { return batch.records == 0; });
  record([self = shared_from_this(), before, totals_before](Status recorded) {
    if (recorded) return self->end_step();  // Packed once more, and this time as recorded.
    self->state_.chunk = before;
    self->state_.totals = totals_before;
    self->wait(JobWait::disk_full, kDiskWait);
  });
}

// --- 3. Append.

void ReplayJob::append(BuiltChunk built) {
  struct Gather {
    std::vector<Error> errors;
    std::size_t left = 1;
  };
  auto gather = std::make_shared<Gather>();
  const auto one_less = [self = shared_from_this(), gather] {
    if (--gather->left == 0) self->judge_appends(gather->errors);
  };
  for (BuiltBatch& batch : built.batches) {
    const auto wanted = std::ranges::find(state_.chunk->batches, batch.what.partition, &ChunkBatch::partition);
    if (wanted == state_.chunk->batches.end() || wanted->appended) continue;
    ++gather->left;
    const auto index = static_cast<std::size_t>(wanted - state_.chunk->batches.begin());
    services_.partitions.call<Appended>(
        {state_.target, batch.what.partition}, state_.spec.into,
        [self = shared_from_this(), gather, index, one_less](Result<Appended> appended) {
          // A sequence the target has passed is one it has stored.
          if (appended || appended.error().code == Errc::duplicate_sequence)
            self->state_.chunk->batches[index].appended = true;
          else
            gather->errors.push_back(std::move(appended).error());
          one_less();
        },
        [bytes = std::move(batch.bytes)](Partition& partition, Done<Appended> answer) mutable {
          partition.append(std::move(bytes), std::move(answer));
        });
  }
  one_less();
}

void ReplayJob::judge_appends(const std::vector<Error>& errors) {
  if (errors.empty()) {
    chunk_totals_.records = 0;
    for (const ChunkBatch& batch : state_.chunk->batches) chunk_totals_.records += static_cast<std::uint64_t>(batch.records);
    chunk_done();
    return end_step();
  }
  // What ends the job counts before what passes.
  const auto worst = std::ranges::find_if(errors, [](const Error& error) {
    return !must_wait(error.code) && error.code != Errc::out_of_order_sequence && error.code != Errc::shutting_down;
  });
  if (worst != errors.end()) return give_up(*worst);
  const auto unordered = std::ranges::find(errors, Errc::out_of_order_sequence, &Error::code);
  if (unordered != errors.end()) return start_epoch();
  give_up(errors.front());
}

/// The target knows less of the job's producer than it has acknowledged: a power cut took records of a topic that does not wait for
/// flushes. What is left to append goes under a new epoch, which may begin anywhere.
void ReplayJob::start_epoch() {
  if (state_.epoch == std::numeric_limits<std::int16_t>::max()) {
    return give_up({Errc::out_of_order_sequence, "topic '" + state_.spec.into + "' lost what was acknowledged too often"});
  }
  const ReplayState before = state_;
  ++state_.epoch;
  state_.next_sequences.clear();
  changed_sequences_.clear();
  std::erase_if(state_.chunk->batches, [this](const ChunkBatch& batch) {
    if (batch.appended) state_.totals.records += static_cast<std::uint64_t>(batch.records);
    return batch.appended;
  });
  for (ChunkBatch& batch : state_.chunk->batches) batch.first_sequence = 0;
  log_warn("job " + std::to_string(state_.id) + ": topic '" + state_.spec.into + "' lost records that it had acknowledged; going on");
  record([self = shared_from_this(), before](Status recorded) {
    if (recorded) return self->end_step();
    self->state_ = before;
    self->wait(JobWait::disk_full, kDiskWait);
  });
}

/// The chunk is where it belongs; the next record says so.
void ReplayJob::chunk_done() {
  const OpenChunk chunk = *std::exchange(state_.chunk, std::nullopt);
  std::int64_t offsets = 0;
  for (const ReplayRange& range : chunk.ranges) {
    Offset& next = state_.partitions[static_cast<std::size_t>(range.partition)].next;
    offsets += range.to - next;
    next = range.to;
    changed_progress_.insert(range.partition);
  }
  for (const ChunkBatch& batch : chunk.batches) {
    state_.next_sequences[batch.partition] = batch.next_sequence();
    changed_sequences_.insert(batch.partition);
  }
  state_.totals.records += chunk_totals_.records;
  state_.totals.bytes += chunk_totals_.bytes;
  state_.totals.filtered += chunk_totals_.filtered;
  const SteadyTime now = services_.runtime.clock().steady();
  record_rate_.add(static_cast<double>(chunk_totals_.records), now);
  byte_rate_.add(static_cast<double>(chunk_totals_.bytes), now);
  offset_rate_.add(static_cast<double>(offsets), now);
  chunk_totals_ = {};
}

/// A step that came to nothing: waits where that helps, otherwise the job has failed.
void ReplayJob::give_up(const Error& error) {
  if (error.code == Errc::disk_full) return wait(JobWait::disk_full, kDiskWait);
  if (error.code == Errc::overloaded) return wait(JobWait::overloaded, kMemoryWait);
  busy_ = false;
  if (error.code != Errc::shutting_down) finish(JobState::failed, error);
  services_.end_work();
}

// --- States.

void ReplayJob::record(UniqueFunction<void(Status)> done) {
  std::vector<storage::StateRecord> records;
  records.push_back(state_.delta(changed_progress_, changed_sequences_));
  // Only steps change these, and the step waits for the record.
  services_.committer->submit(std::move(records), services_.shard,
                              [self = shared_from_this(), done = std::move(done)](Status recorded) mutable {
                                if (recorded) {
                                  self->changed_progress_.clear();
                                  self->changed_sequences_.clear();
                                  self->unrecorded_reads_ = 0;
                                }
                                done(std::move(recorded));
                              });
}

std::optional<Error> ReplayJob::finished_already(const char* action) const {
  if (!is_finished(state_.state)) return std::nullopt;
  return Error{Errc::conflict,
               "job " + std::to_string(state_.id) + " is " + std::string(to_string(state_.state)) + ", there is nothing to " + action};
}

void ReplayJob::pause(Done<JobInfo> done) {
  if (state_.state == JobState::paused && !wish_) return done(info());
  if (auto refusal = finished_already("pause")) return done(*std::move(refusal));
  wish(Wish::pause, std::move(done));
}

void ReplayJob::cancel(Done<JobInfo> done) {
  if (state_.state == JobState::cancelled) return done(info());
  if (auto refusal = finished_already("cancel")) return done(*std::move(refusal));
  wish(Wish::cancel, std::move(done));
}

void ReplayJob::wish(Wish wish, Done<JobInfo> done) {
  if (stopping_) return done(Error{Errc::shutting_down, "the broker is stopping"});
  wish_ = std::max(wish_.value_or(wish), wish);
  wishers_.push_back(std::move(done));
  step();
}

void ReplayJob::resume(Done<JobInfo> done) {
  if (auto refusal = finished_already("resume")) return done(*std::move(refusal));
  if (stopping_) return done(Error{Errc::shutting_down, "the broker is stopping"});
  if (busy_ && (wish_ || state_.state == JobState::paused)) {
    return done(Error{Errc::conflict, "job " + std::to_string(state_.id) + " is about to change; try again"});
  }
  if (state_.state == JobState::running) return done(info());
  begin_step();
  state_.state = JobState::running;
  record([self = shared_from_this(), done = std::move(done)](Status recorded) mutable {
    if (recorded) {
      // The time that passed meanwhile is nothing to make up for.
      self->pacer_.restart();
      for (RateMeter* const meter : {&self->record_rate_, &self->byte_rate_, &self->offset_rate_}) meter->restart();
      done(self->info());
    } else {
      self->state_.state = JobState::paused;
      done(std::move(recorded).error());
    }
    self->end_step();
    self->changed_();
  });
}

void ReplayJob::grant_wish() {
  if (is_finished(state_.state)) return answer_wishes(finished_already("change"));
  if (*wish_ == Wish::cancel) return finish(JobState::cancelled, std::nullopt);
  if (state_.state == JobState::paused) return answer_wishes(std::nullopt);
  begin_step();
  state_.state = JobState::paused;
  record([self = shared_from_this()](Status recorded) {
    if (recorded) {
      self->has_turn_ = false;
      // A wish to cancel may have come meanwhile; it is granted next.
      if (self->wish_ == Wish::pause) self->answer_wishes(std::nullopt);
      self->changed_();
    } else {
      self->state_.state = JobState::running;
      self->answer_wishes(recorded.error());
    }
    self->end_step();
  });
}

void ReplayJob::answer_wishes(const std::optional<Error>& refusal) {
  wish_.reset();
  for (Done<JobInfo>& done : std::exchange(wishers_, {})) {
    if (refusal)
      done(*refusal);
    else
      done(info());
  }
}

void ReplayJob::finish(JobState state, std::optional<Error> error) {
  begin_step();
  const ReplayState before = state_;
  state_.state = state;
  state_.error = std::move(error);
  if (state_.error) state_.error->detail.resize(std::min(state_.error->detail.size(), kErrorTextMax));
  state_.finished = services_.runtime.clock().now();
  if (state_.chunk) {
    for (const ChunkBatch& batch : state_.chunk->batches)
      state_.totals.records += batch.appended ? static_cast<std::uint64_t>(batch.records) : 0;
    state_.chunk.reset();
  }
  record([self = shared_from_this(), before](Status recorded) {
    if (recorded) return self->finished();
    const std::pair ending(self->state_.state, self->state_.error);
    self->state_ = before;
    if (ending.first == JobState::cancelled)
      self->answer_wishes(recorded.error());  // Nothing has changed; the caller may try again.
    else
      self->ending_ = ending;
    self->wait(JobWait::disk_full, kDiskWait);
  });
}

void ReplayJob::finished() {
  ending_.reset();
  has_turn_ = false;
  services_.holds.release(state_.producer().id);
  log_info("job " + std::to_string(state_.id) + ": " + std::string(to_string(state_.state)) +
           (state_.error ? ", " + state_.error->to_string() : std::string()) + ", " + std::to_string(state_.totals.records) +
           " records copied");
  if (wish_) answer_wishes(state_.state == JobState::cancelled ? std::nullopt : finished_already("change"));
  changed_();
  end_step();
}

void ReplayJob::stop() {
  stopping_ = true;
  cancel_timer();
  step();  // Nothing more begins; whoever waits for an answer gets one, now or after the step under way.
}

}  // namespace tidemark::broker
