#pragma once

#include <memory>
#include <string>

#include "broker/broker.h"
#include "protocol/http/broker_link.h"
#include "protocol/http/http_server.h"
#include "protocol/http/metrics.h"

namespace tidemark::http {

/// What one broker process serves: /healthz, /readyz, /metrics, /metrics/partitions, /metrics/kafka, the REST interface under /api/v1 and
/// the console under /.
///
/// It is there before the broker is, so that a long recovery can be told from a dead process: /healthz is 200 as soon as the process can
/// answer; what asks the broker is 503 with a reason until attach() and from detach() on. Thread-safe; the pages share ownership.
class BrokerPages : public std::enable_shared_from_this<BrokerPages> {
 public:
  explicit BrokerPages(ServerFacts facts) : link_(std::make_shared<BrokerLink>(std::move(facts))) {}

  /// From now on the pages show this broker. They must live until detach() and one stop() of the broker after it.
  void attach(broker::Broker& broker, broker::LagMonitor& lag, broker::Runtime& runtime) { link_->attach(broker, lag, runtime); }
  void detach(std::string reason) { link_->detach(std::move(reason)); }

  Site site();

 private:
  void readiness(UniqueFunction<void(Reply)> done) const;
  void metrics(std::string (*text)(const MetricsSnapshot&), UniqueFunction<void(Reply)> done) const;

  const std::shared_ptr<BrokerLink> link_;
};

/// The routes of the REST interface.
Router rest_router(const std::shared_ptr<BrokerLink>& link);

}  // namespace tidemark::http
