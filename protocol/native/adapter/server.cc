#include "protocol/native/adapter/server.h"

#include <unordered_map>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <google/protobuf/stubs/logging.h>

#include "protocol/native/adapter/connection_gate.h"
#include "protocol/native/adapter/session.h"
#include "protocol/native/codec/errors.h"
#include "storage/base/log.h"

namespace tidemark::native {

namespace asio = boost::asio;
using asio::ip::tcp;
using TcpSession = Session<tcp::socket>;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kAcceptPause{50};
/// For a free port that is free on every address.
constexpr int kFreePortAttempts = 20;

std::string to_string(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

Error stopping() { return {Errc::shutting_down, "the broker is stopping"}; }

/// Tells a peer that is not let in why. Best effort: what does not fit the empty socket at once is not worth waiting for.
void turn_away(tcp::socket& socket, const Error& error) {
  const Slice frame = encode_frame(FrameType::hello, kFlagPushed | kFlagError, 0, to_wire(error));
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(frame.data(), frame.size()), ignored);
  socket.shutdown(tcp::socket::shutdown_send, ignored);
}

/// Background work of the listener: what it throws is logged, not lost.
void spawn(asio::io_context& io, const char* name, asio::awaitable<void> task, std::function<void(bool failed)> ended) {
  asio::co_spawn(io, std::move(task), [name, ended = std::move(ended)](const std::exception_ptr& thrown) {
    if (thrown) {
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& fault) {
        log_error(std::string(name) + ": " + fault.what());
      }
    }
    ended(thrown != nullptr);
  });
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Impl> {
  Impl(broker::Broker& broker_in, broker::ThreadRuntime& runtime_in, ServerOptions options_in)
      : broker(broker_in),
        runtime(runtime_in),
        options(std::move(options_in)),
        gate(std::make_shared<ConnectionGate>(options.connections_max, options.connections_per_ip_max)),
        sessions(runtime.shard_count()) {}

  Status listen();
  asio::awaitable<void> accept(tcp::acceptor& acceptor);
  void begin_session(tcp::socket socket, std::size_t shard);
  void run_session(tcp::socket socket, std::size_t shard, const std::string& address, const std::shared_ptr<void>& admission,
                   const std::shared_ptr<void>& presence);
  /// Calls `act` with every session, on its shard.
  void for_each_session(void (*act)(TcpSession&));

  broker::Broker& broker;
  broker::ThreadRuntime& runtime;
  const ServerOptions options;
  const std::shared_ptr<ConnectionGate> gate;
  std::vector<std::unique_ptr<tcp::acceptor>> acceptors;  ///< On shard 0.
  std::uint16_t port = 0;
  std::size_t next_shard = 0;                                                        ///< On shard 0.
  std::vector<std::unordered_map<TcpSession*, std::weak_ptr<TcpSession>>> sessions;  ///< By shard, and touched by that shard only.
  bool started = false;
};

Server::Server(broker::Broker& broker, broker::ThreadRuntime& runtime, ServerOptions options)
    : impl_(std::make_shared<Impl>(broker, runtime, std::move(options))) {}
Server::~Server() { stop(); }

std::uint16_t Server::port() const { return impl_->port; }
std::size_t Server::connections() const { return impl_->gate->running(); }

Status Server::start() {
  CHECK(!impl_->started);
  // protobuf writes a line to stderr for every malformed string: any client could fill the disk with it. The client gets a typed error.
  google::protobuf::SetLogHandler(nullptr);
  Status listening = Error{Errc::invalid_argument, "no address to listen on"};
  for (int attempt = 0; attempt < kFreePortAttempts; ++attempt) {
    impl_->acceptors.clear();
    impl_->port = 0;
    listening = impl_->listen();
    // A port that was free on the first address may be taken on the second: then another one is tried.
    if (listening || impl_->port == 0) break;
  }
  if (!listening) {
    impl_->acceptors.clear();
    return listening;
  }
  impl_->started = true;
  for (const auto& acceptor : impl_->acceptors) {
    spawn(impl_->runtime.io(0), "native listener", impl_->accept(*acceptor), [impl = impl_](bool) {});
  }
  return {};
}

/// Opens every address. After an error, port is that of a free one that was tried, 0 if the caller had named the port.
Status Server::Impl::listen() {
  Error last{Errc::invalid_argument, "no address to listen on"};
  std::uint16_t free_port = 0;
  for (tcp::endpoint endpoint : options.endpoints) {
    const bool any_port = endpoint.port() == 0;
    if (any_port) endpoint.port(free_port);
    boost::system::error_code error;
    auto acceptor = std::make_unique<tcp::acceptor>(runtime.io(0));
    acceptor->open(endpoint.protocol(), error);
    // Without REUSEADDR a restart would have to wait for old connections to fade; with REUSEPORT a second broker could share the port.
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint.protocol() == tcp::v6()) acceptor->set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      last = {Errc::invalid_argument, "cannot listen on " + to_string(endpoint) + ": " + error.message()};
      const bool no_ipv6 =
          error == boost::system::errc::address_family_not_supported || error == boost::system::errc::address_not_available;
      if (endpoint.protocol() == tcp::v6() && no_ipv6) continue;
      port = any_port ? free_port : 0;
      return last;
    }
    const std::uint16_t bound = acceptor->local_endpoint().port();
    if (any_port) free_port = bound;
    port = bound;
    acceptors.push_back(std::move(acceptor));
  }
  if (acceptors.empty()) return last;
  return {};
}

