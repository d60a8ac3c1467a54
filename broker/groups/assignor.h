#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "broker/partition_state.h"

namespace tidemark::broker {

struct AssignableTopic {
  Uuid id;
  std::int32_t partitions = 0;
  bool operator==(const AssignableTopic&) const = default;
};

/// A member as the assignment sees it.
struct Assignee {
  std::vector<Uuid> topics;          ///< Subscribed. Sorted.
  std::vector<PartitionKey> before;  ///< What it had. Sorted; may name what it no longer subscribes to, or what is gone.
};

/// Gives every partition of a subscribed topic to exactly one member that subscribes to it; answers in the order of `members`, each sorted.
///
/// Balanced: no member could take a partition from one that has two more. Sticky: a partition moves only if its member left, unsubscribed,
/// or had more than its share. Deterministic; `members` in a stable order gives stable answers.
std::vector<std::vector<PartitionKey>> assign_sticky(std::span<const AssignableTopic> topics, std::span<const Assignee> members);

}  // namespace tidemark::broker
