#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/partition_state.h"
#include "storage/base/offset.h"

/// How far groups are in partitions: what may go (trim.when.acked) and what must stay (hold.for) depends on it.
namespace tidemark::broker {

/// Which groups count, by partition. No names: every group that reads the topic, and those only.
using FloorQuery = std::map<PartitionKey, std::vector<std::string>>;

/// The lowest record that one of the groups may still need, durably known; nullopt when no group was asked. A group that has taken nothing
/// yet needs all there is, and so does a named one that does not exist (yet).
using Floors = std::map<PartitionKey, std::optional<Offset>>;

}  // namespace tidemark::broker
