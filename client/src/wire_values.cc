#include "client/src/wire_values.h"

#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

CompactionDescription compaction_from_wire(const wire::Compaction& info) {
  CompactionDescription compaction{.enabled = info.enabled(),
                                   .running = info.running(),
                                   .due = info.due(),
                                   .reason = info.reason(),
                                   .dirty_ratio = info.dirty_ratio(),
                                   .dirty_bytes = info.dirty_bytes(),
                                   .clean_bytes = info.clean_bytes(),
                                   .clean_end = Offset{info.clean_end()},
                                   .cleanable_end = Offset{info.cleanable_end()},
                                   .last = std::nullopt,
                                   .next_tombstones = std::nullopt};
  if (info.has_last_ms()) compaction.last = Timestamp(std::chrono::milliseconds(info.last_ms()));
  if (info.has_next_tombstones_ms()) compaction.next_tombstones = Timestamp(std::chrono::milliseconds(info.next_tombstones_ms()));
  return compaction;
}

PartitionDescription partition_from_wire(const wire::PartitionInfo& info) {
  PartitionDescription partition{.partition = info.partition(),
                                 .log_start = Offset{info.log_start()},
                                 .end = Offset{info.end()},
                                 .high_watermark = Offset{info.high_watermark()},
                                 .bytes = info.bytes(),
                                 .segments = info.segments(),
                                 .state = info.state(),
                                 .quarantined = {},
                                 .compaction = compaction_from_wire(info.compaction())};
  for (const wire::DamagedRange& range : info.quarantined()) {
    partition.quarantined.push_back(DamagedRange{.file = range.file(),
                                                 .position = range.position(),
                                                 .from = Offset{range.from()},
                                                 .to = Offset{range.to()},
                                                 .reason = range.reason()});
  }
  return partition;
}

}  // namespace

TopicDescription topic_from_wire(const wire::TopicInfo& info) {
  TopicDescription topic{.name = info.name(),
                         .id = info.id(),
                         .partitions = info.partitions(),
                         .created = Timestamp(std::chrono::milliseconds(info.created_ms())),
                         .config = {},
                         .effective_config = {},
                         .durability = info.durability(),
                         .entry_id = info.entry_id(),
                         .records = info.records(),
                         .bytes = info.bytes(),
                         .partition_list = {}};
  for (const wire::ConfigEntry& entry : info.config()) topic.config[entry.key()] = entry.value();
  for (const wire::ConfigEntry& entry : info.effective_config()) topic.effective_config[entry.key()] = entry.value();
  for (const wire::PartitionInfo& partition : info.partition_list()) topic.partition_list.push_back(partition_from_wire(partition));
  return topic;
}

BrokerStatus status_from_wire(const wire::StatusReply& reply) {
  return BrokerStatus{.version = reply.version(),
                      .data_dir = reply.data_dir(),
                      .cluster_id = reply.cluster_id(),
                      .uptime_seconds = reply.uptime_seconds(),
                      .flush_ms_p50 = reply.flush_ms_p50(),
                      .flush_ms_p99 = reply.flush_ms_p99(),
                      .topics = reply.topics(),
                      .partitions = reply.partitions(),
                      .groups = reply.groups(),
                      .connections = {reply.connections().begin(), reply.connections().end()},
                      .disk_free_bytes = reply.disk_free_bytes(),
                      .disk_total_bytes = reply.disk_total_bytes(),
                      .read_only = reply.read_only(),
                      .memory_used_bytes = reply.memory_used_bytes(),
                      .memory_limit_bytes = reply.memory_limit_bytes(),
                      .clean_start = reply.clean_start(),
                      .recovery_seconds = reply.recovery_seconds(),
                      .recovery_scanned_bytes = reply.recovery_scanned_bytes()};
}

std::vector<DoctorCheck> checks_from_wire(const wire::DoctorReply& reply) {
  std::vector<DoctorCheck> checks;
  for (const wire::DoctorReply::Check& check : reply.checks()) {
    checks.push_back(DoctorCheck{.check = check.check(), .result = check.result(), .value = check.value(), .advice = check.advice()});
  }
  return checks;
}

}  // namespace tidemark::detail
