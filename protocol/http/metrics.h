#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "broker/broker.h"

namespace tidemark::http {

struct TopicMetrics {
  std::string topic;
  std::vector<broker::PartitionInfo> partitions;
};

/// Everything the metrics are made from, as of one moment.
struct MetricsSnapshot {
  std::string version;
  Timestamp started{};
  std::map<std::string, std::uint64_t> connections;  ///< By listener.
  broker::BrokerStatus status;
  std::vector<TopicMetrics> topics;
  std::size_t topics_left_out = 0;  ///< Over the bound on series.
};

inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/// /metrics: process, storage and topics, in Prometheus' text format. Label values are listener names and topic names only.
std::string metrics_text(const MetricsSnapshot& snapshot);

/// /metrics/partitions: names of its own, so that whoever scrapes both pages counts nothing twice.
std::string partition_metrics_text(const MetricsSnapshot& snapshot);

}  // namespace tidemark::http
