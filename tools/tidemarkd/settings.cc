#include "tools/tidemarkd/settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <sstream>

#include <toml++/toml.h>

#include "broker/topic.h"
#include "storage/base/closest_word.h"

namespace tidemark::tools {
namespace {

/// Topic configs whose default the broker can change; the others would be accepted without effect.
constexpr std::array<std::string_view, 8> kTopicDefaults = {
    "durability",      "flush.ms",     "max.message.bytes", "message.timestamp.type",
    "retention.bytes", "retention.ms", "segment.bytes",     "segment.ms",
};

std::vector<SettingKey> make_keys() {
  std::vector<SettingKey> keys = {
      {"shards", "auto", "threads that own partitions and connections; auto = one per processor, at most 8"},
      {"data.dir", "tidemark-data", "directory of the logs; made if missing"},
      {"native.listen", "localhost:7410", "address of the native protocol; localhost = 127.0.0.1 and ::1, port 0 = a free one, off = none"},
      {"kafka.listen", "localhost:9092", "address of the Kafka protocol"},
      {"kafka.advertised", "", "HOST:PORT told to Kafka clients; empty = the address they have connected to"},
      {"kafka.accept.replication", "", "any = take a replication factor above 1 when a topic is created, and keep one copy all the same"},
      {"redis.listen", "localhost:6380", "address of the Redis protocol"},
      {"redis.lag", "exact", "lag in XINFO: exact, or redis = nil where Redis does not know it"},
      {"redis.compat", "7.2", "Redis version to behave like: 7.2 or 7.0"},
      {"http.listen", "localhost:7480", "address of /metrics, /healthz and /readyz"},
      {"log.level", "info", "debug, info, warn or error; the log goes to stderr"},
      {"memory.limit", "auto", "bound of all buffers and caches; auto = a quarter of the memory, at most 2GiB"},
      {"auto.create.topics", "true", "create a topic on first use by a Kafka or Redis client"},
      {"num.partitions", "4", "partitions of a topic created without saying how many"},
      {"flush.method", "auto", "auto = the faster of fdatasync per file and syncfs, or fdatasync"},
      {"disk.low.water", "1GiB", "appends are refused when less is free; 5 % of the disk if that is less"},
      {"compaction.rate", "32MiB", "bytes a second that compaction may read and write, all partitions together; 0 = it does not run"},
      {"insecure.listen", "false", "allow listening beyond this machine although there is no authentication"},
  };
  for (const std::string_view name : kTopicDefaults) {
    const auto key = std::ranges::find(broker::topic_config_keys(), name, &broker::ConfigKey::name);
    CHECK(key != broker::topic_config_keys().end());
    keys.push_back({"topic." + std::string(name), std::string(key->default_value), "default for topics: " + std::string(key->help)});
  }
  return keys;
}

std::string variable_name(std::string_view key) {
  std::string name = "TIDEMARKD_";
  for (const char c : key) name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string did_you_mean(std::string_view quoted_as, const std::string& closest) {
  return closest.empty() ? "; tidemarkd --print-config lists all " + std::string(quoted_as) : "; did you mean '" + closest + "'?";
}

std::string place(const std::string& path, const toml::node& node) { return path + ":" + std::to_string(node.source().begin.line); }

Result<std::string> text_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto integer = node.value_exact<std::int64_t>()) return std::to_string(*integer);
  if (const auto boolean = node.value_exact<bool>()) return std::string(*boolean ? "true" : "false");
  if (const auto decimal = node.value_exact<double>()) {
    std::array<char, 32> digits;
    std::string text(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), *decimal).ptr);
    if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";  // A version 7.0 stays one.
    return text;
  }
  return Error{Errc::invalid_config, "must be a text, a number, true or false"};
}

bool bare_in_toml(std::string_view value) {
  if (value == "true" || value == "false") return true;
  const std::string_view digits = value.starts_with('-') ? value.substr(1) : value;
  return !digits.empty() && digits.size() < 19 && (digits.size() == 1 || digits[0] != '0') &&
         std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
}

