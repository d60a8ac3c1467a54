#pragma once

#include <string>
#include <vector>

#include "tools/tidemark/top_model.h"

/// A broker with three groups in three states, as `tidemark top` is told of it.
namespace tidemark::tools {

inline GroupPartitionLag lag_row(const std::string& group, const std::string& kind, const std::string& topic, std::int64_t end,
                                 std::int64_t lag) {
  GroupPartitionLag row;
  row.group = group;
  row.kind = kind;
  row.where = {topic, 0};
  row.floor = Offset{end - lag};
  row.end = Offset{end};
  row.lag = lag;
  row.lag_seconds = lag > 0 ? 10.0 : 0.0;
  row.verdict = "ok";
  return row;
}

inline GroupDescription stream_group(const std::string& name, const std::string& verdict, const std::string& cause, std::int64_t lag,
                                     double seconds) {
  GroupDescription group;
  group.name = name;
  group.kind = "stream";
  group.topics = {"orders"};
  group.verdict = verdict;
  group.cause = cause;
  group.lag = lag;
  group.lag_seconds = seconds;
  return group;
}

/// `second` seconds after the beginning, in which 20 records came in each second and inventory was done with 50.
inline TopSample shop_sample(int second) {
  const std::int64_t end = 1000 + 20 * second, lag = 600 - 30 * second;
  TopSample sample;
  sample.at = SteadyTime(std::chrono::seconds(1000 + second));
  sample.status.version = "1.2.3";
  sample.status.uptime_seconds = 200;
  sample.status.flush_ms_p99 = 4.84;
  sample.status.partitions = 2;
  sample.status.memory_used_bytes = 12 << 20;
  sample.status.memory_limit_bytes = std::uint64_t{512} << 20;
  sample.status.disk_free_bytes = std::uint64_t{34} << 30;
  sample.groups = {stream_group("analytics", "stopped", "orders:0: no member reads this partition", end - 50, 200),
                   stream_group("inventory", "draining", "orders:0: 30s behind, the objective is 10s", lag, 30)};
  GroupMemberDescription member;
  member.member = "0f9c";
  member.instance = "inventory-1";
  member.client_id = "inventory";
  member.host = "127.0.0.1:4711";
  member.partitions = {{"orders", 0}};
  sample.groups[1].members = {member};
  QueueDescription billing;
  billing.group = "billing";
  billing.topic = "orders";
  billing.verdict = "ok";
  QueuePartition partition;
  partition.counts.dead = 3;
  partition.counts.done = 997;
  billing.partitions = {partition};
  sample.queues = {billing};
  sample.lags = {lag_row("analytics", "stream", "orders", end, end - 50), lag_row("inventory", "stream", "orders", end, lag),
                 lag_row("billing", "queue", "orders", end, 0)};
  sample.lags[1].eta_seconds = static_cast<double>(lag) / 30;
  TopicDescription orders;
  orders.name = "orders";
  orders.partitions = 1;
  orders.records = end;
  orders.bytes = 123'456;
  orders.durability = "fsync";
  orders.entry_id = "offset";
  TopicDescription invoices = orders;
  invoices.name = "invoices";
  invoices.records = 0;
  invoices.bytes = 0;
  sample.topics = {invoices, orders};
  DeadLetterSummary letters;
  letters.group = "billing";
  letters.topic = "orders";
  letters.letters_topic = "billing.dlq";
  letters.letters = 3;
  letters.reasons = {{"no billing address", 2}, {"card declined", 1}};
  sample.letters = {letters};
  return sample;
}

inline TopModel shop_model(int samples = 3) {
  TopModel model;
  for (int second = 0; second < samples; ++second) model.add(shop_sample(second));
  return model;
}

}  // namespace tidemark::tools
