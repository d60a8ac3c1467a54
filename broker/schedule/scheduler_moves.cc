#include <algorithm>
#include <limits>

#include "broker/schedule/scheduler.h"
#include "storage/base/log.h"
#include "storage/batch/partitioner.h"

/// Moving what is due, a chunk at a time.
namespace tidemark::broker {
namespace {

constexpr std::size_t kChunkRecords = 1024;
constexpr std::size_t kChunkBytes = 1024 * 1024;
constexpr std::size_t kBatchBytes = 512 * 1024;
constexpr std::size_t kRewriteRecords = 256;
constexpr std::size_t kPostponedMax = 10'000;  ///< Records of paused targets looked at in one step.
constexpr std::size_t kWindowsAtOnce = 128;
constexpr std::int64_t kWindowOffsets = 64;  ///< Offsets no further apart are read together.
constexpr std::chrono::milliseconds kPauseMin{100};
constexpr std::chrono::milliseconds kPauseMax{5000};
constexpr std::chrono::milliseconds kDiskWait{1000};
constexpr std::chrono::milliseconds kTrimInterval{1000};
/// The wall clock may be set: it is looked at again at least this often while something waits.
constexpr std::chrono::milliseconds kLookAgain{1000};

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }

/// Of a record whose content could not be read: then it is looked for by its place.
std::int64_t due_or_unknown(bool read, const ScheduledRecord& content) {
  return read ? to_ms(content.due) : std::numeric_limits<std::int64_t>::min();
}

/// Leaves of the record what a list shows; answers how many bytes it had.
std::uint64_t keep_key(ScheduledRecord& content) {
  std::uint64_t bytes = (content.key ? content.key->size() : 0) + (content.value ? content.value->size() : 0);
  for (const auto& [name, value] : content.headers) bytes += name.size() + (value ? value->size() : 0);
  if (content.key) content.key = content.key->substr(0, ScheduledInfo::Content::kKeyBytesMax);
  content.value.reset();
  content.headers = {};
  return bytes;
}

}  // namespace

// --- Steps: one is under way at a time.

void Scheduler::begin_step() {
  CHECK(!busy_);
  busy_ = true;
  services_.begin_work();
}

void Scheduler::end_step() {
  CHECK(busy_);
  busy_ = false;
  // Through the queue of the shard: others have their turn in between.
  services_.begin_work();
  services_.shard.post([this] {
    step();
    services_.end_work();
  });
  services_.end_work();
}

void Scheduler::wait(std::chrono::milliseconds delay) {
  CHECK(busy_);
  busy_ = false;
  if (!stopping_) {
    cancel_timer();
    timer_due_ms_ = to_ms(now());
    timer_ = services_.shard.run_after(delay, [this] {
      timer_.reset();
      step();
    });
  }
  services_.end_work();
}

void Scheduler::cancel_timer() {
  if (timer_) services_.shard.cancel(*std::exchange(timer_, std::nullopt));
}

/// Sees to it that step() runs when the first record is due. A timer that is earlier stays.
void Scheduler::arm_timer() {
  if (busy_ || stopping_ || !loaded_) return;
  std::optional<std::int64_t> due = book_.first_due_ms();
  const std::int64_t now_ms = to_ms(now());
  bool to_trim = changes_.any();
  for (std::int32_t lane = 0; lane < kScheduleLanes; ++lane)
    to_trim |= book_.lane(lane).floor() > trimmed_to_[static_cast<std::size_t>(lane)];
  if (to_trim) due = std::min(due.value_or(std::numeric_limits<std::int64_t>::max()), now_ms + kTrimInterval.count());
  if (!due) return;
  if (timer_ && timer_due_ms_ <= *due) return;
  cancel_timer();
  timer_due_ms_ = std::min(*due, now_ms + kLookAgain.count());
  timer_ = services_.shard.run_after(std::chrono::milliseconds(std::max<std::int64_t>(timer_due_ms_ - now_ms, 0)), [this] {
    timer_.reset();
    step();
  });
}

