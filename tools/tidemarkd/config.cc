#include "tools/tidemarkd/config.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "storage/base/units.h"

namespace tidemark::tools {
namespace {

constexpr std::uint64_t kMebibyte = 1024ull * 1024;

/// Reads the settings one by one and remembers the first that is wrong, so that the reader below is one line per setting.
class Reader {
 public:
  explicit Reader(const Settings& settings) : settings_(settings) {}

  const std::optional<Error>& error() const { return error_; }

  const std::string& text(std::string_view key) const { return settings_.at(key).value; }

  void fail(std::string_view key, const std::string& rule) {
    if (error_) return;
    const Setting& setting = settings_.at(key);
    error_ = Error{Errc::invalid_config, setting.source + ": " + std::string(key) + " = '" + setting.value + "': " + rule};
  }

  ListenAddress address(std::string_view key) {
    const Result<ListenAddress> parsed = ListenAddress::parse(text(key));
    if (parsed) return *parsed;
    fail(key, parsed.error().detail);
    return {};
  }

  std::uint64_t integer(std::string_view key, std::uint64_t least, std::uint64_t most) {
    const std::string& value = text(key);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc() && end == value.data() + value.size() && number >= least && number <= most) return number;
    fail(key, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return least;
  }

  std::uint64_t size(std::string_view key, std::uint64_t least) {
    const Result<std::uint64_t> bytes = parse_size(text(key));
    if (!bytes) {
      fail(key, bytes.error().detail);
    } else if (*bytes < least) {
      fail(key, "must be at least " + format_size(least));
    } else {
      return *bytes;
    }
    return least;
  }

  bool boolean(std::string_view key) {
    const std::string& value = text(key);
    if (value == "true" || value == "on" || value == "1") return true;
    if (value != "false" && value != "off" && value != "0") fail(key, "must be true or false");
    return false;
  }

  std::string one_of(std::string_view key, std::initializer_list<std::string_view> words) {
    const std::string& value = text(key);
    if (std::ranges::find(words, value) != words.end()) return value;
    std::string rule = "must be one of";
    for (const std::string_view word : words) rule += " " + std::string(word);
    fail(key, rule);
    return std::string(*words.begin());
  }

 private:
  const Settings& settings_;
  std::optional<Error> error_;
};

void read_listeners(Reader& reader, Config& config) {
  config.insecure_listen = reader.boolean("insecure.listen");
  config.native = reader.address("native.listen");
  config.kafka = reader.address("kafka.listen");
  config.redis = reader.address("redis.listen");
  config.http = reader.address("http.listen");
  const std::pair<std::string_view, const ListenAddress*> listeners[] = {
      {"native.listen", &config.native}, {"kafka.listen", &config.kafka}, {"redis.listen", &config.redis}, {"http.listen", &config.http}};
  for (const auto& [key, address] : listeners) {
    if (!config.insecure_listen && !address->is_loopback()) {
      reader.fail(key,
                  "is reachable from other machines, and anybody there may read and delete everything: use a loopback address, or "
                  "say --insecure-listen");
    }
  }
}

void read_kafka(Reader& reader, Config& config) {
  config.auto_create_topics = reader.boolean("auto.create.topics");
  config.kafka_accept_replication = reader.text("kafka.accept.replication") == "any";
  if (!config.kafka_accept_replication && !reader.text("kafka.accept.replication").empty()) {
    reader.fail("kafka.accept.replication", "must be any, or empty");
  }
  if (const std::string& advertised = reader.text("kafka.advertised"); !advertised.empty()) {
    const std::size_t colon = advertised.rfind(':');
    std::uint16_t& port = config.kafka_advertised_port;
    config.kafka_advertised_host = advertised.substr(0, colon == std::string::npos ? 0 : colon);
    // An IPv6 address is told without its brackets.
    if (config.kafka_advertised_host.starts_with('[') && config.kafka_advertised_host.ends_with(']'))
      config.kafka_advertised_host = config.kafka_advertised_host.substr(1, config.kafka_advertised_host.size() - 2);
    const char* const end = advertised.data() + advertised.size();
    const bool good = colon != std::string::npos && colon > 0 && colon + 1 < advertised.size() &&
                      std::from_chars(advertised.data() + colon + 1, end, port).ptr == end && port > 0 &&
                      !config.kafka_advertised_host.empty();
    if (!good) reader.fail("kafka.advertised", "must be HOST:PORT");
  }
}

void read_topic_defaults(Reader& reader, const Settings& settings, Config& config) {
  for (const SettingKey& key : setting_keys()) {
    constexpr std::string_view kSection = "topic.";
    // The broker's own default is the built-in one; asking for it in text would only repeat it.
    if (!key.name.starts_with(kSection) || settings.at(key.name).source == "default") continue;
    const broker::ConfigMap one = {{key.name.substr(kSection.size()), reader.text(key.name)}};
    const Result<broker::ResolvedConfig> resolved = broker::resolve_topic_config(one, config.broker.topic_defaults);
    if (resolved) {
      config.broker.topic_defaults = resolved->typed;
    } else {
      reader.fail(key.name, resolved.error().detail);
    }
  }
}

void read_broker(Reader& reader, const Machine& machine, Config& config) {
  broker::BrokerOptions& options = config.broker;
  options.data_directory = reader.text("data.dir");
  if (options.data_directory.empty()) reader.fail("data.dir", "must name a directory");
  options.default_partitions = static_cast<std::int32_t>(reader.integer("num.partitions", 1, 10'000));
  options.disk_low_water_bytes = reader.size("disk.low.water", 0);
  options.compaction_bytes_per_second = reader.size("compaction.rate", 0);
  options.flush_method = reader.one_of("flush.method", {"auto", "fdatasync"}) == "auto" ? broker::BrokerOptions::FlushMethod::automatic
                                                                                        : broker::BrokerOptions::FlushMethod::fdatasync;
  if (reader.text("memory.limit") == "auto") {
    options.memory_limit_bytes = std::clamp<std::uint64_t>(machine.memory_bytes / 4, 64 * kMebibyte, 2048 * kMebibyte);
  } else {
    options.memory_limit_bytes = reader.size("memory.limit", 64 * kMebibyte);
  }
  options.tail_cache_bytes = std::min(options.tail_cache_bytes, options.memory_limit_bytes / 8);
  // At least half of the descriptors are for connections.
  options.open_files_max = std::clamp<std::size_t>(machine.open_files_max / 2, 64, options.open_files_max);
}

}  // namespace

Result<Config> make_config(const Settings& settings, const Machine& machine) {
  Config config;
  Reader reader(settings);
  read_listeners(reader, config);
  read_kafka(reader, config);
  read_broker(reader, machine, config);
  read_topic_defaults(reader, settings, config);
  config.shards = reader.text("shards") == "auto" ? std::clamp<std::size_t>(machine.processors, 1, 8) : reader.integer("shards", 1, 64);
  if (!parse_log_level(reader.text("log.level"), config.log_level)) reader.fail("log.level", "must be one of debug info warn error");
  config.redis_lag_as_redis = reader.one_of("redis.lag", {"exact", "redis"}) == "redis";
  config.redis_compat_7_0 = reader.one_of("redis.compat", {"7.2", "7.0"}) == "7.0";
  if (reader.error()) return *reader.error();
  return config;
}

}  // namespace tidemark::tools
