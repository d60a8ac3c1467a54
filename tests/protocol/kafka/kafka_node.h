#pragma once

#include <array>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include "broker/thread_runtime.h"
#include "protocol/kafka/adapter/server.h"
#include "protocol/kafka/codec/frame.h"
#include "storage/posix_file_system.h"

namespace tidemark::kafka {

/// A plain blocking socket that speaks the Kafka protocol; it waits as long as the test's own time limit.
class KafkaClient {
 public:
  explicit KafkaClient(std::uint16_t port) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    socket_.set_option(boost::asio::ip::tcp::no_delay(true));
  }

  /// Sends the request and takes the very next frame as its answer; `decode` is the codec's for the response.
  template <class Request, class Response>
  Response ask(const Request& request, int version, Result<Response> (*decode)(const Slice&, int)) {
    send(request, version);
    const std::optional<Slice> frame = receive();
    EXPECT_TRUE(frame) << "the broker closed instead of answering";
    if (!frame) return {};
    const Result<ResponseFrame> split = split_response(Request::kApi, version, *frame);
    EXPECT_TRUE(split) << split.error().to_string();
    if (!split) return {};
    EXPECT_EQ(split->correlation_id, correlation_);
    Result<Response> response = decode(split->body, version);
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? *std::move(response) : Response{};
  }
  template <class Request>
  void send(const Request& request, int version) {
    RequestHeader header;
    header.api = Request::kApi;
    header.version = static_cast<std::int16_t>(version);
    header.correlation_id = ++correlation_;
    header.client_id = "test";
    WireWriter out = begin_request(header);
    encode(request, version, out);
    const Result<std::vector<Slice>> frame = finish_frame(std::move(out));
    EXPECT_TRUE(frame) << frame.error().to_string();
    if (!frame) return;
    boost::system::error_code ignored;  // A peer that has gone is no fault of the sender: what was answered is still to be read.
    for (const Slice& part : *frame) boost::asio::write(socket_, boost::asio::buffer(part.data(), part.size()), ignored);
  }
  /// The next frame without its length; nullopt when the broker has closed in good order.
  std::optional<Slice> receive() {
    std::array<std::byte, kFrameSizeBytes> head{};
    boost::system::error_code error;
    const std::size_t count = boost::asio::read(socket_, boost::asio::buffer(head.data(), head.size()), error);
    if (error) {
      EXPECT_EQ(error, boost::asio::error::eof);
      EXPECT_EQ(count, 0u) << "a frame was cut off";
      return std::nullopt;
    }
    const auto length = frame_length(head, kFrameBytesMax);
    EXPECT_TRUE(length && *length);
    if (!length || !*length) return std::nullopt;
    ByteVector body(**length);
    boost::asio::read(socket_, boost::asio::buffer(body.data(), body.size()), error);
    EXPECT_FALSE(error) << error.message();
    return Slice::copy_of(body);
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  std::int32_t correlation_ = 0;
};

/// A real broker in a directory of its own, with a Kafka listener on a free port.
class KafkaNode {
 public:
  struct Options {
    bool accept_replication = false;
    broker::TopicConfig topic_defaults = {};
  };

  KafkaNode() : KafkaNode(Options{}) {}
  explicit KafkaNode(const Options& options) {
    std::string pattern = (std::filesystem::temp_directory_path() / "tidemark-kafka-XXXXXX").string();
    CHECK(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    broker::BrokerOptions broker_options;
    broker_options.data_directory = directory_ + "/data";
    broker_options.disk_low_water_bytes = 0;
    broker_options.topic_defaults = options.topic_defaults;
    auto opened = broker::Broker::open(runtime_, files_, broker_options, [](const Error& error) { ADD_FAILURE() << error.to_string(); });
    EXPECT_TRUE(opened) << opened.error().to_string();
    broker_ = std::move(*opened);
    ServerOptions server;
    server.endpoints = {{boost::asio::ip::make_address("127.0.0.1"), 0}};
    server.facts.version = "1.2.3";
    server.facts.accept_replication = options.accept_replication;
    server_ = std::make_unique<Server>(*broker_, runtime_, std::move(server));
    const Status started = server_->start();
    EXPECT_TRUE(started) << started.error().to_string();
  }
  ~KafkaNode() {
    stop();
    std::filesystem::remove_all(directory_);
  }
  KafkaNode(const KafkaNode&) = delete;
  KafkaNode& operator=(const KafkaNode&) = delete;

  broker::Broker& broker() { return *broker_; }
  std::uint16_t port() const { return server_->port(); }

  /// Stores one batch.
  void store(const std::string& topic, std::int32_t partition, const std::vector<std::string>& values) {
    BatchBuilder builder;
    for (const std::string& value : values) {
      builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = 1000, .headers = {}});
    }
    std::promise<Result<broker::Appended>> stored;
    runtime_.shard(0).post([&, batch = builder.build()] {
      broker_->append({}, {topic, partition}, batch, [&stored](Result<broker::Appended> result) { stored.set_value(std::move(result)); });
    });
    const Result<broker::Appended> result = stored.get_future().get();
    EXPECT_TRUE(result) << result.error().to_string();
  }

  void stop() {
    if (!broker_) return;
    server_->stop();
    std::promise<Status> stopped;
    broker_->stop([&stopped](Result<void> result) { stopped.set_value(std::move(result)); });
    const Status status = stopped.get_future().get();
    EXPECT_TRUE(status) << status.error().to_string();
    server_.reset();
    runtime_.stop();  // Before the broker goes: tasks of its background work may be under way.
    broker_.reset();
  }

 private:
  std::string directory_;
  storage::PosixFileSystem files_;
  broker::ThreadRuntime runtime_{{.shards = 2, .disk_threads = 2}};
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<Server> server_;
};

}  // namespace tidemark::kafka
