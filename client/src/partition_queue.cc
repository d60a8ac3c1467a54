#include "client/src/partition_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "storage/base/check.h"
#include "storage/base/crc32c.h"

namespace tidemark::detail {
namespace {

// Places in a record batch (docs/FILE_FORMAT.md).
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kCrcFrom = 21;
constexpr std::size_t kProducerIdAt = 43;
constexpr std::size_t kProducerEpochAt = 51;
constexpr std::size_t kBaseSequenceAt = 53;

/// Renumbers a batch that was built under another identity.
void restamp(const OutBatch& batch) {
  if (batch.bytes.empty()) return;
  std::byte* const at = batch.bytes.data();
  store_be<std::int64_t>(at + kProducerIdAt, batch.identity.id);
  store_be<std::int16_t>(at + kProducerEpochAt, batch.identity.epoch);
  store_be<std::int32_t>(at + kBaseSequenceAt, batch.base_sequence);
  store_be<std::uint32_t>(at + kCrcAt, crc32c(batch.bytes.view().subspan(kCrcFrom)));
}

/// Sequences wrap after 2147483647 to 0 (KIP-98).
std::int32_t advance(std::int32_t sequence, std::int32_t count) {
  constexpr std::int64_t kModulus = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;
  return static_cast<std::int32_t>((std::int64_t{sequence} + count) % kModulus);
}

}  // namespace

PartitionQueue::PartitionQueue(std::int32_t partition, Options options, Identity identity)
    : partition_(partition), options_(options), identity_(identity) {}

bool PartitionQueue::fits(std::size_t bytes) const {
  return open_ == nullptr || open_->builder.size_bytes() + bytes <= options_.batch_bytes;
}

void PartitionQueue::add(const RecordInput& record, std::size_t bytes, std::size_t charged_bytes, SendCallback done, SteadyTime now,
                         bool obey_headers) {
  // Headers of other records, though they may have such names, are not meant.
  if (!fits(bytes) || (open_ != nullptr && open_->obey_headers != obey_headers)) seal();
  if (open_ == nullptr) {
    open_ = std::make_shared<OutBatch>();
    open_->partition = partition_;
    open_->obey_headers = obey_headers;
    open_->builder = BatchBuilder(options_.batch);
    open_->created = now;
    open_->deadline = now + options_.delivery_timeout;
    ++batches_begun_;
  }
  open_->builder.add(record);
  open_->charged_bytes += charged_bytes;
  if (done) {
    const Timestamp timestamp{std::chrono::milliseconds(record.timestamp_ms)};
    open_->waiters.push_back(RecordWaiter{.index = open_->records, .timestamp = timestamp, .done = std::move(done)});
  }
  ++open_->records;
  if (open_->builder.size_bytes() >= options_.batch_bytes) seal();
}

void PartitionQueue::seal() {
  if (open_ != nullptr) sealed_.push_back(std::exchange(open_, nullptr));
}

PartitionQueue::BatchPtr PartitionQueue::next_to_send(SteadyTime now) {
  if (hold_) {
    if (awaiting_ > 0 || now < resend_at_) return nullptr;
    hold_ = false;
  }
  if (identity_needed_ || (options_.transactional && join_ != Join::done)) return nullptr;
  for (const BatchPtr& batch : sent_) {
    if (!batch->awaiting) return begin_attempt(batch);
  }
  if (sent_.size() >= options_.in_flight_max) return nullptr;
  if (sealed_.empty() && open_is_due(now)) seal();
  if (sealed_.empty()) return nullptr;

  BatchPtr batch = std::move(sealed_.front());
  sealed_.pop_front();
  if (options_.idempotent) {
    batch->identity = identity_;
    batch->base_sequence = next_sequence_;
    batch->after_gap = std::exchange(next_after_gap_, false);
    next_sequence_ = advance(next_sequence_, batch->records);
  }
  sent_.push_back(batch);
  return begin_attempt(std::move(batch));
}

/// A batch that is not full waits while another is under way: it fills meanwhile, and the broker flushes both no earlier.
bool PartitionQueue::open_is_due(SteadyTime now) const {
  return open_ != nullptr && sent_.empty() && now >= open_->created + options_.linger;
}

PartitionQueue::BatchPtr PartitionQueue::begin_attempt(BatchPtr batch) {
  batch->awaiting = true;
  ++awaiting_;
  return batch;
}

void PartitionQueue::set_identity(Identity identity) {
  CHECK(awaiting_ == 0);
  identity_ = identity;
  identity_needed_ = false;
  next_after_gap_ = false;
  next_sequence_ = 0;
  for (const BatchPtr& batch : sent_) {
    batch->identity = identity_;
    batch->base_sequence = next_sequence_;
    batch->after_gap = false;
    batch->unknown_outcome = false;  // The refusal that led here shows that nothing from there on is in the log.
    next_sequence_ = advance(next_sequence_, batch->records);
    restamp(*batch);
  }
}

void PartitionQueue::remove(const BatchPtr& batch) {
  const auto found = std::find(sent_.begin(), sent_.end(), batch);
  CHECK(found != sent_.end());
  CHECK(batch->awaiting);
  sent_.erase(found);
  batch->awaiting = false;
  --awaiting_;
}

void PartitionQueue::on_stored(const BatchPtr& batch) {
  remove(batch);
  failures_in_row_ = 0;
}

std::optional<Error> PartitionQueue::on_error(const BatchPtr& batch, const Error& error, SteadyTime now) {
  batch->unknown_outcome = batch->unknown_outcome || error.maybe_done;
  if (options_.idempotent && error.code == Errc::out_of_order_sequence) return on_out_of_order(batch, error, now);
  if (options_.idempotent && error.code == Errc::stale_producer_epoch) return on_forgotten(batch, error, now);
  if (!error.retriable() || error.code == Errc::queue_full) return give_up(batch, error);
  if (!options_.idempotent && batch->unknown_outcome) return give_up(batch, error);
  const bool connection = error.code == Errc::connection_lost || error.code == Errc::cannot_connect;
  return send_again(batch, error, now, !connection);  // The connection itself pauses between attempts.
}

std::optional<Error> PartitionQueue::on_out_of_order(const BatchPtr& batch, const Error& error, SteadyTime now) {
  const bool behind_another = sent_.front() != batch;
  if (!behind_another && options_.transactional) return give_up(batch, error);
  if (!behind_another && !batch->after_gap) return on_forgotten(batch, error, now);
  // Refused because one before it is missing, so it is not in the log either: the broker would have known it again.
  batch->unknown_outcome = false;
  if (!behind_another) identity_needed_ = true;
  return send_again(batch, error, now, false);
}

/// The broker does not know this producer's sequences any more. What may be in the log cannot be recognised there, so it is not repeated.
std::optional<Error> PartitionQueue::on_forgotten(const BatchPtr& batch, const Error& error, SteadyTime now) {
  if (options_.transactional) return give_up(batch, error);  // Under another id it would be in no transaction.
  identity_needed_ = true;
  if (batch->unknown_outcome) return give_up(batch, error);
  return send_again(batch, error, now, true);
}

std::optional<Error> PartitionQueue::send_again(const BatchPtr& batch, const Error& error, SteadyTime now, bool after_pause) {
  if (abandoned_) return give_up(batch, error);
  if (now >= batch->deadline) return give_up(batch, Error{Errc::timed_out, "not delivered in time: " + error.to_string()});
  batch->awaiting = false;
  --awaiting_;
  hold_ = true;
  resend_at_ = std::max(resend_at_, now);
  if (after_pause) {
    const int doublings = std::min(failures_in_row_++, 10);
    resend_at_ = now + std::min(options_.retry_backoff_min * (1 << doublings), options_.retry_backoff_max);
  }
  return std::nullopt;
}

void PartitionQueue::mark_gap_behind(const BatchPtr& batch) {
  const auto next = std::next(std::find(sent_.begin(), sent_.end(), batch));
  (next == sent_.end() ? next_after_gap_ : (*next)->after_gap) = true;
}

Error PartitionQueue::give_up(const BatchPtr& batch, Error error) {
  mark_gap_behind(batch);
  remove(batch);
  error.maybe_done = batch->unknown_outcome;
  return error;
}

std::vector<PartitionQueue::BatchPtr> PartitionQueue::take_expired(SteadyTime now) {
  std::vector<BatchPtr> expired;
  const auto take = [&](std::deque<BatchPtr>& from) {
    for (auto at = from.begin(); at != from.end();) {
      if ((*at)->awaiting || now < (*at)->deadline) {
        ++at;
      } else {
        expired.push_back(std::move(*at));
        at = from.erase(at);
      }
    }
  };
  for (const BatchPtr& batch : sent_) {
    if (!batch->awaiting && now >= batch->deadline) mark_gap_behind(batch);
  }
  take(sent_);
  take(sealed_);
  if (open_ != nullptr && now >= open_->deadline) expired.push_back(std::exchange(open_, nullptr));
  return expired;
}

std::vector<PartitionQueue::BatchPtr> PartitionQueue::outstanding() const {
  std::vector<BatchPtr> all(sent_.begin(), sent_.end());
  all.insert(all.end(), sealed_.begin(), sealed_.end());
  if (open_ != nullptr) all.push_back(open_);
  return all;
}

std::vector<PartitionQueue::BatchPtr> PartitionQueue::take_all() {
  std::vector<BatchPtr> all = outstanding();
  sent_.clear();
  sealed_.clear();
  open_ = nullptr;
  awaiting_ = 0;
  return all;
}

void PartitionQueue::begin_transaction(std::optional<Identity> identity) {
  CHECK(options_.transactional && empty());
  join_ = Join::none;
  abandoned_ = false;
  hold_ = false;
  failures_in_row_ = 0;
  if (identity) set_identity(*identity);
}

std::vector<PartitionQueue::BatchPtr> PartitionQueue::abandon() {
  abandoned_ = true;
  std::vector<BatchPtr> taken;
  std::deque<BatchPtr> under_way;
  for (BatchPtr& batch : sent_) {
    if (batch->awaiting)
      under_way.push_back(std::move(batch));
    else
      taken.push_back(std::move(batch));
  }
  sent_.swap(under_way);
  taken.insert(taken.end(), sealed_.begin(), sealed_.end());
  sealed_.clear();
  if (open_ != nullptr) taken.push_back(std::exchange(open_, nullptr));
  return taken;
}

SteadyTime PartitionQueue::next_event() const {
  SteadyTime next = SteadyTime::max();
  for (const BatchPtr& batch : sent_) {
    if (!batch->awaiting) next = std::min(next, batch->deadline);
  }
  if (!sealed_.empty()) next = std::min(next, sealed_.front()->deadline);
  if (open_ != nullptr) next = std::min(next, open_->deadline);
  if (hold_ && awaiting_ == 0) next = std::min(next, resend_at_);
  if (open_ != nullptr && !hold_ && sent_.empty()) next = std::min(next, open_->created + options_.linger);
  return next;
}

}  // namespace tidemark::detail
