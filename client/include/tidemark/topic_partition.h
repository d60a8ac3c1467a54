#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace tidemark {

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};
/// Sorted, each once.
using TopicPartitions = std::vector<TopicPartition>;

/// "orders:3"
inline std::string to_string(const TopicPartition& where) { return where.topic + ":" + std::to_string(where.partition); }

}  // namespace tidemark
