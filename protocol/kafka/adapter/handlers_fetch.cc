#include <algorithm>
#include <cstdint>

#include "protocol/kafka/adapter/handlers.h"
#include "protocol/kafka/adapter/leader_epochs.h"

namespace tidemark::kafka {
namespace {

constexpr int kTopicIdsFrom = 13;
constexpr int kStorageErrorFrom = 6;
constexpr std::int8_t kReadCommitted = 1;
/// Of one answer; clients ask for 50 MiB and take less.
constexpr std::int32_t kFetchBytesMax = 16 * 1024 * 1024;

using PartitionData = FetchResponse::PartitionData;

/// A Fetch under way: where in the response each read belongs.
struct Fetch {
  explicit Fetch(const Call& call_in) : call(call_in) {}
  const Call call;
  FetchResponse response;
  std::vector<std::pair<std::size_t, std::size_t>> places;

  PartitionData& part(std::size_t read) { return response.responses[places[read].first].partitions[places[read].second]; }
};

void refuse(PartitionData& part, ErrorCode code, int version) {
  part.error_code = fetch_error(code);
  // KIP-112: older clients do not know it.
  if (part.error_code == ErrorCode::kafka_storage_error && version < kStorageErrorFrom) part.error_code = ErrorCode::not_leader_or_follower;
  part.high_watermark = -1;
}

void put(PartitionData& part, broker::ReadReply&& read, bool read_committed) {
  part.high_watermark = read.high_watermark.value;
  part.last_stable_offset = read.last_stable.value;
  part.log_start_offset = read.log_start.value;
  if (read_committed) {
    part.aborted_transactions.emplace();
    for (const broker::AbortedTransaction& aborted : read.aborted)
      part.aborted_transactions->push_back({aborted.producer_id, aborted.first.value});
  }
  part.records = std::move(read.batches);
}

}  // namespace

void handle(const Call& call, FetchRequest request) {
  const auto fetch = std::make_shared<Fetch>(call);
  // Sessions (KIP-227) are declined: every answer is a full one without a session. A client that goes on with one has it from elsewhere.
  if (request.session_epoch > 0) {
    fetch->response.error_code = ErrorCode::fetch_session_id_not_found;
    return call.reply(fetch->response);
  }
  const std::shared_ptr<const broker::TopicTable> topics = call.broker().topics();
  const bool follower = request.replica_id >= 0 || request.replica_state.replica_id >= 0;
  broker::ManyReads reads;
  reads.bytes_max = static_cast<std::size_t>(std::clamp(request.max_bytes, 1, kFetchBytesMax));
  reads.bytes_min = std::min(static_cast<std::size_t>(std::max(request.min_bytes, 0)), reads.bytes_max);
  reads.wait_max = std::chrono::milliseconds(std::max(request.max_wait_ms, 0));
  bool any_error = false;
  for (const FetchRequest::Topic& wanted : request.topics) {
    FetchResponse::TopicResponse& answer = fetch->response.responses.emplace_back();
    answer.topic = wanted.topic;
    answer.topic_id = wanted.topic_id;
    const bool by_id = call.version() >= kTopicIdsFrom;
    const auto with_id = topics->by_id.find(wanted.topic_id);
    const broker::Topic* const named = by_id ? nullptr : topics->find(wanted.topic);
    const broker::Topic* const topic = by_id && with_id != topics->by_id.end() ? with_id->second.get() : named;
    for (const FetchRequest::Partition& partition : wanted.partitions) {
      PartitionData& part = answer.partitions.emplace_back();
      part.partition_index = partition.partition;
      part.records.emplace();
      ErrorCode error = ErrorCode::none;
      if (topic == nullptr)
        error = by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
      else if (partition.partition < 0 || partition.partition >= topic->partitions)
        error = ErrorCode::unknown_topic_or_partition;
      else if (follower)
        error = ErrorCode::not_leader_or_follower;  // There are no followers to feed.
      else
        error = judge_leader_epoch(partition.current_leader_epoch, call.broker().leader_epoch(topic->id, partition.partition));
      if (error != ErrorCode::none) {
        refuse(part, error, call.version());
        any_error = true;
        continue;
      }
      fetch->places.emplace_back(fetch->response.responses.size() - 1, answer.partitions.size() - 1);
      reads.reads.push_back({{topic->name, partition.partition},
                             Offset{partition.fetch_offset},
                             static_cast<std::size_t>(std::max(partition.partition_max_bytes, 1))});
    }
  }
  if (any_error || reads.reads.empty()) reads.wait_max = {};
  call.charge(reads.bytes_max);
  const bool read_committed = request.isolation_level == kReadCommitted;
  reads.isolation = read_committed ? broker::Isolation::committed_marked : broker::Isolation::uncommitted;
  const auto pending =
      call.broker().read_many(call.context(), std::move(reads), [fetch, read_committed](std::vector<Result<broker::ReadReply>> found) {
        for (std::size_t i = 0; i < found.size(); ++i) {
          if (found[i])
            put(fetch->part(i), *std::move(found[i]), read_committed);
          else
            refuse(fetch->part(i), to_wire(found[i].error().code), fetch->call.version());
        }
        fetch->call.reply(fetch->response);
      });
  call.on_abandoned([pending] { pending->cancel(); });
}

}  // namespace tidemark::kafka
