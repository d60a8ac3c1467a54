#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/lag/lag_types.h"
#include "broker/queues/queue_types.h"

namespace tidemark::http {

struct TopicMetrics {
  std::string topic;
  std::vector<broker::PartitionInfo> partitions;
};

/// A group beside its lag.
struct GroupMetrics {
  std::string group;
  broker::GroupKind kind = broker::GroupKind::stream;
  std::string topic;  ///< Of a queue group.
  std::size_t members = 0;
  std::uint64_t skipped_records = 0;
  std::optional<broker::QueueCounts> counts;  ///< Of a queue group.
};

/// Everything the metrics are made from, as of one moment.
struct MetricsSnapshot {
  std::string version;
  Timestamp started{};
  std::map<std::string, std::uint64_t> connections;  ///< By listener.
  broker::BrokerStatus status;
  std::vector<TopicMetrics> topics;
  std::size_t topics_left_out = 0;  ///< Over the bound on series.
  std::vector<GroupMetrics> groups;
  std::size_t groups_left_out = 0;
  std::vector<broker::LagRow> lag;  ///< Of those groups.
};

inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/// /metrics: process, storage, topics and groups, in Prometheus' text format. Label values are names of listeners, topics and groups, and
/// fixed words; bytes that are not UTF-8 are written as \xNN.
std::string metrics_text(const MetricsSnapshot& snapshot);

/// /metrics/partitions: names of its own, so that whoever scrapes both pages counts nothing twice.
std::string partition_metrics_text(const MetricsSnapshot& snapshot);

/// /metrics/kafka: names and labels of kafka_exporter, so that dashboards made for it work.
std::string kafka_metrics_text(const MetricsSnapshot& snapshot);

}  // namespace tidemark::http
