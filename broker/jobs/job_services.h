#pragma once

#include <functional>

#include "broker/broker.h"
#include "broker/committer.h"
#include "broker/memory_budget.h"
#include "broker/producer_holds.h"
#include "broker/shard_state.h"

namespace tidemark::broker {

/// What jobs work with; all of it outlives them. Jobs live on the metadata shard.
struct JobServices {
  Runtime& runtime;
  Shard& shard;
  const PartitionAccess& partitions;
  MemoryBudget& memory;  ///< For what a chunk takes while it is packed anew.
  ProducerHolds& holds;
  std::function<void(Done<ProducerIdentity>)> new_producer;
  std::function<void()> begin_work;  ///< A stop of the broker waits until as many have ended.
  std::function<void()> end_work;
  Committer* committer = nullptr;  ///< Set before the first job begins.
};

}  // namespace tidemark::broker
