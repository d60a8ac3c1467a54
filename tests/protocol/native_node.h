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
#include "protocol/native/adapter/server.h"
#include "protocol/native/codec/errors.h"
#include "protocol/native/codec/frame.h"
#include "storage/posix_file_system.h"

namespace tidemark::native {

/// A frame as the client sees it.
struct Frame {
  FrameHeader header;
  ByteVector message;
  ByteVector attachments;

  bool is_error() const { return (header.flags & kFlagError) != 0; }
  bool is_pushed() const { return (header.flags & kFlagPushed) != 0; }
  template <class Message>
  Message as() const {
    Message decoded;
    EXPECT_TRUE(decode_message(message, decoded)) << to_string(header.type);
    return decoded;
  }
  Error error() const {
    EXPECT_TRUE(is_error()) << to_string(header.type);
    return from_wire(as<wire::ErrorReply>());
  }
};

/// A plain blocking socket that speaks frames; it waits as long as the test's own time limit.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, const std::string& address = "127.0.0.1") {
    socket_.connect({boost::asio::ip::make_address(address), port});
    socket_.set_option(boost::asio::ip::tcp::no_delay(true));
  }

  /// A peer that has gone is no fault of the sender: what was answered is still to be read.
  void send(ByteView bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), ignored);
  }
  static ByteVector encoded(FrameType type, std::uint32_t correlation, const google::protobuf::MessageLite& message,
                            const std::vector<Slice>& attachments = {}) {
    std::size_t attached = 0;
    for (const Slice& slice : attachments) attached += slice.size();
    const Slice head = encode_frame(type, 0, correlation, message, attached);
    ByteVector bytes(head.view().begin(), head.view().end());
    for (const Slice& slice : attachments) bytes.insert(bytes.end(), slice.view().begin(), slice.view().end());
    return bytes;
  }
  void send(FrameType type, std::uint32_t correlation, const google::protobuf::MessageLite& message,
            const std::vector<Slice>& attachments = {}) {
    send(encoded(type, correlation, message, attachments));
  }

  /// The next frame; nullopt when the broker has closed in good order.
  std::optional<Frame> receive() {
    Frame frame;
    std::array<std::byte, kFrameHeaderBytes> head{};
    boost::system::error_code error;
    const std::size_t count = boost::asio::read(socket_, boost::asio::buffer(head.data(), head.size()), error);
    if (error) {
      EXPECT_EQ(error, boost::asio::error::eof);
      EXPECT_EQ(count, 0u) << "a frame was cut off";
      return std::nullopt;
    }
    const auto header = FrameHeader::parse(head, kFrameBytesMax);
    EXPECT_TRUE(header && *header);
    if (!header || !*header) return std::nullopt;
    frame.header = **header;
    frame.message.resize(frame.header.message_bytes);
    frame.attachments.resize(frame.header.attachment_bytes);
    boost::asio::read(socket_, boost::asio::buffer(frame.message.data(), frame.message.size()), error);
    EXPECT_FALSE(error) << error.message();
    boost::asio::read(socket_, boost::asio::buffer(frame.attachments.data(), frame.attachments.size()), error);
    EXPECT_FALSE(error) << error.message();
    return frame;
  }
  Frame expect_frame() {
    std::optional<Frame> frame = receive();
    EXPECT_TRUE(frame) << "the broker closed instead of answering";
    return frame ? std::move(*frame) : Frame{};
  }
  void expect_close() {
    const auto frame = receive();
    EXPECT_FALSE(frame) << "got a " << to_string(frame->header.type) << " frame instead of the end";
  }

  /// Sends and takes the very next frame as the answer.
  Frame ask(FrameType type, const google::protobuf::MessageLite& message, const std::vector<Slice>& attachments = {}) {
    const std::uint32_t correlation = ++correlation_;
    send(type, correlation, message, attachments);
    Frame frame = expect_frame();
    EXPECT_EQ(frame.header.type, type);
    EXPECT_EQ(frame.header.correlation, correlation);
    EXPECT_EQ(frame.header.flags & kFlagReply, kFlagReply);
    return frame;
  }
  template <class Reply>
  Reply must(FrameType type, const google::protobuf::MessageLite& message, const std::vector<Slice>& attachments = {}) {
    const Frame frame = ask(type, message, attachments);
    if (frame.is_error()) {
      ADD_FAILURE() << frame.error().to_string();
      return {};
    }
    return frame.as<Reply>();
  }
  Errc refused(FrameType type, const google::protobuf::MessageLite& message, const std::vector<Slice>& attachments = {}) {
    return ask(type, message, attachments).error().code;
  }

  static wire::Hello hello_message() {
    wire::Hello hello;
    hello.set_protocol_min(1);
    hello.set_protocol_max(1);
    hello.set_client_id("test");
    return hello;
  }
  wire::HelloReply hello() { return must<wire::HelloReply>(FrameType::hello, hello_message()); }

  void end_sending() { socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send); }
  void close() { socket_.close(); }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  std::uint32_t correlation_ = 0;
};

