#include <algorithm>

#include "protocol/kafka/adapter/authorized_operations.h"
#include "protocol/kafka/adapter/gather.h"
#include "protocol/kafka/adapter/handlers.h"
#include "protocol/kafka/adapter/topic_names.h"

namespace tidemark::kafka {
namespace {

using TopicPtr = std::shared_ptr<const broker::Topic>;

constexpr int kIdsAskedFor = 12;  ///< From here a topic can be asked for by its id.

MetadataResponse::Topic describe(const broker::Broker& broker, const broker::Topic& topic, bool operations) {
  MetadataResponse::Topic part;
  part.name = topic.name;
  part.topic_id = topic.id;
  part.is_internal = broker::is_internal_topic(topic.name);
  if (operations) part.topic_authorized_operations = kTopicOperations;
  part.partitions.reserve(static_cast<std::size_t>(topic.partitions));
  for (std::int32_t p = 0; p < topic.partitions; ++p) {
    MetadataResponse::Partition& partition = part.partitions.emplace_back();
    partition.partition_index = p;
    partition.leader_id = kNodeId;
    partition.leader_epoch = broker.leader_epoch(topic.id, p);
    partition.replica_nodes = {kNodeId};
    partition.isr_nodes = {kNodeId};
  }
  return part;
}

MetadataResponse::Topic refused(const MetadataRequest::Topic& wanted, ErrorCode why) {
  MetadataResponse::Topic part;
  part.error_code = why;
  part.name = wanted.name;
  part.topic_id = wanted.topic_id;
  return part;
}

/// A request that no version allows to be put like that (KIP-516): an id before v12, or neither name nor id.
bool malformed(const MetadataRequest::Topic& wanted, int version) {
  if (version < kIdsAskedFor) return !wanted.name || !wanted.topic_id.is_nil();
  return !wanted.name && wanted.topic_id.is_nil();
}

/// A missing topic of a legal name is made before the answer, so that the client need not ask again.
void create(const Call& call, const std::shared_ptr<Gather<MetadataResponse>>& gather, std::size_t place,
            const MetadataRequest::Topic& wanted, bool operations) {
  call.broker().create_topic(
      call.context(), {*wanted.name, std::nullopt, {}},
      gather->part<TopicPtr>([call, place, wanted, operations](MetadataResponse& response, Result<TopicPtr> created) {
        if (created) {
          response.topics[place] = describe(call.broker(), **created, operations);
          return;
        }
        // Somebody else was faster: then it is there now.
        const broker::Topic* const found = call.broker().topics()->find(*wanted.name);
        if (found != nullptr)
          response.topics[place] = describe(call.broker(), *found, operations);
        else
          response.topics[place] = refused(wanted, to_wire(created.error().code));
      }));
}

}  // namespace

void handle(const Call& call, MetadataRequest request) {
  const auto gather = Gather<MetadataResponse>::begin(call);
  MetadataResponse& response = gather->response;
  MetadataResponse::Broker& self = response.brokers.emplace_back();
  self.node_id = kNodeId;
  self.host = call.facts().advertised_host;
  self.port = call.facts().advertised_port;
  response.cluster_id = call.broker().cluster_id().to_string();
  response.controller_id = kNodeId;
  if (request.include_cluster_authorized_operations) response.cluster_authorized_operations = kClusterOperations;

  const std::shared_ptr<const broker::TopicTable> topics = call.broker().topics();
  const bool operations = request.include_topic_authorized_operations;
  const bool all = !request.topics || (call.version() == 0 && request.topics->empty());
  if (all) {
    for (const auto& [name, topic] : topics->by_name) response.topics.push_back(describe(call.broker(), *topic, operations));
    return gather->end_part();
  }
  const bool any_malformed =
      std::ranges::any_of(*request.topics, [&](const MetadataRequest::Topic& wanted) { return malformed(wanted, call.version()); });
  std::optional<CollidingNames> colliding;  // Made when it is needed: it looks at every topic.
  for (const MetadataRequest::Topic& wanted : *request.topics) {
    const std::size_t place = response.topics.size();
    if (any_malformed) {
      response.topics.push_back(refused({wanted.topic_id, wanted.name.value_or("")}, ErrorCode::invalid_request));
      continue;
    }
    if (!wanted.name) {
      const auto found = topics->by_id.find(wanted.topic_id);
      response.topics.push_back(found != topics->by_id.end() ? describe(call.broker(), *found->second, operations)
                                                             : refused(wanted, ErrorCode::unknown_topic_id));
      continue;
    }
    if (const broker::Topic* const topic = topics->find(*wanted.name)) {
      response.topics.push_back(describe(call.broker(), *topic, operations));
      continue;
    }
    if (!validate_kafka_topic_name(*wanted.name)) {
      response.topics.push_back(refused(wanted, ErrorCode::invalid_topic));
      continue;
    }
    response.topics.push_back(refused(wanted, ErrorCode::unknown_topic_or_partition));
    const bool may_create =
        request.allow_auto_topic_creation && call.facts().auto_create_topics && !broker::is_internal_topic(*wanted.name);
    if (!may_create) continue;
    if (!colliding) colliding.emplace(*topics);
    if (colliding->find(*wanted.name).empty())
      create(call, gather, place, wanted, operations);
    else
      response.topics.back().error_code = ErrorCode::invalid_topic;
  }
  gather->end_part();
}

}  // namespace tidemark::kafka
