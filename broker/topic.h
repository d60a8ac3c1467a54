#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/base/uuid.h"
#include "storage/batch/record_batch.h"

namespace tidemark::broker {

enum class Durability {
  fsync,     ///< Acknowledged after the flush.
  interval,  ///< Acknowledged after the write; flushed every flush.ms.
  os,        ///< Acknowledged after the write; flushed when the kernel likes.
};
std::string_view to_string(Durability durability);

enum class EntryIdMode { offset, time };

/// The typed view of a topic's configuration that the engine obeys. Values not set on the topic have the broker's defaults.
struct TopicConfig {
  Durability durability = Durability::fsync;
  std::chrono::milliseconds flush_interval{100};
  EntryIdMode entry_id = EntryIdMode::offset;
  std::optional<std::chrono::milliseconds> retention = std::chrono::hours(24 * 7);  ///< nullopt: for ever.
  std::optional<std::uint64_t> retention_bytes;                                     ///< Per partition.
  std::uint64_t segment_bytes = 128 * 1024 * 1024;
  std::chrono::milliseconds segment_age = std::chrono::hours(24 * 7);
  std::uint32_t message_bytes_max = 1048588;  ///< Of a stored batch, header included.
  bool log_append_time = false;
  std::optional<Codec> compression;                     ///< nullopt: as the producer chose.
  std::optional<std::chrono::milliseconds> record_ttl;  ///< Older records go to the dead letters of queue groups; nullopt: never.
  std::optional<std::uint64_t> records_max;             ///< Per partition; nullopt: no bound.
  bool refuse_when_full = false;                        ///< At records_max: refuse new records instead of dropping the oldest.
  std::vector<std::string> hold_for;                    ///< Groups whose unread records retention keeps.
  std::optional<std::uint64_t> hold_bytes;              ///< As far as these many bytes of the partition; nullopt: all.
  bool trim_when_acked = false;                         ///< What every group has finished is removed.
  bool record_headers = false;                          ///< Obey the headers of broker/publish_fields.h, whoever produces.
  std::chrono::milliseconds dedup_window = std::chrono::minutes(2);
  std::chrono::milliseconds once_duration = std::chrono::seconds(100);  ///< Of Redis (XADD IDMP); by the time in entry ids.
  std::uint32_t once_entries = 100;                                     ///< The same: of each producer.
  std::int64_t once_since = 0;                                          ///< Entries below this offset are not in that window.
  // cleanup.policy. With compact alone, retention by time and size does not act.
  bool compact = false;
  bool deletes = true;
  double min_dirty_ratio = 0.5;
  std::chrono::milliseconds tombstone_retention = std::chrono::hours(24);
  std::chrono::milliseconds min_compaction_lag{0};
  std::chrono::milliseconds max_compaction_lag = std::chrono::milliseconds::max();
};

/// One configuration key as users see it.
struct ConfigKey {
  std::string_view name;
  enum class Type { boolean, integer, text, list, decimal } type;
  std::string_view default_value;  ///< In Kafka's notation: milliseconds, bytes, "true".
  bool effective = true;           ///< False: accepted, stored and described, without effect here.
  std::string_view help;
};

/// Every key a topic accepts: all of Kafka's topic configs and ours. Sorted by name.
const std::vector<ConfigKey>& topic_config_keys();

/// Raw settings as given, by key.
using ConfigMap = std::map<std::string, std::string>;

/// Checks names and values, normalises values to Kafka's notation ("7d" -> "604800000") and derives the typed view.
/// Error invalid_config names key, value and rule; an unknown key gets a suggestion.
struct ResolvedConfig {
  ConfigMap values;  ///< Only what was set.
  TopicConfig typed;
};
Result<ResolvedConfig> resolve_topic_config(const ConfigMap& raw, const TopicConfig& defaults);

/// The value in Kafka's notation that a topic has if it does not set `key`.
std::string default_value(const ConfigKey& key, const TopicConfig& defaults);

/// Name rules of design: 1-249 bytes of [A-Za-z0-9._:{}/-], not "." or "..". Error invalid_topic_name names the rule broken.
Status validate_topic_name(std::string_view name);
/// Names the broker keeps for itself.
bool is_internal_topic(std::string_view name);

/// A topic as metadata knows it. Immutable; a change makes a new one.
struct Topic {
  std::string name;
  Uuid id;
  std::int32_t partitions = 1;
  Timestamp created{};
  ConfigMap config;                  ///< What was set.
  TopicConfig effective;             ///< config over the broker's defaults.
  std::optional<Timestamp> expires;  ///< When it goes by itself.
  std::uint64_t revision = 0;
};

/// All topics at one revision; shared by every shard, replaced as a whole.
struct TopicTable {
  std::uint64_t revision = 0;
  std::map<std::string, std::shared_ptr<const Topic>, std::less<>> by_name;
  std::unordered_map<Uuid, std::shared_ptr<const Topic>> by_id;

  const Topic* find(std::string_view name) const;
  /// The existing name closest to a misspelt one; empty when none is close.
  std::string suggestion(std::string_view name) const;
};

}  // namespace tidemark::broker
