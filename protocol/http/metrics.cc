#include "protocol/http/metrics.h"

#include "protocol/http/group_metrics.h"
#include "protocol/http/metrics_page.h"

namespace tidemark::http {
namespace {

using prometheus::MetricType;

double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000.0; }

void add_process(MetricsPage& page, const MetricsSnapshot& snapshot) {
  page.family("tidemark_build_info", MetricType::Gauge, "Always 1; the version is in the label.");
  page.value(1.0, {{"version", snapshot.version}});
  page.family("tidemark_start_timestamp_seconds", MetricType::Gauge, "When this process was started.");
  page.value(seconds(snapshot.started.time_since_epoch()));
  page.family("tidemark_memory_allocated_bytes", MetricType::Gauge, "Memory taken from memory.limit: staging, caches, requests, replies.");
  page.value(snapshot.status.memory_used_bytes);
  page.family("tidemark_memory_limit_bytes", MetricType::Gauge, "The setting memory.limit.");
  page.value(snapshot.status.memory_limit_bytes);
  page.family("tidemark_connections", MetricType::Gauge, "Open connections.");
  for (const auto& [listener, count] : snapshot.connections) page.value(count, {{"listener", listener}});
  page.family("tidemark_metric_topics_left_out", MetricType::Gauge, "Topics without metrics of their own: there are too many.");
  page.value(static_cast<std::uint64_t>(snapshot.topics_left_out));
  page.family("tidemark_metric_groups_left_out", MetricType::Gauge, "Groups without metrics of their own: there are too many.");
  page.value(static_cast<std::uint64_t>(snapshot.groups_left_out));
}

void add_storage(MetricsPage& page, const broker::BrokerStatus& status) {
  page.family("tidemark_storage_disk_free_bytes", MetricType::Gauge, "Free on the disk of the data directory.");
  page.value(status.disk_free_bytes);
  page.family("tidemark_storage_disk_total_bytes", MetricType::Gauge, "Size of the disk of the data directory.");
  page.value(status.disk_total_bytes);
  page.family("tidemark_storage_read_only", MetricType::Gauge, "1 while appends are refused; /readyz says why.");
  page.value(status.read_only_reason ? 1.0 : 0.0);
  page.family("tidemark_storage_state_log_bytes", MetricType::Gauge, "Size of the state log.");
  page.value(status.state_log_bytes);
  page.family("tidemark_log_fsync_duration_seconds", MetricType::Histogram, "How long the flush of a commit round took.");
  page.histogram(status.flush.seconds_histogram, status.flush.rounds, status.flush.seconds_sum);
  page.family("tidemark_log_recovery_duration_seconds", MetricType::Gauge, "How long recovery took at the start of this process.");
  page.value(seconds(status.recovery_duration));
  page.family("tidemark_log_recovery_scanned_bytes", MetricType::Gauge, "How much recovery read at the start of this process.");
  page.value(status.recovery_scanned_bytes);
}

std::uint64_t damaged_records(const broker::PartitionInfo& partition) {
  std::uint64_t records = 0;
  for (const storage::Damage& damage : partition.damage) records += static_cast<std::uint64_t>(damage.to - damage.from);
  return records;
}

/// One family with a value per topic: the sum of `of` over its partitions.
template <class Of>
void per_topic(MetricsPage& page, const MetricsSnapshot& snapshot, const char* name, MetricType type, const char* help, Of of) {
  page.family(name, type, help);
  for (const TopicMetrics& topic : snapshot.topics) {
    std::uint64_t sum = 0;
    for (const broker::PartitionInfo& partition : topic.partitions) sum += of(partition);
    page.value(sum, {{"topic", topic.topic}});
  }
}

void add_topics(MetricsPage& page, const MetricsSnapshot& snapshot) {
  using Info = broker::PartitionInfo;
  constexpr auto kCounter = MetricType::Counter;
  constexpr auto kGauge = MetricType::Gauge;
  per_topic(page, snapshot, "tidemark_topic_partitions", kGauge, "Partitions.", [](const Info&) { return std::uint64_t{1}; });
  per_topic(page, snapshot, "tidemark_topic_records_in_total", kCounter, "Records appended since the start.",
            [](const Info& info) { return info.records_in; });
  per_topic(page, snapshot, "tidemark_topic_bytes_in_total", kCounter, "Bytes of batches appended since the start.",
            [](const Info& info) { return info.bytes_in; });
  per_topic(page, snapshot, "tidemark_topic_records_out_total", kCounter, "Records read since the start.",
            [](const Info& info) { return info.records_out; });
  per_topic(page, snapshot, "tidemark_topic_bytes_out_total", kCounter, "Bytes of batches read since the start.",
            [](const Info& info) { return info.bytes_out; });
  per_topic(page, snapshot, "tidemark_topic_duplicates_dropped_total", kCounter, "Batches that were a retry of one already appended.",
            [](const Info& info) { return info.duplicates; });
  per_topic(page, snapshot, "tidemark_log_size_bytes", kGauge, "Size of the log on disk.", [](const Info& info) { return info.bytes; });
  per_topic(page, snapshot, "tidemark_log_segments", kGauge, "Segment files of the log.",
            [](const Info& info) { return std::uint64_t{info.segments}; });
  per_topic(page, snapshot, "tidemark_log_corrupt_records_total", kCounter, "Offsets in quarantined ranges.", damaged_records);
  per_topic(page, snapshot, "tidemark_compaction_runs_total", kCounter, "Compactions of partitions since the start.",
            [](const Info& info) { return info.compaction.runs; });
  per_topic(page, snapshot, "tidemark_compaction_bytes_read_total", kCounter, "Bytes compaction has read since the start.",
            [](const Info& info) { return info.compaction.bytes_read; });
  per_topic(page, snapshot, "tidemark_compaction_bytes_written_total", kCounter, "Bytes compaction has written since the start.",
            [](const Info& info) { return info.compaction.bytes_written; });
  per_topic(page, snapshot, "tidemark_compaction_bytes_freed_total", kCounter, "Bytes compaction has freed since the start.",
            [](const Info& info) { return info.compaction.bytes_freed; });
  per_topic(page, snapshot, "tidemark_compaction_records_dropped_total", kCounter, "Records compaction has left out since the start.",
            [](const Info& info) { return info.compaction.records_dropped; });
  per_topic(page, snapshot, "tidemark_compaction_dirty_bytes", kGauge, "Bytes that may be compacted and have not been.",
            [](const Info& info) { return info.compaction.dirty_bytes; });
}

}  // namespace

