#include "broker/schedule/scheduler.h"

#include <algorithm>

#include "broker/publish_fields.h"
#include "storage/base/log.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kLaneBatchBytes = 512 * 1024;
constexpr std::size_t kLoadBytes = 1024 * 1024;

WaitingRecord waiting(const ScheduledRecord& record, Offset offset, std::uint32_t target, std::size_t bytes) {
  WaitingRecord out;
  out.due_ms = record.due.time_since_epoch().count();
  out.offset = offset.value;
  out.number = record.number.value_or(offset.value);
  out.target = target;
  out.bytes = record.failure ? static_cast<std::uint32_t>(record.failure->code) : static_cast<std::uint32_t>(bytes);
  return out;
}

}  // namespace

Scheduler::Scheduler(JobServices services, std::size_t memory_bytes, CreateTopic create_topic)
    : services_(std::move(services)),
      records_max_(std::max<std::uint64_t>(memory_bytes / kBytesPerRecord, 1)),
      create_topic_(std::move(create_topic)) {}

Scheduler::~Scheduler() = default;

void Scheduler::hold_producer() {
  if (state_.producer) services_.holds.hold(*state_.producer);
}

std::vector<storage::StateRecord> Scheduler::snapshot() const { return state_.snapshot(services_.partitions.topics()); }

void Scheduler::begin() { load(); }

void Scheduler::stop() {
  stopping_ = true;
  cancel_timer();
  for (Task& task : std::exchange(waiting_for_load_, {})) task();
}

// --- Adding.

/// One call of add(): lives as long as its last batch.
struct Scheduler::Adding {
  std::int32_t lane = 0;
  Offset began;
  std::uint32_t target = 0;
  std::vector<NewRecord> records;
  std::vector<std::size_t> bytes;
  std::vector<Added> added;
  std::size_t left = 1;
  bool some_stored = false;
  std::optional<Error> error;
  Done<std::vector<Added>> done;
};

void Scheduler::with_topic(Done<std::shared_ptr<const Topic>> done) {
  const auto known = services_.partitions.topics().by_name.find(kScheduleTopic);
  if (known != services_.partitions.topics().by_name.end()) return done(known->second);
  waiting_for_topic_.push_back(std::move(done));
  if (waiting_for_topic_.size() > 1) return;
  // Whatever the broker's defaults are: what waits for years must neither be dropped nor lost.
  const ConfigMap config = {{"durability", "fsync"},         {"retention.ms", "-1"},           {"retention.bytes", "-1"},
                            {"segment.bytes", "16777216"},   {"max.message.bytes", "8388608"}, {"dedup.window.ms", "300000"},
                            {"compression.type", "producer"}};
  services_.begin_work();
  create_topic_({std::string(kScheduleTopic), kScheduleLanes, config}, [this](Result<std::shared_ptr<const Topic>> made) {
    for (auto& waiting : std::exchange(waiting_for_topic_, {})) waiting(made);
    services_.end_work();
  });
}

