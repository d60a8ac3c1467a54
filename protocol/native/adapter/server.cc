#include "protocol/native/adapter/server.h"

#include <utility>

#include <google/protobuf/stubs/logging.h>

#include "protocol/native/codec/errors.h"
#include "protocol/net/session_server.h"

namespace tidemark::native {

namespace asio = boost::asio;
using asio::ip::tcp;
using TcpSession = net::StreamSession<tcp::socket, SessionCore>;

namespace {

/// Tells a peer that is not let in why. Best effort: what does not fit the empty socket at once is not worth waiting for.
void turn_away(tcp::socket& socket, const Error& error) {
  const Slice frame = encode_frame(FrameType::hello, kFlagPushed | kFlagError, 0, to_wire(error));
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(frame.data(), frame.size()), ignored);
  socket.shutdown(tcp::socket::shutdown_send, ignored);
}

}  // namespace

struct Server::Impl {
  Impl(broker::Broker& broker, broker::ThreadRuntime& runtime, ServerOptions options_in)
      : options(std::move(options_in)),
        server(
            runtime, options.listener(),
            [this, &broker, &runtime](net::Connection&& connection) {
              auto session = std::make_shared<TcpSession>(std::move(connection.socket), runtime.io(connection.shard), broker, runtime,
                                                          runtime.shard(connection.shard), options.facts, options.limits,
                                                          std::move(connection.admission));
              session->set_peer(std::move(connection.peer));
              return session;
            },
            turn_away) {}

  const ServerOptions options;  ///< Sessions refer to it; they end before the server does.
  net::SessionServer<TcpSession> server;
};

net::ListenerOptions ServerOptions::listener() const {
  return {"native", endpoints, connections_max, connections_per_ip_max, drain_timeout, table};
}

Server::Server(broker::Broker& broker, broker::ThreadRuntime& runtime, ServerOptions options)
    : impl_(std::make_unique<Impl>(broker, runtime, std::move(options))) {}
Server::~Server() = default;

std::uint16_t Server::port() const { return impl_->server.port(); }
std::size_t Server::connections() const { return impl_->server.connections(); }

Status Server::start() {
  // protobuf writes a line to stderr for every malformed string: any client could fill the disk with it. The client gets a typed error.
  google::protobuf::SetLogHandler(nullptr);
  return impl_->server.start();
}

void Server::stop() { impl_->server.stop(); }

}  // namespace tidemark::native
