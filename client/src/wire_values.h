#pragma once

#include "tidemark/admin.h"

namespace tidemark::wire {
class DoctorReply;
class StatusReply;
class TopicInfo;
}  // namespace tidemark::wire

/// Protobuf messages as the plain structs of admin.h.
namespace tidemark::detail {

TopicDescription topic_from_wire(const wire::TopicInfo& info);
BrokerStatus status_from_wire(const wire::StatusReply& reply);
std::vector<DoctorCheck> checks_from_wire(const wire::DoctorReply& reply);

}  // namespace tidemark::detail
