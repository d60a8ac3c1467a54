#pragma once

#include <cstdint>
#include <string>

#include "client/src/client_core.h"
#include "tidemark/admin.h"

/// Questions to the broker that several parts of the client ask.
namespace tidemark::detail {

void describe_topic(Connection& connection, std::string name, Done<TopicDescription> done);

/// The end of `where` that `position` means, from what is known of the partition; time is asked for. offset_out_of_range for a number
/// outside the log when `must_exist`; invalid_argument for `committed`.
void resolve_position(Connection& connection, const std::string& topic, const PartitionDescription& where, const Position& position,
                      bool must_exist, Done<FoundOffset> done);

}  // namespace tidemark::detail
