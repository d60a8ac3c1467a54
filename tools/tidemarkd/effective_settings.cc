#include "tools/tidemarkd/effective_settings.h"

#include "storage/base/units.h"

namespace tidemark::tools {
namespace {

std::string listen_text(ListenAddress address, const std::string& listener, const BoundPorts& ports) {
  if (const auto bound = ports.find(listener); bound != ports.end()) address.port = bound->second;
  return address.to_string();
}

/// nullopt: as it was written.
std::optional<std::string> effective(const std::string& key, const Config& config, const BoundPorts& ports) {
  if (key == "shards") return std::to_string(config.shards);
  if (key == "memory.limit") return format_size(config.broker.memory_limit_bytes);
  if (key == "native.listen") return listen_text(config.native, "native", ports);
  if (key == "kafka.listen") return listen_text(config.kafka, "kafka", ports);
  if (key == "redis.listen") return listen_text(config.redis, "redis", ports);
  if (key == "http.listen") return listen_text(config.http, "http", ports);
  return std::nullopt;
}

}  // namespace

bool is_secret(std::string_view key) {
  const std::string_view word = key.substr(key.rfind('.') + 1);
  return word == "password" || word == "secret" || word == "token";
}

std::vector<http::ServerFacts::Setting> effective_settings(const Settings& settings, const Config& config, const BoundPorts& ports) {
  std::vector<http::ServerFacts::Setting> all;
  for (const SettingKey& key : setting_keys()) {
    const Setting& setting = settings.at(key.name);
    std::string value = effective(key.name, config, ports).value_or(setting.value);
    if (is_secret(key.name) && !value.empty()) value = "(hidden)";
    all.push_back({key.name, std::move(value), setting.source, key.default_value, key.help});
  }
  return all;
}

}  // namespace tidemark::tools
