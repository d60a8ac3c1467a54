#include "client/src/persistent_calls.h"

#include <algorithm>
#include <atomic>

namespace tidemark::detail {
namespace {

constexpr std::chrono::milliseconds kPauseMin{5};  ///< A transaction that is being finished takes two flushes.
constexpr std::chrono::milliseconds kPauseMax{500};

}  // namespace

struct PersistentCalls::Lost {
  std::atomic<bool> answer = false;
};

class PersistentCalls::Call : public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<Connection> connection, std::shared_ptr<Lost> lost, native::FrameType type, UniqueFunction<Slice()> encode,
       SteadyTime deadline, Done<Frame> done)
      : connection_(std::move(connection)),
        lost_(std::move(lost)),
        type_(type),
        encode_(std::move(encode)),
        deadline_(deadline),
        timer_(connection_->strand()),
        done_(std::move(done)) {}

  void send() {
    Request request;
    request.type = type_;
    request.head = encode_();
    request.on_loss = OnLoss::fail_if_sent;
    request.deadline = deadline_;
    request.done = [self = shared_from_this()](Result<Frame> reply) { self->on_answer(std::move(reply)); };
    connection_->send(std::move(request));
  }

  void cancel() {
    finish(Error{Errc::cancelled, "the client was closed", maybe_done_.load()});
    asio::post(connection_->strand(), [self = shared_from_this()] { self->timer_.cancel(); });
  }

 private:
  void on_answer(Result<Frame> reply) {
    if (reply) return finish(std::move(reply));
    Error error = std::move(reply).error();
    if (error.maybe_done) {
      maybe_done_ = true;
      lost_->answer = true;
    }
    error.maybe_done = maybe_done_;
    const SteadyTime next = std::chrono::steady_clock::now() + pause_;
    if (!error.retriable() || next >= deadline_ || connection_->is_shut_down()) return finish(std::move(error));
    pause_ = std::min(2 * pause_, kPauseMax);
    timer_.expires_at(next);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code aborted) {
      if (!aborted) self->send();
    });
  }

  void finish(Result<Frame> reply) {
    Done<Frame> done;
    {
      const std::lock_guard lock(mutex_);
      done = std::move(done_);
    }
    if (done) done(std::move(reply));
  }

  const std::shared_ptr<Connection> connection_;
  const std::shared_ptr<Lost> lost_;
  const native::FrameType type_;
  UniqueFunction<Slice()> encode_;
  const SteadyTime deadline_;
  asio::steady_timer timer_;  ///< On the strand, as is the next.
  std::chrono::milliseconds pause_ = kPauseMin;
  std::atomic<bool> maybe_done_ = false;
  std::mutex mutex_;
  Done<Frame> done_;
};

std::shared_ptr<PersistentCalls::Lost> PersistentCalls::make_lost() { return std::make_shared<Lost>(); }

void PersistentCalls::start(native::FrameType type, UniqueFunction<Slice()> encode, SteadyTime deadline, Done<Frame> done) {
  const auto call = std::make_shared<Call>(connection_, lost_, type, std::move(encode), deadline, std::move(done));
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(calls_, [](const auto& known) { return known.expired(); });
    calls_.push_back(call);
  }
  call->send();
}

bool PersistentCalls::take_lost_answer() { return lost_->answer.exchange(false); }

void PersistentCalls::shutdown() {
  std::vector<std::weak_ptr<Call>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(calls_);
  }
  for (const auto& known : calls) {
    if (const auto call = known.lock()) call->cancel();
  }
}

}  // namespace tidemark::detail