inline Slice batch_of(const std::vector<std::string>& values) {
  BatchBuilder builder;
  for (const std::string& value : values) builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = 1000, .headers = {}});
  return builder.build();
}

inline std::vector<std::string> values_of(ByteView batches) {
  std::vector<std::string> values;
  while (!batches.empty()) {
    const auto header = BatchHeader::parse(batches);
    EXPECT_TRUE(header);
    if (!header || header->size_bytes() > batches.size()) break;
    auto reader = BatchReader::open(batches.first(header->size_bytes()));
    EXPECT_TRUE(reader);
    RecordView record;
    while (reader) {
      const Result<bool> more = reader->next(record);
      EXPECT_TRUE(more);
      if (!more || !*more) break;
      values.push_back(tidemark::to_string(record.value.value_or(ByteView())));
    }
    batches = batches.subspan(header->size_bytes());
  }
  return values;
}

/// A real broker in a directory of its own, with a native listener on a free port.
class NativeNode {
 public:
  explicit NativeNode(ServerOptions options = {}) {
    std::string pattern = (std::filesystem::temp_directory_path() / "tidemark-native-XXXXXX").string();
    CHECK(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    broker::BrokerOptions broker_options;
    broker_options.data_directory = directory_ + "/data";
    broker_options.disk_low_water_bytes = 0;
    auto opened = broker::Broker::open(runtime_, files_, broker_options, [](const Error& error) { ADD_FAILURE() << error.to_string(); });
    EXPECT_TRUE(opened) << opened.error().to_string();
    broker_ = std::move(*opened);
    if (options.endpoints.empty()) options.endpoints = {{boost::asio::ip::make_address("127.0.0.1"), 0}};
    options.facts.version = "1.2.3";
    server_ = std::make_unique<Server>(*broker_, runtime_, std::move(options));
    const Status started = server_->start();
    EXPECT_TRUE(started) << started.error().to_string();
  }
  ~NativeNode() {
    stop();
    std::filesystem::remove_all(directory_);
  }
  NativeNode(const NativeNode&) = delete;
  NativeNode& operator=(const NativeNode&) = delete;

  Server& server() { return *server_; }
  broker::Broker& broker() { return *broker_; }
  broker::ThreadRuntime& runtime() { return runtime_; }
  std::uint16_t port() const { return server_->port(); }

  /// Connected and greeted.
  std::unique_ptr<RawClient> client() {
    auto made = std::make_unique<RawClient>(port());
    made->hello();
    return made;
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

inline void create_topic(RawClient& client, const std::string& name, std::int32_t partitions = 1,
                         const std::vector<std::pair<std::string, std::string>>& config = {}) {
  wire::CreateTopic create;
  create.set_name(name);
  create.set_partitions(partitions);
  for (const auto& [key, value] : config) {
    auto& entry = *create.add_config();
    entry.set_key(key);
    entry.set_value(value);
  }
  client.must<wire::TopicInfo>(FrameType::create_topic, create);
}

inline wire::Produce produce_message(const std::vector<std::pair<std::string, Slice>>& batches) {
  wire::Produce produce;
  for (const auto& [topic, bytes] : batches) {
    auto& batch = *produce.add_batches();
    batch.set_topic(topic);
    batch.set_size(static_cast<std::uint32_t>(bytes.size()));
  }
  return produce;
}

/// Stores one batch in partition 0 and answers its base offset.
inline std::int64_t store(RawClient& client, const std::string& topic, const std::vector<std::string>& values) {
  const Slice batch = batch_of(values);
  const auto reply = client.must<wire::ProduceReply>(FrameType::produce, produce_message({{topic, batch}}), {batch});
  EXPECT_EQ(reply.batches_size(), 1);
  if (reply.batches_size() != 1) return -1;
  EXPECT_FALSE(reply.batches(0).has_error()) << reply.batches(0).error().detail();
  return reply.batches(0).base_offset();
}

inline wire::Fetch fetch_message(const std::string& topic, std::int64_t offset, std::uint32_t wait_ms = 0) {
  wire::Fetch fetch;
  fetch.set_topic(topic);
  fetch.set_offset(offset);
  fetch.set_wait_ms(wait_ms);
  return fetch;
}

inline wire::Subscribe subscribe_message(std::uint32_t id, const std::string& topic, std::int64_t offset, std::uint64_t credit) {
  wire::Subscribe subscribe;
  subscribe.set_subscription(id);
  subscribe.set_topic(topic);
  subscribe.set_offset(offset);
  subscribe.set_credit_bytes(credit);
  return subscribe;
}

}  // namespace tidemark::native
