#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "protocol/kafka/adapter/authorized_operations.h"
#include "protocol/kafka/adapter/gather.h"
#include "protocol/kafka/adapter/handlers.h"
#include "protocol/kafka/adapter/topic_names.h"

/// The cluster of one broker: who it is, where its partitions lie, and the calls whose answer follows from there being one.
namespace tidemark::kafka {
namespace {

using PartitionInfos = std::vector<broker::PartitionInfo>;

}  // namespace

// --- DescribeCluster.

void handle(const Call& call, DescribeClusterRequest request) {
  constexpr std::int8_t kBrokers = 1;
  constexpr std::int8_t kControllers = 2;
  DescribeClusterResponse response;
  response.endpoint_type = request.endpoint_type;
  if (request.endpoint_type == kControllers) {
    response.error_code = ErrorCode::mismatched_endpoint_type;
    response.error_message = "This is a broker; controllers were asked for.";
  } else if (request.endpoint_type != kBrokers) {
    response.error_code = ErrorCode::unsupported_endpoint_type;
    response.error_message = "Unsupported endpoint type " + std::to_string(request.endpoint_type) + ".";
  } else {
    response.cluster_id = call.broker().cluster_id().to_string();
    response.controller_id = kNodeId;
    DescribeClusterResponse::Broker& broker = response.brokers.emplace_back();
    broker.broker_id = kNodeId;
    broker.host = call.facts().advertised_host;
    broker.port = call.facts().advertised_port;
    if (request.include_cluster_authorized_operations) response.cluster_authorized_operations = kClusterOperations;
  }
  call.reply(response);
}

// --- DescribeLogDirs.

namespace {

/// The partitions asked for, by topic; nullopt: all of the topic.
using WantedPartitions = std::map<std::string, std::optional<std::set<std::int32_t>>>;

WantedPartitions wanted_by(const DescribeLogDirsRequest& request, const broker::TopicTable& topics) {
  WantedPartitions wanted;
  if (!request.topics) {
    for (const auto& [name, topic] : topics.by_name) wanted.emplace(name, std::nullopt);
    return wanted;
  }
  for (const DescribeLogDirsRequest::Topic& asked : *request.topics) {
    if (topics.find(asked.topic) == nullptr) continue;  // Not in any directory.
    auto& partitions = wanted[asked.topic];
    if (!partitions) partitions.emplace();
    partitions->insert(asked.partitions.begin(), asked.partitions.end());
  }
  return wanted;
}

void put(DescribeLogDirsResponse::Topic& topic, const std::optional<std::set<std::int32_t>>& wanted, const PartitionInfos& infos) {
  for (const broker::PartitionInfo& info : infos) {
    if (wanted && !wanted->contains(info.partition)) continue;
    DescribeLogDirsResponse::Partition& partition = topic.partitions.emplace_back();
    partition.partition_index = info.partition;
    partition.partition_size = static_cast<std::int64_t>(info.bytes);
  }
}

std::int64_t clamped(std::uint64_t bytes) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, std::numeric_limits<std::int64_t>::max()));
}

}  // namespace

void handle(const Call& call, DescribeLogDirsRequest request) {
  const auto gather = Gather<DescribeLogDirsResponse>::begin(call);
  DescribeLogDirsResponse::Result& directory = gather->response.results.emplace_back();
  directory.log_dir = call.broker().options().data_directory;
  const WantedPartitions wanted = wanted_by(request, *call.broker().topics());
  for (const auto& [name, partitions] : wanted) directory.topics.emplace_back().name = name;
  std::size_t index = 0;
  for (const auto& [name, partitions] : wanted) {
    call.broker().describe(
        call.context(), name,
        gather->part<PartitionInfos>([index, asked = partitions](DescribeLogDirsResponse& response, Result<PartitionInfos> infos) {
          if (infos) put(response.results[0].topics[index], asked, *infos);  // Else it was deleted meanwhile.
        }));
    ++index;
  }
  call.broker().status(call.context(),
                       gather->part<broker::BrokerStatus>([](DescribeLogDirsResponse& response, Result<broker::BrokerStatus> status) {
                         if (!status) {
                           response.results[0].error_code = to_wire(status.error().code);
                           return;
                         }
                         response.results[0].total_bytes = clamped(status->disk_total_bytes);
                         response.results[0].usable_bytes = clamped(status->disk_free_bytes);
                       }));
  gather->end_part();
}

