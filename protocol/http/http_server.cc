#include "protocol/http/http_server.h"

#include <atomic>
#include <thread>
#include <unordered_set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "protocol/http/event_news.h"
#include "protocol/http/host_check.h"
#include "protocol/net/listener.h"
#include "storage/base/clock.h"
#include "storage/base/log.h"

namespace tidemark::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view kEventStream = "text/event-stream";

std::string path_of(std::string_view target) { return std::string(target.substr(0, target.find('?'))); }

std::string_view code_of(unsigned status) {
  switch (status) {
    case 403:
      return "denied";
    case 404:
      return "not_found";
    case 405:
      return "method_not_allowed";
    case 413:
    case 431:
      return "frame_too_large";
    case 429:
      return "overloaded";
    case 503:
      return "shutting_down";
    case 504:
      return "timed_out";
    default:
      return "protocol_error";
  }
}

Reply problem(unsigned status, std::string_view detail) {
  return to_reply({.status = status, .code = std::string(code_of(status)), .detail = std::string(detail), .field = {}, .rule = {}});
}

Reply refusal_of(beast::error_code error) {
  if (error == wire::error::header_limit) return problem(431, "the header is too large");
  if (error == wire::error::body_limit) return problem(413, "the body is too large");
  return problem(400, "this is not an HTTP request: " + error.message());
}

/// The connection ended or timed out, as against: what came is not HTTP.
bool peer_is_gone(beast::error_code error) {
  const auto& parse_errors = wire::make_error_code(wire::error::bad_method).category();
  return error.category() != parse_errors || error == wire::error::end_of_stream || error == wire::error::partial_message;
}

std::string allow_text(const std::vector<std::string>& methods) {
  std::string text;
  for (const std::string& method : methods) {
    text += (text.empty() ? "" : ", ") + method;
    if (method == "GET") text += ", HEAD";
  }
  return text;
}

Reply not_allowed(const std::vector<std::string>& methods) {
  const std::string allowed = allow_text(methods);
  Reply reply = problem(405, "only " + allowed + " here");
  reply.fields.emplace_back("Allow", allowed);
  return reply;
}

/// Lower case, without parameters.
std::string media_type(std::string_view field) {
  std::string type(field.substr(0, field.find(';')));
  while (type.ends_with(' ')) type.pop_back();
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return type;
}

/// Opens a listening socket.
Result<tcp::acceptor> listen_on(asio::io_context& io, const tcp::endpoint& endpoint) {
  beast::error_code error;
  tcp::acceptor acceptor(io);
  acceptor.open(endpoint.protocol(), error);
  // Not SO_REUSEPORT: a second broker could take the same port without an error.
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return acceptor;
  const bool taken = error == asio::error::address_in_use;
  return Error{taken ? Errc::conflict : Errc::invalid_argument,
               "cannot listen on " + endpoint.address().to_string() + ":" + std::to_string(endpoint.port()) + ": " + error.message()};
}

}  // namespace

struct HttpServer::Impl : std::enable_shared_from_this<Impl> {
  using Request = wire::request<wire::string_body>;
  using Response = wire::response<wire::string_body>;

  /// One page being made, and everybody who waits for it.
  struct Flight {
    explicit Flight(asio::io_context& io, std::chrono::seconds timeout) : landed(io, timeout) {}
    std::optional<Reply> reply;
    asio::steady_timer landed;
  };

  Impl(HttpOptions options_in, Site site_in) : options(std::move(options_in)), site(std::move(site_in)) {}

  asio::awaitable<void> accept(tcp::acceptor& acceptor);
  asio::awaitable<void> serve(std::shared_ptr<beast::tcp_stream> stream);
  asio::awaitable<Reply> answer(const Request& request, std::string local_address, std::string peer);
  asio::awaitable<Reply> fly(const std::string& path, const Page& page);
  asio::awaitable<Reply> call(Handler handler, Call what);
  asio::awaitable<void> send_events(beast::tcp_stream& stream, const std::string& path, const Page& page);

