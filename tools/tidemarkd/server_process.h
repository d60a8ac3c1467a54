#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/lag/lag_monitor.h"
#include "broker/thread_runtime.h"
#include "protocol/http/broker_pages.h"
#include "protocol/http/http_server.h"
#include "protocol/kafka/adapter/server.h"
#include "protocol/native/adapter/server.h"
#include "protocol/redis/adapter/server.h"
#include "storage/posix_file_system.h"
#include "tools/tidemarkd/config.h"
#include "tools/tidemarkd/doctor.h"

namespace tidemark::tools {

/// The parts of a running broker, started and stopped in order: HTTP first, so that a long recovery can be watched, then the engine, then
/// the listeners. Calls from one thread; they block.
class ServerProcess {
 public:
  /// `settings` are those that `config` was made of, for those who ask.
  ServerProcess(Settings settings, Config config, Machine machine);
  /// stop(), its outcome unsaid.
  ~ServerProcess();

  /// Recovers the data directory and opens the listeners. Every error names the thing and what to do; what was started is stopped again.
  Status start();
  /// Prints the banner to stderr and writes the ports file (unless empty), in one step: whoever finds the file can connect.
  Status announce(const std::string& ports_file);
  /// Removes the ports file, drains the listeners, flushes, and writes the clean marker. An error: the stop was not clean. No effect the
  /// second time.
  Status stop();

 private:
  Status start_http();
  Status start_native();
  Status start_kafka();
  Status start_redis();
  std::map<std::string, std::uint64_t> connections() const;
  std::vector<DoctorCheck> doctor() const;
  std::vector<http::ServerFacts::Setting> effective() const;
  /// "native 127.0.0.1:7410, http 127.0.0.1:7480"
  std::string addresses() const;
  std::string banner() const;

  const Settings settings_;
  const Config config_;
  const Machine machine_;
  storage::PosixFileSystem files_;
  std::unique_ptr<broker::ThreadRuntime> runtime_;
  std::unique_ptr<broker::Broker> broker_;   ///< Uses the runtime until stopped, and goes before it.
  std::unique_ptr<broker::LagMonitor> lag_;  ///< Uses both; stopped before the broker.
  std::shared_ptr<http::BrokerPages> pages_;
  std::unique_ptr<http::HttpServer> http_;
  std::unique_ptr<native::Server> native_;
  std::unique_ptr<kafka::Server> kafka_;
  std::unique_ptr<redis::Server> redis_;
  const std::shared_ptr<net::ConnectionTable> table_ = std::make_shared<net::ConnectionTable>();
  std::optional<std::uint16_t> http_port_, native_port_, kafka_port_, redis_port_;
  // The listeners as their own callbacks see them: set while they run.
  std::atomic<const http::HttpServer*> http_running_ = nullptr;
  std::atomic<const native::Server*> native_running_ = nullptr;
  std::atomic<const kafka::Server*> kafka_running_ = nullptr;
  std::atomic<const redis::Server*> redis_running_ = nullptr;
  std::string ports_file_;
};

}  // namespace tidemark::tools
