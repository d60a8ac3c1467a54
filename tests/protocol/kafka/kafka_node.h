#pragma once

#include <array>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include "broker/thread_runtime.h"
#include "protocol/kafka/adapter/server.h"
#include "protocol/kafka/codec/frame.h"
#include "storage/batch/record_batch.h"
#include "storage/posix_file_system.h"
#include "tests/storage/temporary_directory.h"

namespace tidemark::kafka {

/// A plain blocking socket that speaks the protocol; it waits as long as the test's own time limit.
class KafkaClient {
 public:
  explicit KafkaClient(std::uint16_t port) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    socket_.set_option(boost::asio::ip::tcp::no_delay(true));
  }

  /// A peer that has gone is no fault of the sender: what was answered is still to be read.
  void send_bytes(ByteView bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), ignored);
  }
  template <class Request>
  static ByteVector encoded(const Request& request, std::int16_t version, std::int32_t correlation) {
    RequestHeader header{Request::kApi, version, correlation, "test"};
    WireWriter out = begin_request(header);
    encode(request, version, out);
    Result<std::vector<Slice>> frame = finish_frame(std::move(out));
    EXPECT_TRUE(frame);
    ByteVector bytes;
    for (const Slice& part : *frame) bytes.insert(bytes.end(), part.view().begin(), part.view().end());
    return bytes;
  }
  /// Returns the correlation id.
  template <class Request>
  std::int32_t send(const Request& request, std::int16_t version) {
    const std::int32_t correlation = ++correlation_;
    send_bytes(encoded(request, version, correlation));
    return correlation;
  }

  /// The next frame without its length; nullopt when the broker has closed.
  std::optional<Slice> receive_frame() {
    std::array<std::byte, kFrameSizeBytes> head{};
    boost::system::error_code error;
    boost::asio::read(socket_, boost::asio::buffer(head.data(), head.size()), error);
    if (error) return std::nullopt;
    const Slice frame = Slice::allocate(load_be<std::uint32_t>(head.data()));
    boost::asio::read(socket_, boost::asio::buffer(frame.data(), frame.size()), error);
    EXPECT_FALSE(error) << error.message();
    return frame;
  }
  template <class Response>
  Response receive(Result<Response> (*decode)(const Slice&, int), int version, std::int32_t correlation) {
    const std::optional<Slice> frame = receive_frame();
    EXPECT_TRUE(frame) << "the broker closed instead of answering";
    if (!frame) return {};
    const Result<ResponseFrame> split = split_response(Response::kApi, version, *frame);
    EXPECT_TRUE(split);
    if (!split) return {};
    EXPECT_EQ(split->correlation_id, correlation);
    Result<Response> response = decode(split->body, version);
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? *std::move(response) : Response{};
  }
  template <class Response, class Request>
  Response ask(Result<Response> (*decode)(const Slice&, int), const Request& request, std::int16_t version) {
    const std::int32_t correlation = send(request, version);
    return receive(decode, version, correlation);
  }
  bool closed_by_broker() { return !receive_frame(); }
  void close() { socket_.close(); }
  void end_sending() { socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send); }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  std::int32_t correlation_ = 0;
};

/// A real broker in a directory of its own, with a Kafka listener on a free port.
class KafkaNode {
 public:
  explicit KafkaNode(ServerOptions options = {}, const broker::TopicConfig& topic_defaults = {}) {
    broker::BrokerOptions broker_options;
    broker_options.topic_defaults = topic_defaults;
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
  ~KafkaNode() {
    server_->stop();
    std::promise<Status> stopped;
    broker_->stop([&stopped](Result<void> result) { stopped.set_value(std::move(result)); });
    const Status status = stopped.get_future().get();
    EXPECT_TRUE(status) << status.error().to_string();
    server_.reset();
    runtime_.stop();  // Before the broker goes: tasks of its background work may be under way.
    broker_.reset();
  }
  KafkaNode(const KafkaNode&) = delete;
  KafkaNode& operator=(const KafkaNode&) = delete;

  Server& server() { return *server_; }
  broker::Broker& broker() { return *broker_; }
  std::uint16_t port() const { return server_->port(); }

  std::shared_ptr<const broker::Topic> create(const std::string& name, std::int32_t partitions = 1, broker::ConfigMap config = {}) {
    std::promise<std::shared_ptr<const broker::Topic>> made;
    runtime_.shard(0).post([&] {
      broker_->create_topic({}, {name, partitions, config}, [&made](Result<std::shared_ptr<const broker::Topic>> created) {
        EXPECT_TRUE(created) << created.error().to_string();
        made.set_value(created ? *created : nullptr);
      });
    });
    return made.get_future().get();
  }

  void store(const std::string& topic, std::int32_t partition, Slice batch) {
    std::promise<Status> stored;
    runtime_.shard(0).post([&] {
      broker_->append({}, {topic, partition}, std::move(batch),
                      [&stored](Result<broker::Appended> appended) { stored.set_value(appended ? Status() : Status(appended.error())); });
    });
    const Status status = stored.get_future().get();
    EXPECT_TRUE(status) << status.error().to_string();
  }

 private:
  storage::TemporaryDirectory directory_;
  storage::PosixFileSystem files_;
  broker::ThreadRuntime runtime_{{.shards = 2, .disk_threads = 2}};
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<Server> server_;
};

/// One uncompressed batch; the n-th record has the time `first_ms` + n.
inline Slice batch_of(const std::vector<std::string>& values, std::int64_t first_ms = 1000, BatchBuilder::Options options = {}) {
  BatchBuilder builder(options);
  for (const std::string& value : values)
    builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = first_ms++, .headers = {}});
  return builder.build();
}

inline std::vector<std::string> values_of(const std::vector<Slice>& slices) {
  ByteVector all;
  for (const Slice& slice : slices) all.insert(all.end(), slice.view().begin(), slice.view().end());
  std::vector<std::string> values;
  ByteView rest(all);
  while (!rest.empty()) {
    const auto header = BatchHeader::parse(rest);
    EXPECT_TRUE(header);
    if (!header || header->size_bytes() > rest.size()) break;
    auto reader = BatchReader::open(rest.first(header->size_bytes()));
    EXPECT_TRUE(reader);
    RecordView record;
    while (reader) {
      const Result<bool> more = reader->next(record);
      EXPECT_TRUE(more);
      if (!more || !*more) break;
      values.push_back(tidemark::to_string(record.value.value_or(ByteView())));
    }
    rest = rest.subspan(header->size_bytes());
  }
  return values;
}

}  // namespace tidemark::kafka