// --- DescribeTopicPartitions.

namespace {

/// Kafka's max.request.partition.size.limit.
constexpr std::int32_t kPartitionsPerPageMax = 2000;

/// The topics of a request from its cursor on, by name.
std::set<std::string> names_from(const std::string& first, const DescribeTopicPartitionsRequest& request,
                                 const broker::TopicTable& topics) {
  std::set<std::string> names;
  if (request.topics.empty()) {
    for (auto topic = topics.by_name.lower_bound(first); topic != topics.by_name.end(); ++topic) names.insert(topic->first);
  }
  for (const DescribeTopicPartitionsRequest::Topic& topic : request.topics) {
    if (topic.name >= first) names.insert(topic.name);
  }
  return names;
}

void refuse(const Call& call, const DescribeTopicPartitionsRequest& request) {
  DescribeTopicPartitionsResponse response;
  for (const DescribeTopicPartitionsRequest::Topic& asked : request.topics) {
    DescribeTopicPartitionsResponse::Topic& topic = response.topics.emplace_back();
    topic.error_code = ErrorCode::invalid_request;
    topic.name = asked.name;
  }
  call.reply(response);
}

void put_unknown(DescribeTopicPartitionsResponse::Topic& topic) {
  topic.error_code = validate_kafka_topic_name(*topic.name) ? ErrorCode::unknown_topic_or_partition : ErrorCode::invalid_topic;
  topic.topic_id = {};
  topic.partitions.clear();
}

DescribeTopicPartitionsResponse::Partition partition_of(std::int32_t index) {
  DescribeTopicPartitionsResponse::Partition partition;
  partition.partition_index = index;
  partition.leader_id = kNodeId;
  partition.replica_nodes = {kNodeId};
  partition.isr_nodes = {kNodeId};
  partition.eligible_leader_replicas.emplace();
  partition.last_known_elr.emplace();
  return partition;
}

/// One page: as many partitions as allowed, and the cursor where it ends.
DescribeTopicPartitionsResponse page_of(const DescribeTopicPartitionsRequest& request, const broker::TopicTable& topics) {
  DescribeTopicPartitionsResponse response;
  const std::string first = request.cursor ? request.cursor->topic_name : std::string();
  std::int32_t room = std::min(request.response_partition_limit, kPartitionsPerPageMax);
  const auto ends_at = [&response](const std::string& topic, std::int32_t partition) {
    DescribeTopicPartitionsResponse::Cursor& cursor = response.next_cursor.emplace();
    cursor.topic_name = topic;
    cursor.partition_index = partition;
  };
  for (const std::string& name : names_from(first, request, topics)) {
    if (room <= 0) {
      ends_at(name, 0);
      break;
    }
    DescribeTopicPartitionsResponse::Topic& part = response.topics.emplace_back();
    part.name = name;
    part.is_internal = broker::is_internal_topic(name);
    part.topic_authorized_operations = kTopicOperations;
    const broker::Topic* const topic = topics.find(name);
    if (topic == nullptr) {
      put_unknown(part);
      continue;
    }
    part.topic_id = topic->id;
    std::int32_t partition = request.cursor && name == first ? std::max(request.cursor->partition_index, 0) : 0;
    for (; partition < topic->partitions && room > 0; ++partition, --room) part.partitions.push_back(partition_of(partition));
    if (partition < topic->partitions) {
      ends_at(name, partition);
      break;
    }
  }
  return response;
}

}  // namespace