  const HttpOptions options;
  const Site site;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  std::vector<tcp::acceptor> acceptors;
  std::unordered_set<beast::tcp_stream*> open;
  std::map<std::string, std::shared_ptr<Flight>> flights;
  std::unordered_set<asio::steady_timer*> waits;  ///< Of routed calls and event streams: a stop ends them.
  std::size_t event_streams = 0;
  std::atomic<std::size_t> connections = 0;
  std::uint16_t port = 0;
  bool stopping = false;
  std::thread thread;
};

HttpServer::HttpServer(HttpOptions options, Site site) : impl_(std::make_shared<Impl>(std::move(options), std::move(site))) {}
HttpServer::~HttpServer() { stop(); }

std::uint16_t HttpServer::port() const { return impl_->port; }
std::size_t HttpServer::connections() const { return impl_->connections; }

Status HttpServer::start() {
  Error last{Errc::invalid_argument, "no address to listen on"};
  for (tcp::endpoint endpoint : impl_->options.endpoints) {
    if (endpoint.port() == 0) endpoint.port(impl_->port);
    Result<tcp::acceptor> acceptor = listen_on(impl_->io, endpoint);
    if (!acceptor) {
      last = acceptor.error();
      if (endpoint.protocol() == tcp::v6() && last.code != Errc::conflict) continue;  // No IPv6 here.
      return last;
    }
    impl_->port = acceptor->local_endpoint().port();
    impl_->acceptors.push_back(*std::move(acceptor));
  }
  if (impl_->acceptors.empty()) return last;
  for (tcp::acceptor& acceptor : impl_->acceptors) {
    asio::co_spawn(impl_->io, impl_->accept(acceptor), [](const std::exception_ptr& failed) {
      if (failed) log_error("http listener: accepting ended with an exception");
    });
  }
  impl_->thread = std::thread([impl = impl_.get()] { impl->io.run(); });
  return {};
}

void HttpServer::stop() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->io, [impl = impl_.get()] {
    impl->stopping = true;
    for (tcp::acceptor& acceptor : impl->acceptors) {
      beast::error_code ignored;
      acceptor.close(ignored);
    }
    for (beast::tcp_stream* const stream : impl->open) stream->close();
    for (const auto& [path, flight] : impl->flights) flight->landed.cancel();
    for (asio::steady_timer* const wait : impl->waits) wait->cancel();
    impl->work.reset();
  });
  impl_->thread.join();
}

asio::awaitable<void> HttpServer::Impl::accept(tcp::acceptor& acceptor) {
  constexpr std::chrono::milliseconds kPause{50};
  while (acceptor.is_open()) {
    auto [error, socket] = co_await acceptor.async_accept(kTuple);
    if (error == asio::error::operation_aborted) break;
    if (error) {
      // Out of descriptors, most likely: the connection stays in the backlog and is tried again.
      asio::steady_timer pause(io, kPause);
      co_await pause.async_wait(kTuple);
      continue;
    }
    if (connections >= options.connections_max) continue;  // The socket closes.
    const auto stream = std::make_shared<beast::tcp_stream>(std::move(socket));
    open.insert(stream.get());
    ++connections;
    asio::co_spawn(io, serve(stream), [this, stream](const std::exception_ptr& failed) {
      if (failed) log_error("http session: ended with an exception");
      open.erase(stream.get());
      --connections;
    });
  }
}

