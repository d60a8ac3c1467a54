#pragma once

#include <cstdint>
#include <string_view>

namespace tidemark {

/// Kafka's partition hash of key bytes (org.apache.kafka.common.utils.Utils.murmur2).
std::int32_t murmur2(std::string_view key);
/// Where Kafka's default partitioner and every part of Tidemark put a key.
std::int32_t partition_for_key(std::string_view key, std::int32_t partitions);

}  // namespace tidemark
