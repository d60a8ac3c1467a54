#include "broker/partition.h"

#include <algorithm>

#include "storage/base/log.h"
#include "storage/base/units.h"
#include "storage/batch/filler_batch.h"
#include "storage/batch/repack.h"
#include "storage/batch/require_keys.h"

namespace tidemark::broker {
namespace {

/// Weak durability: how many offsets are reserved at a time.
constexpr std::int64_t kReservedOffsets = 1'000'000;
constexpr std::size_t kReadBytesMax = storage::kGroupBytesMax;

/// Records in consecutive whole batches, for the counters.
std::uint64_t count_records(ByteView batches) {
  std::uint64_t count = 0;
  while (!batches.empty()) {
    const Result<BatchHeader> header = BatchHeader::parse(batches);
    if (!header || header->size_bytes() > batches.size()) break;
    count += static_cast<std::uint64_t>(header->record_count);
    batches = batches.subspan(header->size_bytes());
  }
  return count;
}

/// Whether there are batches, and none of them has a record.
bool only_headers(const std::vector<Slice>& batches) {
  for (const Slice& slice : batches) {
    for (ByteView rest = slice.view(); !rest.empty();) {
      const Result<BatchHeader> header = BatchHeader::parse(rest);
      if (!header || header->record_count > 0) return false;
      rest = rest.subspan(std::min(header->size_bytes(), rest.size()));
    }
  }
  return !batches.empty();
}

}  // namespace

void ColdReads::start(std::size_t bytes, Task task) {
  waiting_.emplace_back(bytes, std::move(task));
  run_waiting();
}

void ColdReads::finished(std::size_t bytes) {
  bytes_ -= bytes;
  run_waiting();
}

void ColdReads::run_waiting() {
  while (!waiting_.empty() && (bytes_ == 0 || bytes_ + waiting_.front().first <= bytes_max_)) {
    auto [bytes, task] = std::move(waiting_.front());
    waiting_.pop_front();
    bytes_ += bytes;
    task();
  }
}

Partition::Partition(PartitionServices services, PartitionKey key, std::shared_ptr<const Topic> topic, std::unique_ptr<storage::Log> log,
                     ProducerSessions producers, Offset reserved_end, EntryValues entries)
    : services_(services),
      key_(key),
      topic_(std::move(topic)),
      log_(std::move(log)),
      producers_(std::move(producers)),
      tail_(services.tails),
      dedup_(services.dedup),
      entries_(*this, std::move(entries)),
      reserved_end_(reserved_end),
      opened_(services.runtime.clock().steady()) {
  if (log_->log_start() == log_->end_offset()) dedup_state_ = DedupState::ready;  // There is nothing to read ids from.
}

Partition::~Partition() = default;

std::string Partition::name() const { return topic_->name + ":" + std::to_string(key_.partition); }

// --- Appending.

std::optional<Error> Partition::append_refusal(std::size_t bytes) const {
  if (closed_) return closed_;
  if (log_->append_error()) return log_->append_error();
  if (const auto reason = services_.space.reason()) return Error{Errc::disk_full, *reason};
  if (bytes > config().message_bytes_max || bytes > storage::kGroupBytesMax) {
    return Error{Errc::batch_too_large, "a batch of " + std::to_string(bytes) + " bytes for " + name() + ", whose max.message.bytes is " +
                                            std::to_string(config().message_bytes_max)};
  }
  return std::nullopt;
}

void Partition::append(Slice batch, std::unique_ptr<AppendPlan> plan, Done<Appended> done) {
  if (auto refusal = append_refusal(batch.size())) return done(*std::move(refusal));
  Result<BatchHeader> header = validate_produced_batch(batch.view());
  if (!header) {
    Error error = std::move(header).error();
    error.detail = name() + ": " + error.detail;
    return done(std::move(error));
  }
  // Kafka sets it right for the clients that do not; the time index relies on it.
  const Result<BatchHeader> sent = BatchHeader::parse(batch.view());
  if (sent && sent->max_timestamp_ms != header->max_timestamp_ms) set_max_timestamp(batch.writable(), header->max_timestamp_ms);
  if (config().compression && *config().compression != header->codec()) {
    Result<Slice> packed = repack_batch(batch.view(), *config().compression);
    if (!packed) return done(std::move(packed).error());
    batch = *std::move(packed);
    header = BatchHeader::parse(batch.view());
    CHECK(header.has_value());  // Written by us.
    if (auto refusal = append_refusal(batch.size())) return done(*std::move(refusal));
  }
  if (config().compact) {
    if (Status keyed = require_keys(batch.view()); !keyed) {
      Error error = std::move(keyed).error();
      error.detail = name() + ": " + error.detail;
      return done(std::move(error));
    }
  }
  if (!services_.staging.try_take(batch.size())) return done(staging_full());
  pending_.push_back({std::move(batch), *header, std::move(plan), std::move(done)});
  advance();
}

Error Partition::staging_full() const {
  return {Errc::overloaded, format_size(services_.staging.used()) + " of records wait for the disk; try again shortly"};
}

/// Stages what can be staged, in arrival order.
void Partition::advance() {
  while (!pending_.empty()) {
    if (!stage(pending_.front())) break;
    pending_.pop_front();
  }
  pump();
}

/// Space and offsets for a batch to be staged now. False: they are on their way.
bool Partition::has_room(std::size_t bytes, std::int64_t records, Timestamp now) {
  const std::size_t needed = skip_to_ ? kBatchHeaderBytes + bytes : bytes;
  if (!log_->has_space(needed, now)) {
    request_space(needed);
    return false;
  }
  if (skip_to_) stage_filler(now);
  if (weak()) {
    if (log_->end_offset() + records + kReservedOffsets / 2 > reserved_end_) request_reservation();
    if (log_->end_offset() + records > reserved_end_) return false;
  }
  return true;
}

/// True: the append is a retry, and answered or waiting for the first attempt; or its sequence is wrong.
bool Partition::answer_repeated(PendingAppend& append) {
  if (!append.header.has_producer()) return false;
  Result<std::optional<ProducedBatch>> repeated = producers_.check(append.header);
  if (repeated && !repeated->has_value()) return false;
  services_.staging.give_back(append.batch.size());
  if (repeated) {
    answer_repeat(append, **repeated);
    return true;
  }
  Error error = std::move(repeated).error();
  error.detail = name() + ": " + error.detail;
  append.done(std::move(error));
  return true;
}

/// False: the append must wait for space or offsets, which are on their way.
bool Partition::stage(PendingAppend& append) {
  if (entries_.blocks_appends()) return false;
  if (append.entry) return entries_.stage(*append.entry);
  if (append.plan && append.plan->has_ids() && !dedup_window_ready()) return false;
  entries_.seal();
  if (!append.marker && answer_repeated(append)) return true;
  if (!passes_transactions(append)) return true;
  if (std::optional<Error> refusal = append.marker ? std::nullopt : full_refusal(log_->end_offset(), append.header.last_offset_delta + 1)) {
    services_.staging.give_back(append.batch.size());
    append.done(*std::move(refusal));
    return true;
  }
  const Timestamp now = services_.runtime.clock().now();
  const std::size_t charged = append.batch.size();  // What was taken from the budget, however much is stored.
  const auto refuse = [&](Error error) {
    services_.staging.give_back(charged);
    append.done(std::move(error));
    return true;
  };
  Result<Thinned> thinned = Thinned{};
  if (append.plan) {
    thinned = thin(append, now);
    if (!thinned) return refuse(std::move(thinned).error());
    if (thinned->kept == 0) {
      services_.staging.give_back(charged);
      stage_nothing(append, *thinned, now);
      return true;
    }
  }
  Slice stored = thinned->batch.empty() ? append.batch : thinned->batch;
  std::optional<StampedBatch> stamped;
  if (entries_.has_ids() && !append.marker) {
    Result<StampedBatch> made = entries_.stamp(stored, now);
    if (made && made->batch.size() > storage::kGroupBytesMax) made = Error{Errc::batch_too_large, name() + ": no room for its ids"};
    if (!made) return refuse(std::move(made).error());
    stamped = *std::move(made);
    stored = stamped->batch;
  }
  const std::int64_t count = append.header.last_offset_delta + 1;
  if (!has_room(stored.size(), count, now)) return false;
  const bool append_time = config().log_append_time && !append.marker;
  if (!stamped && append_time) set_log_append_time(stored.writable(), now);
  BatchHeader& header = append.header;
  if (stamped || append_time || !thinned->batch.empty()) {
    const Result<BatchHeader> changed = BatchHeader::parse(stored.view());
    CHECK(changed.has_value());  // Written by us.
    header = *changed;
  }
  const EntryId first_id = stamped ? stamped->first : EntryId{};
  const Offset base = log_->stage(stored, header, now, {first_id.ms, first_id.seq});
  header.base_offset = base;
  if (header.has_producer()) producers_.appended(header, base, now);
  transactions_.appended(header, base, append.marker.value_or(false));
  if (append.plan) note_staged(*append.plan, *thinned, base, now);
  const std::size_t bytes = stored.size();
  tail_.push(base, base + count, std::move(stored));
  if (stamped) entries_.staged(stamped->first, stamped->last, base, base + count);
  const std::vector<bool>& left_out = thinned->left_out;
  for (auto from = std::ranges::find(left_out, true); from != left_out.end();) {
    const auto to = std::find(from, left_out.end(), false);
    entries_.never_used(base + (from - left_out.begin()), base + (to - left_out.begin()));
    from = std::find(to, left_out.end(), true);
  }
  records_in_ += static_cast<std::uint64_t>(header.record_count);
  bytes_in_ += bytes;
  const Appended answer{base, log_->log_start(), now, false, config().durability, std::move(thinned->details)};
  waiters_.push_back({base + count, charged, answer, std::move(append.done)});
  return true;
}

void Partition::skip_to(Offset offset) {
  CHECK(offset > log_->end_offset());
  log_->set_leader_epoch(log_->leader_epoch() + 1);
  skip_to_ = offset;
}

/// Fills the offsets that were reserved before the crash, so that the chain of offsets stays whole.
void Partition::stage_filler(Timestamp now) {
  const Offset from = log_->end_offset();
  const Offset to = *std::exchange(skip_to_, std::nullopt);
  Slice filler = build_filler_batch(from, to, log_->leader_epoch());
  const Result<BatchHeader> header = BatchHeader::parse(filler.view());
  CHECK(header.has_value());
  log_->stage(filler, *header, now);
  tail_.push(from, to, std::move(filler));
  entries_.never_used(from, to);
}

void Partition::fail_pending(const Error& error) {
  std::deque<PendingAppend> failed = std::move(pending_);
  pending_.clear();
  for (PendingAppend& append : failed) {
    services_.staging.give_back(append.entry ? append.entry->bytes : append.batch.size());
    if (append.entry)
      append.entry->done(error);
    else
      append.done(error);
  }
}

void Partition::request_space(std::size_t bytes) {
  if (space_under_way_) return;
  space_under_way_ = true;
  started();
  storage::SpacePlan plan = log_->plan_space(bytes, services_.runtime.clock().now());
  services_.runtime.disk_pool().post([self = shared_from_this(), plan = std::move(plan)]() mutable {
    Status provided = plan.execute(self->services_.files);
    self->services_.shard.post([self, plan = std::move(plan), provided = std::move(provided)]() mutable {
      self->space_under_way_ = false;
      if (provided) {
        self->log_->apply(std::move(plan));
        self->advance();
      } else {
        self->log_->abandon(std::move(plan));
        // A full disk is met here, before anything changed. Anything else is a disk that cannot be trusted with more.
        if (provided.error().code != Errc::disk_full) self->services_.fatal(provided.error());
        self->fail_pending(provided.error());
      }
      self->finished();
    });
  });
}

void Partition::request_reservation() {
  if (reservation_under_way_) return;
  reservation_under_way_ = true;
  const Offset wanted = log_->end_offset() + 2 * kReservedOffsets;
  state::PartitionChange change;
  change.set_reserved_end(wanted.value);
  submit_change(change, [this, wanted](Status recorded) {
    reservation_under_way_ = false;
    if (recorded) reserved_end_ = wanted;
    state_settled();
    if (recorded) {
      advance();
    } else {
      fail_pending(recorded.error());
    }
  });
}

/// Hands the next group to the committer when none is in flight.
void Partition::pump() {
  if (log_->group_in_flight()) return;
  entries_.seal();
  if (!log_->has_staged()) return;
  started();
  storage::WriteGroup group = log_->take_group();
  auto done = [self = shared_from_this()](storage::WriteGroup&& written) {
    self->group_done(std::move(written));
    self->finished();
  };
  if (weak())
    services_.committer.write_only(std::move(group), services_.shard, std::move(done));
  else
    services_.committer.submit(std::move(group), services_.shard, std::move(done));
}

void Partition::group_done(storage::WriteGroup&& group) {
  if (weak() && (unflushed_files_.empty() || unflushed_files_.back() != group.file)) unflushed_files_.push_back(group.file);
  if (unflushed_files_.size() > 1 || (closed_ && !unflushed_files_.empty())) flush_written();
  log_->flushed(std::move(group), !weak());
  transactions_.flushed(high_watermark());
  entries_.flushed();
  complete_waiters();
  wake_readers();
  drop_surplus();
  pump();
  if (config().durability == Durability::interval) schedule_interval_flush();
  if (log_->bytes_since_checkpoint() >= services_.options.checkpoint_bytes) checkpoint({});
}

void Partition::complete_waiters() {
  const Offset flushed = high_watermark();
  while (!waiters_.empty() && waiters_.front().end <= flushed) {
    FlushWaiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    services_.staging.give_back(waiter.bytes);
    waiter.done(waiter.answer);
  }
  if (duplicate_waiters_.empty()) return;
  std::vector<FlushWaiter> ready;
  std::erase_if(duplicate_waiters_, [&](FlushWaiter& waiter) {
    if (waiter.end > flushed) return false;
    ready.push_back(std::move(waiter));
    return true;
  });
  for (FlushWaiter& waiter : ready) waiter.done(waiter.answer);
}

void Partition::schedule_interval_flush() {
  if (interval_timer_ || closed_) return;
  interval_timer_ = services_.shard.run_after(config().flush_interval, [self = shared_from_this()] {
    self->interval_timer_.reset();
    self->flush_written();
  });
}

/// Weak durability: flushes what was written, on the disk pool.
void Partition::flush_written() {
  if (unflushed_files_.empty()) return;
  started();
  services_.runtime.disk_pool().post([self = shared_from_this(), files = std::exchange(unflushed_files_, {})]() mutable {
    Status flushed;
    for (const auto& file : files) {
      if (flushed) flushed = file->sync();
    }
    if (!flushed) self->services_.fatal(flushed.error());
    files.clear();
    self->services_.shard.post([self] { self->finished(); });
  });
}

// --- Reading.

Status Partition::check_range(Offset from) const {
  if (from >= log_->log_start() && from <= high_watermark()) return {};
  return Error{Errc::offset_out_of_range, name() + " holds offsets " + std::to_string(log_->log_start().value) + ".." +
                                              std::to_string(high_watermark().value) + ", not " + std::to_string(from.value)};
}

ReadReply Partition::reply_at(Offset next) const { return {{}, next, log_->log_start(), high_watermark(), last_stable(), {}}; }

Result<std::size_t> Partition::available(Offset from, std::size_t enough, Isolation isolation) const {
  if (closed_) return *closed_;
  if (const Status in_range = check_range(from); !in_range) return in_range.error();
  const Offset limit = end_for(isolation);
  if (from >= limit) return std::size_t{0};
  return tail_.bytes_between(from, limit, enough).value_or(enough);
}

void Partition::watch(Offset from, Offset seen, std::shared_ptr<ReadWatcher> watcher) {
  if (closed_ || from < log_->log_start() || seen < high_watermark()) watcher->moved();
  if (!closed_) watchers_.insert(std::move(watcher));
}

void Partition::read(ReadRequest request, Done<ReadReply> done) {
  if (request.bytes_max == 0 && !closed_) {
    if (Status in_range = check_range(request.from); !in_range) return done(std::move(in_range).error());
    return done(reply_at(request.from));
  }
  request.bytes_max = std::clamp<std::size_t>(request.bytes_max, 1, kReadBytesMax);
  request.bytes_min = std::min(request.bytes_min, request.bytes_max);
  serve(request, std::move(done), request.wait_max.count() > 0);
}

void Partition::read_raw(ReadRequest request, Done<ReadReply> done) {
  request.bytes_max = std::clamp<std::size_t>(request.bytes_max, 1, kReadBytesMax);
  serve(request, std::move(done), false, Show::all);
}

void Partition::serve(ReadRequest request, Done<ReadReply> done, bool may_wait, Show show) {
  if (closed_) return done(*closed_);
  if (Status in_range = check_range(request.from); !in_range) return done(std::move(in_range).error());
  const Offset limit = end_for(request.isolation);
  if (request.from >= limit) {
    if (may_wait) return park(request, std::move(done));
    return done(reply_at(request.from));
  }
  if (may_wait) {
    const auto available = tail_.bytes_between(request.from, limit, request.bytes_min);
    if (available && *available < request.bytes_min) return park(request, std::move(done));
  }
  auto cached = tail_.read(request.from, limit, request.bytes_max);
  if (!cached || cached->batches.empty()) return read_cold(request, std::move(done), show);
  ReadReply reply = reply_with(request, std::move(cached->batches), cached->next);
  if (show == Show::all) return done(std::move(reply));
  deliver(request, std::move(reply), std::move(done));
}

/// Answers; but where all that was found are headers of batches whose records were removed, it reads on. Clients that get nothing else a
/// few times in a row take their limits for too small (librdkafka). At the end they get them, so that they know where they are.
void Partition::answer_read(ReadRequest request, ReadReply reply, Done<ReadReply> done) {
  if (only_headers(reply.batches) && reply.next < end_for(request.isolation)) {
    request.from = reply.next;
    return serve(request, std::move(done), false);
  }
  count_out(reply);
  done(std::move(reply));
}

/// Leaves out what was deleted, off the shard: batches have to be taken apart for it.
void Partition::deliver(const ReadRequest& request, ReadReply reply, Done<ReadReply> done) {
  const DeletedOffsets& deleted = entries_.deleted();
  if (deleted.empty() || reply.batches.empty()) return answer_read(request, std::move(reply), std::move(done));
  const Result<BatchHeader> first = BatchHeader::parse(reply.batches.front().view());
  std::vector<OffsetRange> gone;
  if (first) gone = deleted.ranges(first->base_offset, reply.next);
  if (gone.empty()) return answer_read(request, std::move(reply), std::move(done));
  auto answer = [this, self = shared_from_this(), request, done = std::move(done)](Result<ReadReply> kept) mutable {
    if (!kept) return done(std::move(kept));
    answer_read(request, *std::move(kept), std::move(done));
  };
  on_disk<ReadReply>(
      [reply = std::move(reply), gone = std::move(gone)](storage::FileCache&) mutable -> Result<ReadReply> {
        Result<std::vector<Slice>> kept = without_records(reply.batches, gone);
        if (!kept) return std::move(kept).error();
        reply.batches = *std::move(kept);
        return std::move(reply);
      },
      std::move(answer));
}

void Partition::park(ReadRequest request, Done<ReadReply> done) {
  const std::uint64_t id = next_reader_id_++;
  const TimerId timer = services_.shard.run_after(request.wait_max, [self = shared_from_this(), id] {
    const auto reader = std::ranges::find(self->parked_, id, &ParkedReader::id);
    if (reader == self->parked_.end()) return;
    ParkedReader expired = std::move(*reader);
    self->parked_.erase(reader);
    self->serve(expired.request, std::move(expired.done), false);
  });
  parked_.push_back({id, request, std::move(done), timer});
}

/// Serves those who have enough to read now; the others keep their place and their deadline.
void Partition::wake_readers() {
  for (const std::shared_ptr<ReadWatcher>& watcher : watchers_) watcher->moved();
  if (closed_) watchers_.clear();
  std::list<ParkedReader> ready;
  for (auto reader = parked_.begin(); reader != parked_.end();) {
    const ReadRequest& request = reader->request;
    const Offset limit = end_for(request.isolation);
    const auto available = tail_.bytes_between(request.from, limit, request.bytes_min);
    const bool enough =
        closed_ || request.from < log_->log_start() || (request.from < limit && (!available || *available >= request.bytes_min));
    const auto next = std::next(reader);
    if (enough) ready.splice(ready.end(), parked_, reader);
    reader = next;
  }
  for (ParkedReader& reader : ready) {
    services_.shard.cancel(reader.timer);
    serve(reader.request, std::move(reader.done), false);
  }
}

void Partition::read_cold(ReadRequest request, Done<ReadReply> done, Show show) {
  started();
  services_.cold_reads.start(request.bytes_max, [self = shared_from_this(), request, show, done = std::move(done)]() mutable {
    // It may have waited its turn: the range is judged again.
    const Offset limit = self->end_for(request.isolation);
    if (Status in_range = self->check_range(request.from); !in_range || request.from >= limit) {
      self->services_.cold_reads.finished(request.bytes_max);
      if (in_range)
        done(self->reply_at(request.from));
      else
        done(std::move(in_range).error());
      return self->finished();
    }
    storage::ReadPlan plan = self->log_->plan_read(request.from, limit, request.bytes_max);
    const std::uint64_t forgotten = self->transactions_.forgotten();
    self->services_.runtime.disk_pool().post([self, request, show, forgotten, plan = std::move(plan), done = std::move(done)]() mutable {
      std::vector<storage::Damage> found;
      Result<storage::ReadResult> read = plan.execute(self->services_.files, found);
      self->services_.shard.post(
          [self, request, show, forgotten, read = std::move(read), found = std::move(found), done = std::move(done)]() mutable {
            self->services_.cold_reads.finished(request.bytes_max);
            if (!found.empty()) {
              for (const storage::Damage& damage : found) log_error(self->name() + ": damaged, quarantined: " + damage.to_string());
              self->log_->add_damage(found);
            }
            if (!read) {
              Error error = std::move(read).error();
              error.detail = self->name() + ": " + error.detail;
              done(std::move(error));
            } else if (forgotten != self->transactions_.forgotten()) {
              // What was read may hold aborted records that nobody knows as such any more. The log itself has lost them.
              self->serve(request, std::move(done), false, show);
            } else {
              std::vector<Slice> batches;
              if (!read->batches.empty()) batches.push_back(std::move(read->batches));
              ReadReply reply = self->reply_with(request, std::move(batches), read->next);
              if (show == Show::all)
                done(std::move(reply));
              else
                self->deliver(request, std::move(reply), std::move(done));
            }
            self->finished();
          });
    });
  });
}

void Partition::count_out(const ReadReply& reply) {
  for (const Slice& batches : reply.batches) {
    bytes_out_ += batches.size();
    records_out_ += count_records(batches.view());
  }
}

void Partition::find_offset(OffsetQuery query, std::int64_t timestamp_ms, Done<OffsetAt> done, Isolation isolation) {
  if (closed_) return done(*closed_);
  const Offset end = end_for(isolation);
  if (query == OffsetQuery::earliest) return done(OffsetAt{log_->log_start(), -1, true});
  if (query == OffsetQuery::latest || log_->log_start() == end) return done(OffsetAt{end, -1, query == OffsetQuery::latest});
  if (query == OffsetQuery::max_timestamp) {
    if (!log_->times_known()) {
      return look_up_times([self = shared_from_this(), isolation, done = std::move(done)](Status looked) mutable {
        if (!looked) return done(std::move(looked).error());
        self->find_offset(OffsetQuery::max_timestamp, 0, std::move(done), isolation);
      });
    }
    timestamp_ms = log_->max_timestamp_ms();
  }
  started();
  storage::TimestampPlan plan = log_->plan_timestamp(timestamp_ms, end);
  services_.runtime.disk_pool().post([self = shared_from_this(), end, plan = std::move(plan), done = std::move(done)]() mutable {
    Result<std::optional<storage::TimestampPlan::Found>> found = plan.execute(self->services_.files);
    self->services_.shard.post([self, end, found = std::move(found), done = std::move(done)]() mutable {
      if (!found)
        done(std::move(found).error());
      else if (*found)
        done(OffsetAt{(*found)->offset, (*found)->timestamp_ms, true});
      else
        done(OffsetAt{end, -1, false});
      self->finished();
    });
  });
}

// --- Log start, checkpoints, state.

void Partition::submit_change(const state::PartitionChange& change, Committer::StateDone done) {
  started();
  std::vector<storage::StateRecord> records;
  records.push_back(to_record(key_, change, storage::StateRecordType::delta));
  services_.committer.submit(std::move(records), services_.shard,
                             [self = shared_from_this(), done = std::move(done)](Status recorded) mutable {
                               done(std::move(recorded));
                               self->finished();
                             });
}

void Partition::trim(Offset before, Done<Offset> done) {
  if (closed_) return done(*closed_);
  if (std::min(before, high_watermark()) <= log_->log_start()) return done(log_->log_start());
  entries_.move_start(before, std::move(done));
}

/// The log start has been recorded.
void Partition::start_moved(Offset start) {
  log_->set_log_start(start);
  transactions_.forget_aborted_before(start);
  remove_files();
  wake_readers();
}

std::int64_t Partition::stretch_of(std::size_t bytes) const {
  const auto records = static_cast<double>(high_watermark() - log_->log_start());
  const double per_record = static_cast<double>(log_->size_bytes()) / std::max(records, 1.0);
  return std::max<std::int64_t>(static_cast<std::int64_t>(static_cast<double>(bytes) / std::max(per_record, 1.0)), 1);
}

void Partition::remove_files() {
  std::optional<storage::RemovePlan> plan = log_->take_removable();
  if (!plan) return;
  started();
  services_.runtime.disk_pool().post([self = shared_from_this(), plan = *std::move(plan)]() mutable {
    // Files that stay behind cost space, not correctness: the next start removes them.
    if (const Status removed = plan.execute(self->services_.files); !removed) log_warn(self->name() + ": " + removed.error().to_string());
    self->services_.shard.post([self] { self->finished(); });
  });
}

void Partition::checkpoint(Task done) {
  if (checkpoint_under_way_ || !wants_checkpoint()) {
    if (done) done();
    return;
  }
  checkpoint_under_way_ = true;
  started();
  storage::CheckpointPlan plan = log_->plan_checkpoint();
  OpenTransactions::Snapshot transactions = transactions_.snapshot(high_watermark(), aborted_recorded_until_);
  services_.runtime.disk_pool().post(
      [self = shared_from_this(), plan = std::move(plan), transactions = std::move(transactions), done = std::move(done)]() mutable {
        Status executed = plan.execute(self->services_.files);
        self->services_.shard.post([self, plan = std::move(plan), transactions = std::move(transactions), executed = std::move(executed),
                                    done = std::move(done)]() mutable {
          self->checkpoint_under_way_ = false;
          if (executed) {
            self->recorded_checkpoint_ = self->log_->apply(std::move(plan));
            state::PartitionChange change;
            to_proto(*self->recorded_checkpoint_, *change.mutable_checkpoint());
            for (const ProducerSession& session : self->producers_.take_changed(self->log_->flushed_offset())) {
              to_proto(session, *change.add_producers());
            }
            if (self->entries_.settled()) self->entries_.describe_state(change);
            self->submit_checkpoint(std::move(change), std::move(transactions), std::move(done));
          } else {
            // The index or a seal could not be made durable; recovery rebuilds both. But a disk that fails to flush is not used further.
            if (executed.error().code != Errc::disk_full) self->services_.fatal(executed.error());
            if (done) done();
          }
          self->finished();
        });
      });
}

void Partition::take_snapshot(UniqueFunction<void(std::vector<storage::StateRecord>)> done) {
  // A snapshot takes the place of all records before it, so it must not miss what one says that is not flushed yet.
  if (entries_.settled() && !reservation_under_way_) return done(snapshot());
  snapshots_wanted_.push_back(std::move(done));
}

void Partition::state_settled() {
  if (!entries_.settled() || reservation_under_way_) return;
  for (auto& wanted : std::exchange(snapshots_wanted_, {})) wanted(snapshot());
}

std::vector<storage::StateRecord> Partition::snapshot() const {
  constexpr int kProducersPerPart = 5000;
  constexpr std::size_t kRangesPerPart = 100'000;
  std::vector<storage::StateRecord> parts;
  state::PartitionChange change;
  change.set_log_start(log_->log_start().value);
  change.set_leader_epoch(log_->leader_epoch());
  if (reserved_end_.value > 0) change.set_reserved_end(reserved_end_.value);
  if (recorded_checkpoint_) to_proto(*recorded_checkpoint_, *change.mutable_checkpoint());
  entries_.describe_state(change);
  const auto finish_part = [&] {
    parts.push_back(to_record(key_, change, parts.empty() ? storage::StateRecordType::snapshot : storage::StateRecordType::snapshot_more));
    parts.back().last_part = false;
    change.Clear();
  };
  for (const ProducerSession& session : producers_.all(log_->flushed_offset())) {
    to_proto(session, *change.add_producers());
    if (change.producers_size() == kProducersPerPart) finish_part();
  }
  std::vector<OffsetRange> deleted = entries_.deleted().ranges();
  for (std::size_t done = 0; done < deleted.size(); done += kRangesPerPart) {
    if (done > 0) finish_part();
    to_proto(std::span(deleted).subspan(done, std::min(kRangesPerPart, deleted.size() - done)), change);
  }
  if (recorded_checkpoint_) add_transactions(change, finish_part);
  if (parts.empty() || change.ByteSizeLong() > 0) finish_part();
  parts.back().last_part = true;
  return parts;
}

// --- Life.

void Partition::set_topic(std::shared_ptr<const Topic> topic) {
  topic_ = std::move(topic);
  log_->set_config(log_config(config()));
  drop_surplus();
}

bool Partition::holds_batch(const ProducerIdentity& producer, std::int32_t first_sequence, std::int32_t last_sequence) const {
  const ProducerSession* const session = producers_.find(producer.id);
  if (session == nullptr || session->epoch != producer.epoch) return false;
  return std::ranges::any_of(session->batches, [&](const ProducedBatch& batch) {
    return batch.first_sequence == first_sequence && batch.last_sequence == last_sequence && batch.end_offset <= high_watermark();
  });
}

PartitionInfo Partition::describe() const {
  PartitionInfo info;
  info.partition = key_.partition;
  info.log_start = log_->log_start();
  info.end = log_->end_offset();
  info.high_watermark = high_watermark();
  info.last_stable = last_stable();
  info.bytes = log_->size_bytes();
  info.segments = log_->segment_count();
  info.leader_epoch = log_->leader_epoch();
  info.damage = log_->damage();
  info.state = "online";
  if (log_->append_error())
    info.state = log_->append_error()->detail;
  else if (services_.space.refuses_appends())
    info.state = "read-only: disk full";
  info.records_in = records_in_;
  info.bytes_in = bytes_in_;
  info.records_out = records_out_;
  info.bytes_out = bytes_out_;
  info.duplicates = duplicates_;
  info.compaction = compaction();
  info.dedup_ids = dedup_.size();
  info.dedup_forgotten_early = dedup_.forgotten_early();
  return info;
}

void Partition::finished() {
  CHECK(under_way_ > 0);
  if (--under_way_ == 0 && drained_) std::exchange(drained_, {})();
}

void Partition::close(Error reason, Task drained) {
  closed_ = std::move(reason);
  fail_pending(*closed_);
  entries_.closed();
  // What is staged is still written and answered; only new work is refused.
  wake_readers();
  if (compaction_run_ && compaction_run_->timer) end_compaction(false);  // In a pause; a step under way ends it itself.
  if (interval_timer_) services_.shard.cancel(*std::exchange(interval_timer_, std::nullopt));
  flush_written();
  drained_ = std::move(drained);
  started();
  finished();
}

void Partition::drain(Task drained) { close(Error{Errc::shutting_down, "the broker is stopping"}, std::move(drained)); }

}  // namespace tidemark::broker
