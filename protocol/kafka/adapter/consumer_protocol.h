#pragma once

#include <string>
#include <vector>

#include "broker/groups/group_types.h"
#include "storage/base/bytes.h"

/// What members of a group say to each other through the broker when their protocol type is "consumer" (Kafka's
/// ConsumerProtocolSubscription and ConsumerProtocolAssignment): opaque to the protocol, but lag and admin answers want topics and
/// partitions.
namespace tidemark::kafka {

inline constexpr std::string_view kConsumerProtocolType = "consumer";

/// Empty for bytes that are no subscription: members of other protocol types (Connect) put something else there.
std::vector<std::string> read_subscription(ByteView metadata);
/// Empty for bytes that are no assignment.
std::vector<broker::NamedPartition> read_assignment(ByteView assignment);
/// Version 0.
Slice write_subscription(const std::vector<std::string>& topics);
Slice write_assignment(const std::vector<broker::NamedPartition>& partitions);

}  // namespace tidemark::kafka