asio::awaitable<void> Server::Impl::accept(tcp::acceptor& acceptor) {
  while (acceptor.is_open()) {
    const std::size_t shard = next_shard++ % runtime.shard_count();
    auto [error, socket] = co_await acceptor.async_accept(runtime.io(shard), kTuple);
    if (error == asio::error::operation_aborted) break;
    if (error) {
      // Out of descriptors, most likely: the connection stays in the backlog and is tried again.
      asio::steady_timer pause(runtime.io(0), kAcceptPause);
      auto [woken] = co_await pause.async_wait(kTuple);
      (void)woken;
      continue;
    }
    begin_session(std::move(socket), shard);
  }
}

void Server::Impl::begin_session(tcp::socket socket, std::size_t shard) {
  boost::system::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return;  // Gone already.
  const Result<std::shared_ptr<void>> admission = gate->admit(peer.address().to_string());
  if (!admission) return turn_away(socket, admission.error());
  socket.set_option(tcp::no_delay(true), error);
  // Entered before the hand-over: stop() waits for this session from here on.
  runtime.shard(shard).post(
      [self = shared_from_this(), shard, admission = *admission, presence = gate->enter(), address = peer.address().to_string(),
       socket = std::move(socket)]() mutable { self->run_session(std::move(socket), shard, address, admission, presence); });
}

void Server::Impl::run_session(tcp::socket socket, std::size_t shard, const std::string& address, const std::shared_ptr<void>& admission,
                               const std::shared_ptr<void>& presence) {
  asio::io_context& io = runtime.io(shard);
  auto session =
      std::make_shared<TcpSession>(std::move(socket), broker, runtime, runtime.shard(shard), io, options.facts, options.limits, admission);
  session->set_peer(address);
  sessions[shard].emplace(session.get(), session);
  if (gate->is_shut()) session->drain(stopping());  // stop() went through the sessions before this one was there.
  // The last coroutine to end lets the connection leave; answers under way may keep the session object a little longer, and its admission.
  const auto ended = [session, presence](bool failed) {
    if (failed) session->close();
  };
  spawn(io, "native session, reading", session->read_requests(), ended);
  spawn(io, "native session, watching", session->watch(), ended);
  spawn(io, "native session, writing", session->write_replies(), [self = shared_from_this(), shard, session, presence](bool) {
    session->close();
    self->sessions[shard].erase(session.get());
  });
}

void Server::Impl::for_each_session(void (*act)(TcpSession&)) {
  for (std::size_t shard = 0; shard < sessions.size(); ++shard) {
    runtime.shard(shard).post([self = shared_from_this(), shard, act] {
      // What `act` closes may leave the table at once.
      std::vector<std::shared_ptr<TcpSession>> all;
      for (const auto& [key, session] : self->sessions[shard]) all.push_back(session.lock());
      for (const std::shared_ptr<TcpSession>& session : all) {
        if (session) act(*session);
      }
    });
  }
}

void Server::stop() {
  if (!std::exchange(impl_->started, false)) return;
  impl_->gate->shut();
  impl_->runtime.shard(0).post([impl = impl_] {
    boost::system::error_code ignored;
    for (const auto& acceptor : impl->acceptors) acceptor->close(ignored);
  });
  impl_->for_each_session([](TcpSession& session) { session.drain(stopping()); });
  if (impl_->gate->wait_until_empty(impl_->runtime.clock().steady() + impl_->options.drain_timeout)) return;
  impl_->for_each_session([](TcpSession& session) { session.close(); });
  impl_->gate->wait_until_empty();
}

}  // namespace tidemark::native