void Scheduler::step() {
  if (busy_ || stopping_ || !loaded_) return;
  if (std::exchange(reload_, false)) return load();
  cancel_timer();
  if (!state_.chunk.empty()) {
    begin_step();
    return repeat_chunk();
  }
  if (!chunk_.empty()) {  // Refused, and that could not be recorded yet.
    begin_step();
    return withdraw();
  }
  // Old ones have their turn after every chunk of due ones, lest a busy schedule never shrinks.
  const std::optional<std::int32_t> long_lane = lane_to_shorten();
  if (long_lane && std::exchange(shorten_next_, false)) {
    begin_step();
    return pick_old(*long_lane);
  }
  shorten_next_ = true;
  std::vector<Moving> picked;
  const bool more = pick_due(picked);
  if (!picked.empty() || !to_fail_.empty()) {
    begin_step();
    return plan_deliveries(std::move(picked));
  }
  if (long_lane || more) {
    begin_step();
    return long_lane ? pick_old(*long_lane) : end_step();
  }
  if (changes_.any()) {
    begin_step();
    return record(false, [this](Status recorded) {
      if (!recorded) return wait(kDiskWait);
      end_step();
    });
  }
  trim_lanes();
  arm_timer();
}

// --- 1. What goes next.

/// True: the step came to its bound before it had seen all that is due.
bool Scheduler::pick_due(std::vector<Moving>& picked) {
  const std::int64_t now_ms = to_ms(now());
  std::size_t bytes = 0;
  std::size_t postponed = 0;
  bool any = true;
  while (any) {
    any = false;
    for (std::int32_t lane = 0; lane < kScheduleLanes; ++lane) {
      const WaitingRecord* const first = book_.lane(lane).waiting.first();
      if (first == nullptr || first->due_ms > now_ms) continue;
      if (picked.size() == kChunkRecords || (!picked.empty() && bytes + first->bytes > kChunkBytes) || postponed == kPostponedMax)
        return true;
      any = true;
      std::optional<WaitingRecord> record = book_.take(lane, first->key(), false);
      CHECK(record.has_value());
      const ScheduleBook::Target& target = book_.target(record->target);
      if (target.paused_until && to_ms(*target.paused_until) > now_ms) {
        record->due_ms = to_ms(*target.paused_until);
        book_.put_back(lane, *record, false);
        ++postponed;
        continue;
      }
      bytes += record->bytes;
      Moving moving;
      moving.lane = lane;
      moving.record = *record;
      picked.push_back(std::move(moving));
    }
  }
  return false;
}

std::optional<std::int32_t> Scheduler::lane_to_shorten() const {
  for (std::int32_t number = 0; number < kScheduleLanes; ++number) {
    const ScheduleBook::Lane& lane = book_.lane(number);
    const std::int64_t window = lane.known_end - lane.floor();
    if (window > kWindowMin && static_cast<std::int64_t>(lane.live.size()) * 4 < window) return number;
  }
  return std::nullopt;
}

/// The oldest records of the lane go to its end.
void Scheduler::pick_old(std::int32_t number) {
  const ScheduleBook::Lane& lane = book_.lane(number);
  std::vector<Moving> wanted;
  for (std::optional<Offset> at = lane.live.first(); at && wanted.size() < kRewriteRecords; at = lane.live.first(*at + 1)) {
    Moving moving;
    moving.lane = number;
    moving.record.offset = at->value;
    wanted.push_back(std::move(moving));
  }
  if (wanted.empty()) return end_step();
  read(std::move(wanted), [this, number](std::vector<Moving> found, std::optional<Error> error) {
    if (error) return wait(kDiskWait);
    std::vector<OpenBatch> batches;
    std::size_t bytes = 0;
    for (Moving& moving : found) {
      const auto there = book_.find(number, due_or_unknown(moving.read, moving.content), moving.record.offset);
      if (!there || bytes > kBatchBytes) continue;  // Being cancelled; or for another time.
      if (!moving.read) {
        moving.record = *book_.take(number, there->record.key(), there->failed);
        lost(moving);
        continue;
      }
      moving.record = *book_.take(number, there->record.key(), there->failed);
      moving.failed = there->failed;
      moving.content.number = moving.record.number;
      bytes += moving.content.size_bound();
      if (batches.empty()) {
        batches.emplace_back();
        batches.back().what.target = {topic()->id, number};
        batches.back().what.kind = MoveBatch::Kind::rewritten;
        batches.back().what.lane = number;
      }
      batches.back().records.push_back(std::move(moving));
    }
    if (batches.empty()) return wait(kPauseMin);
    begin_chunk(std::move(batches));
  });
}