void Scheduler::add(const ScheduleTarget& target, std::vector<NewRecord> records, Done<std::vector<Added>> done) {
  if (stopping_) return done(Error{Errc::shutting_down, "the broker is stopping"});
  if (book_.waiting() + book_.failed() + being_added_ + records.size() > records_max_) {
    return done(Error{Errc::overloaded, "the schedule is full: at most " + std::to_string(records_max_) +
                                            " records may wait with this memory.limit; try again when some were delivered"});
  }
  auto adding = std::make_shared<Adding>();
  adding->lane = ScheduleBook::lane_of(target);
  adding->records = std::move(records);
  adding->bytes.resize(adding->records.size());
  adding->added.resize(adding->records.size());
  adding->target = book_.target_number(target);
  adding->began = book_.lane(adding->lane).known_end;
  book_.lane(adding->lane).adds.insert(adding->began);
  being_added_ += adding->records.size();
  services_.begin_work();
  adding->done = [this, shared = std::weak_ptr<Adding>(adding), done = std::move(done)](Result<std::vector<Added>> result) mutable {
    const std::shared_ptr<Adding> ended = shared.lock();
    CHECK(ended != nullptr);
    auto& adds = book_.lane(ended->lane).adds;
    adds.erase(adds.find(ended->began));
    being_added_ -= ended->records.size();
    done(std::move(result));
    arm_timer();
    services_.end_work();
  };
  with_topic([this, adding](Result<std::shared_ptr<const Topic>> topic) {
    if (!topic) return adding->done(std::move(topic).error());
    BatchBuilder batch;
    auto plan = std::make_unique<AppendPlan>();
    std::size_t first = 0;
    const auto flush = [&](std::size_t end) {
      if (first == end) return;
      ++adding->left;
      append_group(adding, batch.build(), std::exchange(plan, std::make_unique<AppendPlan>()), first, end - first);
      first = end;
    };
    const std::int64_t now_ms = now().time_since_epoch().count();
    for (std::size_t i = 0; i < adding->records.size(); ++i) {
      const NewRecord& record = adding->records[i];
      const std::string value = record.record.encode();
      adding->bytes[i] = value.size();
      const HeaderView origin{.name = kDedupIdHeader, .value = as_bytes(record.origin)};
      RecordInput input{.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = now_ms, .headers = {}};
      if (!record.origin.empty()) input.headers = std::span(&origin, 1);
      if (!batch.empty() && batch.size_bytes() + BatchBuilder::size_bound(input) > kLaneBatchBytes) flush(i);
      batch.add(input);
      plan->ids.push_back(record.origin.empty() ? std::nullopt : std::optional(DedupId::of(record.origin)));
    }
    flush(adding->records.size());
    added(*adding, 0, 0, Appended{});
  });
}

void Scheduler::append_group(std::shared_ptr<Adding> adding, Slice bytes, std::unique_ptr<AppendPlan> plan, std::size_t first,
                             std::size_t count) {
  services_.partitions.call<Appended>(
      {topic()->id, adding->lane}, std::string(kScheduleTopic),
      [this, adding, first, count](Result<Appended> appended) { added(*adding, first, count, appended); },
      [bytes = std::move(bytes), plan = std::move(plan)](Partition& partition, Done<Appended> answer) mutable {
        partition.append(std::move(bytes), std::move(plan), std::move(answer));
      });
}

/// A batch of the call is durable, or was refused.
void Scheduler::added(Adding& adding, std::size_t first, std::size_t count, const Result<Appended>& appended) {
  if (!appended) adding.error = appended.error();
  std::vector<std::optional<Offset>> known(count);
  if (appended && appended->details) {
    for (const auto& duplicate : appended->details->duplicates) known[static_cast<std::size_t>(duplicate.record)] = duplicate.offset;
  }
  ScheduleBook::Lane& lane = book_.lane(adding.lane);
  for (std::size_t i = 0; appended && i < count; ++i) {
    const ScheduledRecord& record = adding.records[first + i].record;
    const Offset offset = known[i] ? *known[i] : appended->base_offset + static_cast<std::int64_t>(i);
    adding.added[first + i] = {{adding.lane, offset.value}, record.due, known[i].has_value()};
    adding.some_stored = true;
    if (known[i]) continue;
    lane.known_end = std::max(lane.known_end, offset + 1);
    // The reading of the lanes at the start may have come across it.
    if (!state_.done[static_cast<std::size_t>(adding.lane)].contains(offset))
      book_.add(adding.lane, waiting(record, offset, adding.target, adding.bytes[first + i]), false);
  }
  if (--adding.left > 0) return;
  if (!adding.error) return adding.done(std::move(adding.added));
  adding.error->maybe_done = adding.error->maybe_done || adding.some_stored;
  adding.done(*adding.error);
}

// --- Reading the lanes at the start.

struct Scheduler::Loading {
  Uuid topic;
  std::array<Offset, kScheduleLanes> next{};
  std::array<Offset, kScheduleLanes> end{};
  std::size_t left = kScheduleLanes;
};

void Scheduler::when_loaded(Task task) {
  if (loaded_ || stopping_) return task();  // A stop does not wait for the lanes to be read.
  waiting_for_load_.push_back(std::move(task));
}

