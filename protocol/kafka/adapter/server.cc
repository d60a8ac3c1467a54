#include "protocol/kafka/adapter/server.h"

#include <utility>

#include "broker/groups/groups.h"
#include "protocol/kafka/adapter/consumer_protocol.h"
#include "protocol/net/session_server.h"

namespace tidemark::kafka {

namespace asio = boost::asio;
using asio::ip::tcp;
using TcpSession = net::StreamSession<tcp::socket, SessionCore>;

struct Server::Impl {
  Impl(broker::Broker& broker_in, broker::ThreadRuntime& runtime_in, ServerOptions options_in)
      : broker(broker_in), runtime(runtime_in), options(std::move(options_in)), server(runtime, options.listener(), maker(), nullptr) {}

  /// A client that is turned away sees its connection end: the protocol has no frame that answers nothing.
  net::SessionServer<TcpSession>::Make maker() {
    return [this](net::Connection&& connection) -> std::shared_ptr<TcpSession> {
      ServerFacts facts = options.facts;
      if (facts.advertised_host.empty()) {
        boost::system::error_code error;
        const tcp::endpoint local = connection.socket.local_endpoint(error);
        if (error) return nullptr;
        facts.advertised_host = local.address().to_string();
        facts.advertised_port = local.port();
      }
      return std::make_shared<TcpSession>(std::move(connection.socket), runtime.io(connection.shard), broker, runtime,
                                          runtime.shard(connection.shard), std::move(facts), options.limits, std::move(connection.peer),
                                          std::move(connection.admission));
    };
  }

  broker::Broker& broker;
  broker::ThreadRuntime& runtime;
  const ServerOptions options;  ///< Sessions refer to its limits; they end before the server does.
  net::SessionServer<TcpSession> server;
};

net::ListenerOptions ServerOptions::listener() const {
  return {"kafka", endpoints, connections_max, connections_per_ip_max, drain_timeout, table};
}

Server::Server(broker::Broker& broker, broker::ThreadRuntime& runtime, ServerOptions options)
    : impl_(std::make_unique<Impl>(broker, runtime, std::move(options))) {
  broker.groups().set_classic_reader({read_subscription, read_assignment});
}
Server::~Server() = default;

Status Server::start() { return impl_->server.start(); }
std::uint16_t Server::port() const { return impl_->server.port(); }
std::size_t Server::connections() const { return impl_->server.connections(); }
void Server::stop() { impl_->server.stop(); }

}  // namespace tidemark::kafka
