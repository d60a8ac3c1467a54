#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "client/src/client_core.h"
#include "tidemark/queue_consumer.h"

namespace tidemark::wire {
class JoinQueueReply;
class SettleReply;
}  // namespace tidemark::wire

namespace tidemark::detail {

/// The engine of a QueueConsumer. It joins on every new connection, keeps one Receive under way as long as there is room or somebody waits,
/// renews leases, and gathers settlements into few requests.
///
/// Membership, requests and timers run on the strand; messages are taken and settled by the caller's threads. What both touch is under the
/// mutex, which is never held over an answer or a request.
class QueueConsumerCore final : public Closable,
                                public ConnectionListener,
                                public ReceivedSink,
                                public std::enable_shared_from_this<QueueConsumerCore> {
 public:
  using Messages = std::vector<QueueMessage>;

  static Status check(const QueueOptions& options);
  QueueConsumerCore(std::shared_ptr<ClientCore> client, QueueOptions options);
  ~QueueConsumerCore() override;
  QueueConsumerCore(const QueueConsumerCore&) = delete;
  QueueConsumerCore& operator=(const QueueConsumerCore&) = delete;

  /// Once, when it is owned by a shared_ptr. Answers when the group has taken the member in, or why it will not.
  void open(Done<void> done);

  Result<Messages> receive(std::size_t max, std::chrono::milliseconds wait);
  /// Waits until there is one; nullopt when `stop` is requested.
  Result<std::optional<QueueMessage>> receive_one(const std::stop_token& stop);
  /// `tag` names it to cancel_receives().
  void async_receive(std::size_t max, const void* tag, std::shared_ptr<Pending<Messages>> pending);
  void cancel_receives(const void* tag);
  /// Nothing is fetched until somebody receives again; what lies ready is released.
  void stop_prefetch();

  void settle(const QueueMessage& message, const Settlement& how, Done<void> done);
  void settle(std::span<const QueueMessage> messages, const Settlement& how, Done<SettleReport> done);
  void extend(const QueueMessage& message, std::chrono::milliseconds lease, Done<void> done);
  void close(Done<void> done);

  ClientCore& client() { return *client_; }
  const std::string& member() const { return options_.member; }

  void drain(Done<void> done) override { close(std::move(done)); }
  void shutdown() override;

  void on_connected() override;
  void on_disconnected() override;
  void on_received(const wire::Received& received, Slice batches) override;

 private:
  struct Place {
    std::int32_t partition = 0;
    Offset offset;
    auto operator<=>(const Place&) const = default;
  };
  static Place place_of(const Message& message) { return {message.partition(), message.offset()}; }
  /// A record that is this member's, ready or given out.
  struct Held {
    std::uint32_t deliveries = 0;
    bool settling = false;
    SteadyTime expires = SteadyTime::max();  ///< Without renewal.
  };
  struct Waiter {
    std::size_t max = 0;
    const void* tag = nullptr;
    std::shared_ptr<Pending<Messages>> pending;
  };
  /// A settlement on its way.
  struct Op {
    Place place;
    std::uint32_t deliveries = 0;
    Settlement how;
    std::uint64_t session = 0;
    Done<void> done;  ///< Empty: nobody asks.
  };
  /// Those of one request.
  struct Batch {
    std::vector<Op> ops;
  };

  // Membership, on the strand.
  void join();
  void on_joined(const Result<wire::JoinQueueReply>& reply);
  void on_join_failed(const Error& error);
  void join_after(std::chrono::milliseconds pause);
  void set_lease(std::chrono::milliseconds lease);
  void arm_renewal();
  void renew();

  // Receiving.
  void fetch();       ///< On the strand.
  void fetch_soon();  ///< From anywhere.
  void on_receive_refused(std::uint32_t receive, const Error& error);
  void unpack(const wire::Received& received, Slice batches);
  void serve();  ///< From anywhere, without the lock.
  void tell(const Error& error);
  // With the lock held.
  std::size_t demand() const;
  std::size_t room() const;
  void start_prefetch();
  bool find_ready();
  std::optional<Result<Messages>> take(std::size_t max);
  void release_ready();
  void cancel_fetch_soon();

  // Settling; with the lock held.
  Status judge(const QueueMessage& message) const;
  void add_op(Place place, std::uint32_t deliveries, Settlement how, Done<void> done);
  std::shared_ptr<Batch> next_batch(std::vector<Op>& stale);
  void settle_held(const Op& op, bool ours_still);
  // On the strand.
  void pump_settles();
  void send(const std::shared_ptr<Batch>& batch);
  void on_settled(const std::shared_ptr<Batch>& batch, const Result<wire::SettleReply>& reply);

  // The end, on the strand.
  void begin_close();
  void leave_when_settled();
  void end_close(const Status& outcome);
  void stop_timers();
  Error closed_error() const;

  template <class F>
  void on_strand(F f) {
    asio::post(client_->connection()->strand(), [weak = weak_from_this(), f = std::move(f)]() mutable {
      if (const auto self = weak.lock()) f(*self);
    });
  }

  const std::shared_ptr<ClientCore> client_;
  const QueueOptions options_;  ///< With the member's name filled in.
  const std::shared_ptr<const std::string> topic_;

  // On the strand.
  asio::steady_timer join_timer_, renew_timer_, fetch_timer_;
  SteadyTime opening_deadline_{};
  bool joining_ = false;
  bool opened_ = false;  ///< It has been a member: a group that is gone now was removed, and is not made again.
  bool joined_ = false;
  bool renewing_ = false;
  bool leaving_ = false;
  bool fetch_paused_ = false;             ///< After an error, until the timer.
  std::optional<std::uint32_t> receive_;  ///< Under way.
  std::size_t asked_ = 0;                 ///< Records, by it.
  std::chrono::milliseconds lease_{0};

  mutable std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::uint64_t session_ = 1;
  bool prefetching_ = false;
  bool fetch_posted_ = false;
  bool pump_posted_ = false;
  bool closing_ = false;
  bool closed_ = false;
  std::deque<QueueMessage> ready_;
  std::map<Place, Held> held_;
  std::deque<Waiter> waiters_;
  std::size_t blocked_demand_ = 0;  ///< Of blocking calls.
  std::optional<Error> error_;      ///< To be told.
  std::optional<Errc> told_;        ///< Not again while it lasts.
  std::deque<Op> ops_;
  std::vector<std::shared_ptr<Batch>> batches_;  ///< Under way.
  Done<void> opening_;
  std::vector<Done<void>> close_waiters_;
};

}  // namespace tidemark::detail
