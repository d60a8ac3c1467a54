#include "protocol/net/listener.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "storage/base/log.h"

namespace tidemark::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kAcceptPause{50};
/// For a free port that is free on every address.
constexpr int kFreePortAttempts = 20;

}  // namespace

void spawn(asio::io_context& io, std::string name, asio::awaitable<void> task, std::function<void(bool failed)> ended) {
  asio::co_spawn(io, std::move(task), [name = std::move(name), ended = std::move(ended)](const std::exception_ptr& thrown) {
    if (thrown) {
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& fault) {
        log_error(name + ": " + fault.what());
      }
    }
    ended(thrown != nullptr);
  });
}

std::string to_string(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

Listener::Listener(broker::ThreadRuntime& runtime, ListenerOptions options, std::function<void(Connection)> begin,
                   std::function<void(tcp::socket&, const Error&)> turn_away)
    : runtime_(runtime),
      options_(std::move(options)),
      begin_(std::move(begin)),
      turn_away_(std::move(turn_away)),
      gate_(std::make_shared<ConnectionGate>(options_.connections_max, options_.connections_per_ip_max)) {}

Status Listener::start() {
  Status listening = Error{Errc::invalid_argument, "no address to listen on"};
  for (int attempt = 0; attempt < kFreePortAttempts; ++attempt) {
    acceptors_.clear();
    port_ = 0;
    listening = listen();
    // A port that was free on the first address may be taken on the second: then another one is tried.
    if (listening || port_ == 0) break;
  }
  if (!listening) {
    acceptors_.clear();
    return listening;
  }
  for (const auto& acceptor : acceptors_) {
    spawn(runtime_.io(0), options_.name + " listener", accept(*acceptor), [self = shared_from_this()](bool) {});
  }
  return {};
}

/// Opens every address. After an error, port_ is that of a free one that was tried, 0 if the caller had named the port.
Status Listener::listen() {
  Error last{Errc::invalid_argument, "no address to listen on"};
  std::uint16_t free_port = 0;
  for (tcp::endpoint endpoint : options_.endpoints) {
    const bool any_port = endpoint.port() == 0;
    if (any_port) endpoint.port(free_port);
    boost::system::error_code error;
    auto acceptor = std::make_unique<tcp::acceptor>(runtime_.io(0));
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
      port_ = any_port ? free_port : 0;
      return last;
    }
    const std::uint16_t bound = acceptor->local_endpoint().port();
    if (any_port) free_port = bound;
    port_ = bound;
    acceptors_.push_back(std::move(acceptor));
  }
  if (acceptors_.empty()) return last;
  return {};
}

asio::awaitable<void> Listener::accept(tcp::acceptor& acceptor) {
  while (acceptor.is_open()) {
    const std::size_t shard = next_shard_++ % runtime_.shard_count();
    auto [error, socket] = co_await acceptor.async_accept(runtime_.io(shard), kTuple);
    if (error == asio::error::operation_aborted) break;
    if (error) {
      // Out of descriptors, most likely: the connection stays in the backlog and is tried again.
      asio::steady_timer pause(runtime_.io(0), kAcceptPause);
      auto [woken] = co_await pause.async_wait(kTuple);
      (void)woken;
      continue;
    }
    admit(std::move(socket), shard);
  }
}

void Listener::admit(tcp::socket socket, std::size_t shard) {
  boost::system::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return;  // Gone already.
  std::string address = peer.address().to_string();
  const Result<std::shared_ptr<void>> admission = gate_->admit(address);
  if (!admission) {
    if (turn_away_) turn_away_(socket, admission.error());
    return;
  }
  socket.set_option(tcp::no_delay(true), error);
  // Entered before the hand-over: a stop waits for this session from here on.
  auto entry = options_.table->enter(options_.name, to_string(peer), runtime_.clock().now());
  Connection connection{std::move(socket), std::move(address), std::move(entry), shard, *admission, gate_->enter()};
  runtime_.shard(shard).post(
      [self = shared_from_this(), connection = std::move(connection)]() mutable { self->begin_(std::move(connection)); });
}

void Listener::close() {
  gate_->shut();
  runtime_.shard(0).post([self = shared_from_this()] {
    boost::system::error_code ignored;
    for (const auto& acceptor : self->acceptors_) acceptor->close(ignored);
  });
}

}  // namespace tidemark::net