void handle(const Call& call, DescribeTopicPartitionsRequest request) {
  const auto topics = call.broker().topics();
  const auto is_cursor = [&request](const auto& topic) { return topic.name == request.cursor->topic_name; };
  if (request.cursor && !request.topics.empty() && std::ranges::none_of(request.topics, is_cursor)) return refuse(call, request);

  const auto gather = Gather<DescribeTopicPartitionsResponse>::begin(call);
  gather->response = page_of(request, *topics);
  for (std::size_t index = 0; index < gather->response.topics.size(); ++index) {
    const DescribeTopicPartitionsResponse::Topic& topic = gather->response.topics[index];
    if (topic.error_code != ErrorCode::none) continue;
    call.broker().describe(call.context(), *topic.name,
                           gather->part<PartitionInfos>([index](DescribeTopicPartitionsResponse& response, Result<PartitionInfos> infos) {
                             DescribeTopicPartitionsResponse::Topic& described = response.topics[index];
                             if (!infos) return put_unknown(described);
                             for (DescribeTopicPartitionsResponse::Partition& partition : described.partitions) {
                               const auto info = std::ranges::find(*infos, partition.partition_index, &broker::PartitionInfo::partition);
                               if (info != infos->end()) partition.leader_epoch = info->leader_epoch;
                             }
                           }));
  }
  gather->end_part();
}

// --- ListConfigResources.

void handle(const Call& call, ListConfigResourcesRequest request) {
  constexpr std::int8_t kTopic = 2, kBroker = 4, kBrokerLogger = 8, kClientMetrics = 16, kGroup = 32;
  ListConfigResourcesResponse response;
  std::set<std::int8_t> types(request.resource_types.begin(), request.resource_types.end());
  if (types.empty() && call.version() >= 1) types = {kTopic, kBroker, kBrokerLogger, kClientMetrics, kGroup};
  const auto add = [&response](std::int8_t type, std::string name) {
    ListConfigResourcesResponse::Resource& resource = response.config_resources.emplace_back();
    resource.resource_name = std::move(name);
    resource.resource_type = type;
  };
  for (const std::int8_t type : types) {
    if (type == kTopic) {
      for (const auto& [name, topic] : call.broker().topics()->by_name) add(kTopic, name);
    } else if (type == kBroker || type == kBrokerLogger) {
      add(type, std::to_string(kNodeId));
    } else if (type != kClientMetrics && type != kGroup) {  // Those two have none; version 0 asks for client metrics alone.
      response.error_code = ErrorCode::unsupported_version;
      response.config_resources.clear();
      break;
    }
  }
  call.reply(response);
}

// --- ElectLeaders, ListPartitionReassignments.

void handle(const Call& call, ElectLeadersRequest request) {
  constexpr std::int8_t kPreferred = 0;
  constexpr std::int8_t kUnclean = 1;
  ElectLeadersResponse response;
  const auto topics = call.broker().topics();
  const bool known_type = request.election_type == kPreferred || request.election_type == kUnclean;
  if (!known_type) response.error_code = ErrorCode::invalid_request;
  if (!request.topic_partitions && known_type) {
    // All partitions: only those where something was to be done are listed.
    for (const auto& [name, topic] : topics->by_name) response.replica_election_results.emplace_back().topic = name;
  }
  if (!request.topic_partitions) return call.reply(response);
  for (const ElectLeadersRequest::TopicPartitions& asked : *request.topic_partitions) {
    const broker::Topic* const topic = topics->find(asked.topic);
    ElectLeadersResponse::TopicResult& result = response.replica_election_results.emplace_back();
    result.topic = asked.topic;
    for (const std::int32_t partition : asked.partitions) {
      ElectLeadersResponse::PartitionResult& elected = result.partition_result.emplace_back();
      elected.partition_id = partition;
      const bool exists = topic != nullptr && partition >= 0 && partition < topic->partitions;
      elected.error_code = !known_type ? ErrorCode::invalid_request
                           : exists    ? ErrorCode::election_not_needed
                                       : ErrorCode::unknown_topic_or_partition;
    }
  }
  call.reply(response);
}

void handle(const Call& call, ListPartitionReassignmentsRequest) { call.reply(ListPartitionReassignmentsResponse{}); }

}  // namespace tidemark::kafka
