#include "client/src/queue_run.h"

#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tidemark {
namespace detail {

void QueueRunState::end(const std::optional<Error>& why) {
  {
    const std::lock_guard lock(mutex_);
    if (why && !error_) error_ = why;
  }
  ending_.request_stop();
  core_->cancel_receives(this);
}

void QueueRunState::handled(const QueueMessage& message, const Settlement& how) { settle(message, how, false); }

void QueueRunState::handled(const QueueMessage& message, const std::exception_ptr& failure) {
  std::string reason = "an exception that tells nothing";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    reason = error.what();
  } catch (...) {  // Not a std::exception: there is no text.
  }
  settle(message, Retry{.delay = {}, .reason = std::move(reason)}, true);
}

void QueueRunState::settle(const QueueMessage& message, const Settlement& how, bool failed) {
  {
    const std::lock_guard lock(mutex_);
    ++counts_.handled;
    if (failed) ++counts_.failed;
    ++under_way_;
  }
  core_->settle(message, how, [self = shared_from_this()](const Status& outcome) { self->settled(outcome); });
}

void QueueRunState::settled(const Status& how) {
  {
    const std::lock_guard lock(mutex_);
    --under_way_;
    ++(how ? counts_.settled : counts_.lost);
    changed_.notify_all();
  }
  finish_if_done();
}

void QueueRunState::wait_for_room() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return under_way_ < kSettlesMax; });
}

void QueueRunState::wait_until_settled() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return under_way_ == 0; });
}

Result<QueueRun> QueueRunState::outcome() const {
  const std::lock_guard lock(mutex_);
  if (error_) return *error_;
  return counts_;
}

void QueueRunState::worker_ended() {
  {
    const std::lock_guard lock(mutex_);
    --workers_;
  }
  finish_if_done();
}

void QueueRunState::when_done(std::shared_ptr<Pending<QueueRun>> pending) {
  {
    const std::lock_guard lock(mutex_);
    pending_ = std::move(pending);
  }
  finish_if_done();
}

void QueueRunState::finish_if_done() {
  std::shared_ptr<Pending<QueueRun>> pending;
  {
    const std::lock_guard lock(mutex_);
    if (workers_ > 0 || under_way_ > 0) return;
    pending = std::exchange(pending_, nullptr);
  }
  if (pending != nullptr) pending->complete(outcome());
}

namespace {

using State = std::shared_ptr<QueueRunState>;

void work(QueueRunState& run, const QueueConsumer::Handler& handler) {
  while (!run.stop().stop_requested()) {
    run.wait_for_room();
    const Result<std::optional<QueueMessage>> message = run.core().receive_one(run.stop());
    if (!message) return run.end(message.error());
    if (!*message) return;
    try {
      run.handled(**message, handler(**message));
    } catch (...) {
      run.handled(**message, std::current_exception());
    }
  }
}

asio::awaitable<Result<Settlement>> call_handler(const QueueConsumer::CoHandler* handler, QueueMessage message,
                                                 std::exception_ptr* failure) {
  try {
    asio::awaitable<Settlement> handling = (*handler)(std::move(message));
    Settlement how = co_await std::move(handling);
    co_return how;
  } catch (...) {
    *failure = std::current_exception();
  }
  co_return Error{Errc::internal, "the handler threw"};
}

auto receive_some(const State& run) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Result<QueueConsumer::Messages>)>(
      [run](auto handler) {
        Completion<QueueConsumer::Messages> done(std::move(handler));
        run->core().async_receive(1, run.get(), Pending<QueueConsumer::Messages>::make(std::move(done), run->core().client().executor()));
        if (run->stop().stop_requested()) run->core().cancel_receives(run.get());
      },
      asio::use_awaitable);
}

asio::awaitable<void> co_work(State run, std::shared_ptr<const QueueConsumer::CoHandler> handler) {
  while (!run->stop().stop_requested()) {
    const Result<QueueConsumer::Messages> messages = co_await receive_some(run);
    if (!messages) {
      if (!run->stop().stop_requested()) run->end(messages.error());
      co_return;
    }
    std::exception_ptr failure;
    const QueueMessage message = messages->front();
    const Result<Settlement> how = co_await call_handler(handler.get(), message, &failure);
    if (how) {
      run->handled(message, *how);
    } else {
      run->handled(message, failure);
    }
  }
}

auto all_done(const State& run) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Result<QueueRun>)>(
      [run](auto handler) {
        Completion<QueueRun> done(std::move(handler));
        run->when_done(Pending<QueueRun>::make(std::move(done), run->core().client().executor()));
      },
      asio::use_awaitable);
}

}  // namespace
}  // namespace detail

Result<QueueRun> QueueConsumer::run_handler(Handler handler, std::size_t workers, std::stop_token stop) {
  if (workers == 0) return Error{Errc::invalid_argument, "a run needs at least one worker"};
  if (core_->client().inside_callback()) {
    return Error{Errc::conflict, "a blocking call inside a callback of the client would wait for itself"};
  }
  const auto run = std::make_shared<detail::QueueRunState>(core_);
  {
    const std::stop_callback on_stop(std::move(stop), [run] { run->end(std::nullopt); });
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < workers; ++i) others.emplace_back([run, &handler] { detail::work(*run, handler); });
    detail::work(*run, handler);
  }
  core_->stop_prefetch();
  run->wait_until_settled();
  return run->outcome();
}

asio::awaitable<Result<QueueRun>> QueueConsumer::co_run(CoHandler handler, std::size_t concurrency, std::stop_token stop) {
  if (concurrency == 0) co_return Error{Errc::invalid_argument, "a run needs at least one worker"};
  const Core core = core_;  // This handle may be gone before the run ends.
  const auto run = std::make_shared<detail::QueueRunState>(core);
  const auto shared_handler = std::make_shared<const CoHandler>(std::move(handler));
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto end = [run] { run->end(std::nullopt); };
  const std::stop_callback on_stop(std::move(stop), end);
  run->set_workers(concurrency);
  for (std::size_t i = 0; i < concurrency; ++i) {
    asio::co_spawn(executor, detail::co_work(run, shared_handler), [run](const std::exception_ptr& failure) {
      // Nothing in there throws but exhausted memory.
      if (failure) run->end(Error{Errc::internal, "a worker ended by an exception"});
      run->worker_ended();
    });
  }
  const Result<QueueRun> outcome = co_await detail::all_done(run);
  core->stop_prefetch();
  co_return outcome;
}

}  // namespace tidemark
