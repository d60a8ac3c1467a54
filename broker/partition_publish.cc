#include <algorithm>

#include "broker/partition.h"
#include "broker/publish_fields.h"
#include "storage/base/log.h"
#include "storage/batch/leave_out.h"

/// Batches of which not every record is stored: duplicates by dedup id, and what is left to the schedule.
namespace tidemark::broker {
namespace {

constexpr std::size_t kDedupReadBytes = 256 * 1024;
/// What is appended within a second may share one time in the index, which is that of the first.
constexpr std::chrono::milliseconds kIndexedTimeSpan{1000};

}  // namespace

// --- The window after a restart: the ids are in the log.

/// False: it is being read, and advance() goes on then.
bool Partition::dedup_window_ready() {
  if (dedup_state_ == DedupState::ready) return true;
  if (dedup_state_ == DedupState::loading) return false;
  if (log_->log_start() == high_watermark()) {
    dedup_state_ = DedupState::ready;
    return true;
  }
  dedup_state_ = DedupState::loading;
  const Timestamp since = services_.runtime.clock().now() - config().dedup_window - kIndexedTimeSpan;
  // Through the queue of the shard: whoever stages now is not called back from within.
  started();
  services_.shard.post([self = shared_from_this(), since] {
    self->find_dedup_start(self->log_->log_start(), self->high_watermark(), since);
    self->finished();
  });
  return false;
}

/// By halves: append times rise, but for estimates after a crash, which lie in the present.
void Partition::find_dedup_start(Offset from, Offset to, Timestamp since) {
  if (closed_ || to - from <= 1) return load_dedup_window(from);
  const Offset middle = from + (to - from) / 2;
  started();
  PlaceQuery query;
  query.at = middle;
  look(query, [self = shared_from_this(), from, to, middle, since](Result<PlaceReport> report) {
    // Without an answer everything is read.
    const bool earlier = report && report->append_time && *report->append_time < since;
    if (report)
      self->find_dedup_start(earlier ? middle : from, earlier ? to : middle, since);
    else
      self->load_dedup_window(from);
    self->finished();
  });
}

void Partition::load_dedup_window(Offset from) {
  from = std::max(from, log_->log_start());
  if (closed_ || from >= high_watermark()) {
    dedup_state_ = DedupState::ready;
    dedup_.expire(services_.runtime.clock().now(), config().dedup_window);
    return closed_ ? void() : advance();
  }
  started();
  PlaceQuery query;
  query.at = from;
  look(query, [self = shared_from_this(), from](Result<PlaceReport> place) {
    Timestamp time = self->services_.runtime.clock().now();
    if (place && place->append_time) time = *place->append_time;
    ReadRequest request;
    request.from = from;
    request.bytes_max = kDedupReadBytes;
    request.isolation = Isolation::uncommitted;
    self->read(request, [self, from, time](Result<ReadReply> reply) {
      if (reply) {
        for (const Slice& batches : reply->batches) self->note_dedup_ids(batches.view(), from, time);
        // Nothing although the end is further: that would go on for ever.
        self->load_dedup_window(reply->next > from ? reply->next : self->high_watermark());
      } else {
        const storage::Damage* const damage = self->log_->damage_at(from);
        log_warn(self->name() + ": dedup ids cannot be read back: " + reply.error().to_string());
        self->load_dedup_window(damage == nullptr ? self->high_watermark() : damage->to);
      }
      self->finished();
    });
  });
}

void Partition::note_dedup_ids(ByteView batches, Offset from, Timestamp time) {
  while (!batches.empty()) {
    const Result<BatchHeader> header = BatchHeader::parse(batches);
    if (!header || header->size_bytes() > batches.size()) return;
    const ByteView batch = batches.first(header->size_bytes());
    batches = batches.subspan(batch.size());
    const Offset base = std::max(header->base_offset, log_->log_start());
    if (base < high_watermark()) {
      if (const auto place = log_->place_of(base)) time = std::max(time, place->append_time);
    }
    Result<BatchReader> reader = BatchReader::open(batch);
    if (!reader) continue;
    RecordView record;
    for (;;) {
      const Result<bool> more = reader->next(record);
      if (!more || !*more) break;
      if (record.header_count == 0 || record.offset < from) continue;
      for (const HeaderView& named : record.headers()) {
        if (named.name == kDedupIdHeader && named.value)
          dedup_.add(DedupId::of(as_text(*named.value)), record.offset, time + kIndexedTimeSpan);
      }
    }
  }
}

// --- Staging.

Result<Partition::Thinned> Partition::thin(const PendingAppend& append, Timestamp now) {
  AppendPlan& plan = *append.plan;
  const auto records = static_cast<std::size_t>(append.header.last_offset_delta) + 1;
  plan.left_out.resize(records, false);
  plan.ids.resize(records);
  Thinned thinned;
  thinned.left_out = plan.left_out;
  const Offset base = skip_to_.value_or(log_->end_offset());
  std::unordered_map<DedupId, std::size_t> here;  // The same id twice in one batch.
  for (std::size_t i = 0; i < records && plan.drop_duplicates; ++i) {
    if (!plan.ids[i] || plan.left_out[i]) continue;
    std::optional<Offset> first = dedup_.find(*plan.ids[i], now, config().dedup_window);
    if (!first) {
      const auto [known, inserted] = here.emplace(*plan.ids[i], i);
      if (inserted) continue;
      first = base + static_cast<std::int64_t>(known->second);
    }
    thinned.left_out[i] = true;
    if (!thinned.details) thinned.details = std::make_shared<PublishDetails>();
    thinned.details->duplicates.push_back({static_cast<std::int32_t>(i), *first});
    if (*first < log_->end_offset()) thinned.newest_duplicate = std::max(thinned.newest_duplicate, *first);
  }
  thinned.kept = static_cast<std::size_t>(std::ranges::count(thinned.left_out, false));
  if (thinned.kept == 0 || thinned.kept == records) return thinned;
  Result<Slice> stored = leave_out_records(append.batch.view(), thinned.left_out);
  if (!stored) return std::move(stored).error();
  if (stored->size() > storage::kGroupBytesMax) {
    return Error{Errc::batch_too_large, name() + ": what is left of the batch does not pack any more"};
  }
  thinned.batch = *std::move(stored);
  return thinned;
}

void Partition::note_staged(const AppendPlan& plan, const Thinned& thinned, Offset base, Timestamp now) {
  if (thinned.details) duplicates_ += thinned.details->duplicates.size();
  for (std::size_t i = 0; i < plan.ids.size(); ++i) {
    if (plan.ids[i] && !thinned.left_out[i]) dedup_.add(*plan.ids[i], base + static_cast<std::int64_t>(i), now);
  }
}

void Partition::answer_when_flushed(Offset end, const Appended& answer, Done<Appended> done) {
  if (end <= high_watermark()) return done(answer);
  duplicate_waiters_.push_back({end, 0, answer, std::move(done)});
}

/// Every record is a duplicate or left to somebody else.
void Partition::stage_nothing(PendingAppend& append, const Thinned& thinned, Timestamp now) {
  Appended answer{Offset{-1}, log_->log_start(), now, false, config().durability, thinned.details};
  if (thinned.details) {
    duplicates_ += thinned.details->duplicates.size();
    answer.duplicate = thinned.details->duplicates.size() == thinned.left_out.size();
    if (answer.duplicate) answer.base_offset = thinned.details->duplicates.front().offset;
  }
  if (!append.header.has_producer()) return answer_when_flushed(thinned.newest_duplicate + 1, answer, std::move(append.done));
  const std::int64_t producer = append.header.producer_id;
  producers_.passed_over(append.header, log_->end_offset(), now);
  // What the producer sent before must be flushed first: its session, recorded without that, would take a repeat of it for stored.
  answer_when_flushed(log_->end_offset(), answer, [this, producer, done = std::move(append.done)](Result<Appended> flushed) mutable {
    if (!flushed) return done(std::move(flushed));
    record_session(producer, *flushed, std::move(done));
  });
}

/// Answers once the session, as far as it is flushed, is durable.
void Partition::record_session(std::int64_t producer, const Appended& answer, Done<Appended> done) {
  if (producers_.find(producer) == nullptr) return done(answer);  // Expired or evicted meanwhile: nothing to keep.
  state::PartitionChange change;
  to_proto(producers_.as_of(producer, high_watermark()), *change.add_producers());
  submit_change(change, [answer, done = std::move(done)](Status recorded) mutable {
    if (!recorded) return done(std::move(recorded).error());
    done(answer);
  });
}

void Partition::answer_repeat(PendingAppend& append, const ProducedBatch& first) {
  ++duplicates_;
  Appended answer{first.base_offset, log_->log_start(), first.append_time, true, config().durability};
  const bool nothing_stored = first.base_offset == first.end_offset;
  if (append.plan) {
    const Timestamp now = services_.runtime.clock().now();
    auto details = std::make_shared<PublishDetails>();
    for (std::size_t i = 0; i < append.plan->ids.size(); ++i) {
      if (!append.plan->ids[i]) continue;
      const auto seen = dedup_.find(*append.plan->ids[i], now, config().dedup_window);
      const bool own = seen && *seen == first.base_offset + static_cast<std::int64_t>(i) && !nothing_stored;
      if (seen && !own) details->duplicates.push_back({static_cast<std::int32_t>(i), *seen});
    }
    if (!details->duplicates.empty()) answer.details = std::move(details);
  }
  if (!nothing_stored) return answer_when_flushed(first.end_offset, answer, std::move(append.done));
  answer.base_offset = answer.details ? answer.details->duplicates.front().offset : Offset{-1};
  answer_when_flushed(first.end_offset, answer,
                      [this, producer = append.header.producer_id, done = std::move(append.done)](Result<Appended> flushed) mutable {
                        if (!flushed) return done(std::move(flushed));
                        record_session(producer, *flushed, std::move(done));
                      });
}

bool Partition::knows_batch(const ProducerIdentity& producer, std::int32_t first_sequence, std::int32_t last_sequence) const {
  const ProducerSession* const session = producers_.find(producer.id);
  if (session == nullptr || session->epoch != producer.epoch) return false;
  return std::ranges::any_of(session->batches, [&](const ProducedBatch& batch) {
    return batch.first_sequence == first_sequence && batch.last_sequence == last_sequence;
  });
}

}  // namespace tidemark::broker
