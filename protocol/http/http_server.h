#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "protocol/http/reply.h"
#include "protocol/http/router.h"
#include "protocol/net/connection_table.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"

namespace tidemark::http {

/// Makes the answer to GET of one path. Called on the server's thread, which it must not block; `done` may be called from any thread.
/// Requests that come while an answer is being made get the same answer, so a page costs the broker the same however many ask.
using Page = std::function<void(UniqueFunction<void(Reply)> done)>;

struct HttpOptions {
  std::vector<boost::asio::ip::tcp::endpoint> endpoints = {};  ///< Port 0 takes a free one, the same for all.
  std::size_t connections_max = 256;                           ///< Further ones are closed at once.
  std::uint32_t header_bytes_max = 16 * 1024;
  std::uint64_t body_bytes_max = 64 * 1024;  ///< Times the connections is what bodies may take of the memory.
  std::chrono::seconds request_timeout{10};  ///< For the whole request to arrive once it has begun, and again for the reply to be taken.
  std::chrono::seconds idle_timeout{60};     ///< Between requests.
  std::chrono::seconds page_timeout{10};     ///< For the page to be made; then 503.
  std::chrono::seconds call_timeout{30};     ///< For a routed call; then 504: whether it took effect is not known.
  std::size_t event_streams_max = 64;        ///< Further ones get 429.
  std::chrono::milliseconds event_interval{2000};
  std::chrono::milliseconds event_heartbeat{15'000};  ///< A comment, so that both sides notice a dead connection.
  std::shared_ptr<net::ConnectionTable> table = std::make_shared<net::ConnectionTable>();  ///< Where connections are entered. Never null.
};

/// What is served under which path.
struct Site {
  std::map<std::string, Page> pages = {};
  /// Everything else.
  Router router = {};
  /// Streams of server-sent events (WHATWG HTML, 9.2). The page says how things are, as events; a connection is sent those that differ from
  /// what it was sent last, every HttpOptions::event_interval. The page is made once for all who listen.
  std::map<std::string, Page> events = {};
};

/// A small HTTP/1.1 server for operators and scrapers, with one thread of its own, so that no scrape delays a shard.
///
/// There is no login, so a web page in somebody's browser must not get through: a Host other than localhost, a loopback address or the
/// address connected to is refused (a foreign name that resolves to us), and so is an Origin that is not this server. Both with 403.
/// Other errors: 400 bad request, 404 unknown path, 405 with what is allowed, 413 and 431 over a bound; as application/problem+json (RFC
/// 9457).
class HttpServer {
 public:
  HttpServer(HttpOptions options, Site site);
  ~HttpServer();  ///< stop()

  /// Binds, listens and starts the thread. invalid_argument names the address that cannot be had; a missing IPv6 stack is no error as long
  /// as another endpoint works.
  Status start();
  std::uint16_t port() const;       ///< Of a started server.
  std::size_t connections() const;  ///< From any thread.
  /// Closes everything and joins the thread. Pages still being made are answered into the void.
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidemark::http
