#include "protocol/kafka/adapter/dispatch.h"

#include "protocol/kafka/adapter/handlers.h"

namespace tidemark::kafka {
namespace {

template <class Request>
Status decode_and_handle(const Call& call, Result<Request> request) {
  if (!request) return std::move(request).error();
  handle(call, *std::move(request));
  return {};
}

}  // namespace

Status dispatch(const Call& call, const Slice& body, bool version_served) {
  if (!version_served) {
    handle_unknown_api_versions(call);
    return {};
  }
  const int version = call.version();
  switch (call.api()) {  // No default: -Wswitch names the API somebody forgot.
    case ApiKey::produce:
      return decode_and_handle(call, decode_produce_request(body, version));
    case ApiKey::fetch:
      return decode_and_handle(call, decode_fetch_request(body, version));
    case ApiKey::list_offsets:
      return decode_and_handle(call, decode_list_offsets_request(body, version));
    case ApiKey::metadata:
      return decode_and_handle(call, decode_metadata_request(body, version));
    case ApiKey::offset_commit:
      return decode_and_handle(call, decode_offset_commit_request(body, version));
    case ApiKey::offset_fetch:
      return decode_and_handle(call, decode_offset_fetch_request(body, version));
    case ApiKey::find_coordinator:
      return decode_and_handle(call, decode_find_coordinator_request(body, version));
    case ApiKey::join_group:
      return decode_and_handle(call, decode_join_group_request(body, version));
    case ApiKey::heartbeat:
      return decode_and_handle(call, decode_heartbeat_request(body, version));
    case ApiKey::leave_group:
      return decode_and_handle(call, decode_leave_group_request(body, version));
    case ApiKey::sync_group:
      return decode_and_handle(call, decode_sync_group_request(body, version));
    case ApiKey::describe_groups:
      return decode_and_handle(call, decode_describe_groups_request(body, version));
    case ApiKey::list_groups:
      return decode_and_handle(call, decode_list_groups_request(body, version));
    case ApiKey::sasl_handshake:
      return decode_and_handle(call, decode_sasl_handshake_request(body, version));
    case ApiKey::api_versions:
      return decode_and_handle(call, decode_api_versions_request(body, version));
    case ApiKey::create_topics:
      return decode_and_handle(call, decode_create_topics_request(body, version));
    case ApiKey::delete_topics:
      return decode_and_handle(call, decode_delete_topics_request(body, version));
    case ApiKey::delete_records:
      return decode_and_handle(call, decode_delete_records_request(body, version));
    case ApiKey::init_producer_id:
      return decode_and_handle(call, decode_init_producer_id_request(body, version));
    case ApiKey::offset_for_leader_epoch:
      return decode_and_handle(call, decode_offset_for_leader_epoch_request(body, version));
    case ApiKey::add_partitions_to_txn:
      return decode_and_handle(call, decode_add_partitions_to_txn_request(body, version));
    case ApiKey::add_offsets_to_txn:
      return decode_and_handle(call, decode_add_offsets_to_txn_request(body, version));
    case ApiKey::end_txn:
      return decode_and_handle(call, decode_end_txn_request(body, version));
    case ApiKey::write_txn_markers:
      return decode_and_handle(call, decode_write_txn_markers_request(body, version));
    case ApiKey::txn_offset_commit:
      return decode_and_handle(call, decode_txn_offset_commit_request(body, version));
    case ApiKey::describe_acls:
      return decode_and_handle(call, decode_describe_acls_request(body, version));
    case ApiKey::create_acls:
      return decode_and_handle(call, decode_create_acls_request(body, version));
    case ApiKey::delete_acls:
      return decode_and_handle(call, decode_delete_acls_request(body, version));
    case ApiKey::describe_configs:
      return decode_and_handle(call, decode_describe_configs_request(body, version));
    case ApiKey::alter_configs:
      return decode_and_handle(call, decode_alter_configs_request(body, version));
    case ApiKey::describe_log_dirs:
      return decode_and_handle(call, decode_describe_log_dirs_request(body, version));
    case ApiKey::sasl_authenticate:
      return decode_and_handle(call, decode_sasl_authenticate_request(body, version));
    case ApiKey::create_partitions:
      return decode_and_handle(call, decode_create_partitions_request(body, version));
    case ApiKey::delete_groups:
      return decode_and_handle(call, decode_delete_groups_request(body, version));
    case ApiKey::elect_leaders:
      return decode_and_handle(call, decode_elect_leaders_request(body, version));
    case ApiKey::incremental_alter_configs:
      return decode_and_handle(call, decode_incremental_alter_configs_request(body, version));
    case ApiKey::list_partition_reassignments:
      return decode_and_handle(call, decode_list_partition_reassignments_request(body, version));
    case ApiKey::offset_delete:
      return decode_and_handle(call, decode_offset_delete_request(body, version));
    case ApiKey::describe_cluster:
      return decode_and_handle(call, decode_describe_cluster_request(body, version));
    case ApiKey::describe_producers:
      return decode_and_handle(call, decode_describe_producers_request(body, version));
    case ApiKey::describe_transactions:
      return decode_and_handle(call, decode_describe_transactions_request(body, version));
    case ApiKey::list_transactions:
      return decode_and_handle(call, decode_list_transactions_request(body, version));
    case ApiKey::list_config_resources:
      return decode_and_handle(call, decode_list_config_resources_request(body, version));
    case ApiKey::describe_topic_partitions:
      return decode_and_handle(call, decode_describe_topic_partitions_request(body, version));
    case ApiKey::consumer_group_heartbeat:
    case ApiKey::consumer_group_describe:
      break;  // Not advertised: split_request() has refused them.
  }
  check_failed("the API was judged when the header was read", __FILE__, __LINE__);
}

}  // namespace tidemark::kafka
