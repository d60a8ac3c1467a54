#pragma once

#include <array>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "broker/groups/groups.h"
#include "broker/thread_runtime.h"
#include "protocol/http/broker_pages.h"
#include "storage/posix_file_system.h"

namespace tidemark::http {

/// What came back on a request.
struct Answer {
  unsigned status = 0;
  std::string head;
  std::string body;
  boost::json::value json() const {
    boost::system::error_code error;
    boost::json::value value = boost::json::parse(body, error);
    EXPECT_FALSE(error) << error.message() << ": " << body;
    return value;
  }
  /// A text or number of the answer's object, as text.
  std::string at(std::string_view field) const {
    const boost::json::value value = json();
    const boost::json::value* const found = value.is_object() ? value.get_object().if_contains(field) : nullptr;
    if (found == nullptr) return "(no " + std::string(field) + ")";
    return found->is_string() ? std::string(found->get_string()) : boost::json::serialize(*found);
  }
};

/// A broker on a directory of its own behind an HTTP server.
class RestTest : public testing::Test {
 protected:
  RestTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tidemark-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) directory_ = pattern;
    ServerFacts facts;
    facts.version = "1.2.3";
    facts.connections = [] { return std::map<std::string, std::uint64_t>{{"native", 2}}; };
    facts.doctor = [] { return std::vector<ServerFacts::Check>{{"clock", "warn", "1970", "set it"}}; };
    facts.settings = [] { return std::vector<ServerFacts::Setting>{{"shards", "2", "--shards", "auto", "threads"}}; };
    facts.connection_table = table_;
    pages_ = std::make_shared<BrokerPages>(std::move(facts));
    HttpOptions options;
    options.endpoints = {{boost::asio::ip::make_address("127.0.0.1"), 0}};
    options.table = table_;
    options.event_interval = std::chrono::milliseconds(1);
    server_ = std::make_unique<HttpServer>(options, pages_->site());
    const Status started = server_->start();
    EXPECT_TRUE(started);
    runtime_ = std::make_unique<broker::ThreadRuntime>(broker::ThreadRuntime::Options{.shards = 2});
    open();
  }
  ~RestTest() override {
    server_->stop();
    if (broker_) stop();
    runtime_->stop();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  void open() {
    broker::BrokerOptions options;
    options.data_directory = directory_ + "/data";
    options.disk_low_water_bytes = 0;
    auto opened = broker::Broker::open(*runtime_, files_, options, [](const Error& error) { ADD_FAILURE() << error.to_string(); });
    ASSERT_TRUE(opened) << opened.error().to_string();
    broker_ = *std::move(opened);
    lag_ =
        std::make_unique<broker::LagMonitor>(*broker_, *runtime_, files_, broker::LagMonitor::Options{.path = directory_ + "/lag-history"});
    lag_->start();
    pages_->attach(*broker_, *lag_, *runtime_);
  }
  void stop() {
    pages_->detach("stopping");
    std::promise<void> watched;
    lag_->stop([&watched] { watched.set_value(); });
    watched.get_future().get();
    std::promise<Status> stopped;
    broker_->stop([&stopped](Status status) { stopped.set_value(std::move(status)); });
    EXPECT_TRUE(stopped.get_future().get());
    lag_.reset();
    broker_.reset();
  }

  Answer request(const std::string& method, const std::string& target, const std::string& body = {},
                 const std::string& type = "application/json") const {
    namespace asio = boost::asio;
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    if (!body.empty()) text += "Content-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    asio::write(socket, asio::buffer(text + "\r\n" + body));
    std::string reply;
    boost::system::error_code end;
    asio::read(socket, asio::dynamic_buffer(reply), end);
    Answer answer;
    if (reply.size() > 12) answer.status = static_cast<unsigned>(std::stoul(reply.substr(9, 3)));
    const std::size_t split = reply.find("\r\n\r\n");
    answer.head = reply.substr(0, split);
    if (split != std::string::npos) answer.body = reply.substr(split + 4);
    return answer;
  }
  Answer get(const std::string& target) const { return request("GET", "/api/v1" + target); }
  Answer post(const std::string& target, const std::string& body) const { return request("POST", "/api/v1" + target, body); }

  /// Runs an engine call and waits for its answer.
  template <class T>
  Result<T> on_broker(std::function<void(broker::Broker&, broker::Done<T>)> call) {
    auto answered = std::make_shared<std::promise<Result<T>>>();
    runtime_->shard(0).post(
        [this, answered, call] { call(*broker_, [answered](Result<T> result) { answered->set_value(std::move(result)); }); });
    return answered->get_future().get();
  }
  /// One batch of values without keys.
  void append(const std::string& topic, std::int32_t partition, const std::vector<std::string>& values) {
    BatchBuilder builder;
    for (const std::string& value : values) {
      RecordInput record;
      record.value = as_bytes(value);
      record.timestamp_ms = 1'700'000'000'000;
      builder.add(record);
    }
    const Slice batch = builder.build();
    const auto appended = on_broker<broker::Appended>([&](broker::Broker& broker, broker::Done<broker::Appended> done) {
      broker.append({}, {topic, partition}, batch, std::move(done));
    });
    ASSERT_TRUE(appended) << appended.error().to_string();
  }
  void commit(const std::string& group, const std::string& topic, std::int32_t partition, std::int64_t offset) {
    const auto committed = on_broker<broker::CommitReply>([&](broker::Broker& broker, broker::Done<broker::CommitReply> done) {
      broker::CommitRequest commit;
      commit.group = group;
      commit.entries.push_back({{topic, partition}, Offset{offset}, -1, {}});
      broker.groups().commit({}, std::move(commit), std::move(done));
    });
    ASSERT_TRUE(committed) << committed.error().to_string();
    ASSERT_TRUE(committed->front()) << committed->front().error().to_string();
  }

  const std::shared_ptr<net::ConnectionTable> table_ = std::make_shared<net::ConnectionTable>();
  std::string directory_;
  storage::PosixFileSystem files_;
  std::shared_ptr<BrokerPages> pages_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<broker::ThreadRuntime> runtime_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<broker::LagMonitor> lag_;
};

}  // namespace tidemark::http
