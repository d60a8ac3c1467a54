#include "protocol/kafka/codec/errors.h"

#include <algorithm>
#include <iterator>

namespace tidemark::kafka {

std::string_view to_string(ErrorCode code) {
  switch (code) {  // No default: -Wswitch names the code somebody forgot.
    case ErrorCode::unknown_server_error:
      return "UNKNOWN_SERVER_ERROR";
    case ErrorCode::none:
      return "NONE";
    case ErrorCode::offset_out_of_range:
      return "OFFSET_OUT_OF_RANGE";
    case ErrorCode::corrupt_message:
      return "CORRUPT_MESSAGE";
    case ErrorCode::unknown_topic_or_partition:
      return "UNKNOWN_TOPIC_OR_PARTITION";
    case ErrorCode::invalid_fetch_size:
      return "INVALID_FETCH_SIZE";
    case ErrorCode::leader_not_available:
      return "LEADER_NOT_AVAILABLE";
    case ErrorCode::not_leader_or_follower:
      return "NOT_LEADER_OR_FOLLOWER";
    case ErrorCode::request_timed_out:
      return "REQUEST_TIMED_OUT";
    case ErrorCode::broker_not_available:
      return "BROKER_NOT_AVAILABLE";
    case ErrorCode::replica_not_available:
      return "REPLICA_NOT_AVAILABLE";
    case ErrorCode::message_too_large:
      return "MESSAGE_TOO_LARGE";
    case ErrorCode::offset_metadata_too_large:
      return "OFFSET_METADATA_TOO_LARGE";
    case ErrorCode::network_exception:
      return "NETWORK_EXCEPTION";
    case ErrorCode::coordinator_load_in_progress:
      return "COORDINATOR_LOAD_IN_PROGRESS";
    case ErrorCode::coordinator_not_available:
      return "COORDINATOR_NOT_AVAILABLE";
    case ErrorCode::not_coordinator:
      return "NOT_COORDINATOR";
    case ErrorCode::invalid_topic:
      return "INVALID_TOPIC_EXCEPTION";
    case ErrorCode::record_list_too_large:
      return "RECORD_LIST_TOO_LARGE";
    case ErrorCode::not_enough_replicas:
      return "NOT_ENOUGH_REPLICAS";
    case ErrorCode::not_enough_replicas_after_append:
      return "NOT_ENOUGH_REPLICAS_AFTER_APPEND";
    case ErrorCode::invalid_required_acks:
      return "INVALID_REQUIRED_ACKS";
    case ErrorCode::illegal_generation:
      return "ILLEGAL_GENERATION";
    case ErrorCode::inconsistent_group_protocol:
      return "INCONSISTENT_GROUP_PROTOCOL";
    case ErrorCode::invalid_group_id:
      return "INVALID_GROUP_ID";
    case ErrorCode::unknown_member_id:
      return "UNKNOWN_MEMBER_ID";
    case ErrorCode::invalid_session_timeout:
      return "INVALID_SESSION_TIMEOUT";
    case ErrorCode::rebalance_in_progress:
      return "REBALANCE_IN_PROGRESS";
    case ErrorCode::invalid_commit_offset_size:
      return "INVALID_COMMIT_OFFSET_SIZE";
    case ErrorCode::topic_authorization_failed:
      return "TOPIC_AUTHORIZATION_FAILED";
    case ErrorCode::group_authorization_failed:
      return "GROUP_AUTHORIZATION_FAILED";
    case ErrorCode::cluster_authorization_failed:
      return "CLUSTER_AUTHORIZATION_FAILED";
    case ErrorCode::invalid_timestamp:
      return "INVALID_TIMESTAMP";
    case ErrorCode::unsupported_sasl_mechanism:
      return "UNSUPPORTED_SASL_MECHANISM";
    case ErrorCode::illegal_sasl_state:
      return "ILLEGAL_SASL_STATE";
    case ErrorCode::unsupported_version:
      return "UNSUPPORTED_VERSION";
    case ErrorCode::topic_already_exists:
      return "TOPIC_ALREADY_EXISTS";
    case ErrorCode::invalid_partitions:
      return "INVALID_PARTITIONS";
    case ErrorCode::invalid_replication_factor:
      return "INVALID_REPLICATION_FACTOR";
    case ErrorCode::invalid_replica_assignment:
      return "INVALID_REPLICA_ASSIGNMENT";
    case ErrorCode::invalid_config:
      return "INVALID_CONFIG";
    case ErrorCode::not_controller:
      return "NOT_CONTROLLER";
    case ErrorCode::invalid_request:
      return "INVALID_REQUEST";
    case ErrorCode::unsupported_for_message_format:
      return "UNSUPPORTED_FOR_MESSAGE_FORMAT";
    case ErrorCode::policy_violation:
      return "POLICY_VIOLATION";
    case ErrorCode::out_of_order_sequence_number:
      return "OUT_OF_ORDER_SEQUENCE_NUMBER";
    case ErrorCode::duplicate_sequence_number:
      return "DUPLICATE_SEQUENCE_NUMBER";
    case ErrorCode::invalid_producer_epoch:
      return "INVALID_PRODUCER_EPOCH";
    case ErrorCode::invalid_txn_state:
      return "INVALID_TXN_STATE";
    case ErrorCode::invalid_producer_id_mapping:
      return "INVALID_PRODUCER_ID_MAPPING";
    case ErrorCode::invalid_transaction_timeout:
      return "INVALID_TRANSACTION_TIMEOUT";
    case ErrorCode::concurrent_transactions:
      return "CONCURRENT_TRANSACTIONS";
    case ErrorCode::transaction_coordinator_fenced:
      return "TRANSACTION_COORDINATOR_FENCED";
    case ErrorCode::transactional_id_authorization_failed:
      return "TRANSACTIONAL_ID_AUTHORIZATION_FAILED";
    case ErrorCode::security_disabled:
      return "SECURITY_DISABLED";
    case ErrorCode::operation_not_attempted:
      return "OPERATION_NOT_ATTEMPTED";
    case ErrorCode::kafka_storage_error:
      return "KAFKA_STORAGE_ERROR";
    case ErrorCode::log_dir_not_found:
      return "LOG_DIR_NOT_FOUND";
    case ErrorCode::sasl_authentication_failed:
      return "SASL_AUTHENTICATION_FAILED";
    case ErrorCode::unknown_producer_id:
      return "UNKNOWN_PRODUCER_ID";
    case ErrorCode::reassignment_in_progress:
      return "REASSIGNMENT_IN_PROGRESS";
    case ErrorCode::non_empty_group:
      return "NON_EMPTY_GROUP";
    case ErrorCode::group_id_not_found:
      return "GROUP_ID_NOT_FOUND";
    case ErrorCode::fetch_session_id_not_found:
      return "FETCH_SESSION_ID_NOT_FOUND";
    case ErrorCode::invalid_fetch_session_epoch:
      return "INVALID_FETCH_SESSION_EPOCH";
    case ErrorCode::listener_not_found:
      return "LISTENER_NOT_FOUND";
    case ErrorCode::topic_deletion_disabled:
      return "TOPIC_DELETION_DISABLED";
    case ErrorCode::fenced_leader_epoch:
      return "FENCED_LEADER_EPOCH";
    case ErrorCode::unknown_leader_epoch:
      return "UNKNOWN_LEADER_EPOCH";
    case ErrorCode::unsupported_compression_type:
      return "UNSUPPORTED_COMPRESSION_TYPE";
    case ErrorCode::offset_not_available:
      return "OFFSET_NOT_AVAILABLE";
    case ErrorCode::member_id_required:
      return "MEMBER_ID_REQUIRED";
    case ErrorCode::preferred_leader_not_available:
      return "PREFERRED_LEADER_NOT_AVAILABLE";
    case ErrorCode::group_max_size_reached:
      return "GROUP_MAX_SIZE_REACHED";
    case ErrorCode::fenced_instance_id:
      return "FENCED_INSTANCE_ID";
    case ErrorCode::eligible_leaders_not_available:
      return "ELIGIBLE_LEADERS_NOT_AVAILABLE";
    case ErrorCode::election_not_needed:
      return "ELECTION_NOT_NEEDED";
    case ErrorCode::no_reassignment_in_progress:
      return "NO_REASSIGNMENT_IN_PROGRESS";
    case ErrorCode::group_subscribed_to_topic:
      return "GROUP_SUBSCRIBED_TO_TOPIC";
    case ErrorCode::invalid_record:
      return "INVALID_RECORD";
    case ErrorCode::unstable_offset_commit:
      return "UNSTABLE_OFFSET_COMMIT";
    case ErrorCode::throttling_quota_exceeded:
      return "THROTTLING_QUOTA_EXCEEDED";
    case ErrorCode::producer_fenced:
      return "PRODUCER_FENCED";
    case ErrorCode::resource_not_found:
      return "RESOURCE_NOT_FOUND";
    case ErrorCode::duplicate_resource:
      return "DUPLICATE_RESOURCE";
    case ErrorCode::unacceptable_credential:
      return "UNACCEPTABLE_CREDENTIAL";
    case ErrorCode::unknown_topic_id:
      return "UNKNOWN_TOPIC_ID";
    case ErrorCode::inconsistent_topic_id:
      return "INCONSISTENT_TOPIC_ID";
    case ErrorCode::transactional_id_not_found:
      return "TRANSACTIONAL_ID_NOT_FOUND";
    case ErrorCode::fetch_session_topic_id_error:
      return "FETCH_SESSION_TOPIC_ID_ERROR";
    case ErrorCode::fenced_member_epoch:
      return "FENCED_MEMBER_EPOCH";
    case ErrorCode::unreleased_instance_id:
      return "UNRELEASED_INSTANCE_ID";
    case ErrorCode::unsupported_assignor:
      return "UNSUPPORTED_ASSIGNOR";
    case ErrorCode::stale_member_epoch:
      return "STALE_MEMBER_EPOCH";
    case ErrorCode::mismatched_endpoint_type:
      return "MISMATCHED_ENDPOINT_TYPE";
    case ErrorCode::unsupported_endpoint_type:
      return "UNSUPPORTED_ENDPOINT_TYPE";
    case ErrorCode::transaction_abortable:
      return "TRANSACTION_ABORTABLE";
    case ErrorCode::invalid_record_state:
      return "INVALID_RECORD_STATE";
    case ErrorCode::share_session_not_found:
      return "SHARE_SESSION_NOT_FOUND";
    case ErrorCode::invalid_share_session_epoch:
      return "INVALID_SHARE_SESSION_EPOCH";
    case ErrorCode::invalid_regular_expression:
      return "INVALID_REGULAR_EXPRESSION";
    case ErrorCode::rebootstrap_required:
      return "REBOOTSTRAP_REQUIRED";
    case ErrorCode::share_session_limit_reached:
      return "SHARE_SESSION_LIMIT_REACHED";
  }
  return "UNNAMED_ERROR";  // Only a code from the wire gets here.
}

ErrorCode to_wire(Errc code) {
  switch (code) {  // No default, as above.
    case Errc::internal:
      return ErrorCode::unknown_server_error;
    case Errc::invalid_argument:
    case Errc::protocol_error:
    case Errc::conflict:
      return ErrorCode::invalid_request;
    case Errc::unknown_topic:
    case Errc::unknown_partition:
      return ErrorCode::unknown_topic_or_partition;
    case Errc::topic_exists:
      return ErrorCode::topic_already_exists;
    case Errc::invalid_topic_name:
      return ErrorCode::invalid_topic;
    case Errc::invalid_config:
      return ErrorCode::invalid_config;
    case Errc::offset_out_of_range:
      return ErrorCode::offset_out_of_range;
    case Errc::corrupt_batch:
      return ErrorCode::corrupt_message;
    case Errc::batch_too_large:
    case Errc::frame_too_large:
      return ErrorCode::message_too_large;
    case Errc::unsupported_compression:
      return ErrorCode::unsupported_compression_type;
    case Errc::decompression_limit:
      return ErrorCode::invalid_record;
    case Errc::out_of_order_sequence:
      return ErrorCode::out_of_order_sequence_number;
    case Errc::duplicate_sequence:
      return ErrorCode::duplicate_sequence_number;
    case Errc::stale_producer_epoch:
      return ErrorCode::invalid_producer_epoch;
    case Errc::disk_full:
    case Errc::io_error:
    case Errc::quarantined:
    case Errc::locked:
    case Errc::foreign_data:
      return ErrorCode::kafka_storage_error;
    case Errc::not_found:
      return ErrorCode::resource_not_found;
    case Errc::denied:
      return ErrorCode::cluster_authorization_failed;
    case Errc::timed_out:
    case Errc::cancelled:
    case Errc::overloaded:
    case Errc::queue_full:
    case Errc::shutting_down:
      return ErrorCode::request_timed_out;
    case Errc::connection_lost:
    case Errc::cannot_connect:
      return ErrorCode::network_exception;
    case Errc::unsupported_version:
      return ErrorCode::unsupported_version;
    case Errc::unknown_group:
      return ErrorCode::group_id_not_found;
    case Errc::unknown_member:
      return ErrorCode::unknown_member_id;
    case Errc::stale_member_epoch:
      return ErrorCode::fenced_member_epoch;
    case Errc::illegal_generation:
      return ErrorCode::illegal_generation;
    case Errc::rebalance_in_progress:
      return ErrorCode::rebalance_in_progress;
    case Errc::inconsistent_group_protocol:
      return ErrorCode::inconsistent_group_protocol;
    case Errc::fenced_instance_id:
      return ErrorCode::fenced_instance_id;
    case Errc::member_id_required:
      return ErrorCode::member_id_required;
    case Errc::group_full:
      return ErrorCode::group_max_size_reached;
    case Errc::invalid_session_timeout:
      return ErrorCode::invalid_session_timeout;
    case Errc::not_owner:
      return ErrorCode::not_leader_or_follower;
    case Errc::not_delivered:
    case Errc::already_settled:
    case Errc::lease_lost:
      return ErrorCode::invalid_record_state;
    case Errc::invalid_transaction_state:
      return ErrorCode::invalid_txn_state;
    case Errc::producer_fenced:
      return ErrorCode::producer_fenced;
    case Errc::unknown_transactional_id:
      return ErrorCode::invalid_producer_id_mapping;
    case Errc::invalid_transaction_timeout:
      return ErrorCode::invalid_transaction_timeout;
    case Errc::concurrent_transactions:
      return ErrorCode::concurrent_transactions;
  }
  return ErrorCode::unknown_server_error;  // Not an Errc: a value cast from elsewhere.
}

ErrorCode fetch_error(ErrorCode code) {
  constexpr ErrorCode kAccepted[] = {
      ErrorCode::none,
      ErrorCode::unknown_server_error,
      ErrorCode::offset_out_of_range,
      ErrorCode::corrupt_message,
      ErrorCode::unknown_topic_or_partition,
      ErrorCode::not_leader_or_follower,
      ErrorCode::replica_not_available,
      ErrorCode::topic_authorization_failed,
      ErrorCode::kafka_storage_error,
      ErrorCode::fenced_leader_epoch,
      ErrorCode::unknown_leader_epoch,
      ErrorCode::offset_not_available,
      ErrorCode::unknown_topic_id,
      ErrorCode::inconsistent_topic_id,
  };
  return std::ranges::find(kAccepted, code) != std::end(kAccepted) ? code : ErrorCode::kafka_storage_error;
}

}  // namespace tidemark::kafka
