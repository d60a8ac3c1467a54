#pragma once

#include <cstdint>

namespace tidemark::kafka {

// What may be done without an authorizer, as bits of Kafka's AclOperation (read 3, write 4, create 5, delete 6, alter 7, describe 8,
// cluster action 9, describe configs 10, alter configs 11, idempotent write 12).
inline constexpr std::int32_t kClusterOperations = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
inline constexpr std::int32_t kTopicOperations = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

}  // namespace tidemark::kafka
