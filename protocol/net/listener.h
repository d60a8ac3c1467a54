#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "broker/thread_runtime.h"
#include "protocol/net/connection_gate.h"
#include "protocol/net/connection_table.h"
#include "storage/base/result.h"

namespace tidemark::net {

struct ListenerOptions {
  std::string name;                                       ///< Of the protocol, for the log: "native".
  std::vector<boost::asio::ip::tcp::endpoint> endpoints;  ///< Port 0 takes a free one, the same for all.
  std::size_t connections_max = 10'000;
  std::size_t connections_per_ip_max = 1'000;
  std::chrono::milliseconds drain_timeout{5'000};                                ///< What a stop gives to replies under way.
  std::shared_ptr<ConnectionTable> table = std::make_shared<ConnectionTable>();  ///< Where the connections are entered. Never null.
};

/// Background work of a connection or listener: what it throws is logged, not lost. `ended` runs after it, on its event loop.
void spawn(boost::asio::io_context& io, std::string name, boost::asio::awaitable<void> task, std::function<void(bool failed)> ended);

/// "127.0.0.1:9092", "[::1]:9092"
std::string to_string(const boost::asio::ip::tcp::endpoint& endpoint);

/// A connection that was let in. It counts against the bounds as long as `admission` lives, and as running as long as `presence` does.
struct Connection {
  boost::asio::ip::tcp::socket socket;
  std::string peer;  ///< Its IP address.
  std::shared_ptr<ConnectionTable::Entry> entry;
  std::size_t shard = 0;
  std::shared_ptr<void> admission;
  std::shared_ptr<void> presence;
};

/// Accepts connections on shard 0, holds them to the bounds, and deals them out to the shards in turn. Owned by a shared_ptr: accepting
/// goes on until close(), whoever forgets it.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  /// `begin` runs on the connection's shard. `turn_away` tells a peer that is not let in why, on shard 0, without waiting for it; may be
  /// empty.
  Listener(broker::ThreadRuntime& runtime, ListenerOptions options, std::function<void(Connection)> begin,
           std::function<void(boost::asio::ip::tcp::socket&, const Error&)> turn_away);

  /// Binds and listens. invalid_argument names an address that cannot be had (taken, not ours). A missing IPv6 stack is no error as long
  /// as another address works.
  Status start();
  std::uint16_t port() const { return port_; }
  ConnectionGate& gate() { return *gate_; }
  const ListenerOptions& options() const { return options_; }
  /// Nobody is let in from here on.
  void close();

 private:
  Status listen();
  boost::asio::awaitable<void> accept(boost::asio::ip::tcp::acceptor& acceptor);
  void admit(boost::asio::ip::tcp::socket socket, std::size_t shard);

  broker::ThreadRuntime& runtime_;
  const ListenerOptions options_;
  const std::function<void(Connection)> begin_;
  const std::function<void(boost::asio::ip::tcp::socket&, const Error&)> turn_away_;
  const std::shared_ptr<ConnectionGate> gate_;
  std::vector<std::unique_ptr<boost::asio::ip::tcp::acceptor>> acceptors_;  ///< On shard 0.
  std::uint16_t port_ = 0;
  std::size_t next_shard_ = 0;  ///< On shard 0.
};

}  // namespace tidemark::net
