#include "protocol/redis/adapter/server.h"

#include <array>
#include <utility>

#include <boost/asio/write.hpp>

#include "protocol/net/session_server.h"
#include "protocol/redis/codec/resp_writer.h"

namespace tidemark::redis {

namespace asio = boost::asio;
using asio::ip::tcp;
using TcpSession = net::StreamSession<tcp::socket, SessionCore>;

namespace {

/// What Redis calls a run id: 40 hex digits.
std::string random_run_id(broker::Runtime& runtime) {
  constexpr std::size_t kDigits = 40;
  std::string id;
  while (id.size() < kDigits) {
    const std::uint64_t random = runtime.random();
    for (int shift = 0; shift < 64 && id.size() < kDigits; shift += 4) id += "0123456789abcdef"[(random >> shift) & 15];
  }
  return id;
}

void turn_away(tcp::socket& socket, const Error& why) {
  RespWriter reply(Protocol::resp2);
  reply.error(why.code == Errc::overloaded ? "ERR max number of clients reached" : "ERR " + why.detail);
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(reply.text()), ignored);
}

}  // namespace

struct Server::Impl {
  Impl(broker::Broker& broker, broker::ThreadRuntime& runtime_in, ServerOptions options_in)
      : runtime(runtime_in),
        options(std::move(options_in)),
        state(broker, runtime, options.facts),
        server(runtime, options.listener(), maker(), turn_away) {
    state.run_id = random_run_id(runtime);
  }

  net::SessionServer<TcpSession>::Make maker() {
    return [this](net::Connection&& connection) -> std::shared_ptr<TcpSession> {
      boost::system::error_code error;
      const tcp::endpoint peer = connection.socket.remote_endpoint(error);
      if (error) return nullptr;
      const tcp::endpoint local = connection.socket.local_endpoint(error);
      if (error) return nullptr;
      return std::make_shared<TcpSession>(std::move(connection.socket), runtime.io(connection.shard), state,
                                          runtime.shard(connection.shard), options.limits, net::to_string(peer), net::to_string(local),
                                          std::move(connection.admission));
    };
  }

  broker::ThreadRuntime& runtime;
  const ServerOptions options;  ///< Sessions refer to its limits; they end before the server does.
  ServerState state;
  net::SessionServer<TcpSession> server;
};

net::ListenerOptions ServerOptions::listener() const {
  return {"redis", endpoints, connections_max, connections_per_ip_max, drain_timeout, table};
}

Server::Server(broker::Broker& broker, broker::ThreadRuntime& runtime, ServerOptions options)
    : impl_(std::make_unique<Impl>(broker, runtime, std::move(options))) {}
Server::~Server() = default;

Status Server::start() {
  const Status started = impl_->server.start();
  impl_->state.facts.port = impl_->server.port();
  return started;
}
std::uint16_t Server::port() const { return impl_->server.port(); }
std::size_t Server::connections() const { return impl_->server.connections(); }
void Server::stop() { impl_->server.stop(); }

}  // namespace tidemark::redis
