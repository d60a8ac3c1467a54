#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "client/src/connection.h"
#include "client/src/pending.h"

namespace tidemark::detail {

class IoThread;

/// Something made from a client that has to end with it.
class Closable {
 public:
  virtual ~Closable() = default;
  /// Answers once everything accepted before is settled.
  virtual void drain(Done<void> done) = 0;
  /// Settles everything left with `cancelled`, inside this call, and refuses what comes later.
  virtual void shutdown() = 0;
};

/// What a Client and everything made from it share. Outlives the Client in the handles made from it, shut down by then.
class ClientCore {
 public:
  static std::shared_ptr<ClientCore> create(ClientOptions options);
  static std::shared_ptr<ClientCore> create(asio::any_io_executor executor, ClientOptions options);
  ~ClientCore();

  const std::shared_ptr<Connection>& connection() const { return connection_; }
  const asio::any_io_executor& executor() const { return connection_->executor(); }
  void add(std::weak_ptr<Closable> part);

  /// Callbacks are run through here; close() returns only when none is running.
  template <class F>
  void run_callbacks(F&& run) {
    const std::lock_guard lock(callbacks_);
    run();
  }
  /// Blocking calls: refused where they would wait for themselves.
  template <class T, class Start>
  Result<T> block(Start&& start) {
    if (inside_callback()) return Error{Errc::conflict, "a blocking call inside a callback of the client would wait for itself"};
    BlockingCall<T> blocking;
    start(blocking.done());
    return blocking.wait();
  }
  bool inside_callback() const;

  /// Waits, up to drain_timeout, for what was accepted. timed_out when something is left.
  void drain(Done<void> done);
  void close();
  /// close() without waiting for records under way.
  void shutdown();

 private:
  ClientCore(std::shared_ptr<IoThread> thread, std::shared_ptr<Connection> connection)
      : thread_(std::move(thread)), connection_(std::move(connection)) {}
  std::vector<std::shared_ptr<Closable>> parts();
  void settle_everything();
  void run_what_is_posted();

  const std::shared_ptr<IoThread> thread_;  ///< Null with the caller's executor.
  const std::shared_ptr<Connection> connection_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<Closable>> parts_;
  /// Recursive: a callback may close the client, which runs further callbacks.
  std::recursive_mutex callbacks_;
  bool shut_down_ = false;  ///< Under `callbacks_`, as is the next.
  bool settling_ = false;
};

}  // namespace tidemark::detail
