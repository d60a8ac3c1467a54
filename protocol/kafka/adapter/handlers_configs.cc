#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "protocol/kafka/adapter/described_config.h"
#include "protocol/kafka/adapter/gather.h"
#include "protocol/kafka/adapter/handlers.h"
#include "protocol/kafka/adapter/refusal.h"
#include "protocol/kafka/adapter/topic_names.h"

/// Settings. Topics have them; those of the broker are shown and are changed in its configuration file. Other kinds of resources that
/// Kafka knows have no settings here: they are described as empty, and a change is refused as one of an unknown setting.
namespace tidemark::kafka {
namespace {

enum ResourceType : std::int8_t { kTopic = 2, kBroker = 4, kBrokerLogger = 8, kClientMetrics = 16, kGroup = 32 };

bool is_known(std::int8_t type) {
  return type == kTopic || type == kBroker || type == kBrokerLogger || type == kClientMetrics || type == kGroup;
}

Refusal refusal_of(const Error& error) { return {to_wire(error.code), error.detail}; }
Refusal bad_request(std::string message) { return {ErrorCode::invalid_request, std::move(message)}; }

Verdict judge_node(const std::string& name) {
  std::int32_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size()) return bad_request("A broker id is an integer, not '" + name + "'.");
  if (id != kNodeId) return bad_request("The id of the only broker is " + std::to_string(kNodeId) + ", not " + name + ".");
  return std::nullopt;
}

/// What is wrong with the name of a resource that is no topic. A broker without a name stands for the default of all brokers.
Verdict judge_name(std::int8_t type, const std::string& name) {
  if (type == kBroker && name.empty()) return std::nullopt;
  if (name.empty()) return bad_request("The resource has no name.");
  return type == kBroker || type == kBrokerLogger ? judge_node(name) : std::nullopt;
}

Refusal unknown_topic(const std::string& name) {
  if (const Status legal = validate_kafka_topic_name(name); !legal) return {ErrorCode::invalid_topic, legal.error().detail};
  return {ErrorCode::unknown_topic_or_partition, "There is no such topic."};
}

// --- DescribeConfigs.

using Described = DescribeConfigsResponse::Result;

void put(Described& result, const DescribeConfigsRequest& request, const DescribeConfigsRequest::Resource& asked,
         std::vector<DescribedConfig> configs) {
  const auto& keys = asked.configuration_keys;
  const bool all = !keys || keys->empty();
  const std::set<std::string> wanted = all ? std::set<std::string>() : std::set<std::string>(keys->begin(), keys->end());
  for (DescribedConfig& config : configs) {
    if (!all && !wanted.contains(config.name)) continue;
    DescribeConfigsResponse::Config& entry = result.configs.emplace_back();
    entry.name = std::move(config.name);
    entry.value = std::move(config.value);
    entry.read_only = config.read_only;
    entry.config_source = static_cast<std::int8_t>(config.source);
    entry.config_type = static_cast<std::int8_t>(config.type);
    if (request.include_documentation) entry.documentation = std::move(config.documentation);
    if (!request.include_synonyms) continue;
    for (DescribedConfig::Synonym& synonym : config.synonyms) {
      DescribeConfigsResponse::Synonym& place = entry.synonyms.emplace_back();
      place.name = std::move(synonym.name);
      place.value = std::move(synonym.value);
      place.source = static_cast<std::int8_t>(synonym.source);
    }
  }
}

Verdict describe(const Call& call, const DescribeConfigsRequest& request, const DescribeConfigsRequest::Resource& asked,
                 Described& result) {
  const broker::BrokerOptions& options = call.broker().options();
  if (asked.resource_type != kTopic) {
    if (const Verdict verdict = judge_name(asked.resource_type, asked.resource_name)) return verdict;
    if (asked.resource_type == kBroker && !asked.resource_name.empty()) {
      put(result, request, asked, describe_broker_config(options, call.facts()));
    }
    return std::nullopt;
  }
  const auto topics = call.broker().topics();
  const broker::Topic* const topic = topics->find(asked.resource_name);
  if (topic == nullptr) return unknown_topic(asked.resource_name);
  put(result, request, asked, describe_topic_config(*topic, options.topic_defaults));
  return std::nullopt;
}

}  // namespace

