#include "protocol/kafka/adapter/described_config.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tidemark::kafka {
namespace {

using broker::ConfigKey;

/// The broker setting that is the default of a topic setting, where Kafka has one. Sorted by topic setting.
constexpr std::array<std::pair<std::string_view, std::string_view>, 28> kBrokerNames = {{
    {"cleanup.policy", "log.cleanup.policy"},
    {"compression.gzip.level", "compression.gzip.level"},
    {"compression.lz4.level", "compression.lz4.level"},
    {"compression.type", "compression.type"},
    {"compression.zstd.level", "compression.zstd.level"},
    {"delete.retention.ms", "log.cleaner.delete.retention.ms"},
    {"file.delete.delay.ms", "log.segment.delete.delay.ms"},
    {"flush.messages", "log.flush.interval.messages"},
    {"flush.ms", "log.flush.interval.ms"},
    {"index.interval.bytes", "log.index.interval.bytes"},
    {"local.retention.bytes", "log.local.retention.bytes"},
    {"local.retention.ms", "log.local.retention.ms"},
    {"max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"},
    {"max.message.bytes", "message.max.bytes"},
    {"message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"},
    {"message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"},
    {"message.timestamp.type", "log.message.timestamp.type"},
    {"min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"},
    {"min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"},
    {"min.insync.replicas", "min.insync.replicas"},
    {"preallocate", "log.preallocate"},
    {"retention.bytes", "log.retention.bytes"},
    {"retention.ms", "log.retention.ms"},
    {"segment.bytes", "log.segment.bytes"},
    {"segment.index.bytes", "log.index.size.max.bytes"},
    {"segment.jitter.ms", "log.roll.jitter.ms"},
    {"segment.ms", "log.roll.ms"},
    {"unclean.leader.election.enable", "unclean.leader.election.enable"},
}};

/// Integers that Kafka defines with 32 bits; clients with typed settings look at that.
constexpr std::array<std::string_view, 8> kInt32 = {
    "compression.gzip.level", "compression.lz4.level", "compression.zstd.level", "index.interval.bytes",
    "max.message.bytes",      "min.insync.replicas",   "segment.bytes",          "segment.index.bytes",
};

std::string_view broker_name(std::string_view topic_setting) {
  const auto found = std::ranges::find(kBrokerNames, topic_setting, [](const auto& names) { return names.first; });
  return found == kBrokerNames.end() ? std::string_view() : found->second;
}

ConfigType type_of(const ConfigKey& key) {
  switch (key.type) {
    case ConfigKey::Type::boolean:
      return ConfigType::boolean;
    case ConfigKey::Type::integer:
      return std::ranges::find(kInt32, key.name) != kInt32.end() ? ConfigType::int32 : ConfigType::int64;
    case ConfigKey::Type::text:
      return ConfigType::string;
    case ConfigKey::Type::list:
      return ConfigType::list;
    case ConfigKey::Type::decimal:
      return ConfigType::decimal;
  }
  check_failed("a type of setting", __FILE__, __LINE__);
}

std::string documentation_of(const ConfigKey& key) {
  return key.effective ? std::string(key.help) : "Accepted without effect: " + std::string(key.help);
}

/// `key` as the broker gives it to topics that do not set it, with the values that it stands on.
DescribedConfig default_of(const ConfigKey& key, std::string name, const broker::TopicConfig& defaults) {
  DescribedConfig config;
  config.value = broker::default_value(key, defaults);
  config.type = type_of(key);
  config.documentation = documentation_of(key);
  if (config.value != key.default_value) {
    config.source = ConfigSource::static_broker;
    config.synonyms.push_back({name, config.value, ConfigSource::static_broker});
  }
  config.synonyms.push_back({name, std::string(key.default_value), ConfigSource::built_in});
  config.name = std::move(name);
  return config;
}

}  // namespace

std::vector<DescribedConfig> describe_topic_config(const broker::Topic& topic, const broker::TopicConfig& defaults) {
  std::vector<DescribedConfig> configs;
  for (const ConfigKey& key : broker::topic_config_keys()) {
    const std::string_view in_broker = broker_name(key.name);
    DescribedConfig config = default_of(key, std::string(in_broker.empty() ? key.name : in_broker), defaults);
    config.name = key.name;
    if (const auto set = topic.config.find(config.name); set != topic.config.end()) {
      config.value = set->second;
      config.source = ConfigSource::topic;
      config.synonyms.insert(config.synonyms.begin(), {config.name, config.value, ConfigSource::topic});
    }
    configs.push_back(std::move(config));
  }
  return configs;
}

std::vector<DescribedConfig> describe_broker_config(const broker::BrokerOptions& options, const ServerFacts& facts) {
  std::vector<DescribedConfig> configs;
  for (const ConfigKey& key : broker::topic_config_keys()) {
    if (const std::string_view name = broker_name(key.name); !name.empty()) {
      configs.push_back(default_of(key, std::string(name), options.topic_defaults));
    }
  }
  const auto add = [&configs](std::string name, std::string value, std::string_view built_in, ConfigType type, std::string help) {
    DescribedConfig config;
    config.source = value == built_in ? ConfigSource::built_in : ConfigSource::static_broker;
    config.synonyms.push_back({name, value, config.source});
    config.name = std::move(name);
    config.value = std::move(value);
    config.type = type;
    config.documentation = std::move(help);
    configs.push_back(std::move(config));
  };
  const std::string node = std::to_string(kNodeId);
  add("advertised.listeners", "PLAINTEXT://" + facts.advertised_host + ":" + std::to_string(facts.advertised_port), "", ConfigType::string,
      "where clients are told to connect; kafka.advertised in our configuration");
  add("auto.create.topics.enable", facts.auto_create_topics ? "true" : "false", "true", ConfigType::boolean,
      "create a topic when a producer first names it; auto.create.topics in our configuration");
  add("broker.id", node, "", ConfigType::int32, "the only broker there is");
  add("default.replication.factor", "1", "1", ConfigType::int32, "one copy is kept");
  add("delete.topic.enable", "true", "true", ConfigType::boolean, "topics can be deleted");
  add("log.dirs", options.data_directory, "", ConfigType::string, "the data directory; data.dir in our configuration");
  add("node.id", node, "", ConfigType::int32, "the only broker there is");
  add("num.partitions", std::to_string(options.default_partitions), "4", ConfigType::int32,
      "partitions of a topic created without saying how many");
  for (DescribedConfig& config : configs) config.read_only = true;
  std::ranges::sort(configs, {}, &DescribedConfig::name);
  return configs;
}

}  // namespace tidemark::kafka