/// Reads the records' contents; `read` says which were there. One error for all when the lanes cannot be read at the moment.
void Scheduler::read(std::vector<Moving> records, UniqueFunction<void(std::vector<Moving>, std::optional<Error>)> done, Want want) {
  struct Reading {
    std::vector<Moving> records;
    std::map<std::pair<std::int32_t, std::int64_t>, std::size_t> wanted;
    std::map<std::pair<std::int32_t, std::int64_t>, std::size_t>::iterator next;
    UniqueFunction<void(std::vector<Moving>, std::optional<Error>)> done;
    std::function<void()> go_on;
  };
  const Topic* const lanes = topic();
  if (lanes == nullptr) return done(std::move(records), Error{Errc::unknown_topic, "the schedule's topic was deleted"});
  auto reading = std::make_shared<Reading>();
  reading->records = std::move(records);
  for (std::size_t i = 0; i < reading->records.size(); ++i)
    reading->wanted.emplace(std::pair(reading->records[i].lane, reading->records[i].record.offset), i);
  reading->next = reading->wanted.begin();
  reading->done = std::move(done);
  reading->go_on = [this, id = lanes->id, want, weak = std::weak_ptr<Reading>(reading)] {
    const std::shared_ptr<Reading> now_reading = weak.lock();
    CHECK(now_reading != nullptr);
    std::vector<SourceWindow> windows;
    auto& next = now_reading->next;
    while (next != now_reading->wanted.end() && windows.size() < kWindowsAtOnce) {
      const auto [lane, offset] = next->first;
      const bool near = !windows.empty() && windows.back().partition == lane && offset - windows.back().from.value < kWindowOffsets;
      if (near)
        windows.back().to = {offset + 1};
      else
        windows.push_back({.partition = lane, .from = {offset}, .to = {offset + 1}});
      ++next;
    }
    if (windows.empty()) return now_reading->done(std::move(now_reading->records), std::nullopt);
    const SourceReader::Options options{
        .topic = id, .name = std::string(kScheduleTopic), .skip_damaged = true, .bytes_max = 64 * 1024, .whole = true};
    SourceReader::read(services_, options, std::move(windows), [now_reading, want](SourceRead read) {
      if (read.error) return now_reading->done(std::move(now_reading->records), std::move(read.error));
      for (const SourceWindow& window : read.windows) {
        for (const Slice& batches : window.batches) {
          // What cannot be decoded stays unread, and is dealt with as such.
          [[maybe_unused]] const std::uint64_t bad =
              visit_lane_records(batches.view(), window.from, window.to, [&](Offset offset, std::size_t, ScheduledRecord content) {
                const auto wanted = now_reading->wanted.find({window.partition, offset.value});
                if (wanted == now_reading->wanted.end()) return;
                Moving& moving = now_reading->records[wanted->second];
                moving.content = std::move(content);
                moving.read = true;
                if (want == Want::keys) moving.bytes = keep_key(moving.content);
              });
        }
      }
      now_reading->go_on();
    });
  };
  reading->go_on();
}

void Scheduler::plan_deliveries(std::vector<Moving> picked) {
  read(std::move(picked), [this](std::vector<Moving> found, std::optional<Error> error) {
    std::vector<OpenBatch> batches;
    // These have been read before.
    for (Moving& failing : std::exchange(to_fail_, {})) add_to_batch(batches, std::move(failing));
    for (Moving& moving : found) {
      if (moving.read) {
        add_to_batch(batches, std::move(moving));
      } else if (error) {
        book_.put_back(moving.lane, moving.record, moving.failed);
      } else {
        lost(moving);
      }
    }
    if (!batches.empty()) return begin_chunk(std::move(batches));
    if (error) return wait(kDiskWait);
    end_step();
  });
}

/// What cannot be read any more is damaged on the disk, and said to be.
void Scheduler::lost(const Moving& moving) {
  ++damaged_;
  log_error("the scheduled record " + ScheduledId{moving.lane, moving.record.number}.to_string() +
            " is damaged on disk and cannot be delivered");
  note_done(moving);
}

