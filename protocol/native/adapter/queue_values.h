#pragma once

#include <string>
#include <vector>

#include "broker/queues/queue_types.h"
#include "protocol/native/adapter/request.h"
#include "protocol/native/wire.pb.h"

/// Values of queue groups, on the wire and in the engine.
namespace tidemark::native {

inline broker::QueueName to_name(const wire::QueueName& name) { return {name.group(), name.topic()}; }

/// Times of the wire, without the overflow that a hostile one would cause.
std::chrono::milliseconds to_duration(std::uint64_t ms);

/// Errors invalid_argument: a kind only a newer client knows, more than kSettlementsMax offsets or ones outside the range of offsets, a
/// delay beyond `delay_max` or on something else than a retry (unless `leases`, where every entry may have one).
Result<std::vector<broker::Settlement>> to_settlements(const google::protobuf::RepeatedPtrField<wire::Settlement>& in, bool leases);
void to_wire(const broker::SettleReply& reply, wire::SettleReply& out);

void to_wire(const broker::QueueInfo& info, wire::QueueInfo& out);
/// With verdict, cause and lag from those of `rows` that are this group's.
void add_lag(const std::vector<broker::PartitionLag>& rows, wire::QueueInfo& out);
/// As a group among others.
void to_wire(const broker::QueueInfo& info, wire::GroupInfo& out);

/// Errors invalid_argument: a state there is not.
Result<broker::PendingQuery> to_query(const wire::QueuePending& in);
void to_wire(const broker::PendingRow& row, wire::QueuePendingReply::Row& out);
/// Errors invalid_argument: a kind only a newer client knows, too many offsets.
Result<broker::QueueAction> to_action(const wire::QueueAct& in);

void to_wire(const broker::DeadLetterSummary& summary, wire::ListDeadLettersReply::Summary& out);
void to_wire(const broker::DeadLetter& letter, wire::ShowDeadLettersReply::Letter& out);

}  // namespace tidemark::native
