#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "protocol/net/listener.h"
#include "protocol/net/stream_session.h"

namespace tidemark::net {

/// Listens, and runs a session per connection on its shard. `Session` is a StreamSession that can also drain(Error): take no more requests
/// and end what waits; and, where it knows a name of its peer, can take
/// the connection's entry in the table: set_entry(). All calls from one thread that is no shard's.
template <class Session>
class SessionServer {
 public:
  using Make = std::function<std::shared_ptr<Session>(Connection&& connection)>;
  using TurnAway = std::function<void(boost::asio::ip::tcp::socket&, const Error&)>;

  /// `make` runs on the connection's shard; it moves the socket and the admission into the session. A null session: the peer is gone.
  SessionServer(broker::ThreadRuntime& runtime, ListenerOptions options, Make make, TurnAway turn_away)
      : impl_(std::make_shared<Impl>(runtime, std::move(make))) {
    impl_->listener = std::make_shared<Listener>(
        runtime, std::move(options),
        [impl = std::weak_ptr<Impl>(impl_)](Connection connection) { run(impl.lock(), std::move(connection)); }, std::move(turn_away));
  }
  ~SessionServer() { stop(); }
  SessionServer(const SessionServer&) = delete;
  SessionServer& operator=(const SessionServer&) = delete;

  /// As Listener::start().
  Status start() {
    CHECK(!started_);
    const Status listening = impl_->listener->start();
    started_ = listening.has_value();
    return listening;
  }
  std::uint16_t port() const { return impl_->listener->port(); }
  std::size_t connections() const { return impl_->listener->gate().running(); }

  /// Stops accepting, answers what has been asked, ends every connection, and returns when no session reads or writes any more. The broker
  /// must still work: it has requests to answer.
  void stop() {
    if (!std::exchange(started_, false)) return;
    impl_->listener->close();
    ConnectionGate& gate = impl_->listener->gate();
    for_each_session(impl_, [](Session& session) { session.drain(stopping()); });
    if (gate.wait_until_empty(impl_->runtime.clock().steady() + impl_->listener->options().drain_timeout)) return;
    for_each_session(impl_, [](Session& session) { session.close(); });
    gate.wait_until_empty();
  }

 private:
  struct Impl {
    Impl(broker::ThreadRuntime& runtime_in, Make make_in)
        : runtime(runtime_in), make(std::move(make_in)), sessions(runtime.shard_count()) {}
    broker::ThreadRuntime& runtime;
    const Make make;
    std::shared_ptr<Listener> listener;
    std::vector<std::unordered_map<Session*, std::weak_ptr<Session>>> sessions;  ///< By shard, and touched by that shard only.
  };

  static Error stopping() { return {Errc::shutting_down, "the broker is stopping"}; }

  static void run(const std::shared_ptr<Impl>& impl, Connection connection) {
    if (!impl) return;
    const std::size_t shard = connection.shard;
    const std::shared_ptr<void> presence = connection.presence;
    const std::shared_ptr<ConnectionTable::Entry> entry = connection.entry;
    const std::shared_ptr<Session> session = impl->make(std::move(connection));
    if (!session) return;
    impl->sessions[shard].emplace(session.get(), session);
    if constexpr (requires { session->set_entry(entry); }) session->set_entry(entry);
    entry->set_end([weak_impl = std::weak_ptr<Impl>(impl), shard, weak = std::weak_ptr<Session>(session)] {
      const std::shared_ptr<Impl> here = weak_impl.lock();
      if (!here) return;
      here->runtime.shard(shard).post([weak] {
        if (const std::shared_ptr<Session> ended = weak.lock()) ended->close();
      });
    });
    if (impl->listener->gate().is_shut()) session->drain(stopping());  // stop() went through the sessions before this one was there.
    boost::asio::io_context& io = impl->runtime.io(shard);
    const std::string name = impl->listener->options().name + " session, ";
    // The last coroutine to end lets the connection leave; answers under way may keep the session object a little longer, and its
    // admission.
    const auto ended = [session, presence](bool failed) {
      if (failed) session->close();
    };
    spawn(io, name + "reading", session->read_requests(), ended);
    spawn(io, name + "watching", session->watch(), ended);
    spawn(io, name + "writing", session->write_replies(), [impl, shard, session, presence, entry](bool) {
      session->close();
      impl->sessions[shard].erase(session.get());
    });
  }

  /// Calls `act` with every session, on its shard.
  static void for_each_session(const std::shared_ptr<Impl>& impl, void (*act)(Session&)) {
    for (std::size_t shard = 0; shard < impl->sessions.size(); ++shard) {
      impl->runtime.shard(shard).post([impl, shard, act] {
        // What `act` closes may leave the table at once.
        std::vector<std::shared_ptr<Session>> all;
        for (const auto& [key, session] : impl->sessions[shard]) all.push_back(session.lock());
        for (const std::shared_ptr<Session>& session : all) {
          if (session) act(*session);
        }
      });
    }
  }

  const std::shared_ptr<Impl> impl_;
  bool started_ = false;
};

}  // namespace tidemark::net
