#pragma once

#include <cstdint>

#include "protocol/kafka/codec/errors.h"

namespace tidemark::kafka {

/// What a request that names the leader epoch it knows gets (KIP-320). -1: it names none.
inline ErrorCode judge_leader_epoch(std::int32_t known_to_client, std::int32_t current) {
  if (known_to_client < 0 || known_to_client == current) return ErrorCode::none;
  return known_to_client < current ? ErrorCode::fenced_leader_epoch : ErrorCode::unknown_leader_epoch;
}

}  // namespace tidemark::kafka
