#include <algorithm>
#include <charconv>
#include <limits>

#include "broker/topic.h"
#include "storage/base/units.h"

namespace tidemark::broker {
namespace {

using Type = ConfigKey::Type;

/// Sorted by name. Defaults are Kafka's where the key is Kafka's, except where the design sets another.
const std::vector<ConfigKey>& keys() {
  static const std::vector<ConfigKey> all = {
      {"cleanup.policy", Type::list, "delete", true, "delete, compact, or both: what retention does with old records"},
      {"compression.gzip.level", Type::integer, "-1", false, "re-packing uses the codec's own default"},
      {"compression.lz4.level", Type::integer, "9", false, "re-packing uses the codec's own default"},
      {"compression.type", Type::text, "producer", true, "producer keeps the client's codec; otherwise batches are re-packed"},
      {"compression.zstd.level", Type::integer, "3", false, "re-packing uses the codec's own default"},
      {"dead.letters.of", Type::text, "", true, "the queue group whose dead letters this topic holds; set by the broker"},
      {"dedup.window.ms", Type::integer, "120000", true, "how long a publish with the same dedup id counts as a repeat"},
      {"delete.retention.ms", Type::integer, "86400000", true, "how long a compacted topic keeps tombstones"},
      {"durability", Type::text, "fsync", true, "fsync, interval or os: what must be on the disk before an acknowledgement"},
      {"entry.id", Type::text, "offset", true, "offset or time: how Redis entry ids are formed; fixed at creation"},
      {"file.delete.delay.ms", Type::integer, "60000", false, "files go at once after the log start has moved"},
      {"flush.messages", Type::integer, "9223372036854775807", false, "see durability"},
      {"flush.ms", Type::integer, "100", true, "with durability = interval: how often written records are flushed"},
      {"follower.replication.throttled.replicas", Type::list, "", false, "there are no followers"},
      {"hold.bytes", Type::integer, "-1", true, "hold.for keeps at most this much per partition; -1 = no bound"},
      {"hold.for", Type::list, "", true, "groups whose unread records retention keeps, also of those that do not exist yet"},
      {"index.interval.bytes", Type::integer, "32768", false, "fixed"},
      {"leader.replication.throttled.replicas", Type::list, "", false, "there are no followers"},
      {"local.retention.bytes", Type::integer, "-2", false, "there is no remote storage"},
      {"local.retention.ms", Type::integer, "-2", false, "there is no remote storage"},
      {"max.compaction.lag.ms", Type::integer, "9223372036854775807", true, "a record is compacted at the latest after this"},
      {"max.message.bytes", Type::integer, "1048588", true, "largest record batch, header included"},
      {"max.records", Type::integer, "-1", true, "records kept per partition, at least 1; -1 = no bound"},
      {"message.downconversion.enable", Type::boolean, "true", false, "old message formats are not served"},
      {"message.format.version", Type::text, "3.0-IV1", false, "record batch v2 only"},
      {"message.timestamp.after.max.ms", Type::integer, "9223372036854775807", false, "append time rules retention"},
      {"message.timestamp.before.max.ms", Type::integer, "9223372036854775807", false, "append time rules retention"},
      {"message.timestamp.difference.max.ms", Type::integer, "9223372036854775807", false, "append time rules retention"},
      {"message.timestamp.type", Type::text, "CreateTime", true, "CreateTime, or LogAppendTime to stamp batches on arrival"},
      {"min.cleanable.dirty.ratio", Type::decimal, "0.5", true, "share of new records that makes compaction worth it"},
      {"min.compaction.lag.ms", Type::integer, "0", true, "a record is not compacted before this age"},
      {"min.insync.replicas", Type::integer, "1", false, "one broker, one replica"},
      {"once.duration.ms", Type::integer, "100000", true, "how long XADD IDMP knows an entry of a producer (XCFGSET IDMP-DURATION)"},
      {"once.entries", Type::integer, "100", true, "how many entries of each producer XADD IDMP knows (XCFGSET IDMP-MAXSIZE)"},
      {"once.since", Type::integer, "0", true, "XADD IDMP knows no entry below this offset; set by XCFGSET"},
      {"overflow", Type::text, "drop-oldest", true, "drop-oldest or refuse, when max.records is reached"},
      {"preallocate", Type::boolean, "true", false, "space is always taken before offsets"},
      {"record.headers", Type::boolean, "false", true, "obey tidemark-* record headers (delay, dedup id, priority)"},
      {"record.ttl", Type::integer, "-1", true, "queue groups give records older than this to the dead letters; -1 = never"},
      {"remote.log.copy.disable", Type::boolean, "false", false, "there is no remote storage"},
      {"remote.log.delete.on.disable", Type::boolean, "false", false, "there is no remote storage"},
      {"remote.storage.enable", Type::boolean, "false", false, "there is no remote storage"},
      {"retention.bytes", Type::integer, "-1", true, "per partition; -1 = no bound"},
      {"retention.ms", Type::integer, "604800000", true, "by append time; -1 = for ever"},
      {"segment.bytes", Type::integer, "134217728", true, "a segment is closed before it would grow past this"},
      {"segment.index.bytes", Type::integer, "10485760", false, "the index grows as needed"},
      {"segment.jitter.ms", Type::integer, "0", false, "segments close by their own append times"},
      {"segment.ms", Type::integer, "604800000", true, "a segment is closed at the first append after this much append time"},
      {"trim.when.acked", Type::boolean, "false", true, "move the log start behind what every group has finished"},
      {"unclean.leader.election.enable", Type::boolean, "false", false, "one broker, one replica"},
  };
  return all;
}

const ConfigKey* find_key(std::string_view name) {
  const auto found = std::ranges::find(keys(), name, &ConfigKey::name);
  return found == keys().end() ? nullptr : &*found;
}

Error bad_value(const ConfigKey& key, std::string_view value, std::string_view rule) {
  return {Errc::invalid_config, std::string(key.name) + " = '" + std::string(value) + "': " + std::string(rule)};
}

bool is_duration(std::string_view name) { return name.ends_with(".ms") || name == "record.ttl"; }
bool is_size(std::string_view name) { return name.ends_with(".bytes"); }

struct Range {
  std::int64_t low = 0;
  std::int64_t high = std::numeric_limits<std::int64_t>::max();
};

Range range_of(std::string_view name) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (name == "segment.bytes") return {64 * 1024, 2147483647};
  if (name == "dedup.window.ms") return {0, 604800000};
  if (name == "once.duration.ms") return {1000, 86400000};
  if (name == "once.entries") return {1, 10000};
  if (name == "max.message.bytes") return {1024, static_cast<std::int64_t>(8 * 1024 * 1024)};
  if (name == "segment.ms" || name == "flush.ms") return {1, kMax};
  if (name == "local.retention.bytes" || name == "local.retention.ms") return {-2, kMax};
  if (name == "max.compaction.lag.ms") return {1, kMax};
  if (name == "delete.retention.ms") return {0, kMax / 4};  // Added to a time.
  if (name == "retention.ms" || name == "retention.bytes" || name == "hold.bytes" || name == "max.records" || name == "record.ttl") {
    return {-1, kMax};
  }
  if (name == "min.insync.replicas") return {1, 2147483647};
  if (name == "compression.gzip.level") return {-1, 9};
  if (name == "compression.lz4.level") return {1, 17};
  if (name == "compression.zstd.level") return {-131072, 22};
  return {};
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Plain integers as Kafka writes them; sizes and durations also with units.
Result<std::int64_t> integer_value(const ConfigKey& key, std::string_view value) {
  std::optional<std::int64_t> number = parse_integer(value);
  if (!number && is_duration(key.name)) {
    if (value == "forever")
      number = -1;
    else if (const auto duration = parse_duration(value))
      number = duration->count();
  } else if (!number && is_size(key.name)) {
    if (const auto size = parse_size(value)) number = static_cast<std::int64_t>(*size);
  }
  if (!number) {
    return bad_value(key, value,
                     is_duration(key.name) ? "not a duration such as 7d or 604800000"
                     : is_size(key.name)   ? "not a size such as 128MiB or 134217728"
                                           : "not an integer");
  }
  const Range range = range_of(key.name);
  if (key.name == "max.records" && *number == 0) return bad_value(key, value, "must be -1 or at least 1");
  if (*number < range.low || *number > range.high) {
    return bad_value(key, value, "must lie in " + std::to_string(range.low) + ".." + std::to_string(range.high));
  }
  return *number;
}

std::vector<std::string_view> words_of(std::string_view key) {
  if (key == "durability") return {"fsync", "interval", "os"};
  if (key == "entry.id") return {"offset", "time"};
  if (key == "overflow") return {"drop-oldest", "refuse"};
  if (key == "message.timestamp.type") return {"CreateTime", "LogAppendTime"};
  if (key == "compression.type") return {"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"};
  if (key == "cleanup.policy") return {"delete", "compact", "compact,delete", "delete,compact"};
  return {};
}

Result<std::string> normalise(const ConfigKey& key, std::string_view value) {
  switch (key.type) {
    case Type::integer: {
      const Result<std::int64_t> number = integer_value(key, value);
      if (!number) return number.error();
      return std::to_string(*number);
    }
    case Type::boolean:
      if (value == "true" || value == "on") return std::string("true");
      if (value == "false" || value == "off") return std::string("false");
      return bad_value(key, value, "must be true or false");
    case Type::decimal: {
      double number = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc() || end != value.data() + value.size() || number < 0 || number > 1) {
        return bad_value(key, value, "must be a number from 0 to 1");
      }
      return std::string(value);
    }
    case Type::text:
    case Type::list: {
      const std::vector<std::string_view> words = words_of(key.name);
      if (!words.empty() && std::ranges::find(words, value) == words.end()) {
        std::string rule = "must be one of";
        for (const std::string_view word : words) rule += " " + std::string(word);
        return bad_value(key, value, rule);
      }
      return std::string(value);
    }
  }
  return bad_value(key, value, "unknown type");
}

std::string suggestion_for(std::string_view name) {
  TopicTable names;  // Same closeness rule as for topics.
  for (const ConfigKey& key : keys()) names.by_name.emplace(std::string(key.name), nullptr);
  const std::string close = names.suggestion(name);
  return close.empty() ? std::string() : "; did you mean '" + close + "'?";
}

std::int64_t number(const std::string& text) { return parse_integer(text).value_or(0); }

std::vector<std::string> names_of(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, end);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (!name.empty()) names.emplace_back(name);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

/// Of a text that was judged before.
double decimal(const std::string& text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

const std::vector<ConfigKey>& topic_config_keys() { return keys(); }

std::string default_value(const ConfigKey& key, const TopicConfig& defaults) {
  if (key.name == "durability") return std::string(to_string(defaults.durability));
  if (key.name == "flush.ms") return std::to_string(defaults.flush_interval.count());
  if (key.name == "max.message.bytes") return std::to_string(defaults.message_bytes_max);
  if (key.name == "message.timestamp.type") return defaults.log_append_time ? "LogAppendTime" : "CreateTime";
  if (key.name == "retention.bytes") return defaults.retention_bytes ? std::to_string(*defaults.retention_bytes) : std::string("-1");
  if (key.name == "retention.ms") return defaults.retention ? std::to_string(defaults.retention->count()) : std::string("-1");
  if (key.name == "segment.bytes") return std::to_string(defaults.segment_bytes);
  if (key.name == "segment.ms") return std::to_string(defaults.segment_age.count());
  return std::string(key.default_value);
}

Result<ResolvedConfig> resolve_topic_config(const ConfigMap& raw, const TopicConfig& defaults) {
  ResolvedConfig resolved;
  resolved.typed = defaults;
  for (const auto& [name, value] : raw) {
    const ConfigKey* const key = find_key(name);
    if (key == nullptr) return Error{Errc::invalid_config, "unknown setting '" + name + "'" + suggestion_for(name)};
    Result<std::string> normal = normalise(*key, value);
    if (!normal) return normal.error();
    resolved.values[name] = *std::move(normal);
  }
  TopicConfig& typed = resolved.typed;
  for (const auto& [name, value] : resolved.values) {
    if (name == "durability")
      typed.durability = value == "fsync" ? Durability::fsync : value == "os" ? Durability::os : Durability::interval;
    if (name == "flush.ms") typed.flush_interval = std::chrono::milliseconds(number(value));
    if (name == "entry.id") typed.entry_id = value == "time" ? EntryIdMode::time : EntryIdMode::offset;
    if (name == "segment.bytes") typed.segment_bytes = static_cast<std::uint64_t>(number(value));
    if (name == "segment.ms") typed.segment_age = std::chrono::milliseconds(number(value));
    if (name == "max.message.bytes") typed.message_bytes_max = static_cast<std::uint32_t>(number(value));
    if (name == "dedup.window.ms") typed.dedup_window = std::chrono::milliseconds(number(value));
    if (name == "once.duration.ms") typed.once_duration = std::chrono::milliseconds(number(value));
    if (name == "once.entries") typed.once_entries = static_cast<std::uint32_t>(number(value));
    if (name == "once.since") typed.once_since = number(value);
    if (name == "compression.type") typed.compression = value == "uncompressed" ? Codec::none : parse_codec(value);
    if (name == "record.headers") typed.record_headers = value == "true";
    if (name == "max.records" && number(value) >= 0) typed.records_max = static_cast<std::uint64_t>(number(value));
    if (name == "overflow") typed.refuse_when_full = value == "refuse";
    if (name == "hold.for") typed.hold_for = names_of(value);
    if (name == "hold.bytes" && number(value) >= 0) typed.hold_bytes = static_cast<std::uint64_t>(number(value));
    if (name == "trim.when.acked") typed.trim_when_acked = value == "true";
    if (name == "record.ttl" && number(value) >= 0) typed.record_ttl = std::chrono::milliseconds(number(value));
    if (name == "cleanup.policy") {
      typed.compact = value.find("compact") != std::string::npos;
      typed.deletes = value.find("delete") != std::string::npos;
    }
    if (name == "min.cleanable.dirty.ratio") typed.min_dirty_ratio = decimal(value);
    if (name == "delete.retention.ms") typed.tombstone_retention = std::chrono::milliseconds(number(value));
    if (name == "min.compaction.lag.ms") typed.min_compaction_lag = std::chrono::milliseconds(number(value));
    if (name == "max.compaction.lag.ms") typed.max_compaction_lag = std::chrono::milliseconds(number(value));
    if (name == "message.timestamp.type") typed.log_append_time = value == "LogAppendTime";
    if (name == "retention.ms") {
      typed.retention.reset();
      if (number(value) >= 0) typed.retention = std::chrono::milliseconds(number(value));
    }
    if (name == "retention.bytes") {
      typed.retention_bytes.reset();
      if (number(value) >= 0) typed.retention_bytes = static_cast<std::uint64_t>(number(value));
    }
  }
  if (typed.max_compaction_lag < typed.min_compaction_lag) {
    return Error{Errc::invalid_config, "max.compaction.lag.ms must not be below min.compaction.lag.ms"};
  }
  if (typed.entry_id == EntryIdMode::time && typed.compact) {
    return Error{Errc::invalid_config, "cleanup.policy = compact does not go with entry.id = time"};
  }
  return resolved;
}

}  // namespace tidemark::broker