void handle(const Call& call, DescribeConfigsRequest request) {
  DescribeConfigsResponse response;
  const bool all_known = std::ranges::all_of(request.resources, is_known, &DescribeConfigsRequest::Resource::resource_type);
  std::set<std::pair<std::int8_t, std::string>> described;
  for (const DescribeConfigsRequest::Resource& asked : request.resources) {
    Described& result = response.results.emplace_back();
    result.resource_type = asked.resource_type;
    result.resource_name = asked.resource_name;
    Verdict verdict;
    if (!all_known)
      verdict = bad_request("The request names a resource of an unknown type.");
    else if (!described.emplace(asked.resource_type, asked.resource_name).second)
      verdict = bad_request("A resource is described once.");  // Else a small request could ask for any amount of text.
    else
      verdict = describe(call, request, asked, result);
    if (verdict) put(result, *std::move(verdict));
  }
  call.reply(response);
}

// --- AlterConfigs and IncrementalAlterConfigs.

namespace {

enum class Operation : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

struct SettingChange {
  std::string name;
  Operation operation = Operation::set;
  std::optional<std::string> value;
};

/// What one resource of either request asks.
struct ResourceChange {
  std::int8_t type = 0;
  std::string name;
  bool incremental = true;  ///< False: what is not named goes back to its default.
  std::vector<SettingChange> settings;
};

std::vector<ResourceChange> changes_of(AlterConfigsRequest& request) {
  std::vector<ResourceChange> changes;
  for (AlterConfigsRequest::Resource& resource : request.resources) {
    ResourceChange& change = changes.emplace_back(ResourceChange{resource.resource_type, std::move(resource.resource_name), false, {}});
    for (AlterConfigsRequest::Config& config : resource.configs) {
      change.settings.push_back({std::move(config.name), Operation::set, std::move(config.value)});
    }
  }
  return changes;
}

std::vector<ResourceChange> changes_of(IncrementalAlterConfigsRequest& request) {
  std::vector<ResourceChange> changes;
  for (IncrementalAlterConfigsRequest::Resource& resource : request.resources) {
    ResourceChange& change = changes.emplace_back(ResourceChange{resource.resource_type, std::move(resource.resource_name), true, {}});
    for (IncrementalAlterConfigsRequest::Config& config : resource.configs) {
      change.settings.push_back({std::move(config.name), Operation{config.config_operation}, std::move(config.value)});
    }
  }
  return changes;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) words.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return words;
}

std::string join(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ",") + word;
  return list;
}

/// A list with some words more or less. A word is never in it twice.
Result<std::string> changed_list(const SettingChange& change, const broker::ConfigMap& config) {
  const auto key = std::ranges::find(broker::topic_config_keys(), change.name, &broker::ConfigKey::name);
  if (key == broker::topic_config_keys().end() || key->type != broker::ConfigKey::Type::list) {
    return Error{Errc::invalid_config, "'" + change.name + "' is not a list: it can be set, not added to or taken from"};
  }
  const auto set = config.find(change.name);
  std::vector<std::string> words = split(set == config.end() ? key->default_value : std::string_view(set->second));
  for (std::string& word : split(*change.value)) {
    const auto found = std::ranges::find(words, word);
    if (change.operation == Operation::append && found == words.end()) words.push_back(std::move(word));
    if (change.operation == Operation::subtract && found != words.end()) words.erase(found);
  }
  return join(words);
}

/// The settings of `topic` after the change; the engine judges the values.
Result<broker::ConfigMap> apply(const ResourceChange& change, const broker::Topic& topic) {
  broker::ConfigMap config;
  if (change.incremental)
    config = topic.config;
  else if (const auto fixed = topic.config.find("entry.id"); fixed != topic.config.end())
    config.insert(*fixed);  // Cannot be changed, and a client that replaces all settings need not know it.
  for (const SettingChange& setting : change.settings) {
    switch (setting.operation) {
      case Operation::set:
        config[setting.name] = *setting.value;
        break;
      case Operation::remove:
        config.erase(setting.name);
        break;
      case Operation::append:
      case Operation::subtract: {
        Result<std::string> list = changed_list(setting, config);
        if (!list) return std::move(list).error();
        config[setting.name] = *std::move(list);
        break;
      }
    }
  }
  return config;
}

