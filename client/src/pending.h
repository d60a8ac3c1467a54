#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include "storage/base/unique_function.h"
#include "tidemark/completion.h"

namespace tidemark::detail {

template <class T>
using Done = UniqueFunction<void(Result<T>)>;

/// An asynchronous operation of the user under way: its handler, kept until exactly one of answer, cancellation or close claims it.
/// The handler's executor is kept busy meanwhile, so that a user's io_context does not run out of work while our thread does it.
template <class T>
class Pending : public std::enable_shared_from_this<Pending<T>> {
 public:
  static std::shared_ptr<Pending> make(Completion<T> handler, const asio::any_io_executor& fallback) {
    auto pending = std::make_shared<Pending>(std::move(handler), fallback);
    if (pending->slot_.is_connected()) {
      pending->slot_.assign([weak = pending->weak_from_this()](asio::cancellation_type type) {
        const auto self = weak.lock();
        if (self == nullptr || type == asio::cancellation_type::none || !self->claim()) return;
        self->finish(Error{Errc::cancelled, "the operation was cancelled", true});
      });
    }
    return pending;
  }

  Pending(Completion<T> handler, const asio::any_io_executor& client)
      : slot_(handler.get_cancellation_slot()),
        client_(client),
        executor_(asio::prefer(asio::get_associated_executor(handler, client), asio::execution::outstanding_work.tracked)),
        handler_(std::move(handler)) {}

  /// True for one caller only, who then must call finish(). Taken before an answer is consumed that would be lost otherwise.
  bool claim() { return !claimed_.exchange(true); }
  void finish(Result<T> result) {
    // Over the client's executor, because a type-erased handler's executor cannot promise not to run it inside this call.
    asio::post(client_, [self = this->shared_from_this(), result = std::move(result)]() mutable {
      const auto executor = std::move(self->executor_);
      executor.execute([self = std::move(self), result = std::move(result)]() mutable {
        // Here, on the handler's own executor: a slot is not thread-safe.
        if (self->slot_.is_connected()) self->slot_.clear();
        std::exchange(self->handler_, nullptr)(std::move(result));
      });
    });
  }
  void complete(Result<T> result) {
    if (claim()) finish(std::move(result));
  }

 private:
  asio::cancellation_slot slot_;
  asio::any_io_executor client_;
  asio::any_completion_executor executor_;
  Completion<T> handler_;
  std::atomic<bool> claimed_ = false;
};

template <class T>
Done<T> as_done(Completion<T> handler, const asio::any_io_executor& fallback) {
  return [pending = Pending<T>::make(std::move(handler), fallback)](Result<T> result) { pending->complete(std::move(result)); };
}

/// The blocking twin of an asynchronous operation: start it with done(), then wait(). Whoever started it answers in bounded time.
template <class T>
class BlockingCall {
 public:
  Done<T> done() {
    return [state = state_](Result<T> result) {
      const std::lock_guard lock(state->mutex);
      state->result = std::move(result);
      state->answered.notify_one();
    };
  }
  Result<T> wait() {
    std::unique_lock lock(state_->mutex);
    state_->answered.wait(lock, [this] { return state_->result.has_value(); });
    return std::move(*state_->result);
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Result<T>> result;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace tidemark::detail
