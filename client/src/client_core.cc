#include "client/src/client_core.h"

#include <utility>

#include "client/src/io_thread.h"

namespace tidemark::detail {
namespace {

/// Counts parts that still drain; answers once, for the last of them or for the timer.
struct Drain {
  Drain(const asio::any_io_executor& executor, Done<void> answer) : timer(executor), done(std::move(answer)) {}

  void settle(const Status& how) {
    Done<void> answer;
    {
      const std::lock_guard lock(mutex);
      answer = std::move(done);
    }
    if (answer) answer(how);
  }
  std::mutex mutex;
  std::size_t left = 0;
  asio::steady_timer timer;
  Done<void> done;
};

void part_done(const std::shared_ptr<Drain>& drain) {
  {
    const std::lock_guard lock(drain->mutex);
    if (--drain->left > 0) return;
  }
  asio::post(drain->timer.get_executor(), [drain] { drain->timer.cancel(); });
  drain->settle({});
}

}  // namespace

std::shared_ptr<ClientCore> ClientCore::create(ClientOptions options) {
  auto thread = std::make_shared<IoThread>();
  auto connection = std::make_shared<Connection>(thread->context().get_executor(), std::move(options), thread->shared_context());
  return std::shared_ptr<ClientCore>(new ClientCore(std::move(thread), std::move(connection)));
}

std::shared_ptr<ClientCore> ClientCore::create(asio::any_io_executor executor, ClientOptions options) {
  auto connection = std::make_shared<Connection>(std::move(executor), std::move(options), nullptr);
  return std::shared_ptr<ClientCore>(new ClientCore(nullptr, std::move(connection)));
}

ClientCore::~ClientCore() = default;

void ClientCore::add(std::weak_ptr<Closable> part) {
  const std::lock_guard lock(mutex_);
  std::erase_if(parts_, [](const auto& known) { return known.expired(); });
  parts_.push_back(std::move(part));
}

std::vector<std::shared_ptr<Closable>> ClientCore::parts() {
  std::vector<std::shared_ptr<Closable>> alive;
  const std::lock_guard lock(mutex_);
  for (const auto& part : parts_) {
    if (auto strong = part.lock()) alive.push_back(std::move(strong));
  }
  return alive;
}

bool ClientCore::inside_callback() const {
  return (thread_ != nullptr && thread_->is_current()) || connection_->strand().running_in_this_thread();
}

void ClientCore::drain(Done<void> done) {
  const std::vector<std::shared_ptr<Closable>> draining = parts();
  if (draining.empty() || connection_->is_shut_down()) return done({});

  const auto state = std::make_shared<Drain>(connection_->strand(), std::move(done));
  state->left = draining.size();
  state->timer.expires_after(connection_->options().drain_timeout);
  state->timer.async_wait([state](boost::system::error_code aborted) {
    if (!aborted) state->settle(Error{Errc::timed_out, "records were still under way when the drain timeout had passed", true});
  });
  for (const auto& part : draining) {
    part->drain([state](const Status&) { part_done(state); });  // A record that failed is settled as well.
  }
}

void ClientCore::close() {
  if (thread_ != nullptr && !inside_callback()) {
    BlockingCall<void> drained;
    drain(drained.done());
    const Status ignored = drained.wait();  // What is left fails below and is told to whoever sent it.
    static_cast<void>(ignored);
  }
  shutdown();
}

void ClientCore::shutdown() {
  bool nested = false;
  run_callbacks([&] {
    nested = settling_;  // In a callback run by shutdown() itself: the outer call does the rest.
    if (std::exchange(shut_down_, true)) return;
    settling_ = true;
    settle_everything();
    settling_ = false;
  });
  if (!nested && thread_ != nullptr) run_what_is_posted();
}

void ClientCore::settle_everything() {
  connection_->shutdown();
  for (const auto& part : parts()) part->shutdown();
}

/// Completions were posted to our own thread: none may be left when close() returns. The thread itself stays, for what is asked of handles
/// that outlive the client.
void ClientCore::run_what_is_posted() {
  if (inside_callback()) {
    thread_->context().poll();
    return;
  }
  // Twice through the queue: what is cancelled in the first turn completes before the second.
  BlockingCall<void> reached;
  asio::post(connection_->strand(), [strand = connection_->strand(), done = reached.done()]() mutable {
    asio::post(strand, [done = std::move(done)]() mutable { done(Status()); });
  });
  const Status ignored = reached.wait();
  static_cast<void>(ignored);
}

}  // namespace tidemark::detail
