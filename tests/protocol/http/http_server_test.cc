#include "protocol/http/http_server.h"

#include <array>
#include <future>
#include <mutex>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>

#include "protocol/http/host_check.h"

namespace tidemark::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A client that writes bytes as they are and reads until the server closes.
class Connection {
 public:
  explicit Connection(std::uint16_t port) : socket_(io_) { socket_.connect({asio::ip::make_address("127.0.0.1"), port}); }

  void send(std::string_view bytes) { asio::write(socket_, asio::buffer(bytes)); }

  /// Everything up to the end of the connection; a reset ends it too.
  std::string read_all() {
    std::string text;
    boost::system::error_code end;
    asio::read(socket_, asio::dynamic_buffer(text), end);
    return text;
  }

  /// Up to `end` and what came with it.
  std::string read_until(const std::string& end) {
    std::string text;
    asio::read_until(socket_, asio::dynamic_buffer(text), end);
    return text;
  }

  std::string exchange(std::string_view request) {
    send(request);
    return read_all();
  }

 private:
  asio::io_context io_;
  tcp::socket socket_;
};

/// A page whose answers the test gives by hand.
class HeldPage {
 public:
  Page page() {
    return [this](UniqueFunction<void(Reply)> done) {
      const std::lock_guard lock(mutex_);
      if (++times_asked_ == 1) first_.set_value();
      if (answered_) return done({.status = 200, .body = "asked again"});
      asked_.push_back(std::move(done));
    };
  }
  void wait_until_asked() { first_.get_future().wait(); }
  std::size_t times_asked() {
    const std::lock_guard lock(mutex_);
    return times_asked_;
  }
  void answer(const std::string& body) {
    const std::lock_guard lock(mutex_);
    answered_ = true;
    for (auto& done : asked_) done({.status = 200, .body = body});
  }

