#include <algorithm>

#include "protocol/kafka/adapter/fencing.h"
#include "protocol/kafka/adapter/handlers.h"
#include "protocol/kafka/adapter/produced_batch.h"

namespace tidemark::kafka {
namespace {

using PartitionResponse = ProduceResponse::PartitionResponse;

constexpr int kTopicIdsFrom = 13;

/// A produce request under way: its batches are appended side by side and answered together.
struct Produce {
  Produce(const Call& call_in, const ProduceRequest& request)
      : call(call_in), acks(request.acks), transactional_id(request.transactional_id) {}

  const Call call;
  const std::int16_t acks;
  const std::optional<std::string> transactional_id;
  ProduceResponse response;
  std::size_t waiting = 1;
  std::optional<ErrorCode> failed;

  void end_part() {
    if (--waiting > 0) return;
    if (acks != 0) return call.reply(response);
    // Nobody reads an answer. A closed connection is the only way to say that something went wrong.
    if (!failed) return call.drop();
    call.close({Errc::protocol_error, "a batch with acks=0 was refused: " + std::string(to_string(*failed))});
  }

  void refuse(PartitionResponse& part, ErrorCode code, std::string message) {
    part.error_code = code;
    part.base_offset = -1;
    part.error_message = std::move(message);
    failed = code;
  }
};

/// Bytes that the broker may keep and write: a piece of the request, unless that would keep a much larger request in memory.
Slice own(const Slice& records, std::size_t request_bytes) {
  return records.size() * 2 >= request_bytes ? records : Slice::copy_of(records.view());
}

/// The engine refused a batch; ends its part.
void refuse(const std::shared_ptr<Produce>& produce, std::size_t t, std::size_t p, const Slice& records, const Error& error) {
  const Result<BatchHeader> header = BatchHeader::parse(records.view());
  broker::ProducerIdentity producer{-1, -1};
  if (header) producer = {header->producer_id, header->producer_epoch};
  judge_fencing(produce->call, produce->transactional_id, producer, error, [produce, t, p, records](const Error& refused) {
    produce->refuse(produce->response.responses[t].partition_responses[p], produce_error(refused, records), refused.detail);
    produce->end_part();
  });
}

void append(const std::shared_ptr<Produce>& produce, const broker::Topic& topic, std::size_t t, std::size_t p,
            const std::optional<Slice>& records, std::size_t request_bytes) {
  PartitionResponse& part = produce->response.responses[t].partition_responses[p];
  const auto refusal = judge_produced_batch(records, produce->call.version());
  if (refusal) return produce->refuse(part, refusal->code, refusal->message);
  ++produce->waiting;
  const bool append_time = topic.effective.log_append_time;
  produce->call.broker().append(produce->call.context(), {topic.name, part.index}, own(*records, request_bytes),
                                [produce, t, p, append_time, records](Result<broker::Appended> appended) {
                                  if (!appended) return refuse(produce, t, p, *records, appended.error());
                                  PartitionResponse& done = produce->response.responses[t].partition_responses[p];
                                  done.base_offset = appended->base_offset.value;
                                  done.log_start_offset = appended->log_start.value;
                                  if (append_time) done.log_append_time_ms = appended->append_time.time_since_epoch().count();
                                  produce->end_part();
                                });
}

}  // namespace

void handle(const Call& call, ProduceRequest request) {
  const auto produce = std::make_shared<Produce>(call, request);
  const std::size_t request_bytes = call.request_bytes();
  const std::shared_ptr<const broker::TopicTable> topics = call.broker().topics();
  const bool acks_known = request.acks >= -1 && request.acks <= 1;
  produce->response.responses.resize(request.topic_data.size());
  // All places are made before the first append: its answer may come at once.
  for (std::size_t t = 0; t < request.topic_data.size(); ++t) {
    ProduceResponse::TopicResponse& part = produce->response.responses[t];
    part.name = request.topic_data[t].name;
    part.topic_id = request.topic_data[t].topic_id;
    for (const ProduceRequest::PartitionData& data : request.topic_data[t].partition_data) {
      part.partition_responses.emplace_back().index = data.index;
    }
  }
  for (std::size_t t = 0; t < request.topic_data.size(); ++t) {
    const ProduceRequest::TopicData& data = request.topic_data[t];
    const bool by_id = call.version() >= kTopicIdsFrom;
    const auto with_id = topics->by_id.find(data.topic_id);
    const broker::Topic* const named = by_id ? nullptr : topics->find(data.name);
    const broker::Topic* const topic = by_id && with_id != topics->by_id.end() ? with_id->second.get() : named;
    for (std::size_t p = 0; p < data.partition_data.size(); ++p) {
      PartitionResponse& part = produce->response.responses[t].partition_responses[p];
      if (!acks_known) {
        produce->refuse(part, ErrorCode::invalid_required_acks, "acks must be -1, 0 or 1");
      } else if (topic == nullptr && by_id) {
        produce->refuse(part, ErrorCode::unknown_topic_id, "no topic has this id");
      } else if (topic == nullptr || part.index < 0 || part.index >= topic->partitions) {
        produce->refuse(part, ErrorCode::unknown_topic_or_partition, "this broker has no such topic or partition");
      } else {
        append(produce, *topic, t, p, data.partition_data[p].records, request_bytes);
      }
    }
  }
  produce->end_part();
}

}  // namespace tidemark::kafka