void Scheduler::load() {
  loaded_ = false;
  const Topic* const lanes = topic();
  if (lanes == nullptr) return finish_load();
  services_.begin_work();
  auto loading = std::make_shared<Loading>();
  loading->topic = lanes->id;
  for (std::int32_t lane = 0; lane < kScheduleLanes; ++lane) {
    services_.partitions.call<PartitionInfo>(
        {lanes->id, lane}, std::string(kScheduleTopic),
        [this, loading, lane](Result<PartitionInfo> info) {
          const auto index = static_cast<std::size_t>(lane);
          if (info) {
            loading->next[index] = info->log_start;
            loading->end[index] = info->high_watermark;
            state_.done[index].forget_below(info->log_start);
            trimmed_to_[index] = info->log_start;
          }
          if (--loading->left == 0) load_next(loading);
        },
        [](Partition& partition, Done<PartitionInfo> answer) { answer(partition.describe()); });
  }
}

void Scheduler::load_next(std::shared_ptr<Loading> loading) {
  std::vector<SourceWindow> windows;
  for (std::int32_t lane = 0; lane < kScheduleLanes && !stopping_; ++lane) {
    const auto index = static_cast<std::size_t>(lane);
    if (loading->next[index] < loading->end[index])
      windows.push_back({.partition = lane, .from = loading->next[index], .to = loading->end[index]});
  }
  if (windows.empty()) {
    for (std::int32_t lane = 0; lane < kScheduleLanes; ++lane) {
      Offset& end = book_.lane(lane).known_end;
      end = std::max(end, loading->end[static_cast<std::size_t>(lane)]);
    }
    finish_load();
    return services_.end_work();
  }
  struct Seen {
    std::int32_t lane;
    Offset offset;
    std::size_t bytes;
    ScheduledRecord record;
  };
  const SourceReader::Options options{
      .topic = loading->topic, .name = std::string(kScheduleTopic), .skip_damaged = true, .bytes_max = kLoadBytes, .whole = false};
  SourceReader::read(services_, options, std::move(windows), [this, loading](SourceRead read) {
    if (read.error) {
      log_error("the schedule cannot be read: " + read.error->to_string() + "; records that wait in it are not delivered");
      loading->next = loading->end;
      return load_next(loading);
    }
    // Decoding takes a while, and many others live on this shard.
    services_.runtime.disk_pool().post([this, loading, read = std::move(read)]() mutable {
      auto seen = std::make_shared<std::vector<Seen>>();
      std::uint64_t lost = 0;
      for (const SourceWindow& window : read.windows) {
        lost += window.damaged;
        for (const Slice& batches : window.batches) {
          lost +=
              visit_lane_records(batches.view(), window.from, window.end, [&](Offset offset, std::size_t bytes, ScheduledRecord record) {
                record.key.reset();
                record.value.reset();
                record.headers.clear();
                seen->push_back({window.partition, offset, bytes, std::move(record)});
              });
        }
      }
      services_.shard.post([this, loading, read = std::move(read), seen, lost] {
        for (const SourceWindow& window : read.windows) loading->next[static_cast<std::size_t>(window.partition)] = window.end;
        for (const Seen& one : *seen) {
          if (state_.done[static_cast<std::size_t>(one.lane)].contains(one.offset)) continue;
          const std::uint32_t target = book_.target_number(one.record.target);
          book_.add(one.lane, waiting(one.record, one.offset, target, one.bytes), one.record.failure.has_value());
        }
        damaged_ += lost;
        if (lost > 0) log_error("the schedule has lost " + std::to_string(lost) + " records to damage of the disk");
        load_next(loading);
      });
    });
  });
}

void Scheduler::finish_load() {
  loaded_ = true;
  if (book_.waiting() + book_.failed() > records_max_) {
    log_warn("more records wait in the schedule than memory.limit allows: no further ones are taken until it has shrunk");
  }
  for (Task& task : std::exchange(waiting_for_load_, {})) task();
  step();
}

// --- Looking and cancelling.

void Scheduler::list(ScheduleQuery query, Done<SchedulePage> done) {
  when_loaded([this, query = std::move(query), done = std::move(done)]() mutable {
    Result<SchedulePage> page = book_.list(query);
    if (!page || !query.with_content || page->records.empty() || stopping_) return done(std::move(page));
    add_content(*std::move(page), std::move(done));
  });
}

/// Records that were moved on meanwhile, or cannot be read, stay without.
void Scheduler::add_content(SchedulePage page, Done<SchedulePage> done) {
  std::vector<Moving> wanted(page.records.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    wanted[i].lane = page.records[i].id.lane;
    wanted[i].record.offset = page.records[i].place.value;
  }
  services_.begin_work();
  auto answer = [this, page = std::move(page), done = std::move(done)](std::vector<Moving> found, std::optional<Error>) mutable {
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i].read) page.records[i].content = {std::move(found[i].content.key), found[i].bytes};
    }
    done(std::move(page));
    services_.end_work();
  };
  read(std::move(wanted), std::move(answer), Want::keys);
}

