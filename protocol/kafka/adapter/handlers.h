#pragma once

#include "protocol/kafka/adapter/call.h"
#include "protocol/kafka/codec/messages/add_offsets_to_txn.h"
#include "protocol/kafka/codec/messages/add_partitions_to_txn.h"
#include "protocol/kafka/codec/messages/alter_configs.h"
#include "protocol/kafka/codec/messages/api_versions.h"
#include "protocol/kafka/codec/messages/create_acls.h"
#include "protocol/kafka/codec/messages/create_partitions.h"
#include "protocol/kafka/codec/messages/create_topics.h"
#include "protocol/kafka/codec/messages/delete_acls.h"
#include "protocol/kafka/codec/messages/delete_groups.h"
#include "protocol/kafka/codec/messages/delete_records.h"
#include "protocol/kafka/codec/messages/delete_topics.h"
#include "protocol/kafka/codec/messages/describe_acls.h"
#include "protocol/kafka/codec/messages/describe_cluster.h"
#include "protocol/kafka/codec/messages/describe_configs.h"
#include "protocol/kafka/codec/messages/describe_groups.h"
#include "protocol/kafka/codec/messages/describe_log_dirs.h"
#include "protocol/kafka/codec/messages/describe_producers.h"
#include "protocol/kafka/codec/messages/describe_topic_partitions.h"
#include "protocol/kafka/codec/messages/describe_transactions.h"
#include "protocol/kafka/codec/messages/elect_leaders.h"
#include "protocol/kafka/codec/messages/end_txn.h"
#include "protocol/kafka/codec/messages/fetch.h"
#include "protocol/kafka/codec/messages/find_coordinator.h"
#include "protocol/kafka/codec/messages/heartbeat.h"
#include "protocol/kafka/codec/messages/incremental_alter_configs.h"
#include "protocol/kafka/codec/messages/init_producer_id.h"
#include "protocol/kafka/codec/messages/join_group.h"
#include "protocol/kafka/codec/messages/leave_group.h"
#include "protocol/kafka/codec/messages/list_config_resources.h"
#include "protocol/kafka/codec/messages/list_groups.h"
#include "protocol/kafka/codec/messages/list_offsets.h"
#include "protocol/kafka/codec/messages/list_partition_reassignments.h"
#include "protocol/kafka/codec/messages/list_transactions.h"
#include "protocol/kafka/codec/messages/metadata.h"
#include "protocol/kafka/codec/messages/offset_commit.h"
#include "protocol/kafka/codec/messages/offset_delete.h"
#include "protocol/kafka/codec/messages/offset_fetch.h"
#include "protocol/kafka/codec/messages/offset_for_leader_epoch.h"
#include "protocol/kafka/codec/messages/produce.h"
#include "protocol/kafka/codec/messages/sasl_authenticate.h"
#include "protocol/kafka/codec/messages/sasl_handshake.h"
#include "protocol/kafka/codec/messages/sync_group.h"
#include "protocol/kafka/codec/messages/txn_offset_commit.h"
#include "protocol/kafka/codec/messages/write_txn_markers.h"

/// One function per API: decide, call the engine, answer. Sources: handlers_*.cc, by what they are about.
namespace tidemark::kafka {

void handle(const Call& call, ProduceRequest request);
void handle(const Call& call, FetchRequest request);
void handle(const Call& call, ListOffsetsRequest request);
void handle(const Call& call, MetadataRequest request);
void handle(const Call& call, OffsetCommitRequest request);
void handle(const Call& call, OffsetFetchRequest request);
void handle(const Call& call, FindCoordinatorRequest request);
void handle(const Call& call, JoinGroupRequest request);
void handle(const Call& call, HeartbeatRequest request);
void handle(const Call& call, LeaveGroupRequest request);
void handle(const Call& call, SyncGroupRequest request);
void handle(const Call& call, DescribeGroupsRequest request);
void handle(const Call& call, ListGroupsRequest request);
void handle(const Call& call, SaslHandshakeRequest request);
void handle(const Call& call, ApiVersionsRequest request);
void handle(const Call& call, CreateTopicsRequest request);
void handle(const Call& call, DeleteTopicsRequest request);
void handle(const Call& call, DeleteRecordsRequest request);
void handle(const Call& call, InitProducerIdRequest request);
void handle(const Call& call, OffsetForLeaderEpochRequest request);
void handle(const Call& call, AddPartitionsToTxnRequest request);
void handle(const Call& call, AddOffsetsToTxnRequest request);
void handle(const Call& call, EndTxnRequest request);
void handle(const Call& call, WriteTxnMarkersRequest request);
void handle(const Call& call, TxnOffsetCommitRequest request);
void handle(const Call& call, DescribeAclsRequest request);
void handle(const Call& call, CreateAclsRequest request);
void handle(const Call& call, DeleteAclsRequest request);
void handle(const Call& call, DescribeConfigsRequest request);
void handle(const Call& call, AlterConfigsRequest request);
void handle(const Call& call, DescribeLogDirsRequest request);
void handle(const Call& call, SaslAuthenticateRequest request);
void handle(const Call& call, CreatePartitionsRequest request);
void handle(const Call& call, DeleteGroupsRequest request);
void handle(const Call& call, ElectLeadersRequest request);
void handle(const Call& call, IncrementalAlterConfigsRequest request);
void handle(const Call& call, ListPartitionReassignmentsRequest request);
void handle(const Call& call, OffsetDeleteRequest request);
void handle(const Call& call, DescribeClusterRequest request);
void handle(const Call& call, DescribeProducersRequest request);
void handle(const Call& call, DescribeTransactionsRequest request);
void handle(const Call& call, ListTransactionsRequest request);
void handle(const Call& call, ListConfigResourcesRequest request);
void handle(const Call& call, DescribeTopicPartitionsRequest request);

/// ApiVersions in a version that we do not know: error 35 and our ranges, in version 0 (KIP-511).
void handle_unknown_api_versions(const Call& call);

}  // namespace tidemark::kafka
