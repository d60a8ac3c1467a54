#pragma once

#include <array>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include "broker/thread_runtime.h"
#include "protocol/redis/adapter/server.h"
#include "storage/posix_file_system.h"
#include "tests/storage/temporary_directory.h"

namespace tidemark::redis {

/// A request as clients send it.
inline std::string resp(const std::vector<std::string>& arguments) {
  std::string text = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string& argument : arguments) text += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  return text;
}

/// A plain blocking socket that speaks the protocol; it waits as long as the test's own time limit.
class RedisClient {
 public:
  explicit RedisClient(std::uint16_t port) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    socket_.set_option(boost::asio::ip::tcp::no_delay(true));
  }

  void send_bytes(std::string_view bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes), ignored);
  }
  void send(const std::vector<std::string>& arguments) { send_bytes(resp(arguments)); }
  /// The next whole reply as it came; "<closed>" when the broker has closed.
  std::string receive() {
    for (;;) {
      if (const std::optional<std::size_t> end = end_of_reply()) {
        std::string reply = buffer_.substr(0, *end);
        buffer_.erase(0, *end);
        return reply;
      }
      std::array<char, 65536> more;
      boost::system::error_code error;
      const std::size_t count = socket_.read_some(boost::asio::buffer(more), error);
      if (error) return "<closed>";
      buffer_.append(more.data(), count);
    }
  }
  std::string ask(const std::vector<std::string>& arguments) {
    send(arguments);
    return receive();
  }
  std::int64_t ask_integer(const std::vector<std::string>& arguments) {
    const std::string reply = ask(arguments);
    EXPECT_TRUE(reply.starts_with(':')) << reply;
    return std::stoll(reply.substr(1));
  }
  void end_sending() { socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send); }
  void close() { socket_.close(); }

 private:
  std::optional<std::size_t> end_of_reply() const {
    std::size_t at = 0;
    for (std::int64_t left = 1; left > 0; --left) {
      const std::size_t line_end = buffer_.find("\r\n", at);
      if (line_end == std::string::npos) return std::nullopt;
      const char kind = buffer_[at];
      const std::string text = buffer_.substr(at + 1, line_end - at - 1);
      at = line_end + 2;
      if (kind == '$' || kind == '=') {
        const std::int64_t size = std::stoll(text);
        if (size >= 0) at += static_cast<std::size_t>(size) + 2;
      } else if (kind == '*' || kind == '>' || kind == '~') {
        left += std::max<std::int64_t>(std::stoll(text), 0);
      } else if (kind == '%') {
        left += 2 * std::stoll(text);
      }
      if (at > buffer_.size()) return std::nullopt;
    }
    return at;
  }

  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  std::string buffer_;
};

/// A real broker in a directory of its own, with a Redis listener on a free port and two shards, so that connections are on both.
class RedisNode {
 public:
  explicit RedisNode(ServerOptions options = {}) {
    broker::BrokerOptions broker_options;
    broker_options.data_directory = directory_.path() + "/data";
    broker_options.disk_low_water_bytes = 0;
    auto opened = broker::Broker::open(runtime_, files_, broker_options, [](const Error& error) { ADD_FAILURE() << error.to_string(); });
    CHECK(opened.has_value());
    broker_ = *std::move(opened);
    options.endpoints = {{boost::asio::ip::make_address("127.0.0.1"), 0}};
    options.facts.version = "1.2.3";
    server_ = std::make_unique<Server>(*broker_, runtime_, std::move(options));
    const Status started = server_->start();
    CHECK(started.has_value());
  }
  ~RedisNode() {
    server_->stop();
    std::promise<Status> stopped;
    broker_->stop([&stopped](Result<void> result) { stopped.set_value(std::move(result)); });
    const Status status = stopped.get_future().get();
    EXPECT_TRUE(status) << status.error().to_string();
    server_.reset();
    runtime_.stop();  // Before the broker goes: tasks of its background work may be under way.
    broker_.reset();
  }
  RedisNode(const RedisNode&) = delete;
  RedisNode& operator=(const RedisNode&) = delete;

  Server& server() { return *server_; }
  std::uint16_t port() const { return server_->port(); }
  RedisClient client() { return RedisClient(port()); }

  /// Makes a topic as other protocols do.
  void create_topic(const std::string& name, std::int32_t partitions) {
    std::promise<Status> made;
    runtime_.shard(0).post([&] {
      broker_->create_topic({}, {name, partitions, {}}, [&made](const Result<std::shared_ptr<const broker::Topic>>& created) {
        made.set_value(created ? Status() : Status(created.error()));
      });
    });
    const Status status = made.get_future().get();
    EXPECT_TRUE(status) << status.error().to_string();
  }

  /// Returns when so many connections are in a blocking command.
  static void wait_for_blocked(RedisClient& any, std::size_t count) {
    const std::string wanted = "blocked_clients:" + std::to_string(count) + "\r\n";
    while (any.ask({"INFO", "clients"}).find(wanted) == std::string::npos) {
    }
  }

 private:
  storage::TemporaryDirectory directory_;
  storage::PosixFileSystem files_;
  broker::ThreadRuntime runtime_{{.shards = 2, .disk_threads = 2}};
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<Server> server_;
};

}  // namespace tidemark::redis
