#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "protocol/http/http_server.h"
#include "protocol/http/metrics.h"

namespace tidemark::http {

/// The pages of one broker process: /healthz, /readyz, /metrics, /metrics/partitions.
///
/// They are there before the broker is, so that a long recovery can be told from a dead process: /healthz is 200 as soon as the process can
/// answer; the others are 503 with a reason until attach() and from detach() on. Thread-safe; the pages share ownership.
class BrokerPages : public std::enable_shared_from_this<BrokerPages> {
 public:
  struct Facts {
    std::string version;
    Timestamp started{};
    std::function<std::map<std::string, std::uint64_t>()> connections;  ///< By listener; from any thread, also after stop.
  };
  static constexpr std::size_t kTopicsMax = 10'000;  ///< With metrics of their own.

  explicit BrokerPages(Facts facts) : facts_(std::move(facts)) {}

  /// From now on the pages show this broker. It and the runtime must live until detach() and one stop() of the broker after it.
  void attach(broker::Broker& broker, broker::Runtime& runtime);
  void detach(std::string reason);

  std::map<std::string, Page> pages();

 private:
  struct Engine {
    broker::Broker* broker = nullptr;
    broker::Runtime* runtime = nullptr;
    std::string absent_reason = "starting: the data directory is being recovered";
  };
  Engine engine() const;
  void readiness(UniqueFunction<void(Reply)> done) const;
  void metrics(bool by_partition, UniqueFunction<void(Reply)> done) const;

  const Facts facts_;
  mutable std::mutex mutex_;  ///< Guards engine_; held for a copy.
  Engine engine_;
};

}  // namespace tidemark::http