/// Decides where the record goes. One that finds no room in the batch of its target waits for the next chunk.
void Scheduler::add_to_batch(std::vector<OpenBatch>& batches, Moving moving) {
  const auto fail = [&](Error error) {
    moving.content.failure = std::move(error);
    moving.content.number = moving.record.number;
  };
  const TopicTable& topics = services_.partitions.topics();
  const ScheduleTarget& target = moving.content.target;
  const auto known = topics.by_id.find(target.topic);
  MoveBatch what;
  std::size_t bytes_max = kBatchBytes;
  const ScheduleBook::Target& facts = book_.target(moving.record.target);
  if (moving.content.failure) {
    moving.content.number = moving.record.number;
  } else if (known == topics.by_id.end()) {
    fail({Errc::unknown_topic, "topic '" + target.name + "' was deleted"});
  } else if (target.partition >= known->second->partitions) {
    fail({Errc::unknown_partition, "topic '" + target.name + "' has no partition " + std::to_string(target.partition)});
  } else {
    what.target = {target.topic, target.partition};
    if (target.partition < 0) {
      const std::string_view key = moving.content.key ? std::string_view(*moving.content.key) : std::string_view();
      what.target.partition = moving.content.key ? partition_for_key(key, known->second->partitions)
                                                 : static_cast<std::int32_t>(moving.record.number % known->second->partitions);
    }
    const std::uint32_t limit = known->second->effective.message_bytes_max;
    bytes_max = std::min<std::size_t>(bytes_max, limit - limit / 16);
  }
  if (moving.content.failure) {
    what.kind = MoveBatch::Kind::failed;
    what.target = {topic()->id, moving.lane};
    what.failure = moving.content.failure;
  }
  what.lane = moving.lane;
  const auto open = std::ranges::find_if(batches, [&](const OpenBatch& batch) { return batch.what.target == what.target; });
  if (open == batches.end()) {
    batches.emplace_back();
    batches.back().what = what;
    batches.back().records.push_back(std::move(moving));
    return;
  }
  std::size_t bytes = moving.content.size_bound();
  for (const Moving& other : open->records) bytes += other.content.size_bound();
  const bool fits = bytes <= bytes_max && !facts.singly && open->what.lane == what.lane && open->what.failure == what.failure;
  if (fits)
    open->records.push_back(std::move(moving));
  else
    book_.put_back(moving.lane, moving.record, moving.failed);
}

// --- 2. The chunk is recorded.

void Scheduler::with_producer(Task task) {
  if (state_.producer) return task();
  services_.new_producer([this, task = std::move(task)](Result<ProducerIdentity> producer) mutable {
    if (!producer) {
      put_back(chunk_);
      return wait(kDiskWait);
    }
    state_.producer = producer->id;
    state_.epoch = producer->epoch;
    services_.holds.hold(producer->id);
    task();
  });
}

void Scheduler::begin_chunk(std::vector<OpenBatch> batches) {
  chunk_ = std::move(batches);
  with_producer([this] {
    for (OpenBatch& batch : chunk_) {
      batch.what.first_sequence = state_.next_sequence(batch.what.target);
      for (const Moving& moving : batch.records) batch.what.offsets.push_back(moving.record.offset);
      state_.chunk.push_back(batch.what);
    }
    record(true, [this](Status recorded) {
      if (recorded) return build_and_append();
      state_.chunk.clear();
      put_back(chunk_);
      wait(kDiskWait);
    });
  });
}

/// After a restart: the records are found again by their offsets.
void Scheduler::repeat_chunk() {
  chunk_.clear();
  std::vector<Moving> records;
  for (const MoveBatch& what : state_.chunk) {
    for (const std::int64_t offset : what.offsets) {
      Moving moving;
      moving.lane = what.lane;
      moving.record.offset = offset;
      records.push_back(std::move(moving));
    }
  }
  read(std::move(records), [this](std::vector<Moving> found, std::optional<Error> error) {
    if (error) return wait(kDiskWait);
    std::size_t at = 0;
    for (const MoveBatch& what : state_.chunk) {
      OpenBatch batch;
      batch.what = what;
      for (std::size_t i = 0; i < what.offsets.size(); ++i) {
        Moving moving = std::move(found[at++]);
        if (const auto there = book_.find(moving.lane, due_or_unknown(moving.read, moving.content), moving.record.offset)) {
          moving.record = *book_.take(moving.lane, there->record.key(), there->failed);
          moving.failed = there->failed;
        }
        if (what.kind != MoveBatch::Kind::delivery) moving.content.number = moving.content.number.value_or(moving.record.offset);
        batch.records.push_back(std::move(moving));
      }
      chunk_.push_back(std::move(batch));
    }
    build_and_append();
  });
}

void Scheduler::record(bool chunk, UniqueFunction<void(Status)> done) {
  ScheduleState::Change change = std::exchange(changes_, {});
  change.chunk |= chunk;
  std::vector<storage::StateRecord> records;
  records.push_back(state_.delta(change));
  services_.committer->submit(
      std::move(records), services_.shard, [this, change = std::move(change), done = std::move(done)](Status recorded) mutable {
        if (!recorded) {
          // Nothing else adds to them meanwhile but notes of what is done.
          for (std::size_t lane = 0; lane < change.done.size(); ++lane)
            changes_.done[lane].insert(changes_.done[lane].end(), change.done[lane].begin(), change.done[lane].end());
          changes_.sequences.merge(change.sequences);
          changes_.chunk |= change.chunk;
        }
        done(std::move(recorded));
      });
}

