#include "broker/queues/queue_partition.h"

#include <algorithm>
#include <span>
#include <utility>

#include "broker/entries/entry_chunk.h"
#include "broker/publish_fields.h"
#include "broker/queues/record_traits.h"
#include "storage/base/log.h"
#include "storage/base/printable.h"
#include "storage/batch/record_batch.h"

/// Handing out. Waiting members and timers: queue_partition_wait.cc.
namespace tidemark::broker {
namespace {

constexpr std::size_t kReadBytesMax = 1024 * 1024;
constexpr std::size_t kExpireAtOnce = 10'000;

}  // namespace

/// A take under way; one at a time.
struct QueuePartition::Work {
  Take asked;
  Done<ReceivedPartition> done;
  std::vector<Offset> chosen;       ///< Of what was available before.
  std::size_t fetched = 0;          ///< Of `chosen`, from the front: their batches are there.
  std::map<Offset, Slice> batches;  ///< By base offset.
  std::vector<Offset> fresh;        ///< From the cursor.
  std::size_t bytes = 0;
  std::size_t steps = 0;
  bool looked = false;  ///< Ahead, for what is urgent.

  /// Reads may answer at once: now and then the stack is left.
  bool deep() { return ++steps % 32 == 0; }
  bool covers(Offset offset) const {
    const auto after = batches.upper_bound(offset);
    if (after == batches.begin()) return false;
    const Result<BatchHeader> header = BatchHeader::parse(std::prev(after)->second.view());
    return header && offset < header->end_offset();
  }
  void keep(Slice batch, Offset base) {
    if (!batches.try_emplace(base, batch).second) return;
    bytes += batch.size();
  }
  /// What was read ahead is not sent along.
  void forget_unchosen() {
    bytes = 0;
    std::erase_if(batches, [this](const auto& entry) {
      const Result<BatchHeader> header = BatchHeader::parse(entry.second.view());
      const bool wanted = header && std::ranges::any_of(chosen, [&](Offset offset) {
                            return offset >= header->base_offset && offset < header->end_offset();
                          });
      if (wanted) bytes += entry.second.size();
      return !wanted;
    });
  }
  std::size_t bytes_left() const { return asked.bytes_max > bytes ? asked.bytes_max - bytes : 0; }
};

QueuePartition::QueuePartition(QueueServices services, PartitionKey key, std::unique_ptr<QueueWindow> window)
    : services_(std::move(services)),
      key_(key),
      window_(std::move(window)),
      recorder_(std::make_shared<QueueRecorder>(*window_, services_.committer, services_.shard, services_.began, services_.ended)),
      mover_(std::make_unique<DeadLetterMover>(*this, services_)) {}

QueuePartition::~QueuePartition() { recorder_->close(); }

Timestamp QueuePartition::now() const { return services_.runtime.clock().now(); }

std::shared_ptr<Partition> QueuePartition::partition() const { return services_.partition(key_); }

Offset QueuePartition::log_start() const {
  const std::shared_ptr<Partition> log = partition();
  return log ? log->log_start() : Offset{};
}

Offset QueuePartition::log_end() const {
  const std::shared_ptr<Partition> log = partition();
  return log ? log->last_stable() : Offset{};
}

bool QueuePartition::paused() const {
  const QueueSettings& settings = window_->settings();
  return settings.paused && (!settings.paused_until || now() < *settings.paused_until);
}

bool QueuePartition::priorities() const {
  const std::shared_ptr<const Topic> topic = services_.topic(key_.topic);
  return topic && topic->effective.record_headers;
}

bool QueuePartition::may_look() const {
  if (window_->cursor() >= log_end() || window_->lookahead_full()) return false;
  return !priorities() || window_->counts().waiting < window_->settings().lookahead;
}

std::optional<Error> QueuePartition::refusal() const {
  if (closed_) return closed_;
  if (recorder_->behind()) return recorder_->behind_error();
  return std::nullopt;
}

void QueuePartition::housekeeping() {
  if (const Offset start = log_start(); start > seen_start_) {
    seen_start_ = start;
    window_->trimmed(start);
  }
  if (const std::optional<Timestamp> due = window_->next_deadline(); due && *due <= now()) window_->expire(now(), kExpireAtOnce);
}

// --- Takes.

void QueuePartition::take(Take take, Done<ReceivedPartition> done) {
  if (closed_) return done(*closed_);
  auto work = std::make_shared<Work>();
  work->asked = std::move(take);
  work->done = std::move(done);
  takes_.push_back(std::move(work));
  if (!working_) next_work();
}

void QueuePartition::next_work() {
  while (!working_ && !takes_.empty()) {
    const std::shared_ptr<Work> work = std::move(takes_.front());
    takes_.pop_front();
    working_ = true;
    begin(work);
  }
}

void QueuePartition::begin(const std::shared_ptr<Work>& work) {
  if (closed_) return fail(work, *closed_);
  if (recorder_->behind()) return fail(work, recorder_->behind_error());
  housekeeping();
  if (!window_->member(work->asked.member) && window_->members().size() >= kMembersMax) {
    return fail(work, {Errc::overloaded, "a queue group knows at most " + std::to_string(kMembersMax) + " members"});
  }
  window_->touch(work->asked.member, now());
  if (paused()) return finish(work);
  if (window_->needs_look()) return look_again(work, std::max(window_->floor(), log_start()));
  plan(work);
}

void QueuePartition::plan(const std::shared_ptr<Work>& work) {
  const QueueSettings& settings = window_->settings();
  const std::size_t room = std::min(work->asked.records_max, window_->room(work->asked.member));
  if (room == 0) return finish(work);
  const bool more = may_look();
  const bool ahead = settings.looks_ahead() || priorities();
  // The most urgent record may be one that was not looked at yet.
  if (more && !work->asked.new_only && priorities() && !std::exchange(work->looked, true)) return read_new(work);
  // Where nothing is redelivered, there may still be records that were looked at and never handed out.
  if (!work->asked.new_only && (settings.redelivers || window_->counts().waiting > 0)) {
    // While there are new records, what comes back takes half of the room, so that neither starves the other.
    const std::size_t share = more && !ahead ? std::max<std::size_t>(1, room / 2) : room;
    work->chosen = window_->choose(work->asked.member, share, now());
    const std::uint32_t suspect = settings.suspect_from();
    if (work->chosen.size() == 1 && suspect > 0) {
      const std::optional<PendingEntry> entry = window_->entry(work->chosen.front());
      if (entry && entry->failures >= suspect) return fetch_chosen(work);
    }
  }
  if (more && work->chosen.size() < room) return read_new(work);
  fetch_chosen(work);
}

Result<Offset> QueuePartition::judge_batch(ByteView bytes, Offset from, std::size_t candidates_max, bool keys,
                                           std::vector<LookedAt>& looked, std::vector<Offset>& candidates) const {
  const Result<BatchHeader> header = BatchHeader::parse(bytes);
  if (!header) return header.error();
  const QueueSettings& settings = window_->settings();
  const std::shared_ptr<const Topic> topic = services_.topic(key_.topic);
  if (!topic) return Error{Errc::unknown_topic, "the topic was deleted"};
  const bool priorities = topic->effective.record_headers;
  const std::optional<std::chrono::milliseconds> ttl = topic->effective.record_ttl;
  Offset next = std::max(from, header->base_offset);
  const auto gone_until = [&](Offset until) {
    for (; next < until; next = next + 1) looked.push_back({.offset = next, .what = LookedAt::What::gone});
  };
  if (header->is_control()) {
    gone_until(header->end_offset());
    return header->end_offset();
  }
  const bool dense = header->record_count == header->last_offset_delta + 1;
  if (dense && !settings.parsed_filter && !ttl && !priorities && !keys) {
    for (; next < header->end_offset() && candidates.size() < candidates_max; next = next + 1) candidates.push_back(next);
    return next;
  }
  Result<BatchReader> reader = BatchReader::open(bytes);
  if (!reader) return reader.error();
  const std::int64_t oldest = ttl ? (now() - *ttl).time_since_epoch().count() : 0;
  RecordView record;
  while (candidates.size() < candidates_max) {
    const Result<bool> has = reader->next(record);
    if (!has) return has.error();
    if (!*has) {
      gone_until(header->end_offset());
      return header->end_offset();
    }
    if (record.offset < next) continue;
    gone_until(record.offset);
    next = record.offset + 1;
    LookedAt seen{.offset = record.offset};
    if (ttl && record.timestamp_ms >= 0 && record.timestamp_ms < oldest) {
      seen.what = LookedAt::What::expired;
    } else if (settings.parsed_filter && !filter_matches(*settings.parsed_filter, topic->name, key_.partition, record)) {
      seen.what = LookedAt::What::filtered;
    } else {
      if (keys) seen.key = settings.ordering == Ordering::single ? kSingleKey : order_key(record);
      if (priorities) seen.priority = static_cast<std::uint8_t>(priority_of(record));
      candidates.push_back(record.offset);
    }
    if (seen.what != LookedAt::What::candidate || seen.key != 0 || seen.priority != 0) looked.push_back(seen);
  }
  return next;
}

/// After a restart, or when key order is turned on: the keys of everything unfinished are not known.
void QueuePartition::look_again(const std::shared_ptr<Work>& work, Offset from) {
  const Offset end = window_->cursor();
  const std::shared_ptr<Partition> log = partition();
  if (!log) return fail(work, {Errc::unknown_topic, "the topic was deleted"});
  if (from >= end || from >= log->last_stable()) {
    window_->looked_again();
    return plan(work);
  }
  log->read({.from = from, .bytes_max = kReadBytesMax}, [self = self(), work, from, end](Result<ReadReply> reply) {
    if (!reply) return self->fail(work, std::move(reply).error());
    if (self->closed_) return self->fail(work, *self->closed_);
    std::vector<LookedAt> looked;
    std::vector<Offset> candidates;
    for (const Slice& slice : reply->batches) {
      for (std::size_t at = 0; at < slice.size();) {
        const ByteView rest = slice.view().subspan(at);
        const Result<BatchHeader> header = BatchHeader::parse(rest);
        if (!header) return self->fail(work, header.error());
        const Result<Offset> judged =
            self->judge_batch(rest.first(header->size_bytes()), from, std::numeric_limits<std::size_t>::max(), true, looked, candidates);
        if (!judged) return self->fail(work, judged.error());
        at += header->size_bytes();
      }
    }
    // Filters and age may have changed their mind meanwhile: what was looked at once stays as it is.
    std::erase_if(looked, [end](const LookedAt& seen) { return seen.what != LookedAt::What::candidate || seen.offset >= end; });
    self->window_->look_again(looked);
    const Offset next = reply->next > from ? reply->next : end;
    if (!work->deep()) return self->look_again(work, next);
    self->services_.shard.post([self, work, next] {
      if (self->closed_) return self->fail(work, *self->closed_);
      self->look_again(work, next);
    });
  });
}

void QueuePartition::read_new(const std::shared_ptr<Work>& work) {
  const std::shared_ptr<Partition> log = partition();
  if (!log) return fail(work, {Errc::unknown_topic, "the topic was deleted"});
  const std::size_t bytes = std::clamp<std::size_t>(work->bytes_left(), 1, kReadBytesMax);
  log->read({.from = window_->cursor(), .bytes_max = bytes}, [self = self(), work](Result<ReadReply> reply) {
    if (self->closed_) return self->fail(work, *self->closed_);
    if (!reply) {
      self->stalled_ = reply.error().to_string();
      if (!work->chosen.empty()) return self->fetch_chosen(work);
      return self->fail(work, std::move(reply).error());
    }
    self->stalled_.clear();
    self->took_new(work, *std::move(reply));
  });
}

void QueuePartition::took_new(const std::shared_ptr<Work>& work, ReadReply reply) {
  // Redis reads from the cursor, whatever is urgent.
  const bool ahead = window_->settings().looks_ahead() || (priorities() && !work->asked.new_only);
  const std::size_t room = std::min(work->asked.records_max, window_->room(work->asked.member));
  const std::size_t wanted = room > work->chosen.size() ? room - work->chosen.size() : 0;
  std::vector<LookedAt> looked;
  std::vector<Offset> candidates;
  const Offset from = window_->cursor();
  Offset next = from;
  for (const Slice& slice : reply.batches) {
    for (std::size_t at = 0; at < slice.size() && (ahead || candidates.size() < wanted);) {
      const ByteView rest = slice.view().subspan(at);
      const Result<BatchHeader> header = BatchHeader::parse(rest);
      if (!header) return fail(work, header.error());
      for (; next < header->base_offset; next = next + 1) looked.push_back({.offset = next, .what = LookedAt::What::gone});
      const std::size_t before = candidates.size();
      const Result<Offset> judged = judge_batch(rest.first(header->size_bytes()), next,
                                                ahead ? std::numeric_limits<std::size_t>::max() : wanted, ahead, looked, candidates);
      if (!judged) {
        stalled_ = judged.error().to_string();
        return fail(work, judged.error());
      }
      if (candidates.size() > before) work->keep(slice.subslice(at, header->size_bytes()), header->base_offset);
      next = *judged;
      at += header->size_bytes();
    }
  }
  const bool took_all = ahead || candidates.size() < wanted;
  if (took_all && reply.next > next) {
    for (; next < reply.next; next = next + 1) looked.push_back({.offset = next, .what = LookedAt::What::gone});
  }
  const bool moved = next > from;
  window_->extend(next, looked);
  if (ahead) {
    work->chosen = window_->choose(work->asked.member, room, now());
    work->forget_unchosen();
  } else {
    work->fresh.insert(work->fresh.end(), candidates.begin(), candidates.end());
  }
  const std::size_t have = ahead ? work->chosen.size() : work->chosen.size() + work->fresh.size();
  if (moved && have < room && may_look() && work->bytes_left() > 0 && (ahead || work->fresh.empty())) {
    // Others have their turn between two reads.
    services_.shard.post([self = self(), work] {
      if (self->closed_) return self->fail(work, *self->closed_);
      self->read_new(work);
    });
    return;
  }
  fetch_chosen(work);
}

/// The batches of what was chosen, in its order, as far as the bytes go.
void QueuePartition::fetch_chosen(const std::shared_ptr<Work>& work) {
  while (work->fetched < work->chosen.size() && work->covers(work->chosen[work->fetched])) ++work->fetched;
  const bool full = work->fetched + work->fresh.size() > 0 && work->bytes_left() == 0;
  if (work->fetched == work->chosen.size() || full) {
    work->chosen.resize(work->fetched);
    return finish(work);
  }
  const std::shared_ptr<Partition> log = partition();
  if (!log) return fail(work, {Errc::unknown_topic, "the topic was deleted"});
  const Offset offset = work->chosen[work->fetched];
  log->read({.from = offset, .bytes_max = 1}, [self = self(), work, offset](Result<ReadReply> reply) {
    if (self->closed_) return self->fail(work, *self->closed_);
    const auto drop = [&] { work->chosen.erase(work->chosen.begin() + static_cast<std::ptrdiff_t>(work->fetched)); };
    if (!reply && reply.error().code != Errc::offset_out_of_range) {
      // Damage: this record cannot be had now, others can.
      self->stalled_ = reply.error().to_string();
      drop();
      if (work->chosen.empty() && work->fresh.empty()) return self->fail(work, std::move(reply).error());
      return self->fetch_chosen(work);
    }
    bool found = false;
    if (reply && !reply->batches.empty()) {
      const Slice& slice = reply->batches.front();
      const Result<BatchHeader> header = BatchHeader::parse(slice.view());
      if (header && header->size_bytes() <= slice.size()) {
        const Slice batch = slice.subslice(0, header->size_bytes());
        found = batch_holds(batch.view(), *header, offset);
        if (found) work->keep(batch, header->base_offset);
      }
    }
    if (!found) {
      self->window_->gone(offset);
      drop();
    }
    if (!work->deep()) return self->fetch_chosen(work);
    self->services_.shard.post([self, work] {
      if (self->closed_) return self->fail(work, *self->closed_);
      self->fetch_chosen(work);
    });
  });
}

bool QueuePartition::notes_ids() const {
  const std::shared_ptr<const Topic> topic = services_.topic(key_.topic);
  return window_->settings().keeps_ids && topic && topic->effective.entry_id == EntryIdMode::time;
}

/// Where groups keep ids that do not follow from offsets: those of `offsets` (ascending), out of the batches at hand. Otherwise none.
std::vector<EntryId> QueuePartition::ids_of(const Work& work, std::span<const Offset> offsets) const {
  if (!notes_ids()) return {};
  std::map<Offset, EntryId> known;
  for (const auto& [base, batch] : work.batches) {
    EntryWalk walk(batch, EntryIdMode::time);
    EntryWalk::Step step;
    for (Result<bool> more = walk.next(step); more && *more; more = walk.next(step)) known.emplace(step.record.offset, step.id);
  }
  std::vector<EntryId> ids;
  ids.reserve(offsets.size());
  for (const Offset offset : offsets) {
    const auto found = known.find(offset);
    ids.push_back(found == known.end() ? EntryId{} : found->second);
  }
  return ids;
}

void QueuePartition::finish(const std::shared_ptr<Work>& work) {
  const Timestamp time = now();
  ReceivedPartition reply{.partition = key_.partition, .runs = {}, .batches = {}, .lease = window_->settings().ack_timeout};
  if (!work->chosen.empty()) reply.runs = window_->take(work->asked.member, work->chosen, ids_of(*work, work->chosen), time);
  if (!work->fresh.empty()) {
    std::vector<TakenRun> runs;
    if (work->asked.new_only) {
      for (std::size_t i = 0; i < work->fresh.size();) {
        std::size_t end = i + 1;
        while (end < work->fresh.size() && work->fresh[end] == work->fresh[end - 1] + 1) ++end;
        const std::vector<EntryId> ids = ids_of(*work, std::span(work->fresh).subspan(i, end - i));
        const std::vector<TakenRun> taken =
            window_->take_new(work->asked.member, {work->fresh[i], static_cast<std::int64_t>(end - i)}, ids, time);
        runs.insert(runs.end(), taken.begin(), taken.end());
        i = end;
      }
    } else {
      runs = window_->take(work->asked.member, work->fresh, ids_of(*work, work->fresh), time);
    }
    reply.runs.insert(reply.runs.end(), runs.begin(), runs.end());
  }
  for (const auto& [base, batch] : work->batches) {
    const Result<BatchHeader> header = BatchHeader::parse(batch.view());
    CHECK(header.has_value());  // Parsed before it was kept.
    const bool wanted = std::ranges::any_of(reply.runs, [&](const TakenRun& run) {
      return run.offsets.first < header->end_offset() && run.offsets.first + run.offsets.count > header->base_offset;
    });
    if (wanted) reply.batches.push_back(batch);
  }
  if (work->asked.settled) {
    for (const TakenRun& run : reply.runs) {
      for (std::int64_t i = 0; i < run.offsets.count; ++i) {
        const Settled settled = window_->ack(run.offsets.first + i, work->asked.member, run.deliveries, time);
        CHECK(settled == Settled::ok);  // Taken a moment ago.
      }
    }
  }
  const bool wait = !reply.runs.empty() && (work->asked.durable || work->asked.settled || window_->must_record(reply.runs));
  if (wait) {
    answer<ReceivedPartition>(std::move(reply), std::move(work->done));
  } else {
    recorder_->record();
    work->done(std::move(reply));
  }
  working_ = false;
  changed();
  next_work();
}

void QueuePartition::fail(const std::shared_ptr<Work>& work, Error error) {
  // What was looked at for nothing is available to the next.
  recorder_->record();
  work->done(std::move(error));
  working_ = false;
  changed();
  next_work();
}

void QueuePartition::read_records(std::vector<Offset> offsets, std::size_t bytes_max, Done<Records> done) {
  struct Reading {
    std::vector<Offset> offsets;
    std::size_t at = 0;
    std::size_t bytes = 0;
    Offset covered{0};  ///< The last batch ends here.
    ByteView batch;
    Records records;
    Done<Records> done;
  };
  auto reading = std::make_shared<Reading>();
  reading->offsets = std::move(offsets);
  reading->done = std::move(done);
  auto step = std::make_shared<std::function<void()>>();
  *step = [self = self(), reading, bytes_max, weak = std::weak_ptr(step)] {
    while (reading->at < reading->offsets.size()) {
      const Offset offset = reading->offsets[reading->at];
      if (offset < reading->covered) {
        const Result<BatchHeader> header = BatchHeader::parse(reading->batch);
        if (!header || !batch_holds(reading->batch, *header, offset)) reading->records.gone.push_back(offset);
        ++reading->at;
        continue;
      }
      if (reading->bytes >= bytes_max) break;
      const std::shared_ptr<Partition> log = self->partition();
      if (!log) return reading->done(Error{Errc::unknown_topic, "the topic was deleted"});
      const std::shared_ptr<std::function<void()>> again = weak.lock();
      log->read({.from = offset, .bytes_max = 1}, [self, reading, offset, again](Result<ReadReply> reply) {
        if (!reply && reply.error().code != Errc::offset_out_of_range) return reading->done(std::move(reply).error());
        if (!reply || reply->batches.empty()) {
          reading->records.gone.push_back(offset);
          ++reading->at;
          return self->services_.shard.post([again] { (*again)(); });
        }
        const Slice& slice = reply->batches.front();
        const Result<BatchHeader> header = BatchHeader::parse(slice.view());
        if (!header || header->size_bytes() > slice.size()) {
          return reading->done(header ? Error{Errc::corrupt_batch, "a batch is cut short"} : header.error());
        }
        reading->records.batches.push_back(slice.subslice(0, header->size_bytes()));
        reading->batch = reading->records.batches.back().view();
        reading->bytes += reading->batch.size();
        reading->covered = std::max(header->end_offset(), offset + 1);
        self->services_.shard.post([again] { (*again)(); });
      });
      return;
    }
    reading->records.reached = reading->at;
    reading->done(std::move(reading->records));
  };
  (*step)();
}

}  // namespace tidemark::broker
