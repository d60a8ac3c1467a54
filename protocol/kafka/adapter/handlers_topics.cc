#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "protocol/kafka/adapter/described_config.h"
#include "protocol/kafka/adapter/gather.h"
#include "protocol/kafka/adapter/handlers.h"
#include "protocol/kafka/adapter/refusal.h"
#include "protocol/kafka/adapter/topic_names.h"

/// Topics, their partitions and the beginning of their logs. Codes are those of Apache Kafka's controller, in the order of its checks.
namespace tidemark::kafka {
namespace {

using TopicPtr = std::shared_ptr<const broker::Topic>;

/// Kafka's bound on the partitions that one request may ask for.
constexpr std::int64_t kPartitionsPerRequestMax = 10'000;
constexpr std::int64_t kHighWatermark = -1;  ///< As an offset of DeleteRecords.

const Refusal kTimedOut{ErrorCode::request_timed_out, "the broker was not done within the time given; it goes on"};
const Refusal kTooManyPartitions{ErrorCode::policy_violation, "Excessively large number of partitions per request."};

Refusal reserved(std::string_view name) {
  return {ErrorCode::topic_authorization_failed, "'" + std::string(name) + "' is a name that the broker keeps for itself"};
}

/// What the engine said where this request has a particular code for a bad argument.
Refusal refusal_of(const Error& error, ErrorCode for_argument) {
  return {error.code == Errc::invalid_argument ? for_argument : to_wire(error.code), error.detail};
}

/// A replica list that a client has chosen by hand: one broker cannot hold more than one copy.
Verdict judge_replicas(const std::vector<std::int32_t>& broker_ids) {
  const auto refuse = [](const std::string& why) { return Refusal{ErrorCode::invalid_replica_assignment, "The assignment " + why}; };
  if (broker_ids.empty()) return refuse("has an empty replica list.");
  for (const std::int32_t id : broker_ids) {
    if (id != kNodeId) return refuse("names broker " + std::to_string(id) + ", which does not exist.");
  }
  if (broker_ids.size() > 1) return refuse("names broker " + std::to_string(kNodeId) + " more than once.");
  return std::nullopt;
}

// --- CreateTopics.

using NewTopic = CreateTopicsRequest::Topic;

Verdict judge_assignments(const NewTopic& asked) {
  if (asked.replication_factor != -1) return Refusal{ErrorCode::invalid_request, "Assignments are given, so the replication factor is -1."};
  if (asked.num_partitions != -1) return Refusal{ErrorCode::invalid_request, "Assignments are given, so the number of partitions is -1."};
  std::set<std::int32_t> assigned;
  for (const CreateTopicsRequest::ReplicaAssignment& assignment : asked.assignments) {
    if (!assigned.insert(assignment.partition_index).second) {
      return Refusal{ErrorCode::invalid_replica_assignment,
                     "Partition " + std::to_string(assignment.partition_index) + " has more than one assignment."};
    }
    if (const Verdict verdict = judge_replicas(assignment.broker_ids)) return verdict;
  }
  if (*assigned.begin() != 0 || *assigned.rbegin() != static_cast<std::int32_t>(assigned.size()) - 1) {
    return Refusal{ErrorCode::invalid_replica_assignment, "Partitions are numbered from 0 without gaps."};
  }
  return std::nullopt;
}

Verdict judge_numbers(const NewTopic& asked, bool accept_replication) {
  if (asked.replication_factor < -1 || asked.replication_factor == 0) {
    return Refusal{ErrorCode::invalid_replication_factor, "The replication factor is larger than 0, or -1 for the default."};
  }
  if (asked.num_partitions < -1 || asked.num_partitions == 0) {
    return Refusal{ErrorCode::invalid_partitions, "The number of partitions is larger than 0, or -1 for the default."};
  }
  if (asked.replication_factor > 1 && !accept_replication) {
    return Refusal{ErrorCode::invalid_replication_factor, "The replication factor is " + std::to_string(asked.replication_factor) +
                                                              ", and there is one broker. (kafka.accept.replication = any takes it as 1.)"};
  }
  return std::nullopt;
}

/// What to create, or why not.
std::variant<broker::TopicSpec, Refusal> judge(const Call& call, const NewTopic& asked, const CollidingNames& names) {
  broker::TopicSpec spec{asked.name, std::nullopt, {}};
  if (call.broker().topics()->find(asked.name) == nullptr) {
    if (const Status legal = validate_kafka_topic_name(asked.name); !legal) return refusal_of(legal.error(), ErrorCode::invalid_topic);
    if (const std::string_view other = names.find(asked.name); !other.empty()) {
      return Refusal{ErrorCode::invalid_topic, "Topic '" + asked.name + "' collides with existing topic '" + std::string(other) + "'."};
    }
    if (broker::is_internal_topic(asked.name)) return reserved(asked.name);
  }
  for (const CreateTopicsRequest::Config& config : asked.configs) {
    if (!config.value) return Refusal{ErrorCode::invalid_config, "The setting '" + config.name + "' has no value."};
    spec.config[config.name] = *config.value;
  }
  if (const Result<broker::Topic> judged = call.broker().judge(spec); !judged) {
    return refusal_of(judged.error(), ErrorCode::invalid_partitions);
  }
  if (asked.assignments.empty()) {
    if (const Verdict verdict = judge_numbers(asked, call.facts().accept_replication)) return *verdict;
    if (asked.num_partitions != -1) spec.partitions = asked.num_partitions;
  } else {
    if (const Verdict verdict = judge_assignments(asked)) return *verdict;
    spec.partitions = static_cast<std::int32_t>(asked.assignments.size());
  }
  return spec;
}

void put(CreateTopicsResponse::Topic& part, const broker::BrokerOptions& options, const broker::Topic& topic) {
  clear_error(part);
  part.topic_id = topic.id;
  part.num_partitions = topic.partitions;
  part.replication_factor = 1;
  part.configs.emplace();
  for (const DescribedConfig& config : describe_topic_config(topic, options.topic_defaults)) {
    CreateTopicsResponse::Config entry;
    entry.name = config.name;
    entry.value = config.value;
    entry.read_only = config.read_only;
    entry.config_source = static_cast<std::int8_t>(config.source);
    part.configs->push_back(std::move(entry));
  }
}

std::int64_t partitions_asked(const std::vector<NewTopic>& topics, std::int32_t default_partitions) {
  std::int64_t total = 0;
  for (const NewTopic& topic : topics) {
    if (!topic.assignments.empty())
      total += static_cast<std::int64_t>(topic.assignments.size());
    else
      total += topic.num_partitions == -1 ? default_partitions : std::max(topic.num_partitions, 0);
  }
  return total;
}

/// How often each name comes; a topic named twice is refused once.
template <class Topics>
std::map<std::string, int> count_names(const Topics& topics) {
  std::map<std::string, int> count;
  for (const auto& topic : topics) ++count[topic.name];
  return count;
}

}  // namespace

void handle(const Call& call, CreateTopicsRequest request) {
  const auto gather = Gather<CreateTopicsResponse>::begin(call, request.timeout_ms);
  std::vector<CreateTopicsResponse::Topic>& parts = gather->response.topics;
  const auto topics = call.broker().topics();
  const CollidingNames names(*topics);
  std::map<std::string, int> count = count_names(request.topics);
  const bool too_many = partitions_asked(request.topics, call.broker().options().default_partitions) > kPartitionsPerRequestMax;

  std::vector<std::pair<std::size_t, broker::TopicSpec>> to_create;
  for (const NewTopic& asked : request.topics) {
    const int times = std::exchange(count[asked.name], 0);
    if (times == 0) continue;  // Answered where it came first.
    CreateTopicsResponse::Topic& part = parts.emplace_back();
    part.name = asked.name;
    if (too_many) {
      put(part, kTooManyPartitions);
      continue;
    }
    if (times > 1) {
      put(part, Refusal{ErrorCode::invalid_request, "Duplicate topic name."});
      continue;
    }
    std::variant<broker::TopicSpec, Refusal> judged = judge(call, asked, names);
    if (const Refusal* const refusal = std::get_if<Refusal>(&judged)) {
      put(part, *refusal);
      continue;
    }
    broker::TopicSpec& spec = std::get<broker::TopicSpec>(judged);
    if (request.validate_only) {
      if (const Result<broker::Topic> would_be = call.broker().judge(spec))
        put(part, call.broker().options(), *would_be);
      else
        put(part, refusal_of(would_be.error(), ErrorCode::invalid_partitions));
      continue;
    }
    put(part, kTimedOut);
    to_create.emplace_back(parts.size() - 1, std::move(spec));
  }
  for (auto& [index, spec] : to_create) {
    call.broker().create_topic(
        call.context(), std::move(spec),
        gather->part<TopicPtr>([at = index, &options = call.broker().options()](CreateTopicsResponse& response, Result<TopicPtr> made) {
          if (made)
            put(response.topics[at], options, **made);
          else
            put(response.topics[at], refusal_of(made.error(), ErrorCode::invalid_partitions));
        }));
  }
  gather->end_part();
}

// --- DeleteTopics.

namespace {

struct DeleteTarget {
  std::optional<std::string> name;
  Uuid id;
};

std::vector<DeleteTarget> targets_of(DeleteTopicsRequest& request) {
  std::vector<DeleteTarget> targets;
  for (std::string& name : request.topic_names) targets.push_back({std::move(name), {}});
  for (DeleteTopicsRequest::Topic& topic : request.topics) targets.push_back({std::move(topic.name), topic.topic_id});
  return targets;
}

}  // namespace

void handle(const Call& call, DeleteTopicsRequest request) {
  const auto gather = Gather<DeleteTopicsResponse>::begin(call, request.timeout_ms);
  std::vector<DeleteTopicsResponse::Topic>& parts = gather->response.responses;
  const auto topics = call.broker().topics();
  const std::vector<DeleteTarget> targets = targets_of(request);
  const auto refuse = [&parts](ErrorCode code, std::string message) { put(parts.back(), Refusal{code, std::move(message)}); };

  std::map<std::string, int> names;
  std::map<Uuid, int> ids;
  std::map<Uuid, int> meant;  // By either.
  for (const DeleteTarget& target : targets) {
    if (target.name && !target.id.is_nil()) continue;
    if (target.name) {
      ++names[*target.name];
      if (const broker::Topic* const topic = topics->find(*target.name)) ++meant[topic->id];
    } else if (!target.id.is_nil()) {
      ++ids[target.id];
      ++meant[target.id];
    }
  }
  std::vector<std::pair<std::size_t, std::string>> to_delete;
  for (const DeleteTarget& target : targets) {
    const bool both = target.name && !target.id.is_nil();
    const bool neither = !target.name && target.id.is_nil();
    const int times = both || neither ? 1 : target.name ? std::exchange(names[*target.name], 0) : std::exchange(ids[target.id], 0);
    if (times == 0) continue;  // Answered where it came first.
    parts.emplace_back().name = target.name;
    parts.back().topic_id = target.id;
    if (both || neither) {
      refuse(ErrorCode::invalid_request, both ? "Both a topic's name and id are given." : "Neither a topic's name nor its id is given.");
      continue;
    }
    if (times > 1) {
      refuse(ErrorCode::invalid_request, target.name ? "Duplicate topic name." : "Duplicate topic id.");
      continue;
    }
    const auto by_id = topics->by_id.find(target.id);
    const broker::Topic* const topic = target.name                    ? topics->find(*target.name)
                                       : by_id != topics->by_id.end() ? by_id->second.get()
                                                                      : nullptr;
    if (topic == nullptr) {
      refuse(target.name ? ErrorCode::unknown_topic_or_partition : ErrorCode::unknown_topic_id, "There is no such topic.");
      continue;
    }
    parts.back().name = topic->name;
    parts.back().topic_id = topic->id;
    if (meant[topic->id] > 1) {
      refuse(ErrorCode::invalid_request, "The topic is named by its name and by its id.");
    } else if (broker::is_internal_topic(topic->name)) {
      put(parts.back(), reserved(topic->name));
    } else {
      put(parts.back(), kTimedOut);
      to_delete.emplace_back(parts.size() - 1, topic->name);
    }
  }
  for (auto& [index, name] : to_delete) {
    call.broker().delete_topic(call.context(), std::move(name),
                               gather->part<void>([at = index](DeleteTopicsResponse& response, Status gone) {
                                 if (gone)
                                   clear_error(response.responses[at]);
                                 else
                                   put(response.responses[at], refusal_of(gone.error(), ErrorCode::invalid_request));
                               }));
  }
  gather->end_part();
}

// --- CreatePartitions.

namespace {

Verdict judge(const CreatePartitionsRequest::Topic& asked, const broker::Topic* topic, std::int32_t partitions_max) {
  if (topic == nullptr) return Refusal{ErrorCode::unknown_topic_or_partition, "There is no such topic."};
  if (broker::is_internal_topic(topic->name)) return reserved(topic->name);
  const std::string has = "The topic has " + std::to_string(topic->partitions) + " partition(s), ";
  if (asked.count <= topic->partitions) return Refusal{ErrorCode::invalid_partitions, has + "the new number must be larger."};
  if (asked.count > partitions_max) {
    return Refusal{ErrorCode::invalid_partitions, "A topic has at most " + std::to_string(partitions_max) + " partitions."};
  }
  if (!asked.assignments) return std::nullopt;
  if (asked.assignments->size() != static_cast<std::size_t>(asked.count - topic->partitions)) {
    return Refusal{ErrorCode::invalid_replica_assignment, has + "and each new one needs one assignment."};
  }
  for (const CreatePartitionsRequest::Assignment& assignment : *asked.assignments) {
    if (const Verdict verdict = judge_replicas(assignment.broker_ids)) return verdict;
  }
  return std::nullopt;
}

}  // namespace

void handle(const Call& call, CreatePartitionsRequest request) {
  const auto gather = Gather<CreatePartitionsResponse>::begin(call, request.timeout_ms);
  std::vector<CreatePartitionsResponse::Topic>& parts = gather->response.results;
  const auto topics = call.broker().topics();
  std::map<std::string, int> count = count_names(request.topics);
  std::int64_t added = 0;
  for (const CreatePartitionsRequest::Topic& asked : request.topics) {
    if (const broker::Topic* const topic = topics->find(asked.name))
      added += std::max<std::int64_t>(std::int64_t{asked.count} - topic->partitions, 0);
  }

  std::vector<std::pair<std::size_t, std::int32_t>> to_grow;
  for (const CreatePartitionsRequest::Topic& asked : request.topics) {
    const int times = std::exchange(count[asked.name], 0);
    if (times == 0) continue;  // Answered where it came first.
    CreatePartitionsResponse::Topic& part = parts.emplace_back();
    part.name = asked.name;
    if (times > 1) {
      put(part, Refusal{ErrorCode::invalid_request, "Duplicate topic name."});
    } else if (added > kPartitionsPerRequestMax) {
      put(part, kTooManyPartitions);
    } else if (const Verdict verdict = judge(asked, topics->find(asked.name), call.broker().options().partitions_per_topic_max)) {
      put(part, *verdict);
    } else if (!request.validate_only) {
      put(part, kTimedOut);
      to_grow.emplace_back(parts.size() - 1, asked.count);
    }
  }
  for (const auto& [index, total] : to_grow) {
    call.broker().add_partitions(call.context(), parts[index].name, total,
                                 gather->part<TopicPtr>([at = index](CreatePartitionsResponse& response, Result<TopicPtr> grown) {
                                   if (grown)
                                     clear_error(response.results[at]);
                                   else
                                     put(response.results[at], refusal_of(grown.error(), ErrorCode::invalid_partitions));
                                 }));
  }
  gather->end_part();
}

// --- DeleteRecords.

namespace {

using TrimGather = Gather<DeleteRecordsResponse>;

/// Why no record of the topic may be deleted, if so.
ErrorCode judge_trim(const broker::Topic* topic) {
  if (topic == nullptr) return ErrorCode::unknown_topic_or_partition;
  if (broker::is_internal_topic(topic->name)) return ErrorCode::invalid_topic;
  const auto policy = topic->config.find("cleanup.policy");
  // Compaction promises to keep the last record of each key.
  if (policy != topic->config.end() && policy->second == "compact") return ErrorCode::policy_violation;
  return ErrorCode::none;
}

/// Trims what lies in range; `infos` are the topic's partitions as they are now. A watermark never moves back, so it may be judged first.
void trim_partitions(const Call& call, TrimGather& gather, std::size_t topic_index, const std::vector<std::int64_t>& offsets,
                     const std::vector<broker::PartitionInfo>& infos) {
  DeleteRecordsResponse::Topic& topic = gather.response.topics[topic_index];
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    DeleteRecordsResponse::Partition& part = topic.partitions[i];
    const auto info = std::ranges::find(infos, part.partition_index, &broker::PartitionInfo::partition);
    if (info == infos.end()) {
      part.error_code = ErrorCode::unknown_topic_or_partition;
      continue;
    }
    const std::int64_t before = offsets[i] == kHighWatermark ? info->high_watermark.value : offsets[i];
    if (before < 0 || before > info->high_watermark.value) {
      part.error_code = ErrorCode::offset_out_of_range;
      continue;
    }
    call.broker().trim(call.context(), {topic.name, part.partition_index}, Offset{before},
                       gather.part<Offset>([topic_index, i](DeleteRecordsResponse& response, Result<Offset> log_start) {
                         DeleteRecordsResponse::Partition& done = response.topics[topic_index].partitions[i];
                         done.error_code = log_start ? ErrorCode::none : to_wire(log_start.error().code);
                         if (log_start) done.low_watermark = log_start->value;
                       }));
  }
}

}  // namespace