// --- 3. The batches are appended.

void Scheduler::build_and_append() {
  unanswered_ = chunk_.size() + 1;
  for (std::size_t i = 0; i < chunk_.size(); ++i) append_batch(i);
  batch_answered();
}

void Scheduler::append_batch(std::size_t index) {
  OpenBatch& batch = chunk_[index];
  const bool whole = std::ranges::all_of(batch.records, [](const Moving& moving) { return moving.read; });
  // A batch with other records would not be the one the target may hold: all it can be asked is whether it does.
  if (!whole) return ask_target(index, {Errc::quarantined, "some of its records are damaged"});
  BatchBuilder builder;
  auto plan = std::make_unique<AppendPlan>();
  plan->drop_duplicates = false;  // They were told from others when they were scheduled.
  for (Moving& moving : batch.records) {
    if (batch.what.kind == MoveBatch::Kind::delivery) {
      moving.content.add_to(builder);
      plan->ids.push_back(moving.content.dedup_id());
      continue;
    }
    if (batch.what.kind == MoveBatch::Kind::failed) moving.content.failure = batch.what.failure;
    const std::string value = moving.content.encode();
    builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = to_ms(moving.content.scheduled), .headers = {}});
    plan->ids.emplace_back();
  }
  builder.set_producer(*state_.producer, state_.epoch, batch.what.first_sequence);
  services_.partitions.call<Appended>(
      batch.what.target, batch.records.front().content.target.name,
      [this, index](Result<Appended> appended) {
        if (!appended) return ask_target(index, std::move(appended).error());
        chunk_[index].done = true;
        chunk_[index].base = appended->base_offset;
        batch_answered();
      },
      [bytes = builder.build(), plan = std::move(plan)](Partition& partition, Done<Appended> answer) mutable {
        partition.append(std::move(bytes), std::move(plan), std::move(answer));
      });
}

/// Refused; but an attempt before a crash may have got through.
void Scheduler::ask_target(std::size_t index, Error refusal) {
  const MoveBatch what = chunk_[index].what;
  const ProducerIdentity producer{*state_.producer, state_.epoch};
  services_.partitions.call<bool>(
      what.target, std::string(),
      [this, index, refusal = std::move(refusal)](Result<bool> there) mutable {
        OpenBatch& batch = chunk_[index];
        batch.done = (there && *there) || refusal.code == Errc::duplicate_sequence;
        if (!batch.done) batch.refusal = std::move(refusal);
        batch_answered();
      },
      [producer, what](Partition& partition, Done<bool> answer) {
        answer(partition.holds_batch(producer, what.first_sequence, what.last_sequence()));
      });
}

void Scheduler::batch_answered() {
  if (--unanswered_ == 0) finish_chunk();
}

// --- 4. Done.

void Scheduler::finish_chunk() {
  std::vector<OpenBatch> refused;
  for (OpenBatch& batch : chunk_) {
    if (batch.done)
      batch_done(batch);
    else
      refused.push_back(std::move(batch));
  }
  chunk_ = std::move(refused);
  state_.chunk.clear();
  changes_.chunk = true;
  if (chunk_.empty()) return end_step();
  if (std::ranges::any_of(chunk_, lost_sequences)) start_epoch();
  withdraw();
}

/// Records that were refused can be cancelled again only when nothing durable says that they are about to be appended.
void Scheduler::withdraw() {
  record(true, [this](Status recorded) {
    if (!recorded) return wait(kDiskWait);
    for (OpenBatch& batch : std::exchange(chunk_, {})) batch_refused(batch);
    end_step();
  });
}

bool Scheduler::lost_sequences(const OpenBatch& batch) {
  return batch.refusal->code == Errc::out_of_order_sequence || batch.refusal->code == Errc::stale_producer_epoch;
}

/// A target knows less of the schedule's producer than it has acknowledged: a power cut took records of a topic that does not wait for
/// flushes. Under a new epoch all sequences start over.
void Scheduler::start_epoch() {
  log_warn("a topic lost scheduled records that it had acknowledged; going on");
  if (state_.epoch == std::numeric_limits<std::int16_t>::max()) {
    services_.holds.release(*state_.producer);
    state_.producer.reset();
  } else {
    ++state_.epoch;
  }
  state_.sequences.clear();
  changes_.sequences.clear();
}