 private:
  std::mutex mutex_;
  std::vector<UniqueFunction<void(Reply)>> asked_;
  std::size_t times_asked_ = 0;
  bool answered_ = false;
  std::promise<void> first_;
};

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    options.endpoints = {{asio::ip::make_address("127.0.0.1"), 0}};
    Site site;
    site.pages = {
        {"/hello", [](UniqueFunction<void(Reply)> done) { done({.status = 200, .body = "hello\n"}); }},
        {"/held", held_.page()},
    };
    site.events["/events"] = [](UniqueFunction<void(Reply)> done) {
      Reply reply;
      reply.events = {{"status", "{\"topics\":1}"}, {"lag", "[]"}};
      done(std::move(reply));
    };
    site.router.add("POST", "/echo/{first}/to/{second}", [](Call call, UniqueFunction<void(Reply)> done) {
      done({.status = 201,
            .body = call.path_values[0] + "|" + call.path_values[1] + "|" + call.query["q"] + "|" + call.content_type + "|" + call.body});
    });
    site.router.add("GET", "/never", [](Call, UniqueFunction<void(Reply)>) {});
    server_ = std::make_unique<HttpServer>(options, std::move(site));
    const Status started = server_->start();
    ASSERT_TRUE(started) << started.error().to_string();
  }

  Connection connect() const { return Connection(server_->port()); }
  std::string exchange(std::string_view request) const { return Connection(server_->port()).exchange(request); }
  /// GET with Host localhost on a connection of its own.
  std::string get(const std::string& path) const {
    return exchange("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  }

  HeldPage held_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, serves_a_page) {
  start();
  const std::string reply = get("/hello");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_THAT(reply, testing::EndsWith("\r\n\r\nhello\n"));
}

TEST_F(HttpServerTest, ignores_the_query) {
  start();
  EXPECT_THAT(get("/hello?x=1"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, answers_head_without_a_body) {
  start();
  const std::string reply = exchange("HEAD /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(reply, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_THAT(reply, testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, keeps_the_connection_and_takes_pipelined_requests_in_order) {
  start();
  const std::string reply = exchange(
      "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::size_t first = reply.find("200 OK");
  const std::size_t second = reply.find("404 Not Found");
  const std::size_t third = reply.rfind("200 OK");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(third, std::string::npos);
}

TEST_F(HttpServerTest, unknown_path_is_a_problem_document) {
  start();
  EXPECT_THAT(get("/metrics/../etc"), testing::AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr("application/problem+json")));
}

TEST_F(HttpServerTest, other_methods_are_refused_with_what_is_allowed) {
  start();
  EXPECT_THAT(exchange("DELETE /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
              testing::AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD\r\n")));
}

TEST_F(HttpServerTest, a_route_gets_its_values_decoded_after_the_path_was_cut) {
  start();
  EXPECT_THAT(exchange("POST /echo/a%2Fb/to/%C3%A4?q=x+y%26z HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                       "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}"),
              testing::AllOf(StartsWith("HTTP/1.1 201 "), testing::EndsWith("a/b|\xc3\xa4|x y&z|application/json|{}")));
}

TEST_F(HttpServerTest, a_route_names_the_methods_it_has) {
  start();
  EXPECT_THAT(get("/echo/a/to/b"), testing::AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: POST\r\n")));
  EXPECT_THAT(get("/echo/a/to"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(get("/echo//to/b"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(HttpServerTest, a_badly_encoded_path_is_400) {
  start();
  EXPECT_THAT(exchange("POST /echo/%zz/to/b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, a_call_that_is_never_answered_is_504) {
  start({.call_timeout = std::chrono::seconds(0)});
  EXPECT_THAT(get("/never"), StartsWith("HTTP/1.1 504 "));
}

TEST_F(HttpServerTest, events_are_sent_once_until_they_change_and_end_with_the_server) {
  start({.event_interval = std::chrono::milliseconds(1), .event_heartbeat = std::chrono::milliseconds(0)});
  Connection listening = connect();
  listening.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const std::string begun = listening.read_until(": still here\n\n");
  EXPECT_THAT(begun, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(begun, HasSubstr("event: status\ndata: {\"topics\":1}\n\nevent: lag\ndata: []\n\n"));
  server_->stop();
  EXPECT_THAT(listening.read_all(), Not(HasSubstr("event:")));
}

TEST_F(HttpServerTest, streams_of_events_are_bounded) {
  start({.event_streams_max = 1});
  Connection first = connect();
  first.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  first.read_until("event: lag");
  EXPECT_THAT(get("/events"), StartsWith("HTTP/1.1 429 "));
}

TEST_F(HttpServerTest, refuses_foreign_hosts_and_origins) {
  start();
  EXPECT_THAT(exchange("GET /hello HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(exchange("GET /hello HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(exchange("GET /hello HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: null\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(exchange("GET /hello HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(exchange("GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, bytes_that_are_not_http_get_400_and_the_end) {
  start();
  EXPECT_THAT(exchange("\x01\x02 nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, header_and_body_are_bounded) {
  start({.header_bytes_max = 1024, .body_bytes_max = 16});
  EXPECT_THAT(exchange("GET /hello HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(4096, 'x') + "\r\n\r\n"), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(exchange("GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 17\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, connections_are_bounded) {
  start({.connections_max = 1});
  Connection first = connect();
  first.send("GET /held HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  held_.wait_until_asked();
  EXPECT_EQ(connect().read_all(), "");  // Closed without a word.
  held_.answer("still here");
  EXPECT_THAT(first.read_all(), HasSubstr("still here"));
}

TEST_F(HttpServerTest, a_page_under_way_is_shared_by_all_who_ask) {
  start();
  Connection first = connect();
  first.send("GET /held HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  held_.wait_until_asked();
  Connection second = connect();
  second.send("GET /held HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  // The server has one thread and takes its sockets in turn: after some round trips of others it has begun the second request.
  for (int i = 0; i < 10; ++i) EXPECT_THAT(get("/hello"), HasSubstr("hello"));
  held_.answer("shared");
  EXPECT_THAT(first.read_all(), HasSubstr("shared"));
  EXPECT_THAT(second.read_all(), HasSubstr("shared"));
  EXPECT_EQ(held_.times_asked(), 1u);
}

TEST_F(HttpServerTest, a_page_that_takes_too_long_is_503) {
  start({.page_timeout = std::chrono::seconds(0)});
  EXPECT_THAT(get("/held"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, stop_ends_waiting_requests_and_late_answers_go_nowhere) {
  start();
  Connection waiting = connect();
  waiting.send("GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n");
  held_.wait_until_asked();
  server_->stop();
  EXPECT_THAT(waiting.read_all(), Not(HasSubstr("200 OK")));
  server_.reset();
  held_.answer("too late");
}

TEST_F(HttpServerTest, a_taken_port_is_an_error_that_names_it) {
  start();
  HttpOptions options;
  options.endpoints = {{asio::ip::make_address("127.0.0.1"), server_->port()}};
  HttpServer second(options, {});
  const Status started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::conflict);
  EXPECT_THAT(started.error().detail, HasSubstr("127.0.0.1:" + std::to_string(server_->port())));
}

struct HostCase {
  const char* name;
  const char* field;
  bool ours;
};
class HostCheck : public testing::TestWithParam<HostCase> {};
TEST_P(HostCheck, judges) { EXPECT_EQ(host_is_ours(GetParam().field, "192.0.2.7"), GetParam().ours); }
INSTANTIATE_TEST_SUITE_P(, HostCheck,
                         testing::Values(HostCase{"localhost", "localhost", true}, HostCase{"with_port", "localhost:7480", true},
                                         HostCase{"v4", "127.0.0.1:7480", true}, HostCase{"other_loopback", "127.8.9.1", true},
                                         HostCase{"v6", "[::1]:7480", true}, HostCase{"bound", "192.0.2.7:80", true},
                                         HostCase{"other_address", "192.0.2.8", false}, HostCase{"name", "localhost.evil.example", false},
                                         HostCase{"user", "localhost@evil.example", false}, HostCase{"port_word", "localhost:evil", false},
                                         HostCase{"open_bracket", "[::1", false}, HostCase{"after_bracket", "[::1]evil", false},
                                         HostCase{"empty", "", false}),
                         [](const auto& info) { return info.param.name; });

TEST(OriginCheck, only_this_server) {
  EXPECT_TRUE(origin_is_ours("http://localhost:7480", "localhost:7480"));
  EXPECT_FALSE(origin_is_ours("https://localhost:7480", "localhost:7480"));
  EXPECT_FALSE(origin_is_ours("http://localhost:3000", "localhost:7480"));
  EXPECT_FALSE(origin_is_ours("null", "localhost:7480"));
}

}  // namespace
}  // namespace tidemark::http
