#include <algorithm>

#include "broker/partition.h"

/// What a partition does for transactions: markers, the reader's view, and its part of the state log.
namespace tidemark::broker {
namespace {

constexpr std::size_t kAbortedPerPart = 50'000;  ///< Keeps a state record well below its limit.

void to_proto(const OpenTransaction& open, state::PartitionChange::Transactions::Open& out) {
  out.set_producer(open.producer.id);
  out.set_epoch(open.producer.epoch);
  out.set_first(open.first.value);
}

void to_proto(const AbortedTransaction& aborted, state::PartitionChange::Aborted& out) {
  out.set_producer(aborted.producer_id);
  out.set_first(aborted.first.value);
  out.set_marker(aborted.marker.value);
  out.set_last_stable(aborted.last_stable.value);
}

}  // namespace

void Partition::recovered(OpenTransactions transactions, std::optional<storage::LogCheckpoint> checkpoint,
                          std::vector<OpenTransaction> open_at_checkpoint, Offset aborted_gone_below) {
  aborted_gone_below_ = aborted_gone_below;
  transactions_ = std::move(transactions);
  recorded_checkpoint_ = durable_checkpoint_ = checkpoint;
  recorded_open_ = std::move(open_at_checkpoint);
  if (checkpoint) aborted_recorded_until_ = checkpoint->offset;
}

// --- Appending.

void Partition::end_transaction(const ProducerIdentity& producer, bool commit, std::int32_t coordinator_epoch, Done<void> done) {
  if (closed_) return done(*closed_);
  if (log_->append_error()) return done(*log_->append_error());
  Slice batch = build_control_batch(producer.id, producer.epoch, commit, coordinator_epoch, services_.runtime.clock().now());
  const Result<BatchHeader> header = BatchHeader::parse(batch.view());
  CHECK(header.has_value());  // Written by us.
  if (!services_.staging.try_take(batch.size())) return done(Error{Errc::overloaded, "records wait for the disk; try again shortly"});
  auto answer = [done = std::move(done)](Result<Appended> appended) mutable {
    done(appended ? Status() : Status(std::move(appended).error()));
  };
  pending_.push_back({.batch = std::move(batch), .header = *header, .plan = nullptr, .done = std::move(answer), .marker = commit});
  advance();
}

bool Partition::passes_transactions(PendingAppend& append) {
  const BatchHeader& header = append.header;
  if (append.marker) {
    // Nothing more of it may come, and nothing may have come at all.
    transactions_.revoke(header.producer_id);
    if (transactions_.is_open(header.producer_id)) return true;
    services_.staging.give_back(append.batch.size());
    // Sent again after a crash: the first one may still be on its way to the disk.
    const Appended answer{log_->end_offset(), log_->log_start(), services_.runtime.clock().now(), true, config().durability};
    if (log_->end_offset() <= high_watermark())
      append.done(answer);
    else
      duplicate_waiters_.push_back({log_->end_offset(), 0, answer, std::move(append.done)});
    return false;
  }
  Status may = transactions_.check(header);
  if (may) return true;
  services_.staging.give_back(append.batch.size());
  Error error = std::move(may).error();
  error.detail = name() + ": " + error.detail;
  append.done(std::move(error));
  return false;
}

std::vector<ProducerActivity> Partition::producers() const {
  std::vector<ProducerActivity> all;
  for (const ProducerSession& session : producers_.all(high_watermark())) {
    ProducerActivity activity{.producer = {session.id, session.epoch}, .last_append = session.last_append, .transaction_start = {}};
    if (!session.batches.empty()) activity.last_sequence = session.batches.back().last_sequence;
    activity.transaction_start = transactions_.first_open(session.id);
    all.push_back(activity);
  }
  std::ranges::sort(all, {}, [](const ProducerActivity& one) { return one.producer.id; });
  return all;
}

// --- Reading.

ReadReply Partition::reply_with(const ReadRequest& request, std::vector<Slice> batches, Offset next) {
  ReadReply reply = reply_at(next);
  reply.batches = std::move(batches);
  if (request.isolation != Isolation::uncommitted && !reply.batches.empty()) {
    // The first batch may begin before what was asked for.
    const Result<BatchHeader> first = BatchHeader::parse(reply.batches.front().view());
    const Offset from = first ? std::min(first->base_offset, request.from) : request.from;
    std::vector<AbortedTransaction> aborted = transactions_.aborted_in(from, next);
    if (request.isolation == Isolation::committed)
      reply.batches = committed_only(std::move(reply.batches), aborted);
    else
      reply.aborted = std::move(aborted);
  }
  return reply;
}

// --- State.

void Partition::submit_checkpoint(state::PartitionChange change, OpenTransactions::Snapshot transactions, Task done) {
  started();
  std::vector<storage::StateRecord> records;
  // The aborted ones come first: a checkpoint that is there may rely on them.
  state::PartitionChange part;
  for (std::size_t i = 0; i < transactions.aborted.size(); ++i) {
    to_proto(transactions.aborted[i], *part.add_aborted());
    if ((i + 1) % kAbortedPerPart != 0 && i + 1 < transactions.aborted.size()) continue;
    records.push_back(to_record(key_, part, storage::StateRecordType::delta));
    part.Clear();
  }
  change.mutable_transactions();
  for (const OpenTransaction& open : transactions.open) to_proto(open, *change.mutable_transactions()->add_open());
  records.push_back(to_record(key_, change, storage::StateRecordType::delta));
  recorded_open_ = std::move(transactions.open);
  services_.committer.submit(
      std::move(records), services_.shard,
      [self = shared_from_this(), checkpoint = *recorded_checkpoint_, done = std::move(done)](const Status& recorded) mutable {
        // One that was not recorded only makes the next recovery longer; what it was to say comes again.
        if (recorded) {
          self->durable_checkpoint_ = checkpoint;
          self->aborted_recorded_until_ = checkpoint.offset;
        }
        if (done) done();
        self->finished();
      });
}

void Partition::add_transactions(state::PartitionChange& change, const std::function<void()>& finish_part) const {
  for (const OpenTransaction& open : recorded_open_) to_proto(open, *change.mutable_transactions()->add_open());
  if (aborted_gone_below_.value > 0) change.set_aborted_gone_below(aborted_gone_below_.value);
  int in_part = 0;
  for (const AbortedTransaction& aborted : transactions_.aborted_before(recorded_checkpoint_->offset)) {
    to_proto(aborted, *change.add_aborted());
    if (++in_part % static_cast<int>(kAbortedPerPart) == 0) finish_part();
  }
}

}  // namespace tidemark::broker