void Scheduler::status(Done<ScheduleStatus> done) {
  when_loaded([this, done = std::move(done)]() mutable {
    ScheduleStatus status;
    status.topics = book_.counts();
    status.waiting = book_.waiting();
    status.failed = book_.failed();
    status.records_max = records_max_;
    status.index_bytes = book_.memory_bytes();
    status.moved = moved_;
    status.damaged = damaged_;
    if (const auto due = book_.first_due_ms()) status.next_due = Timestamp(std::chrono::milliseconds(*due));
    done(std::move(status));
  });
}

bool Scheduler::being_moved(ScheduledId id) const {
  for (const OpenBatch& batch : chunk_) {
    for (const Moving& moving : batch.records) {
      if (moving.lane == id.lane && moving.record.number == id.number) return true;
    }
  }
  for (const Moving& moving : to_fail_) {
    if (moving.lane == id.lane && moving.record.number == id.number) return true;
  }
  return false;
}

void Scheduler::cancel(ScheduledId id, Done<ScheduledInfo> done) {
  if (stopping_) return done(Error{Errc::shutting_down, "the broker is stopping"});
  if (!loaded_) return when_loaded([this, id, done = std::move(done)]() mutable { cancel(id, std::move(done)); });
  const Error gone{Errc::not_found, "nothing waits under the id " + id.to_string()};
  if (id.lane < 0 || id.lane >= kScheduleLanes || id.number < 0 || topic() == nullptr) return done(gone);
  const ScheduleBook::Lane& lane = book_.lane(id.lane);
  const auto by_number = [this, id, gone](Done<ScheduledInfo> answer) {
    if (book_.lane(id.lane).renumbered > 0) {
      if (const auto found = book_.find_number(id.lane, id.number)) return cancel_found(id, *found, std::move(answer));
    }
    if (being_moved(id)) return answer(Error{Errc::conflict, id.to_string() + " is just being moved to its topic"});
    answer(gone);
  };
  if (!lane.live.contains({id.number})) return by_number(std::move(done));
  // Where it was put first: its due time is in the record, and with it its place in the index.
  std::vector<Moving> wanted(1);
  wanted[0].lane = id.lane;
  wanted[0].record.offset = id.number;
  services_.begin_work();
  read(std::move(wanted), [this, id, by_number, done = std::move(done)](std::vector<Moving> found, std::optional<Error>) mutable {
    const Moving& moving = found.front();
    const bool own = moving.read && moving.content.number.value_or(id.number) == id.number;
    std::optional<ScheduleBook::Found> there;
    if (own) there = book_.find(id.lane, moving.content.due.time_since_epoch().count(), id.number);
    if (there && !stopping_)
      cancel_found(id, *there, std::move(done));
    else
      by_number(std::move(done));
    services_.end_work();
  });
}

void Scheduler::cancel_found(ScheduledId id, const ScheduleBook::Found& found, Done<ScheduledInfo> done) {
  const ScheduledInfo info = book_.info(id.lane, found.record, found.failed);
  const std::optional<WaitingRecord> taken = book_.take(id.lane, found.record.key(), found.failed);
  CHECK(taken.has_value());
  OffsetSet& gone = state_.done[static_cast<std::size_t>(id.lane)];
  gone.insert({taken->offset});
  ScheduleState::Change change;
  change.done[static_cast<std::size_t>(id.lane)].push_back(taken->offset);
  std::vector<storage::StateRecord> records;
  records.push_back(state_.delta(change));
  services_.begin_work();
  services_.committer->submit(
      std::move(records), services_.shard,
      [this, lane = id.lane, record = *taken, failed = found.failed, info, done = std::move(done)](Status recorded) mutable {
        if (recorded) {
          book_.settle(lane, record);
          done(info);
        } else {
          state_.done[static_cast<std::size_t>(lane)].erase({record.offset});
          book_.put_back(lane, record, failed);
          done(std::move(recorded).error());
        }
        arm_timer();
        services_.end_work();
      });
}

}  // namespace tidemark::broker
