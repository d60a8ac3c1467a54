#pragma once

#include <vector>

#include "tidemark/group_admin.h"

namespace tidemark::wire {
class GroupHistoryReply;
class GroupInfo;
class GroupLagReply;
class SeekGroup;
class SeekReply;
class StartAt;
class TopicPartitions;
}  // namespace tidemark::wire

namespace google::protobuf {
template <class T>
class RepeatedPtrField;
}

/// Protobuf messages about groups as the plain structs of the public headers, and back.
namespace tidemark::detail {

/// As the broker takes it. after_start, before_end and committed are invalid_argument: a group starts at the same place everywhere.
Status start_to_wire(const Position& position, wire::StartAt& start);
Position start_from_wire(const wire::StartAt& start);
void partitions_to_wire(const TopicPartitions& sorted, google::protobuf::RepeatedPtrField<wire::TopicPartitions>& out);
TopicPartitions partitions_from_wire(const google::protobuf::RepeatedPtrField<wire::TopicPartitions>& in);

void seek_to_wire(const GroupSeek& seek, wire::SeekGroup& out);
GroupDescription group_from_wire(const wire::GroupInfo& info);
std::vector<GroupPartitionLag> lag_from_wire(const wire::GroupLagReply& reply);
GroupSeekPlan plan_from_wire(const wire::SeekReply& reply);
std::vector<GroupSeekRecord> history_from_wire(const wire::GroupHistoryReply& reply);

}  // namespace tidemark::detail
