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
void handle(const Call& call, CreateTopicsRequest) { refuse(call); }
void handle(const Call& call, DeleteTopicsRequest) { refuse(call); }
void handle(const Call& call, DeleteRecordsRequest) { refuse(call); }
void handle(const Call& call, DescribeAclsRequest) { refuse(call); }
void handle(const Call& call, CreateAclsRequest) { refuse(call); }
void handle(const Call& call, DeleteAclsRequest) { refuse(call); }
void handle(const Call& call, DescribeConfigsRequest) { refuse(call); }
void handle(const Call& call, AlterConfigsRequest) { refuse(call); }
void handle(const Call& call, DescribeLogDirsRequest) { refuse(call); }
void handle(const Call& call, CreatePartitionsRequest) { refuse(call); }
void handle(const Call& call, DeleteGroupsRequest) { refuse(call); }
void handle(const Call& call, ElectLeadersRequest) { refuse(call); }
void handle(const Call& call, IncrementalAlterConfigsRequest) { refuse(call); }
void handle(const Call& call, ListPartitionReassignmentsRequest) { refuse(call); }
void handle(const Call& call, OffsetDeleteRequest) { refuse(call); }
void handle(const Call& call, DescribeClusterRequest) { refuse(call); }
void handle(const Call& call, ListConfigResourcesRequest) { refuse(call); }
void handle(const Call& call, DescribeTopicPartitionsRequest) { refuse(call); }

}  // namespace tidemark::kafka
