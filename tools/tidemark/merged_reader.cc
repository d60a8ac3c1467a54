#include "tools/tidemark/merged_reader.h"

#include <algorithm>

namespace tidemark::tools {
namespace {

constexpr std::chrono::milliseconds kWaitMax = std::chrono::hours(1);
/// Shared by all partitions when each has a reader of its own.
constexpr std::size_t kBufferBytes = 16 * 1024 * 1024;
constexpr std::size_t kBufferBytesMin = 64 * 1024;

}  // namespace

Result<MergedReader> MergedReader::open(Client& client, const TopicDescription& topic, const Options& options) {
  std::uint64_t total = 0;
  Admin admin = client.admin();
  for (const PartitionDescription& partition : topic.partition_list) {
    const Result<FoundOffset> from = admin.find_offset(topic.name, partition.partition, options.from);
    if (!from) return from.error();
    const Result<FoundOffset> to = admin.find_offset(topic.name, partition.partition, options.to);
    if (!to) return to.error();
    total += static_cast<std::uint64_t>(std::max<std::int64_t>(0, to->offset - from->offset));
  }

  ReaderOptions how{.from = options.from, .to = options.to};
  std::vector<Source> sources;
  if (!options.by_time) {
    Result<Reader> reader = client.reader(topic.name, how);
    if (!reader) return reader.error();
    sources.push_back({.reader = *std::move(reader)});
    return MergedReader(std::move(sources), total);
  }
  how.buffer_bytes = std::max(kBufferBytesMin, kBufferBytes / std::max<std::size_t>(1, topic.partition_list.size()));
  for (const PartitionDescription& partition : topic.partition_list) {
    how.partitions = {partition.partition};
    Result<Reader> reader = client.reader(topic.name, how);
    if (!reader) return reader.error();
    sources.push_back({.reader = *std::move(reader)});
  }
  return MergedReader(std::move(sources), total);
}

Result<std::optional<Message>> MergedReader::next() {
  // With one source there is nothing to compare, so its head is filled and taken at once.
  Source* earliest = nullptr;
  for (Source& source : sources_) {
    while (!source.head && !source.reader.finished()) {
      Result<std::optional<Message>> next = source.reader.next(kWaitMax);
      if (!next) return next.error();
      source.head = *std::move(next);
    }
    if (!source.head) continue;
    if (earliest == nullptr || source.head->timestamp() < earliest->head->timestamp()) earliest = &source;
  }
  if (earliest == nullptr) return std::optional<Message>();
  return std::exchange(earliest->head, std::nullopt);
}

void MergedReader::close() {
  for (Source& source : sources_) source.reader.close();
}

}  // namespace tidemark::tools