/// What holds for all types: operations, values, every setting once.
Verdict judge_settings(const std::vector<SettingChange>& settings) {
  std::set<std::string_view> names;
  for (const SettingChange& setting : settings) {
    if (!names.insert(setting.name).second) return bad_request("The setting '" + setting.name + "' is named twice.");
    if (setting.operation < Operation::set || setting.operation > Operation::subtract) {
      return bad_request("Operation " + std::to_string(static_cast<int>(setting.operation)) + " is unknown.");
    }
    if (setting.operation != Operation::remove && !setting.value) return bad_request("The setting '" + setting.name + "' has no value.");
  }
  return std::nullopt;
}

/// A change to something else than a topic: why it cannot be made. nullopt: it asks for nothing.
Verdict judge_other(const ResourceChange& change) {
  const bool known = is_known(change.type) && (change.type != kBrokerLogger || change.incremental);
  if (!known) return bad_request("The resource type " + std::to_string(change.type) + " is unknown.");
  if (const Verdict verdict = judge_name(change.type, change.name)) return verdict;
  if (change.settings.empty()) return std::nullopt;
  const std::string& first = change.settings.front().name;
  switch (change.type) {
    case kBroker:
      return bad_request("'" + first + "' cannot be changed while the broker runs: it is set in its configuration file.");
    case kBrokerLogger:
      return Refusal{ErrorCode::invalid_config, "There is no logger '" + first + "'."};
    case kClientMetrics:
      return bad_request("The broker takes no metrics of clients.");
    default:
      return Refusal{ErrorCode::invalid_config, "Groups have no setting '" + first + "'."};
  }
}

Verdict judge_topic(const Call& call, const ResourceChange& change) {
  if (change.name.empty()) return bad_request("There are no default settings of topics to change.");
  const auto topics = call.broker().topics();
  if (broker::is_internal_topic(change.name)) {
    return Refusal{ErrorCode::topic_authorization_failed, "'" + change.name + "' is a topic of the broker's own."};
  }
  if (topics->find(change.name) != nullptr) return std::nullopt;
  const Refusal unknown = unknown_topic(change.name);
  if (unknown.code == ErrorCode::invalid_topic) return unknown;
  // Values are judged before existence.
  const Result<broker::ConfigMap> config = apply(change, broker::Topic{});
  if (!config) return refusal_of(config.error());
  const auto resolved = broker::resolve_topic_config(*config, call.broker().options().topic_defaults);
  if (!resolved) return refusal_of(resolved.error());
  return unknown;
}

template <class Response>
void alter(const Call& call, std::vector<ResourceChange> changes, bool validate_only) {
  const auto gather = Gather<Response>::begin(call);
  std::map<std::pair<std::int8_t, std::string>, int> count;
  for (const ResourceChange& change : changes) ++count[{change.type, change.name}];

  std::vector<std::pair<std::size_t, ResourceChange>> to_alter;
  for (ResourceChange& change : changes) {
    auto& part = gather->response.responses.emplace_back();
    part.resource_type = change.type;
    part.resource_name = change.name;
    Verdict verdict;
    if (count[{change.type, change.name}] > 1) verdict = bad_request("Each resource must appear at most once.");
    if (!verdict) verdict = judge_settings(change.settings);
    if (!verdict) verdict = change.type == kTopic ? judge_topic(call, change) : judge_other(change);
    if (verdict)
      put(part, *std::move(verdict));
    else if (change.type == kTopic)
      to_alter.emplace_back(gather->response.responses.size() - 1, std::move(change));
  }
  for (auto& [index, change] : to_alter) {
    std::string name = change.name;
    const auto apply_it = [asked = std::move(change)](const broker::Topic& now) { return apply(asked, now); };
    call.broker().alter_topic(call.context(), std::move(name), apply_it, validate_only,
                              gather->template part<std::shared_ptr<const broker::Topic>>(
                                  [at = index](Response& response, Result<std::shared_ptr<const broker::Topic>> altered) {
                                    if (!altered) put(response.responses[at], refusal_of(altered.error()));
                                  }));
  }
  gather->end_part();
}

}  // namespace

void handle(const Call& call, AlterConfigsRequest request) {
  alter<AlterConfigsResponse>(call, changes_of(request), request.validate_only);
}

void handle(const Call& call, IncrementalAlterConfigsRequest request) {
  alter<IncrementalAlterConfigsResponse>(call, changes_of(request), request.validate_only);
}

}  // namespace tidemark::kafka
