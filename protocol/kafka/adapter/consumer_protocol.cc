#include "protocol/kafka/adapter/consumer_protocol.h"

#include <map>

#include "protocol/kafka/codec/wire_reader.h"

namespace tidemark::kafka {
namespace {

struct AssignedTopic {
  std::string name;
  std::vector<std::int32_t> partitions;
};

void put(ByteVector& out, std::int64_t value, std::size_t bytes) {
  for (std::size_t i = bytes; i-- > 0;) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

void put(ByteVector& out, std::string_view text) {
  put(out, static_cast<std::int64_t>(text.size()), 2);
  const ByteView bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

constexpr std::int64_t kNoUserData = -1;

}  // namespace

std::vector<std::string> read_subscription(ByteView metadata) {
  WireReader in(Slice::copy_of(metadata), false);
  std::vector<std::string> topics;
  if (in.int16("version") < 0) return {};
  in.array("topics", 2, topics, [&](std::string& topic) { topic = in.string("topic"); });
  if (in.failed()) return {};
  return topics;
}

std::vector<broker::NamedPartition> read_assignment(ByteView assignment) {
  WireReader in(Slice::copy_of(assignment), false);
  std::vector<AssignedTopic> topics;
  if (in.int16("version") < 0) return {};
  in.array("topics", 6, topics, [&](AssignedTopic& topic) {
    topic.name = in.string("topic");
    in.array("partitions", 4, topic.partitions, [&](std::int32_t& partition) { partition = in.int32("partition"); });
  });
  if (in.failed()) return {};
  std::vector<broker::NamedPartition> partitions;
  for (const AssignedTopic& topic : topics) {
    for (const std::int32_t partition : topic.partitions) partitions.push_back({topic.name, partition});
  }
  return partitions;
}

Slice write_subscription(const std::vector<std::string>& topics) {
  ByteVector out;
  put(out, 0, 2);
  put(out, static_cast<std::int64_t>(topics.size()), 4);
  for (const std::string& topic : topics) put(out, topic);
  put(out, kNoUserData, 4);
  return Slice::copy_of(out);
}

Slice write_assignment(const std::vector<broker::NamedPartition>& partitions) {
  std::map<std::string, std::vector<std::int32_t>> by_topic;
  for (const broker::NamedPartition& where : partitions) by_topic[where.topic].push_back(where.partition);
  ByteVector out;
  put(out, 0, 2);
  put(out, static_cast<std::int64_t>(by_topic.size()), 4);
  for (const auto& [topic, numbers] : by_topic) {
    put(out, topic);
    put(out, static_cast<std::int64_t>(numbers.size()), 4);
    for (const std::int32_t number : numbers) put(out, number, 4);
  }
  put(out, kNoUserData, 4);
  return Slice::copy_of(out);
}

}  // namespace tidemark::kafka
