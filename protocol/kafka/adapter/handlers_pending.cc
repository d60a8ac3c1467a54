#include "protocol/kafka/adapter/handlers.h"

/// APIs whose handlers are still to come: the connection is closed, as for an API that the broker does not have.
namespace tidemark::kafka {
namespace {

void refuse(const Call& call) { call.close({Errc::unsupported_version, std::string(api_info(call.api()).name)}); }

}  // namespace

void handle(const Call& call, OffsetCommitRequest) { refuse(call); }
void handle(const Call& call, OffsetFetchRequest) { refuse(call); }
void handle(const Call& call, FindCoordinatorRequest) { refuse(call); }
void handle(const Call& call, JoinGroupRequest) { refuse(call); }
void handle(const Call& call, HeartbeatRequest) { refuse(call); }
void handle(const Call& call, LeaveGroupRequest) { refuse(call); }
void handle(const Call& call, SyncGroupRequest) { refuse(call); }
void handle(const Call& call, DescribeGroupsRequest) { refuse(call); }
void handle(const Call& call, ListGroupsRequest) { refuse(call); }
void handle(const Call& call, DeleteGroupsRequest) { refuse(call); }
void handle(const Call& call, OffsetDeleteRequest) { refuse(call); }

}  // namespace tidemark::kafka
