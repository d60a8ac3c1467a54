#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "broker/broker.h"
#include "broker/thread_runtime.h"
#include "protocol/native/adapter/session_core.h"
#include "protocol/net/listener.h"

namespace tidemark::native {

struct ServerOptions {
  std::vector<boost::asio::ip::tcp::endpoint> endpoints;  ///< Port 0 takes a free one, the same for all.
  std::size_t connections_max = 10'000;
  std::size_t connections_per_ip_max = 1'000;
  std::chrono::milliseconds drain_timeout{5'000};                                          ///< What stop() gives to replies under way.
  std::shared_ptr<net::ConnectionTable> table = std::make_shared<net::ConnectionTable>();  ///< As net::ListenerOptions.
  SessionLimits limits;
  ServerFacts facts;

  net::ListenerOptions listener() const;
};

/// Listens for native clients and runs their sessions on the shards, each on one. All calls from one thread that is no shard's.
class Server {
 public:
  Server(broker::Broker& broker, broker::ThreadRuntime& runtime, ServerOptions options);
  /// stop()
  ~Server();

  /// As net::Listener::start().
  Status start();
  std::uint16_t port() const;
  std::size_t connections() const;
  /// Stops accepting, answers what has been asked, ends every connection with shutting_down, and returns when no session reads or writes
  /// any more. The broker must still work: it has requests to answer.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemark::native
