#include <set>

#include "protocol/kafka/adapter/gather.h"
#include "protocol/kafka/adapter/handlers.h"
#include "protocol/kafka/adapter/leader_epochs.h"

/// Questions about offsets: by time, and by leader epoch.
namespace tidemark::kafka {
namespace {

using OffsetPart = ListOffsetsResponse::Partition;
using EpochPart = OffsetForLeaderEpochResponse::EpochEndOffset;

// Timestamps with a meaning of their own, each from the version that brought it.
constexpr std::int64_t kLatest = -1;
constexpr std::int64_t kEarliest = -2;
constexpr std::int64_t kMaxTimestamp = -3;
constexpr std::int64_t kEarliestLocal = -4;
constexpr std::int64_t kLatestTiered = -5;
constexpr std::int64_t kEarliestPendingUpload = -6;

bool known_timestamp(std::int64_t timestamp, int version) {
  if (timestamp == kMaxTimestamp) return version >= 7;
  if (timestamp == kEarliestLocal) return version >= 8;
  if (timestamp == kLatestTiered) return version >= 9;
  return timestamp != kEarliestPendingUpload;  // Version 11, which is not ours.
}

broker::OffsetQuery query_of(std::int64_t timestamp) {
  if (timestamp == kLatest) return broker::OffsetQuery::latest;
  if (timestamp == kEarliest || timestamp == kEarliestLocal) return broker::OffsetQuery::earliest;
  return timestamp == kMaxTimestamp ? broker::OffsetQuery::max_timestamp : broker::OffsetQuery::timestamp;
}

/// nullptr: there is no such partition.
const broker::Topic* find(const broker::TopicTable& topics, const std::string& name, std::int32_t partition) {
  const broker::Topic* const topic = topics.find(name);
  return topic != nullptr && partition >= 0 && partition < topic->partitions ? topic : nullptr;
}

/// The part's error, if it can be told without asking the partition.
ErrorCode judge(const Call& call, const broker::TopicTable& topics, const std::string& name, const ListOffsetsRequest::Partition& wanted) {
  if (!known_timestamp(wanted.timestamp, call.version())) return ErrorCode::unsupported_version;
  const broker::Topic* const topic = find(topics, name, wanted.partition_index);
  if (topic == nullptr) return ErrorCode::unknown_topic_or_partition;
  return judge_leader_epoch(wanted.current_leader_epoch, call.broker().leader_epoch(topic->id, wanted.partition_index));
}

}  // namespace

void handle(const Call& call, ListOffsetsRequest request) {
  const auto gather = Gather<ListOffsetsResponse>::begin(call, request.timeout_ms);
  const std::shared_ptr<const broker::TopicTable> topics = call.broker().topics();
  constexpr std::int8_t kReadCommitted = 1;
  const broker::Isolation isolation =
      request.isolation_level == kReadCommitted ? broker::Isolation::committed_marked : broker::Isolation::uncommitted;
  std::set<std::pair<std::string, std::int32_t>> seen, repeated;
  for (const auto& topic : request.topics) {
    for (const auto& wanted : topic.partitions) {
      if (!seen.emplace(topic.name, wanted.partition_index).second) repeated.emplace(topic.name, wanted.partition_index);
    }
  }
  for (const auto& topic : request.topics) {
    const std::size_t t = gather->response.topics.size();
    gather->response.topics.emplace_back().name = topic.name;
    for (const auto& wanted : topic.partitions) {
      std::vector<OffsetPart>& parts = gather->response.topics[t].partitions;
      const std::size_t p = parts.size();
      OffsetPart& part = parts.emplace_back();
      part.partition_index = wanted.partition_index;
      part.error_code =
          repeated.contains({topic.name, wanted.partition_index}) ? ErrorCode::invalid_request : judge(call, *topics, topic.name, wanted);
      if (part.error_code != ErrorCode::none || wanted.timestamp == kLatestTiered) continue;  // Nothing is tiered: offset -1.
      part.error_code = ErrorCode::request_timed_out;
      const std::int32_t epoch = call.broker().leader_epoch(topics->find(topic.name)->id, wanted.partition_index);
      call.broker().find_offset(
          call.context(), {topic.name, wanted.partition_index}, query_of(wanted.timestamp), wanted.timestamp,
          gather->part<broker::OffsetAt>([t, p, epoch](ListOffsetsResponse& response, Result<broker::OffsetAt> found) {
            OffsetPart& answer = response.topics[t].partitions[p];
            answer.error_code = found ? ErrorCode::none : to_wire(found.error().code);
            if (!found || !found->found) return;  // No record is that young: offset -1, and no error.
            answer.offset = found->offset.value;
            answer.timestamp = found->timestamp_ms;
            answer.leader_epoch = epoch;
          }),
          isolation);
    }
  }
  gather->end_part();
}

void handle(const Call& call, OffsetForLeaderEpochRequest request) {
  const auto gather = Gather<OffsetForLeaderEpochResponse>::begin(call);
  const std::shared_ptr<const broker::TopicTable> topics = call.broker().topics();
  for (const auto& topic : request.topics) {
    const std::size_t t = gather->response.topics.size();
    gather->response.topics.emplace_back().topic = topic.topic;
    for (const auto& wanted : topic.partitions) {
      std::vector<EpochPart>& parts = gather->response.topics[t].partitions;
      const std::size_t p = parts.size();
      EpochPart& part = parts.emplace_back();
      part.partition = wanted.partition;
      const broker::Topic* const found = find(*topics, topic.topic, wanted.partition);
      part.error_code = found == nullptr
                            ? ErrorCode::unknown_topic_or_partition
                            : judge_leader_epoch(wanted.current_leader_epoch, call.broker().leader_epoch(found->id, wanted.partition));
      if (part.error_code != ErrorCode::none) continue;
      call.broker().end_of_epoch(
          call.context(), {topic.topic, wanted.partition}, wanted.leader_epoch,
          gather->part<broker::EpochEnd>([t, p](OffsetForLeaderEpochResponse& response, Result<broker::EpochEnd> end) {
            EpochPart& answer = response.topics[t].partitions[p];
            if (!end) {
              answer.error_code = to_wire(end.error().code);
              return;
            }
            answer.leader_epoch = end->epoch;
            answer.end_offset = end->end_offset ? end->end_offset->value : -1;
          }));
    }
  }
  gather->end_part();
}

}  // namespace tidemark::kafka
