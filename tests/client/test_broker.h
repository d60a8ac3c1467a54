#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <string>

#include <boost/asio/ip/address.hpp>
#include <gtest/gtest.h>

#include "broker/thread_runtime.h"
#include "protocol/native/adapter/server.h"
#include "storage/posix_file_system.h"
#include "tests/storage/temporary_directory.h"

namespace tidemark {

/// A real broker with a native listener, which can be stopped and started again on the same data and port.
class TestBroker {
 public:
  TestBroker() { start(); }
  ~TestBroker() { stop(); }
  TestBroker(const TestBroker&) = delete;
  TestBroker& operator=(const TestBroker&) = delete;

  void start() {
    runtime_ = std::make_unique<broker::ThreadRuntime>(broker::ThreadRuntime::Options{.shards = 2, .disk_threads = 2});
    broker::BrokerOptions options;
    options.data_directory = directory_.path() + "/data";
    options.disk_low_water_bytes = 0;
    auto opened = broker::Broker::open(*runtime_, files_, options, [](const Error& error) { ADD_FAILURE() << error.to_string(); });
    CHECK(opened.has_value());
    broker_ = *std::move(opened);
    native::ServerOptions listen;
    listen.endpoints = {{boost::asio::ip::make_address("127.0.0.1"), port_}};
    listen.facts.version = "test";
    server_ = std::make_unique<native::Server>(*broker_, *runtime_, std::move(listen));
    const Status started = server_->start();
    CHECK(started.has_value());
    port_ = server_->port();
  }

  void stop() {
    if (server_ == nullptr) return;
    server_->stop();
    std::promise<Status> stopped;
    broker_->stop([&stopped](Result<void> result) { stopped.set_value(std::move(result)); });
    const Status status = stopped.get_future().get();
    EXPECT_TRUE(status) << status.error().to_string();
    server_.reset();
    runtime_->stop();
    broker_.reset();
    runtime_.reset();
  }

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  storage::TemporaryDirectory directory_;
  storage::PosixFileSystem files_;
  std::uint16_t port_ = 0;
  std::unique_ptr<broker::ThreadRuntime> runtime_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<native::Server> server_;
};

}  // namespace tidemark
