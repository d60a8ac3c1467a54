#include "protocol/native/adapter/server.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <unordered_map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "protocol/native/adapter/session.h"
#include "storage/base/log.h"

namespace tidemark::native {

namespace asio = boost::asio;
using asio::ip::tcp;
using TcpSession = Session<tcp::socket>;

struct Server::Impl : std::enable_shared_from_this<Impl> {
  Impl(broker::Broker& broker_in, broker::ThreadRuntime& runtime_in, ServerOptions options_in)
      : broker(broker_in), runtime(runtime_in), options(std::move(options_in)) {}

  asio::awaitable<void> accept(tcp::acceptor& acceptor);
  void begin_session(tcp::socket socket, std::size_t shard);
  bool admit(const asio::ip::address& address);
  void leave(const asio::ip::address& address);

  broker::Broker& broker;
  broker::ThreadRuntime& runtime;
  const ServerOptions options;
  std::vector<std::unique_ptr<tcp::acceptor>> acceptors;  ///< On shard 0.
  std::uint16_t port = 0;
  std::size_t next_shard = 0;

  std::mutex mutex;  ///< Guards what is below: touched once per connection, not per request.
  std::unordered_map<std::string, std::size_t> per_ip;
  std::unordered_map<TcpSession*, std::weak_ptr<TcpSession>> sessions;
  std::size_t connections = 0;
  bool stopping = false;
  std::promise<void> all_gone;
};

Server::Server(broker::Broker& broker, broker::ThreadRuntime& runtime, ServerOptions options)
    : impl_(std::make_shared<Impl>(broker, runtime, std::move(options))) {}
Server::~Server() = default;

std::uint16_t Server::port() const { return impl_->port; }
std::size_t Server::connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->connections;
}

Status Server::start() {
  Error last{Errc::invalid_argument, "no address to listen on"};
  for (tcp::endpoint endpoint : impl_->options.endpoints) {
    if (endpoint.port() == 0) endpoint.port(impl_->port);
    boost::system::error_code error;
    auto acceptor = std::make_unique<tcp::acceptor>(impl_->runtime.io(0));
    acceptor->open(endpoint.protocol(), error);
    // Without REUSEADDR a restart would have to wait for old connections to fade; with REUSEPORT a second broker could share the port.
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint.protocol() == tcp::v6()) acceptor->set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      const bool no_ipv6 = endpoint.protocol() == tcp::v6() && error != asio::error::address_in_use;
      last = {Errc::invalid_argument,
              "cannot listen on " + endpoint.address().to_string() + ":" + std::to_string(endpoint.port()) + ": " + error.message()};
      if (no_ipv6) continue;
      return last;
    }
    impl_->port = acceptor->local_endpoint().port();
    impl_->acceptors.push_back(std::move(acceptor));
  }
  if (impl_->acceptors.empty()) return last;
  for (const auto& acceptor : impl_->acceptors) {
    asio::co_spawn(impl_->runtime.io(0), impl_->accept(*acceptor), [impl = impl_](const std::exception_ptr& failed) {
      if (failed) log_error("native listener: accepting ended with an exception");
    });
  }
  return {};
}

asio::awaitable<void> Server::Impl::accept(tcp::acceptor& acceptor) {
  constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
  constexpr std::chrono::milliseconds kPause{50};
  const std::shared_ptr<Impl> self = shared_from_this();
  while (acceptor.is_open()) {
    const std::size_t shard = next_shard++ % runtime.shard_count();
    auto [error, socket] = co_await acceptor.async_accept(runtime.io(shard), kTuple);
    if (error == asio::error::operation_aborted) break;
    if (error) {
      // Out of descriptors, most likely: the connection stays in the backlog and is tried again.
      asio::steady_timer pause(runtime.io(0), kPause);
      auto [woken] = co_await pause.async_wait(kTuple);
      (void)woken;
      continue;
    }
    begin_session(std::move(socket), shard);
  }
}

bool Server::Impl::admit(const asio::ip::address& address) {
  const std::lock_guard lock(mutex);
  std::size_t& here = per_ip[address.to_string()];
  if (stopping || connections >= options.connections_max || here >= options.connections_per_ip_max) {
    if (here == 0) per_ip.erase(address.to_string());
    return false;
  }
  ++here;
  ++connections;
  return true;
}

void Server::Impl::leave(const asio::ip::address& address) {
  const std::lock_guard lock(mutex);
  const auto here = per_ip.find(address.to_string());
  if (--here->second == 0) per_ip.erase(here);
  if (--connections == 0 && stopping) all_gone.set_value();
}

void Server::Impl::begin_session(tcp::socket socket, std::size_t shard) {
  boost::system::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error || !admit(peer.address())) return;  // The socket closes: over a bound, a peer gets no more of us than that.
  socket.set_option(tcp::no_delay(true), error);
  runtime.shard(shard).post([self = shared_from_this(), shard, peer, socket = std::move(socket)]() mutable {
    asio::io_context& io = self->runtime.io(shard);
    // The last coroutine to end lets the connection leave; answers under way may keep the session object a little longer.
    const std::shared_ptr<void> presence(nullptr, [self, address = peer.address()](void*) { self->leave(address); });
    auto session = std::make_shared<TcpSession>(std::move(socket), self->broker, self->runtime, self->runtime.shard(shard), io,
                                                self->options.facts, self->options.limits, peer.address().to_string());
    {
      const std::lock_guard lock(self->mutex);
      self->sessions.emplace(session.get(), session);
    }
    const auto ended = [self, session, presence](const std::exception_ptr& failed) {
      if (failed) log_error("native session: ended with an exception");
      session->close();
      const std::lock_guard lock(self->mutex);
      self->sessions.erase(session.get());
    };
    asio::co_spawn(io, session->read_requests(), [session, presence](const std::exception_ptr& failed) {
      if (failed) session->close();
    });
    asio::co_spawn(io, session->write_replies(), ended);
    asio::co_spawn(io, session->watch(), [session, presence](const std::exception_ptr& failed) {
      if (failed) session->close();
    });
  });
}

void Server::stop() {
  std::future<void> gone = impl_->all_gone.get_future();
  std::vector<std::weak_ptr<TcpSession>> open;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    if (impl_->connections == 0) impl_->all_gone.set_value();
    for (const auto& [key, session] : impl_->sessions) open.push_back(session);
  }
  impl_->runtime.shard(0).post([impl = impl_] {
    boost::system::error_code ignored;
    for (const auto& acceptor : impl->acceptors) acceptor->close(ignored);
  });
  for (const std::weak_ptr<TcpSession>& weak : open) {
    const std::shared_ptr<TcpSession> session = weak.lock();
    if (session) session->shard().post([session] { session->close(); });
  }
  gone.wait();
}

}  // namespace tidemark::native
