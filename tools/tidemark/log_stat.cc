#include <algorithm>
#include <charconv>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/units.h"
#include "storage/data_directory.h"
#include "storage/posix_file_system.h"
#include "tools/tidemark/log_commands.h"

namespace tidemark::tools {
namespace {

struct PartitionStat {
  std::int32_t partition = 0;
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;         ///< Of the `.log` files.
  std::uint64_t kept_aside = 0;    ///< Of torn tails and of ranges given up.
  std::string first_segment = {};  ///< Base offset as its name has it.
};

struct TopicStat {
  std::string name;
  Uuid id;
  std::vector<PartitionStat> partitions;
};

Result<PartitionStat> stat_partition(storage::FileSystem& files, const std::string& directory, std::int32_t number) {
  const Result<std::vector<storage::DirectoryEntry>> entries = files.list(directory);
  if (!entries) return entries.error();
  PartitionStat stat{.partition = number};
  for (const storage::DirectoryEntry& entry : *entries) {
    const bool is_log = entry.name.ends_with(".log");
    const bool is_kept = entry.name.find(".log.torn-") != std::string::npos || entry.name.find(".log.lost-") != std::string::npos;
    if (!is_log && !is_kept) continue;
    const Result<std::uint64_t> size = files.file_size(directory + "/" + entry.name);
    if (!size && size.error().code == Errc::not_found) continue;  // Retention took it meanwhile.
    if (!size) return size.error();
    if (is_kept) {
      stat.kept_aside += *size;
      continue;
    }
    ++stat.segments;
    stat.bytes += *size;
    const std::string base = entry.name.substr(0, entry.name.size() - std::string_view(".log").size());
    if (stat.first_segment.empty() || base < stat.first_segment) stat.first_segment = base;
  }
  return stat;
}

Result<TopicStat> stat_topic(storage::FileSystem& files, const storage::DataDirectory& directory, Uuid id) {
  TopicStat stat{.name = {}, .id = id, .partitions = {}};
  // Without its `topic` file a topic is shown under its id: what lies there still counts.
  const Result<storage::TopicFile> topic = directory.read_topic_file(id);
  if (topic) stat.name = topic->name;
  const Result<std::vector<storage::DirectoryEntry>> entries = files.list(directory.topic_directory(id));
  if (!entries) return entries.error();
  for (const storage::DirectoryEntry& entry : *entries) {
    std::int32_t number = 0;
    const auto [end, failure] = std::from_chars(entry.name.data(), entry.name.data() + entry.name.size(), number);
    if (!entry.is_directory || failure != std::errc() || end != entry.name.data() + entry.name.size()) continue;
    const Result<PartitionStat> partition = stat_partition(files, directory.partition_directory(id, number), number);
    if (!partition) return partition.error();
    stat.partitions.push_back(*partition);
  }
  std::ranges::sort(stat.partitions, {}, &PartitionStat::partition);
  return stat;
}

boost::json::object to_json(const TopicStat& topic) {
  boost::json::array partitions;
  for (const PartitionStat& partition : topic.partitions) {
    std::int64_t first_offset = 0;
    std::from_chars(partition.first_segment.data(), partition.first_segment.data() + partition.first_segment.size(), first_offset);
    partitions.push_back({{"partition", partition.partition},
                          {"segments", partition.segments},
                          {"bytes", partition.bytes},
                          {"first_offset", partition.segments == 0 ? boost::json::value(nullptr) : boost::json::value(first_offset)},
                          {"kept_aside_bytes", partition.kept_aside}});
  }
  boost::json::object object;
  object["name"] = printable_text(topic.name);
  object["id"] = topic.id.to_string();
  object["partition_list"] = std::move(partitions);
  return object;
}

}  // namespace

Exit log_stat(const std::string& path, const Globals& globals) {
  storage::PosixFileSystem files;
  const Result<std::unique_ptr<storage::DataDirectory>> directory = storage::DataDirectory::inspect(files, path);
  if (!directory) return report(directory.error(), globals.output);
  const Result<std::vector<Uuid>> ids = (*directory)->list_topics();
  if (!ids) return report(ids.error(), globals.output);

  std::vector<TopicStat> topics;
  for (const Uuid id : *ids) {
    Result<TopicStat> topic = stat_topic(files, **directory, id);
    if (!topic && topic.error().code == Errc::not_found) continue;  // Deleted meanwhile.
    if (!topic) return report(topic.error(), globals.output);
    topics.push_back(*std::move(topic));
  }
  std::ranges::sort(topics, {}, &TopicStat::name);

  if (is_json(globals.output)) {
    boost::json::array list;
    for (const TopicStat& topic : topics) list.push_back(to_json(topic));
    print_json_list(list, globals.output);
    return Exit::done;
  }
  Table table({{"TOPIC"}, {"PARTITION", true}, {"SEGMENTS", true}, {"SIZE", true}, {"FIRST SEGMENT"}, {"KEPT ASIDE", true}, {"ID"}});
  for (const TopicStat& topic : topics) {
    for (const PartitionStat& partition : topic.partitions) {
      table.add({topic.name.empty() ? "(no topic file)" : topic.name, std::to_string(partition.partition),
                 std::to_string(partition.segments), format_size(partition.bytes), partition.first_segment,
                 format_size(partition.kept_aside), topic.id.to_string()});
    }
  }
  return write_stdout(table.to_string()) ? Exit::done : Exit::failed;
}

}  // namespace tidemark::tools
