#pragma once

#include "tidemark/queue_admin.h"
#include "tidemark/settlement.h"

namespace tidemark::wire {
class ListDeadLettersReply;
class ListQueuesReply;
class QueueAct;
class QueueInfo;
class QueuePending;
class QueuePendingReply;
class Settle;
class Settlement;
class SettleReply;
class ShowDeadLettersReply;
}  // namespace tidemark::wire

/// Protobuf messages about queue groups as the plain structs of the public headers, and back.
namespace tidemark::detail {

/// Error invalid_argument: a delay out of range.
Status check_settlement(const Settlement& how);
/// With its reason cut to what the broker keeps.
Settlement bounded(Settlement how);
/// Kind, delay and reason.
void settlement_to_wire(const Settlement& how, wire::Settlement& out);
/// Error invalid_argument: a run without records, a delay out of range.
Status settlements_to_wire(const std::vector<QueueSettlement>& settlements, wire::Settle& out);
SettleReport report_from_wire(const wire::SettleReply& reply);

QueueDescription queue_from_wire(const wire::QueueInfo& info);
std::vector<QueueDescription> queues_from_wire(const wire::ListQueuesReply& reply);
void pending_to_wire(const QueuePendingQuery& query, wire::QueuePending& out);
std::vector<QueuePendingRow> pending_from_wire(const wire::QueuePendingReply& reply);
void action_to_wire(const QueueAction& action, wire::QueueAct& out);
std::vector<DeadLetterSummary> letters_from_wire(const wire::ListDeadLettersReply& reply);
std::vector<DeadLetter> letters_from_wire(const wire::ShowDeadLettersReply& reply);

}  // namespace tidemark::detail
