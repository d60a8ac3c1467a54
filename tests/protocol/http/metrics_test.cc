#include "protocol/http/metrics.h"

#include <sstream>

#include <gmock/gmock.h>

namespace tidemark::http {
namespace {

using testing::Contains;
using testing::Not;
using testing::StartsWith;

MetricsSnapshot snapshot() {
  MetricsSnapshot snapshot;
  snapshot.version = "1.2.3";
  snapshot.started = Timestamp(std::chrono::milliseconds(1'500));
  snapshot.connections = {{"native", 3}};
  snapshot.status.flush.rounds = 5;
  snapshot.status.flush.seconds_sum = 0.25;
  snapshot.status.flush.seconds_histogram = {{0.001, 2}, {0.1, 4}};
  TopicMetrics orders{.topic = "orders", .partitions = {}};
  for (const std::int32_t number : {0, 1}) {
    broker::PartitionInfo info;
    info.partition = number;
    info.log_start = Offset{10};
    info.high_watermark = Offset{100 + number};
    info.records_in = 7;
    info.bytes = 1'000'000'000'000;
    info.segments = 2;
    info.state = number == 0 ? "online" : "damaged below the checkpoint";
    orders.partitions.push_back(info);
  }
  storage::Damage damage;
  damage.from = Offset{20};
  damage.to = Offset{25};
  orders.partitions[1].damage.push_back(damage);
  snapshot.topics.push_back(orders);
  return snapshot;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

TEST(Metrics, sums_a_topic_over_its_partitions) {
  const auto page = lines(metrics_text(snapshot()));
  EXPECT_THAT(page, Contains("tidemark_topic_partitions{topic=\"orders\"} 2"));
  EXPECT_THAT(page, Contains("tidemark_topic_records_in_total{topic=\"orders\"} 14"));
  EXPECT_THAT(page, Contains("tidemark_log_segments{topic=\"orders\"} 4"));
  EXPECT_THAT(page, Contains("tidemark_log_size_bytes{topic=\"orders\"} 2000000000000"));
  EXPECT_THAT(page, Contains("tidemark_log_corrupt_records_total{topic=\"orders\"} 5"));
}

TEST(Metrics, flush_times_are_a_cumulative_histogram) {
  const auto page = lines(metrics_text(snapshot()));
  EXPECT_THAT(page, Contains("# TYPE tidemark_log_fsync_duration_seconds histogram"));
  EXPECT_THAT(page, Contains("tidemark_log_fsync_duration_seconds_bucket{le=\"0.1\"} 4"));
  EXPECT_THAT(page, Contains("tidemark_log_fsync_duration_seconds_bucket{le=\"+Inf\"} 5"));
  EXPECT_THAT(page, Contains("tidemark_log_fsync_duration_seconds_sum 0.25"));
  EXPECT_THAT(page, Contains("tidemark_log_fsync_duration_seconds_count 5"));
}

TEST(Metrics, process_values_and_labels) {
  const auto page = lines(metrics_text(snapshot()));
  EXPECT_THAT(page, Contains("tidemark_build_info{version=\"1.2.3\"} 1"));
  EXPECT_THAT(page, Contains("tidemark_start_timestamp_seconds 1.5"));
  EXPECT_THAT(page, Contains("tidemark_connections{listener=\"native\"} 3"));
}

TEST(Metrics, read_only_is_one_while_there_is_a_reason) {
  MetricsSnapshot full = snapshot();
  EXPECT_THAT(lines(metrics_text(full)), Contains("tidemark_storage_read_only 0"));
  full.status.read_only_reason = "disk full";
  EXPECT_THAT(lines(metrics_text(full)), Contains("tidemark_storage_read_only 1"));
}

broker::LagRow lag_row(const std::string& group, std::int32_t partition, std::int64_t lag) {
  broker::LagRow row;
  row.at.group = group;
  row.at.topic = "orders";
  row.at.partition = partition;
  row.at.floor = Offset{100 - lag};
  row.at.end = Offset{100};
  row.at.lag = lag;
  row.at.lag_time = std::chrono::milliseconds(1500 * lag);
  return row;
}

MetricsSnapshot with_groups() {
  MetricsSnapshot snapshot = http::snapshot();
  snapshot.lag = {lag_row("billing", 0, 7), lag_row("billing", 1, 3)};
  snapshot.lag[0].eta_seconds = 12;
  snapshot.lag[1].eta_seconds = 4;
  snapshot.lag[0].headroom = std::chrono::minutes(2);
  snapshot.lag[1].at.verdict = broker::Verdict::draining;
  snapshot.groups.push_back(
      {.group = "billing", .kind = broker::GroupKind::stream, .topic = {}, .members = 2, .skipped_records = 5, .counts = {}});
  return snapshot;
}

TEST(Metrics, a_group_on_a_topic_is_the_sum_or_the_worst_of_its_partitions) {
  const auto page = lines(metrics_text(with_groups()));
  const std::string labels = "{group=\"billing\",topic=\"orders\"}";
  EXPECT_THAT(page, Contains("tidemark_group_lag_records" + labels + " 10"));
  EXPECT_THAT(page, Contains("tidemark_group_lag_seconds" + labels + " 10.5"));
  EXPECT_THAT(page, Contains("tidemark_group_drain_seconds" + labels + " 12"));
  EXPECT_THAT(page, Contains("tidemark_group_retention_headroom_seconds" + labels + " 120"));
  EXPECT_THAT(page, Contains("tidemark_group_status{group=\"billing\",status=\"draining\"} 1"));
  EXPECT_THAT(page, Contains("tidemark_group_status{group=\"billing\",status=\"ok\"} 0"));
  EXPECT_THAT(page, Contains("tidemark_group_members{group=\"billing\"} 2"));
  EXPECT_THAT(page, Contains("tidemark_group_skipped_records_total{group=\"billing\"} 5"));
  EXPECT_THAT(page, Not(Contains(StartsWith("tidemark_group_in_flight_records{"))));
}

TEST(Metrics, a_group_that_does_not_get_done_says_so) {
  MetricsSnapshot snapshot = with_groups();
  snapshot.lag[1].eta_seconds.reset();
  snapshot.lag[0].headroom.reset();
  const auto page = lines(metrics_text(snapshot));
  EXPECT_THAT(page, Contains("tidemark_group_drain_seconds{group=\"billing\",topic=\"orders\"} +Inf"));
  EXPECT_THAT(page, Contains("tidemark_group_retention_headroom_seconds{group=\"billing\",topic=\"orders\"} +Inf"));
}

TEST(Metrics, no_commit_is_no_series) {
  MetricsSnapshot snapshot = with_groups();
  for (broker::LagRow& row : snapshot.lag) row.at.lag.reset();
  EXPECT_THAT(lines(metrics_text(snapshot)), Not(Contains(StartsWith("tidemark_group_lag_records{"))));
  EXPECT_THAT(lines(partition_metrics_text(snapshot)), Not(Contains(StartsWith("tidemark_group_partition_lag_records{"))));
}

TEST(Metrics, names_of_groups_are_any_bytes) {
  MetricsSnapshot snapshot = with_groups();
  snapshot.lag = {lag_row("\xff\"\n", 0, 7)};
  EXPECT_THAT(lines(metrics_text(snapshot)), Contains("tidemark_group_lag_records{group=\"\\\\xff\\\"\\\\x0a\",topic=\"orders\"} 7"));
}

TEST(Metrics, partitions_of_groups_are_on_the_page_of_partitions) {
  const auto page = lines(partition_metrics_text(with_groups()));
  EXPECT_THAT(page, Contains("tidemark_group_partition_lag_records{group=\"billing\",topic=\"orders\",partition=\"1\"} 3"));
  EXPECT_THAT(page, Contains("tidemark_group_partition_floor_offset{group=\"billing\",topic=\"orders\",partition=\"0\"} 93"));
}

TEST(Metrics, kafka_exporters_names_are_there) {
  const auto page = lines(kafka_metrics_text(with_groups()));
  EXPECT_THAT(page, Contains("kafka_topic_partitions{topic=\"orders\"} 2"));
  EXPECT_THAT(page, Contains("kafka_topic_partition_current_offset{topic=\"orders\",partition=\"1\"} 101"));
  EXPECT_THAT(page, Contains("kafka_consumergroup_lag{consumergroup=\"billing\",topic=\"orders\",partition=\"0\"} 7"));
  EXPECT_THAT(page, Contains("kafka_consumergroup_lag_sum{consumergroup=\"billing\",topic=\"orders\"} 10"));
  EXPECT_THAT(page, Contains("kafka_consumergroup_current_offset{consumergroup=\"billing\",topic=\"orders\",partition=\"1\"} 97"));
  EXPECT_THAT(page, Contains("kafka_consumergroup_members{consumergroup=\"billing\"} 2"));
}

TEST(Metrics, partitions_have_a_page_of_their_own) {
  const auto page = lines(partition_metrics_text(snapshot()));
  EXPECT_THAT(page, Contains("tidemark_partition_start_offset{topic=\"orders\",partition=\"0\"} 10"));
  EXPECT_THAT(page, Contains("tidemark_partition_end_offset{topic=\"orders\",partition=\"1\"} 101"));
  EXPECT_THAT(page, Contains("tidemark_partition_online{topic=\"orders\",partition=\"1\"} 0"));
  EXPECT_THAT(lines(metrics_text(snapshot())), Not(Contains(StartsWith("tidemark_partition_"))));
}

}  // namespace
}  // namespace tidemark::http