void Scheduler::note_done(const Moving& moving) {
  const auto lane = static_cast<std::size_t>(moving.lane);
  state_.done[lane].insert({moving.record.offset});
  changes_.done[lane].push_back(moving.record.offset);
  if (book_.lane(moving.lane).live.contains({moving.record.offset})) book_.settle(moving.lane, moving.record);
}

void Scheduler::batch_done(OpenBatch& batch) {
  state_.sequences[batch.what.target] = batch.what.next_sequence();
  changes_.sequences.insert(batch.what.target);
  const bool into_lane = batch.what.kind != MoveBatch::Kind::delivery;
  // Where they are now is not known only if somebody else has appended to the lane: it is read again.
  if (into_lane && batch.base.value < 0) reload_ = true;
  for (std::size_t i = 0; i < batch.records.size(); ++i) {
    Moving& moving = batch.records[i];
    if (into_lane && batch.base.value >= 0) {
      WaitingRecord record = moving.record;
      record.offset = batch.base.value + static_cast<std::int64_t>(i);
      record.number = moving.content.number.value_or(moving.record.number);
      const bool failed = moving.content.failure.has_value();
      if (failed) record.bytes = static_cast<std::uint32_t>(moving.content.failure->code);
      record.due_ms = to_ms(moving.content.due);
      record.target = book_.target_number(moving.content.target);
      book_.lane(moving.lane).known_end = std::max(book_.lane(moving.lane).known_end, Offset{record.offset + 1});
      book_.add(moving.lane, record, failed);
    }
    note_done(moving);
    if (!into_lane) ++moved_;
  }
  if (into_lane) return;
  ScheduleBook::Target& target = book_.target(batch.records.front().record.target);
  target.paused_until.reset();
  target.refusal.reset();
  target.pause = {};
  target.singly = false;
}

void Scheduler::batch_refused(OpenBatch& batch) {
  const Error refusal = *batch.refusal;
  const bool delivery = batch.what.kind == MoveBatch::Kind::delivery;
  // Too large by now, or without a key in a topic that is compacted by now: waiting helps neither.
  const bool for_good = refusal.code == Errc::batch_too_large || refusal.code == Errc::corrupt_batch;
  std::erase_if(batch.records, [this](const Moving& moving) {
    if (!moving.read) lost(moving);
    return !moving.read;
  });
  if (batch.records.empty()) return;
  ScheduleBook::Target& target = book_.target(batch.records.front().record.target);
  if (delivery && for_good && batch.records.size() == 1) {
    batch.records.front().content.failure = refusal;
    to_fail_.push_back(std::move(batch.records.front()));
    return;
  }
  if (delivery && for_good) {
    target.singly = true;
  } else if (refusal.code != Errc::unknown_topic && !lost_sequences(batch)) {
    // A topic that is gone is noticed when the records are picked again.
    target.pause = std::clamp(target.pause * 2, kPauseMin, kPauseMax);
    target.paused_until = now() + target.pause;
    target.refusal = refusal;
  }
  for (Moving& moving : batch.records) book_.put_back(moving.lane, moving.record, moving.failed);
}

void Scheduler::put_back(std::vector<OpenBatch>& batches) {
  for (OpenBatch& batch : batches) {
    for (Moving& moving : batch.records) book_.put_back(moving.lane, moving.record, moving.failed);
  }
  batches.clear();
}

/// What was noted as done is durable here: the lanes may begin behind it.
void Scheduler::trim_lanes() {
  const SteadyTime time = services_.runtime.clock().steady();
  if (topic() == nullptr || time < trimmed_at_ + kTrimInterval) return;
  trimmed_at_ = time;
  for (std::int32_t number = 0; number < kScheduleLanes; ++number) {
    const auto index = static_cast<std::size_t>(number);
    const Offset floor = book_.lane(number).floor();
    if (floor <= trimmed_to_[index]) continue;
    trimmed_to_[index] = floor;
    services_.begin_work();
    services_.partitions.call<Offset>(
        {topic()->id, number}, std::string(kScheduleTopic),
        [this, index](Result<Offset> trimmed) {
          if (trimmed)
            state_.done[index].forget_below(*trimmed);
          else
            log_warn("the schedule is not trimmed: " + trimmed.error().to_string());
          services_.end_work();
        },
        [floor](Partition& partition, Done<Offset> answer) { partition.trim(floor, std::move(answer)); });
  }
}

}  // namespace tidemark::broker
