#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tidemark::kafka {

enum class ApiKey : std::int16_t {
  produce = 0,
  fetch = 1,
  list_offsets = 2,
  metadata = 3,
  offset_commit = 8,
  offset_fetch = 9,
  find_coordinator = 10,
  join_group = 11,
  heartbeat = 12,
  leave_group = 13,
  sync_group = 14,
  describe_groups = 15,
  list_groups = 16,
  sasl_handshake = 17,
  api_versions = 18,
  create_topics = 19,
  delete_topics = 20,
  delete_records = 21,
  init_producer_id = 22,
  offset_for_leader_epoch = 23,
  add_partitions_to_txn = 24,
  add_offsets_to_txn = 25,
  end_txn = 26,
  write_txn_markers = 27,
  txn_offset_commit = 28,
  describe_acls = 29,
  create_acls = 30,
  delete_acls = 31,
  describe_configs = 32,
  alter_configs = 33,
  describe_log_dirs = 35,
  sasl_authenticate = 36,
  create_partitions = 37,
  delete_groups = 42,
  elect_leaders = 43,
  incremental_alter_configs = 44,
  list_partition_reassignments = 46,
  offset_delete = 47,
  describe_cluster = 60,
  describe_producers = 61,
  describe_transactions = 65,
  list_transactions = 66,
  consumer_group_heartbeat = 68,
  consumer_group_describe = 69,
  list_config_resources = 74,
  describe_topic_partitions = 75,
};

inline constexpr std::int16_t kNeverFlexible = 32'767;

/// What we say about an API in ApiVersions, and how its messages are framed.
struct ApiInfo {
  ApiKey key;
  std::string_view name;     ///< As in the protocol guide: "Produce".
  std::int16_t min_version;  ///< First and last version of our range. The codec may know more: versions that we do not offer.
  std::int16_t max_version;
  std::int16_t flexible_from;              ///< First version with compact fields and tags (KIP-482), or kNeverFlexible.
  bool advertised = true;                  ///< False: the codec knows the messages, the broker does not answer them yet.
  std::int16_t served_from = min_version;  ///< Older versions of the range are advertised and refused.

  bool flexible(int version) const { return version >= flexible_from; }
  bool serves(int version) const { return advertised && version >= served_from && version <= max_version; }
};

/// All APIs that the codec knows, by ascending key.
///
/// The ranges begin where Apache Kafka 4 begins, since old librdkafka switches features on by the *minima*: without Produce 0 it
/// sends batches uncompressed, without Fetch 4 in the old message format. Hence Produce 0-2, advertised and refused as Kafka does
/// (KAFKA-18659). Produce 12 is not transactions V2 by itself: clients use that only if ApiVersions names the feature.
std::span<const ApiInfo> apis();

/// nullptr: not an API of ours.
const ApiInfo* find_api(std::int16_t key);
const ApiInfo& api_info(ApiKey key);

}  // namespace tidemark::kafka
