#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/lag/lag_monitor.h"
#include "broker/runtime.h"
#include "protocol/net/connection_table.h"

namespace tidemark::http {

/// What the process that serves HTTP knows and the engine does not. Every function may be called from any thread, also after a stop.
struct ServerFacts {
  std::string version;
  Timestamp started{};
  std::function<std::map<std::string, std::uint64_t>()> connections;  ///< By listener.
  /// Never null.
  std::shared_ptr<net::ConnectionTable> connection_table = std::make_shared<net::ConnectionTable>();
  struct Check {
    std::string check, result, value, advice;
  };
  std::function<std::vector<Check>()> doctor;  ///< May block on the disk. Empty: none.
  struct Setting {
    std::string key;
    std::string value;          ///< As in force: "2" where the file says "auto".
    std::string source;         ///< "default", "tidemark.toml:3", "TIDEMARKD_SHARDS" or "--shards".
    std::string default_value;  ///< As one would write it.
    std::string help;
  };
  std::function<std::vector<Setting>()> settings;  ///< Without secrets. Empty: none.
};

/// The way from HTTP to a broker that comes later and goes earlier. Thread-safe.
class BrokerLink {
 public:
  struct Engine {
    broker::Broker* broker = nullptr;  ///< Null: not there, `absent_reason` says why.
    broker::LagMonitor* lag = nullptr;
    broker::Runtime* runtime = nullptr;
    std::string absent_reason = "starting: the data directory is being recovered";
  };

  explicit BrokerLink(ServerFacts facts) : facts_(std::move(facts)) {}

  const ServerFacts& facts() const { return facts_; }
  /// They must live until detach() and one stop() of the broker after it.
  void attach(broker::Broker& broker, broker::LagMonitor& lag, broker::Runtime& runtime) { set({&broker, &lag, &runtime, {}}); }
  void detach(std::string reason) { set({nullptr, nullptr, nullptr, std::move(reason)}); }
  Engine engine() const {
    const std::lock_guard lock(mutex_);
    return engine_;
  }

 private:
  void set(Engine engine) {
    const std::lock_guard lock(mutex_);
    engine_ = std::move(engine);
  }

  const ServerFacts facts_;
  mutable std::mutex mutex_;  ///< Guards engine_; held for a copy.
  Engine engine_;
};

}  // namespace tidemark::http
