#include "tools/tidemark/topic_view.h"

#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/units.h"
#include "tools/tidemark/output.h"

namespace tidemark::tools {
namespace {

boost::json::object settings_to_json(const TopicSettings& settings) {
  boost::json::object object;
  for (const auto& [key, value] : settings) object[key] = printable_text(value);
  return object;
}

std::string settings_text(const TopicSettings& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
  return text;
}

boost::json::object compaction_to_json(const CompactionDescription& compaction) {
  boost::json::object object;
  object["enabled"] = compaction.enabled;
  object["running"] = compaction.running;
  object["due"] = compaction.due;
  object["reason"] = printable_text(compaction.reason);
  object["dirty_ratio"] = compaction.dirty_ratio;
  object["dirty_bytes"] = compaction.dirty_bytes;
  object["clean_bytes"] = compaction.clean_bytes;
  object["clean_end"] = compaction.clean_end.value;
  object["cleanable_end"] = compaction.cleanable_end.value;
  object["last_ms"] = nullptr;
  object["next_tombstones_ms"] = nullptr;
  if (compaction.last) object["last_ms"] = compaction.last->time_since_epoch().count();
  if (compaction.next_tombstones) object["next_tombstones_ms"] = compaction.next_tombstones->time_since_epoch().count();
  return object;
}

/// "running", "due" or "waits", with the reason.
std::string compaction_text(const CompactionDescription& compaction) {
  const char* const verdict = compaction.running ? "running" : compaction.due ? "due" : "waits";
  std::string text = compaction.running ? verdict : fmt::format("{}: {}", verdict, printable_text(compaction.reason));
  if (compaction.last) text += fmt::format("; compacted up to {} at {}", compaction.clean_end.value, format_time(*compaction.last));
  if (compaction.next_tombstones) text += fmt::format("; tombstones from {}", format_time(*compaction.next_tombstones));
  return text;
}

boost::json::object partition_to_json(const PartitionDescription& partition) {
  boost::json::array quarantined;
  for (const DamagedRange& range : partition.quarantined) {
    quarantined.push_back({{"file", printable_text(range.file)},
                           {"position", range.position},
                           {"from", range.from.value},
                           {"to", range.to.value},
                           {"reason", printable_text(range.reason)}});
  }
  boost::json::object object;
  object["partition"] = partition.partition;
  object["log_start"] = partition.log_start.value;
  object["end"] = partition.end.value;
  object["high_watermark"] = partition.high_watermark.value;
  object["bytes"] = partition.bytes;
  object["segments"] = partition.segments;
  object["state"] = printable_text(partition.state);
  object["quarantined"] = std::move(quarantined);
  object["compaction"] = compaction_to_json(partition.compaction);
  return object;
}

}  // namespace

boost::json::object topic_to_json(const TopicDescription& topic, std::span<const GroupDescription> groups) {
  boost::json::object object;
  object["name"] = printable_text(topic.name);
  object["id"] = topic.id;
  object["partitions"] = topic.partitions;
  object["records"] = topic.records;
  object["bytes"] = topic.bytes;
  object["durability"] = topic.durability;
  object["entry_id"] = topic.entry_id;
  object["created_time"] = format_time(topic.created);
  object["created_ms"] = topic.created.time_since_epoch().count();
  object["config"] = settings_to_json(topic.config);
  boost::json::array readers;
  for (const GroupDescription& group : groups) {
    if (std::ranges::find(group.topics, topic.name) != group.topics.end()) readers.emplace_back(printable_text(group.name));
  }
  object["groups"] = std::move(readers);
  return object;
}

boost::json::object topic_details_to_json(const TopicDescription& topic, std::span<const GroupDescription> groups) {
  boost::json::object object = topic_to_json(topic, groups);
  object["effective_config"] = settings_to_json(topic.effective_config);
  boost::json::array partitions;
  for (const PartitionDescription& partition : topic.partition_list) partitions.push_back(partition_to_json(partition));
  object["partition_list"] = std::move(partitions);
  return object;
}

std::string topic_table(std::span<const TopicDescription> topics, bool wide) {
  std::vector<Table::Column> columns = {{"NAME"}, {"PARTITIONS", true}, {"RECORDS", true}, {"SIZE", true}, {"DURABILITY"}};
  if (wide) columns.insert(columns.end(), {{"ENTRY ID"}, {"CREATED"}, {"ID"}, {"CONFIG"}});
  Table table(std::move(columns));
  for (const TopicDescription& topic : topics) {
    std::vector<std::string> cells = {topic.name, std::to_string(topic.partitions), std::to_string(topic.records), format_size(topic.bytes),
                                      topic.durability};
    if (wide) cells.insert(cells.end(), {topic.entry_id, format_time(topic.created), topic.id, settings_text(topic.config)});
    table.add(std::move(cells));
  }
  return table.to_string();
}

std::string topic_page(const TopicDescription& topic, bool wide) {
  std::string text =
      fmt::format("{}   {} records, {}, durability {}, entry ids by {}\ncreated  {}\nid       {}\n", printable_text(topic.name),
                  topic.records, format_size(topic.bytes), topic.durability, topic.entry_id, format_time(topic.created), topic.id);
  for (const auto& [key, value] : wide ? topic.effective_config : topic.config) {
    text += fmt::format("config   {} = {}\n", key, printable_text(value));
  }
  Table table({{"PARTITION", true}, {"START", true}, {"END", true}, {"SHOWN", true}, {"SIZE", true}, {"SEGMENTS", true}, {"STATE"}});
  for (const PartitionDescription& partition : topic.partition_list) {
    table.add({std::to_string(partition.partition), std::to_string(partition.log_start.value), std::to_string(partition.end.value),
               std::to_string(partition.high_watermark.value), format_size(partition.bytes), std::to_string(partition.segments),
               partition.state});
  }
  text += table.to_string();
  for (const PartitionDescription& partition : topic.partition_list) {
    const CompactionDescription& compaction = partition.compaction;
    // What is deleted from topics that are not compacted matters where there is any.
    if (!compaction.enabled && !compaction.running && compaction.dirty_ratio == 0) continue;
    text += fmt::format("compaction  {}:{} {}\n", printable_text(topic.name), partition.partition, compaction_text(compaction));
  }
  for (const PartitionDescription& partition : topic.partition_list) {
    for (const DamagedRange& range : partition.quarantined) {
      text += fmt::format("quarantined  {}:{} offsets {}..{}: {} at {}: {}\n", printable_text(topic.name), partition.partition,
                          range.from.value, range.to.value, printable_text(range.file), range.position, printable_text(range.reason));
    }
  }
  return text;
}

}  // namespace tidemark::tools
