#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/src/client_core.h"
#include "client/src/owned_record.h"
#include "client/src/partition_queue.h"
#include "client/src/persistent_calls.h"
#include "client/src/stream_consumer_core.h"
#include "client/src/transaction_scope.h"
#include "tidemark/transactional_producer.h"

namespace tidemark::wire {
class CommitOffsetsReply;
class TopicInfo;
class TransactionName;
}  // namespace tidemark::wire

namespace tidemark::detail {

class ProducerCore;

/// The engine of a TransactionalProducer: what is open, who takes part in it, and how it ends. The records of each topic go through a
/// ProducerCore of their own; a partition joins when the first of them is to be sent there.
///
/// One operation at a time (`busy_`), in steps that are callbacks; the mutex is never held over a request or a callback.
class TransactionCore final : public Closable, public TransactionScope, public std::enable_shared_from_this<TransactionCore> {
 public:
  /// invalid_argument for options outside their ranges; the broker judges id and time-out.
  static Status check(const TransactionalOptions& options);
  TransactionCore(std::shared_ptr<ClientCore> client, TransactionalOptions options);

  /// Once, when it is owned by a shared_ptr: becomes the instance that has the id.
  void open(Done<void> done);

  void begin(Done<void> done);
  /// nullopt: it must wait, see send(). Otherwise `done` has been taken if the answer is good.
  std::optional<Status> try_send(std::string_view topic, const Record& record, SendCallback& done);
  void send(const std::string& topic, const Record& record, SendCallback done, Done<void> accepted);
  /// nullopt: everything the consumer has given out.
  void commit_offsets(std::shared_ptr<StreamConsumerCore> consumer, std::optional<std::vector<GivenMessages>> given, Done<void> done);
  void commit(Done<void> done);
  void abort(Done<void> done);
  void close(Done<void> done);

  ClientCore& client() { return *client_; }
  const std::string& id() const { return options_.id; }

  void join(std::uint64_t number, const std::string& topic, const std::vector<std::int32_t>& partitions, Done<void> done) override;
  void drain(Done<void> done) override { close(std::move(done)); }
  void shutdown() override;

 private:
  enum class Phase {
    idle,
    open,
    committing,  ///< A commit was asked for and is not known to have been refused.
  };
  using ProducerPtr = std::shared_ptr<ProducerCore>;
  /// A record whose topic is being looked up.
  struct WaitingSend {
    std::uint64_t transaction = 0;
    OwnedRecord record;
    SendCallback done;
    Done<void> accepted;
  };
  /// Offsets of one consumer on their way to the broker.
  struct OffsetCommit {
    std::shared_ptr<StreamConsumerCore> consumer;
    ConsumedOffsets offsets;
    std::size_t answered = 0;
    std::size_t in_flight = 0;
    Done<void> done;
  };

  // With the lock held.
  Status enter();
  Status may_send() const;
  std::vector<ProducerPtr> producers() const;

  /// The operation is over, with the lock not held; answers, and goes on with close() if that waits.
  void leave(Done<void> done, Status outcome);
  /// leave(), and the transaction can only be aborted any more; or the producer is finished, if the error is fatal.
  void leave_failed(Done<void> done, Error error);
  void ask_instance(std::optional<Identity> expected, Done<Identity> done);
  void open_transaction(Done<void> done, std::optional<Identity> identity);
  void on_topic(const std::string& topic, const Result<wire::TopicInfo>& found);
  void one_accepted();
  void ask_offsets(std::shared_ptr<OffsetCommit> commit);
  void on_offsets(const std::shared_ptr<OffsetCommit>& commit, const Result<wire::CommitOffsetsReply>& reply);
  void on_flushed(Done<void> done, const Status& flushed);
  void decide_commit(Done<void> done);
  void on_committed(Done<void> done, const Status& ended);
  void run_abort(Done<void> done);
  void end_abort(Done<void> done);
  void on_aborted(Done<void> done, const Status& ended);
  void run_close();
  void ask_end(bool commit, Done<void> done);
  void name(wire::TransactionName& out) const;
  SteadyTime deadline() const { return client_->connection()->default_deadline(); }

  const std::shared_ptr<ClientCore> client_;
  const TransactionalOptions options_;
  PersistentCalls calls_;

  mutable std::mutex mutex_;
  Identity identity_;  ///< Changes only while no transaction is open.
  Phase phase_ = Phase::idle;
  bool busy_ = false;              ///< An operation runs.
  std::uint64_t transaction_ = 0;  ///< Number of the one that began last.
  bool renew_ = false;             ///< The next one needs a new epoch.
  bool touched_ = false;           ///< The broker may know of it.
  bool maybe_committed_ = false;   ///< While committing: an answer was lost.
  std::optional<Error> failure_;   ///< It can only be aborted.
  std::optional<Error> fatal_;     ///< Nothing can be done any more.
  std::size_t unaccepted_ = 0;     ///< Calls of send() that have not returned.
  std::size_t joins_under_way_ = 0;
  Done<void> joins_settled_;
  std::map<std::string, ProducerPtr, std::less<>> producers_;
  std::map<std::string, std::vector<WaitingSend>, std::less<>> lookups_;  ///< A topic stays until its records have all been handed on.
  std::vector<std::pair<std::shared_ptr<StreamConsumerCore>, ConsumedOffsets>> consumed_;
  std::vector<Done<void>> close_waiters_;
  bool closing_ = false;
  bool closed_ = false;
};

}  // namespace tidemark::detail
