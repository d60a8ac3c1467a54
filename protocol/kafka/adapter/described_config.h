#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/broker.h"
#include "protocol/kafka/adapter/server_facts.h"

namespace tidemark::kafka {

/// Where the value of a setting comes from (KIP-226).
enum class ConfigSource : std::int8_t { topic = 1, static_broker = 4, built_in = 5 };

/// The type of a setting's value (KIP-569).
enum class ConfigType : std::int8_t { boolean = 1, string = 2, int32 = 3, int64 = 5, decimal = 6, list = 7 };

/// One setting in the words of DescribeConfigs and CreateTopics. None of ours is sensitive.
struct DescribedConfig {
  struct Synonym {
    std::string name;
    std::string value;
    ConfigSource source;
  };
  std::string name;
  std::string value;
  ConfigSource source = ConfigSource::built_in;
  ConfigType type = ConfigType::string;
  std::string documentation;
  bool read_only = false;
  std::vector<Synonym> synonyms;  ///< Every place that gives it a value, the one that counts first.
};

/// All settings of a topic, by name: Kafka's and ours.
std::vector<DescribedConfig> describe_topic_config(const broker::Topic& topic, const broker::TopicConfig& defaults);

/// What Kafka's tools look for in the settings of a broker, by name. All are read-only: they are set in the configuration file.
std::vector<DescribedConfig> describe_broker_config(const broker::BrokerOptions& options, const ServerFacts& facts);

}  // namespace tidemark::kafka