std::string quoted(const std::string& value) {
  std::ostringstream text;
  text << toml::toml_formatter(toml::value<std::string>(value), toml::format_flags::none);
  return std::move(text).str();
}

}  // namespace

const std::vector<SettingKey>& setting_keys() {
  static const std::vector<SettingKey> keys = make_keys();
  return keys;
}

Settings::Settings() {
  for (const SettingKey& key : setting_keys()) values_[key.name].value = key.default_value;
}

void Settings::set(std::string_view key, std::string value, std::string source) {
  const auto found = values_.find(key);
  CHECK(found != values_.end());
  found->second = {std::move(value), std::move(source)};
}

const Setting& Settings::at(std::string_view key) const {
  const auto found = values_.find(key);
  CHECK(found != values_.end());
  return found->second;
}

Status Settings::merge_file(std::string_view text, const std::string& path) {
  toml::table root;
  try {
    root = toml::parse(text, std::string_view{path});
  } catch (const toml::parse_error& error) {
    return Error{Errc::invalid_config, path + ":" + std::to_string(error.source().begin.line) + ": " + std::string(error.description())};
  }

  // Sections may nest to any depth, as dotted keys do; a stack keeps hostile nesting off ours.
  std::vector<std::pair<std::string, const toml::table*>> open = {{"", &root}};
  while (!open.empty()) {
    const auto [prefix, table] = open.back();
    open.pop_back();
    for (const auto& [name, node] : *table) {
      const std::string key = prefix + std::string(name.str());
      if (const toml::table* const section = node.as_table()) {
        open.emplace_back(key + ".", section);
        continue;
      }
      if (!values_.contains(key)) {
        ClosestWord closest(key);
        for (const SettingKey& known : setting_keys()) closest.offer(known.name);
        return Error{Errc::invalid_config, place(path, node) + ": unknown key '" + key + "'" + did_you_mean("keys", closest.best())};
      }
      Result<std::string> value = text_of(node);
      if (!value) return Error{Errc::invalid_config, place(path, node) + ": " + key + " " + value.error().detail};
      set(key, *std::move(value), place(path, node));
    }
  }
  return {};
}

std::vector<std::string> Settings::merge_environment(const std::map<std::string, std::string>& variables) {
  std::map<std::string, std::string, std::less<>> key_of;
  for (const SettingKey& key : setting_keys()) key_of[variable_name(key.name)] = key.name;
  std::vector<std::string> warnings;
  for (const auto& [variable, value] : variables) {
    if (!variable.starts_with("TIDEMARKD_")) continue;
    if (const auto known = key_of.find(variable); known != key_of.end()) {
      set(known->second, value, variable);
      continue;
    }
    ClosestWord closest(variable);
    for (const auto& [name, key] : key_of) closest.offer(name);
    warnings.push_back("unknown variable " + variable + " has no effect" + did_you_mean("settings", closest.best()));
  }
  return warnings;
}

std::string Settings::to_toml() const {
  std::string text = "# Every setting of tidemarkd: meaning, value, and where the value comes from.\n";
  std::string section;
  for (const SettingKey& key : setting_keys()) {
    const std::size_t dot = key.name.find('.');
    const std::string own_section = dot == std::string::npos ? "" : key.name.substr(0, dot);
    if (own_section != section) text += "\n[" + own_section + "]\n";
    section = own_section;
    const Setting& setting = at(key.name);
    text += "# " + key.help + ".";
    if (setting.source != "default") text += " Default: " + (key.default_value.empty() ? std::string("none") : key.default_value) + ".";
    text += "\n" + (dot == std::string::npos ? key.name : key.name.substr(dot + 1)) + " = " +
            (bare_in_toml(setting.value) ? setting.value : quoted(setting.value)) + "  # " + setting.source + "\n";
  }
  return text;
}

}  // namespace tidemark::tools
