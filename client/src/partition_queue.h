#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "tidemark/producer.h"

namespace tidemark::detail {

struct FlushWaiter;

/// The producer id batches are numbered under. Sequences start at 0 for each partition.
struct Identity {
  std::int64_t id = -1;
  std::int16_t epoch = -1;
};

/// Who wants to know about one record of a batch.
struct RecordWaiter {
  std::int32_t index = 0;  ///< In the batch.
  Timestamp timestamp{};
  SendCallback done;
};

/// What became of a record that was not simply stored behind the one before it.
struct RecordOutcome {
  std::int32_t index = 0;  ///< In the batch.
  std::string scheduled;   ///< Its id; empty: it is a duplicate of the record at `offset`.
  Timestamp due{};
  bool duplicate = false;
  Offset offset{-1};
};

/// A batch from its first record to its answer.
struct OutBatch {
  std::int32_t partition = 0;
  BatchBuilder builder;  ///< Holds the records until bytes are made from them.
  Slice bytes;           ///< As sent; empty before the first attempt.
  std::int32_t records = 0;
  std::size_t charged_bytes = 0;  ///< What it takes of the producer's buffer.
  std::int32_t base_sequence = -1;
  Identity identity;
  SteadyTime created{};
  SteadyTime deadline{};
  bool awaiting = false;                ///< Sent, not answered.
  bool unknown_outcome = false;         ///< The answer of an earlier attempt was lost.
  bool after_gap = false;               ///< The batch numbered before this one was given up.
  bool obey_headers = false;            ///< Its records ask for more than being stored.
  std::vector<RecordOutcome> outcomes;  ///< Of the answer, by index.
  bool settled = false;                 ///< Its records have been told, or are about to be.
  std::vector<RecordWaiter> waiters;
  std::vector<std::shared_ptr<FlushWaiter>> flushes;
};

/// The batches of one partition on their way out: which is sent next, under which sequence, and what an answer means for the others.
///
/// At most in_flight_max batches are under way, in sequence order. When one has to be sent again, nothing new is sent until all others
/// under way are answered (the broker refuses them as out of order); then all of them go again, in their order, with the sequences they
/// had, so that none is lost, stored twice or overtaken (KIP-98, KIP-360). A batch given up may leave a gap in the sequences; when the
/// broker refuses the next batch for it, the rest goes on under a new producer id from sequence 0, as with Kafka's clients. The
/// old id is kept until that refusal, because the batch given up, and with it the next ones, may have been stored after all.
///
/// No clock, lock or socket in here. Not thread-safe.
class PartitionQueue {
 public:
  struct Options {
    std::size_t batch_bytes = 64 * 1024;
    std::size_t in_flight_max = 5;
    bool idempotent = true;
    bool transactional = false;  ///< Nothing is sent before the partition has joined, and nothing again under another producer id.
    std::chrono::milliseconds linger{0};
    std::chrono::milliseconds delivery_timeout{120'000};
    std::chrono::milliseconds retry_backoff_min{20};
    std::chrono::milliseconds retry_backoff_max{1'000};
    BatchBuilder::Options batch;
  };
  using BatchPtr = std::shared_ptr<OutBatch>;

  PartitionQueue(std::int32_t partition, Options options, Identity identity);

  /// Adds to the batch that gathers records, or starts another when `bytes` (BatchBuilder::size_bound) would make that too large.
  void add(const RecordInput& record, std::size_t bytes, std::size_t charged_bytes, SendCallback done, SteadyTime now,
           bool obey_headers = false);
  /// Whether the next record of that size would go into the batch that gathers.
  bool fits(std::size_t bytes) const;
  /// Counts the batches begun; tells a sticky partitioner that its batch has gone.
  std::uint64_t batches_begun() const { return batches_begun_; }
  bool gathering() const { return open_ != nullptr; }
  /// True when the record just added made a call of next_to_send() worth while; answers make it worth while too.
  bool added_work() const {
    return sealed_.empty() ? sent_.empty() && open_ != nullptr && open_->records == 1 : sent_.size() < options_.in_flight_max;
  }
  /// What gathers is sent without lingering.
  void seal();

  /// The next batch to send, numbered and marked as awaiting its answer; null when it is not time for one.
  BatchPtr next_to_send(SteadyTime now);
  /// True when nothing can be sent before the caller has obtained a new producer id and called set_identity().
  bool wants_identity() const { return identity_needed_ && awaiting_ == 0; }
  void set_identity(Identity identity);

  void on_stored(const BatchPtr& batch);
  /// The error to tell the batch's records, or nullopt: the batch stays and is sent again.
  std::optional<Error> on_error(const BatchPtr& batch, const Error& error, SteadyTime now);
  /// Takes out those whose delivery timeout has passed while they were not under way.
  std::vector<BatchPtr> take_expired(SteadyTime now);
  /// Takes out everything.
  std::vector<BatchPtr> take_all();

  // --- Transactional ones only.

  /// A transaction begins; its partition has not joined. Sequences begin at 0 under a new identity, otherwise they go on. Pre: empty().
  void begin_transaction(std::optional<Identity> identity);
  /// Records wait for the partition to join: the caller sees to that, between begin_joining() and end_joining().
  bool wants_to_join() const { return options_.transactional && join_ == Join::none && !empty(); }
  void begin_joining() { join_ = Join::asked; }
  void end_joining(bool joined) { join_ = joined ? Join::done : Join::none; }
  /// The transaction is given up: takes out what is not under way; what is will not be sent again.
  std::vector<BatchPtr> abandon();

  /// Everything not answered, in order.
  std::vector<BatchPtr> outstanding() const;
  bool empty() const { return sent_.empty() && sealed_.empty() && open_ == nullptr; }
  /// When next_to_send() or take_expired() may have something that they have not now, without an answer or record coming in.
  SteadyTime next_event() const;

 private:
  void remove(const BatchPtr& batch);
  bool open_is_due(SteadyTime now) const;
  BatchPtr begin_attempt(BatchPtr batch);
  std::optional<Error> on_out_of_order(const BatchPtr& batch, const Error& error, SteadyTime now);
  std::optional<Error> on_forgotten(const BatchPtr& batch, const Error& error, SteadyTime now);
  std::optional<Error> send_again(const BatchPtr& batch, const Error& error, SteadyTime now, bool after_pause);
  Error give_up(const BatchPtr& batch, Error error);
  void mark_gap_behind(const BatchPtr& batch);

  const std::int32_t partition_;
  const Options options_;
  Identity identity_;
  bool identity_needed_ = false;
  enum class Join { none, asked, done };
  Join join_ = Join::none;
  bool abandoned_ = false;
  bool next_after_gap_ = false;  ///< The batch numbered last was given up.
  std::int32_t next_sequence_ = 0;
  std::uint64_t batches_begun_ = 0;

  BatchPtr open_;                ///< Gathers records.
  std::deque<BatchPtr> sealed_;  ///< Full, not numbered yet.
  std::deque<BatchPtr> sent_;    ///< Numbered, in sequence order; awaiting an answer or another attempt.
  std::size_t awaiting_ = 0;
  bool hold_ = false;  ///< Until all answers are in and `resend_at_` has come.
  SteadyTime resend_at_{};
  int failures_in_row_ = 0;
};

}  // namespace tidemark::detail
