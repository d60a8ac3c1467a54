#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include <boost/asio/awaitable.hpp>

#include "client/src/pending.h"
#include "client/src/queue_consumer_core.h"
#include "tidemark/queue_consumer.h"

namespace tidemark::detail {

/// One QueueConsumer::run() or co_run(): how many handlers are at work, what was settled, and why it ends. Settlements are sent without
/// waiting for their answers, at most kSettlesMax at a time.
class QueueRunState : public std::enable_shared_from_this<QueueRunState> {
 public:
  explicit QueueRunState(std::shared_ptr<QueueConsumerCore> core) : core_(std::move(core)) {}

  QueueConsumerCore& core() { return *core_; }
  /// Requested once the run is to end, whoever wishes it.
  std::stop_token stop() const { return ending_.get_token(); }
  /// No handler is called any more. The first error counts.
  void end(const std::optional<Error>& why);

  /// The handler has ended, with a settlement or with an exception.
  void handled(const QueueMessage& message, const Settlement& how);
  void handled(const QueueMessage& message, const std::exception_ptr& failure);

  /// Waits until fewer than kSettlesMax settlements are under way.
  void wait_for_room();
  void wait_until_settled();
  Result<QueueRun> outcome() const;

  // Of the coroutines.
  void set_workers(std::size_t workers) { workers_ = workers; }
  void worker_ended();
  /// Answers when all workers have ended and everything is settled.
  void when_done(std::shared_ptr<Pending<QueueRun>> pending);

 private:
  static constexpr std::size_t kSettlesMax = 1'000;

  void settle(const QueueMessage& message, const Settlement& how, bool failed);
  void settled(const Status& how);
  void finish_if_done();

  const std::shared_ptr<QueueConsumerCore> core_;
  std::stop_source ending_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  QueueRun counts_;
  std::optional<Error> error_;
  std::size_t under_way_ = 0;
  std::size_t workers_ = 0;
  std::shared_ptr<Pending<QueueRun>> pending_;
};

}  // namespace tidemark::detail