asio::awaitable<void> HttpServer::Impl::serve(std::shared_ptr<beast::tcp_stream> stream) {
  beast::error_code unconnected;
  const tcp::endpoint local = stream->socket().local_endpoint(unconnected);
  if (unconnected) co_return;
  const tcp::endpoint remote = stream->socket().remote_endpoint(unconnected);
  if (unconnected) co_return;
  const std::shared_ptr<net::ConnectionTable::Entry> entry = options.table->enter("http", net::to_string(remote), SystemClock().now());
  entry->set_end([weak = weak_from_this(), weak_stream = std::weak_ptr(stream)] {
    const std::shared_ptr<Impl> self = weak.lock();
    if (!self) return;
    asio::post(self->io, [weak_stream] {
      if (const std::shared_ptr<beast::tcp_stream> ended = weak_stream.lock()) ended->close();
    });
  });
  constexpr std::size_t kReadBytes = 4096;
  beast::flat_buffer buffer(options.header_bytes_max + options.body_bytes_max + kReadBytes);
  while (!stopping) {
    stream->expires_after(options.idle_timeout);
    if (buffer.size() == 0) {
      const auto space = buffer.prepare(kReadBytes);
      const auto [idle_error, bytes] = co_await stream->async_read_some(space, kTuple);
      if (idle_error) break;
      buffer.commit(bytes);
    }
    stream->expires_after(options.request_timeout);
    wire::request_parser<wire::string_body> parser;
    parser.header_limit(options.header_bytes_max);
    parser.body_limit(options.body_bytes_max);
    const auto [read_error, bytes_read] = co_await wire::async_read(*stream, buffer, parser, kTuple);
    const bool understood = !read_error;
    if (!understood && peer_is_gone(read_error)) break;

    Reply reply;
    if (understood) {
      stream->expires_never();  // The page has a time limit of its own.
      entry->set_client_id(std::string(parser.get()[wire::field::user_agent]));
      auto answered = answer(parser.get(), local.address().to_string(), remote.address().to_string());
      reply = co_await std::move(answered);
      if (reply.content_type == kEventStream && parser.get().method() == wire::verb::get) {
        const auto page = site.events.find(path_of(parser.get().target()));
        co_await send_events(*stream, page->first, page->second);
        break;
      }
    } else {
      reply = refusal_of(read_error);
    }
    const bool keep_alive = understood && parser.get().keep_alive() && !stopping;
    Response response(static_cast<wire::status>(reply.status), 11);
    response.set(wire::field::content_type, reply.content_type);
    response.set(wire::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Referrer-Policy", "no-referrer");
    for (const auto& [name, value] : reply.fields) response.set(name, value);
    response.keep_alive(keep_alive);
    const bool head_only = understood && parser.get().method() == wire::verb::head;
    response.body() = std::move(reply.body);
    response.prepare_payload();
    wire::response_serializer<wire::string_body> serializer(response);
    stream->expires_after(options.request_timeout);
    if (head_only) {
      const auto [write_error, bytes] = co_await wire::async_write_header(*stream, serializer, kTuple);
      if (write_error) break;
    } else {
      const auto [write_error, bytes] = co_await wire::async_write(*stream, serializer, kTuple);
      if (write_error) break;
    }
    if (!keep_alive) break;
  }
  beast::error_code ignored;
  stream->socket().shutdown(tcp::socket::shutdown_send, ignored);
  // What a refused request has left unread would make the close a reset, and the reply might never be seen: read some of it.
  constexpr std::chrono::seconds kLinger{1};
  stream->expires_after(kLinger);
  buffer.clear();
  for (std::uint64_t left = options.body_bytes_max; left > 0;) {
    const auto space = buffer.prepare(kReadBytes);
    const auto [end, bytes] = co_await stream->async_read_some(space, kTuple);
    if (end || bytes >= left) break;
    left -= bytes;
  }
}

asio::awaitable<Reply> HttpServer::Impl::answer(const Request& request, std::string local_address, std::string peer) {
  const std::string host(request[wire::field::host]);
  if (request.count(wire::field::host) != 1) co_return problem(400, "exactly one Host field is needed");
  if (!host_is_ours(host, local_address)) co_return problem(403, "this Host is not served here; use localhost or the address");
  for (const auto& field : request) {
    if (field.name() != wire::field::origin) continue;
    if (!origin_is_ours(std::string(field.value()), host)) co_return problem(403, "requests from other web sites are refused");
  }
  const std::string path = path_of(request.target());
  const bool looks = request.method() == wire::verb::get || request.method() == wire::verb::head;
  if (const auto page = site.pages.find(path); page != site.pages.end()) {
    if (!looks) co_return not_allowed({"GET"});
    auto flown = fly(page->first, page->second);
    co_return co_await std::move(flown);
  }
  if (site.events.contains(path)) {
    if (!looks) co_return not_allowed({"GET"});
    if (event_streams >= options.event_streams_max) co_return problem(429, "too many streams of events are open");
    Reply begin;
    begin.content_type = kEventStream;
    co_return begin;
  }
  const std::string method(request.method_string());
  Result<Router::Match> match = site.router.find(method, path);
  if (!match) co_return to_reply(problem_of(match.error()));
  if (match->route == nullptr && match->allowed.empty()) co_return problem(404, "there is no such page");
  if (match->route == nullptr) co_return not_allowed(match->allowed);
  Call what;
  what.method = match->route->method;
  what.path_values = std::move(match->path_values);
  const std::string target(request.target());
  if (const std::size_t mark = target.find('?'); mark != std::string::npos) {
    Result<std::map<std::string, std::string>> query = parse_query(std::string_view(target).substr(mark + 1));
    if (!query) co_return to_reply(problem_of(query.error()));
    what.query = *std::move(query);
  }
  what.body = request.body();
  what.content_type = media_type(std::string(request[wire::field::content_type]));
  what.peer = std::move(peer);
  auto called = call(match->route->handler, std::move(what));
  co_return co_await std::move(called);
}

asio::awaitable<Reply> HttpServer::Impl::call(Handler handler, Call what) {
  const auto flight = std::make_shared<Flight>(io, options.call_timeout);
  // The answer may come after this server has gone: it is dropped then.
  handler(std::move(what), [weak = weak_from_this(), weak_flight = std::weak_ptr(flight)](Reply reply) mutable {
    const std::shared_ptr<Impl> self = weak.lock();
    if (!self) return;
    asio::post(self->io, [weak_flight, reply = std::move(reply)]() mutable {
      const std::shared_ptr<Flight> landed = weak_flight.lock();
      if (!landed) return;
      landed->reply = std::move(reply);
      landed->landed.cancel();
    });
  });
  waits.insert(&flight->landed);
  if (!stopping) co_await flight->landed.async_wait(kTuple);
  waits.erase(&flight->landed);
  if (flight->reply) co_return *std::move(flight->reply);
  co_return problem(504, "the broker did not answer in time; whether the call took effect is not known");
}

asio::awaitable<void> HttpServer::Impl::send_events(beast::tcp_stream& stream, const std::string& path, const Page& page) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(kEventStream) +
                           "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
  const Event unavailable{"unavailable", "{}"};
  EventNews news;
  std::string text = head;
  SteadyTime last = SystemClock().steady();
  ++event_streams;
  asio::steady_timer pause(io);
  waits.insert(&pause);
  while (!stopping && stream.socket().is_open()) {
    auto flown = fly(path, page);
    Reply now = co_await std::move(flown);
    if (stopping) break;
    if (now.status == 200) {
      text += news.text(std::move(now.events));
    } else {
      text += news.only(unavailable);
    }
    if (text.empty() && SystemClock().steady() - last >= options.event_heartbeat) text = ": still here\n\n";
    if (!text.empty()) {
      stream.expires_after(options.request_timeout);
      const auto [write_error, bytes] = co_await asio::async_write(stream, asio::buffer(text), kTuple);
      if (write_error) break;
      stream.expires_never();
      text.clear();
      last = SystemClock().steady();
    }
    pause.expires_after(options.event_interval);
    co_await pause.async_wait(kTuple);
  }
  waits.erase(&pause);
  --event_streams;
}

asio::awaitable<Reply> HttpServer::Impl::fly(const std::string& path, const Page& page) {
  std::shared_ptr<Flight> flight = flights[path];
  if (!flight) {
    flight = std::make_shared<Flight>(io, options.page_timeout);
    flights[path] = flight;
    // The answer may come after this server has gone: it is dropped then.
    page([weak = weak_from_this(), weak_flight = std::weak_ptr(flight), path](Reply reply) mutable {
      const std::shared_ptr<Impl> self = weak.lock();
      if (!self) return;
      asio::post(self->io, [impl = self.get(), weak_flight, path, reply = std::move(reply)]() mutable {
        const std::shared_ptr<Flight> landed = weak_flight.lock();
        if (!landed) return;
        landed->reply = std::move(reply);
        landed->landed.cancel();
        if (impl->flights[path] == landed) impl->flights.erase(path);
      });
    });
  }
  if (!flight->reply) co_await flight->landed.async_wait(kTuple);
  if (flight->reply) co_return *flight->reply;
  if (flights[path] == flight) flights.erase(path);
  co_return problem(503, "the broker did not answer in time");
}

}  // namespace tidemark::http
