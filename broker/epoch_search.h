#pragma once

#include <cstdint>
#include <memory>

#include "broker/partition.h"

namespace tidemark::broker {

/// Where leader epoch `epoch` ends in the log of `partition` (KIP-101, KIP-320): batches carry their epochs, which never go back, so the
/// first batch of a later one is found by halving. Call and answer on the partition's shard.
void find_epoch_end(std::shared_ptr<Partition> partition, std::int32_t epoch, Done<EpochEnd> done);

}  // namespace tidemark::broker