std::string metrics_text(const MetricsSnapshot& snapshot) {
  MetricsPage page;
  add_process(page, snapshot);
  add_storage(page, snapshot.status);
  add_topics(page, snapshot);
  add_groups(page, snapshot);
  return page.text();
}

std::string partition_metrics_text(const MetricsSnapshot& snapshot) {
  MetricsPage page;
  const auto add = [&](const char* name, const char* help, auto of) {
    page.family(name, MetricType::Gauge, help);
    for (const TopicMetrics& topic : snapshot.topics) {
      for (const broker::PartitionInfo& partition : topic.partitions) {
        page.value(static_cast<double>(of(partition)), {{"topic", topic.topic}, {"partition", std::to_string(partition.partition)}});
      }
    }
  };
  using Info = broker::PartitionInfo;
  add("tidemark_partition_start_offset", "First offset kept.", [](const Info& info) { return info.log_start.value; });
  add("tidemark_partition_end_offset", "End offset that readers see.", [](const Info& info) { return info.high_watermark.value; });
  add("tidemark_partition_size_bytes", "Size of the partition on disk.", [](const Info& info) { return info.bytes; });
  add("tidemark_partition_online", "1 while the partition takes appends.", [](const Info& info) { return info.state == "online" ? 1 : 0; });
  add_group_partitions(page, snapshot);
  return page.text();
}

}  // namespace tidemark::http
