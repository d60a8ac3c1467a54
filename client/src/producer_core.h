#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "client/src/client_core.h"
#include "client/src/owned_record.h"
#include "client/src/partition_queue.h"
#include "client/src/transaction_scope.h"
#include "tidemark/producer.h"

namespace tidemark::wire {
class ProduceReply;
class TopicInfo;
}  // namespace tidemark::wire

namespace tidemark::detail {

/// What a producer has to know of its topic.
struct TopicFacts {
  std::int32_t partitions = 1;
  std::size_t message_bytes_max = 1048588;
  bool append_time = false;  ///< The broker sets the record time.

  static TopicFacts from(const wire::TopicInfo& topic);
};

/// One flush() call waiting for batches.
struct FlushWaiter {
  std::size_t batches_left = 0;
  Done<void> done;
};

/// The engine of a Producer: records become batches under its mutex, on the sender's thread; batches are sealed, compressed, sent and
/// answered on the client's strand. Callbacks run with no lock held but the client's callback lock.
class ProducerCore final : public Closable, public ConnectionListener, public std::enable_shared_from_this<ProducerCore> {
 public:
  ProducerCore(std::shared_ptr<ClientCore> client, std::string topic, ProducerOptions options, TopicFacts facts, Identity identity);
  /// One that sends records of transactions, once begin_transaction() has been called.
  ProducerCore(std::shared_ptr<ClientCore> client, std::string topic, ProducerOptions options, TopicFacts facts, Identity identity,
               std::weak_ptr<TransactionScope> transactions);

  /// invalid_argument for options outside their ranges.
  static Status check(const ProducerOptions& options);

  bool try_post(const Record& record, SendCallback done);
  /// Waits for room without blocking: the record is copied.
  void send(const Record& record, SendCallback done);
  void flush(Done<void> done);
  void close(Done<void> done);

  // --- Transactional ones, instead of try_post() and send(). A transaction has ended when flush() or abandon() has answered and nothing
  // was offered since. Transactions are numbered from 1, ascending; records for any but the one that is open are refused with `conflict`.

  /// `identity`: the producer has a new epoch, and sequences begin anew. An older number changes nothing.
  void begin_transaction(std::uint64_t number, std::optional<Identity> identity);
  /// nullopt: no room, or others wait for it. Otherwise `done` has been taken if the record was accepted; a record that cannot be sent
  /// counts as accepted, and flush() has its error.
  std::optional<Status> offer(std::uint64_t number, const Record& record, SendCallback& done);
  /// Waits for room without blocking: the record is copied.
  void offer(std::uint64_t number, const Record& record, SendCallback done, Done<void> accepted);
  /// Drops what is not under way, with `cancelled`, takes nothing more, and answers when what is under way has been answered.
  void abandon(Done<void> done);

  void drain(Done<void> done) override { flush(std::move(done)); }
  void shutdown() override;
  void on_connected() override;

  ClientCore& client() { return *client_; }
  const std::string& topic() const { return topic_; }
  std::int32_t partitions() const;
  std::size_t buffered_bytes() const;

 private:
  /// A record that waits for room in the buffer.
  struct Waiting {
    OwnedRecord record;
    SendCallback done;
    Done<void> accepted;  ///< May be empty.
  };
  /// A batch, or one record that never got into one, with its answer; its waiters are told outside the lock.
  struct Settled {
    std::shared_ptr<OutBatch> batch;
    Result<Stored> result;
  };
  using Queue = PartitionQueue;

  /// Decided under the lock, done outside it.
  struct Outgoing {
    std::vector<std::shared_ptr<OutBatch>> batches;
    std::vector<Settled> settled;
    std::vector<std::pair<Done<void>, Status>> flushed;
    std::vector<Done<void>> admitted;   ///< Records that have found room.
    std::vector<std::int32_t> joining;  ///< Partitions that are to join the transaction.
    std::uint64_t transaction = 0;      ///< That one.
    bool wants_identity = false;
  };

  std::unique_ptr<Queue> make_queue(std::int32_t partition) const;
  Result<std::int32_t> place(const Record& record, std::size_t bytes);
  std::int32_t sticky_partition(std::size_t bytes);
  Status check_size(std::size_t bytes) const;
  /// Adds what the record asks for to header_scratch_, with texts of their own in request_scratch_.
  Status add_requests(const Record& record);
  /// False: no room. Otherwise `done` has been taken, and is told also when the record is refused.
  bool accept(const Record& record, SendCallback& done);
  bool has_room(std::size_t bytes) const { return buffered_bytes_ == 0 || buffered_bytes_ + bytes <= options_.buffer_bytes; }
  void reject(SendCallback done, const Error& error);
  void admit_waiting(Outgoing& out);
  Status may_offer(std::uint64_t number) const;
  void join(std::uint64_t number, const std::vector<std::int32_t>& partitions);
  void on_joined(std::uint64_t number, const std::vector<std::int32_t>& partitions, const Status& joined);
  void mark_dirty(std::int32_t partition);
  void mark_all_dirty();
  void schedule_pump();
  void pump();
  Outgoing collect(SteadyTime now);
  void send_batches(const std::vector<std::shared_ptr<OutBatch>>& batches);
  void send_request(std::vector<std::shared_ptr<OutBatch>> batches);
  void on_produced(const std::vector<std::shared_ptr<OutBatch>>& batches, Result<Frame> reply);
  void request_identity();
  void refresh();
  void on_identity(Result<Identity> identity);
  void adopt(const TopicFacts& facts);
  void settle(Outgoing& out, const std::shared_ptr<OutBatch>& batch, Result<Stored> result);
  Status take_first_error();
  void tell(Outgoing out);
  static void run_waiters(std::vector<Settled>& settled_batches);
  void arm_timer(SteadyTime when);

  const std::shared_ptr<ClientCore> client_;
  const std::string topic_;
  const ProducerOptions options_;
  const bool transactional_;
  const std::weak_ptr<TransactionScope> transactions_;
  asio::steady_timer timer_;  ///< On the strand.
  SteadyTime timer_at_ = SteadyTime::max();

  mutable std::mutex mutex_;
  TopicFacts facts_;
  Identity identity_;  ///< Of queues made from now on.
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<bool> is_dirty_;
  std::vector<std::int32_t> dirty_;  ///< Partitions the next pump looks at.
  std::deque<Waiting> waiting_;
  std::vector<Settled> rejected_;
  std::vector<HeaderView> header_scratch_;
  std::array<std::string, 4> request_scratch_;
  std::size_t buffered_bytes_ = 0;
  std::int32_t sticky_ = 0;
  std::uint64_t sticky_batch_ = 0;
  bool pump_scheduled_ = false;
  bool identity_requested_ = false;
  bool refreshing_ = false;
  bool closed_ = false;
  bool in_transaction_ = false;    ///< Its records are accepted.
  std::uint64_t transaction_ = 0;  ///< The one that began last.
  std::optional<Error> first_error_;
};

}  // namespace tidemark::detail