void handle(const Call& call, DeleteRecordsRequest request) {
  const auto gather = TrimGather::begin(call, request.timeout_ms);
  const auto topics = call.broker().topics();
  for (const DeleteRecordsRequest::Topic& asked : request.topics) {
    const ErrorCode refused = judge_trim(topics->find(asked.name));
    DeleteRecordsResponse::Topic& topic = gather->response.topics.emplace_back();
    topic.name = asked.name;
    for (const DeleteRecordsRequest::Partition& partition : asked.partitions) {
      DeleteRecordsResponse::Partition& part = topic.partitions.emplace_back();
      part.partition_index = partition.partition_index;
      part.low_watermark = -1;
      part.error_code = refused == ErrorCode::none ? ErrorCode::request_timed_out : refused;
    }
  }
  for (std::size_t index = 0; index < request.topics.size(); ++index) {
    const DeleteRecordsRequest::Topic& asked = request.topics[index];
    if (judge_trim(topics->find(asked.name)) != ErrorCode::none) continue;
    std::vector<std::int64_t> offsets;
    for (const DeleteRecordsRequest::Partition& partition : asked.partitions) offsets.push_back(partition.offset);
    call.broker().describe(call.context(), asked.name,
                           gather->part<std::vector<broker::PartitionInfo>>(
                               [call, gather, index, offsets = std::move(offsets)](DeleteRecordsResponse& response,
                                                                                   Result<std::vector<broker::PartitionInfo>> infos) {
                                 if (infos) return trim_partitions(call, *gather, index, offsets, *infos);
                                 for (auto& part : response.topics[index].partitions) part.error_code = to_wire(infos.error().code);
                               }));
  }
  gather->end_part();
}

}  // namespace tidemark::kafka
