#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/entries/entry_types.h"
#include "broker/queues/queue_types.h"

/// The values of broker/queues/stream_groups.h.
namespace tidemark::broker {

/// A queue group as the group of one stream: of one partition.
struct StreamGroupName {
  TopicPartition where;
  std::string group;
};

/// Where a group is put.
struct StreamGroupStart {
  std::optional<EntryId> at;                  ///< Entries behind it are new; nullopt: behind the last id there is (`$`).
  std::optional<std::uint64_t> entries_read;  ///< nullopt: not known.
};

/// How calls name the member: a group knows its members by name, and they come into being by being named.
struct StreamMember {
  std::string name;
  bool always_made = true;  ///< Also by a call that gets nothing (Redis since 7.2).
};

/// Entries in the order to work them off. Those of one part live as long as it.
struct StreamEntries {
  std::vector<EntryBatch> parts;
  std::size_t count() const {
    std::size_t sum = 0;
    for (const EntryBatch& part : parts) sum += part.entries.size();
    return sum;
  }
};

struct StreamRead {
  StreamMember member;
  std::size_t count = 1;  ///< SIZE_MAX: all there are, up to kStreamReplyBytesMax.
  bool no_ack = false;    ///< Finished as they are handed out.
};

/// Something somebody has, as his history, or a claim, shows it.
struct StreamHeld {
  EntryId id;
  std::optional<std::pair<std::size_t, std::size_t>> entry;  ///< Part and place in StreamHistory::entries; nullopt: it was deleted.
};
struct StreamHistory {
  std::vector<StreamHeld> held;  ///< By id.
  StreamEntries entries;
};

struct StreamPending {
  std::uint64_t total = 0;
  EntryId first, last;
  std::vector<std::pair<std::string, std::uint64_t>> members;  ///< By name; only those that have something.
};
struct StreamPendingQuery {
  EntryId first = EntryId::min();
  EntryId last = EntryId::max();
  std::size_t count = 0;
  std::chrono::milliseconds idle{0};
  std::optional<std::string> member;
};
/// The idle time of what nobody has: it can be claimed at any time.
inline constexpr std::chrono::milliseconds kNobodyHas{-1};
struct StreamPendingRow {
  EntryId id;
  std::string member;  ///< Empty, with kNobodyHas: it was given back.
  Timestamp delivered{};
  std::chrono::milliseconds idle{0};
  std::uint32_t deliveries = 0;
};

struct StreamClaim {
  StreamMember member;
  std::chrono::milliseconds min_idle{0};
  std::vector<EntryId> ids;                 ///< In the order of the answer.
  std::optional<Timestamp> delivered;       ///< nullopt: now.
  std::optional<std::uint32_t> deliveries;  ///< nullopt: one more, unless `just_ids`.
  bool force = false;                       ///< Also entries that are not pending.
  bool just_ids = false;
  std::optional<EntryId> last_id;  ///< The group's last id is raised to this.
};
struct StreamClaimIdle {
  StreamMember member;
  std::chrono::milliseconds min_idle{0};
  EntryId from;
  std::size_t count = 100;  ///< Of claimed and deleted ones together; ten times as many are looked at.
  bool just_ids = false;
};
struct StreamClaimed {
  StreamHistory claimed;         ///< With `just_ids`, without entries.
  std::vector<EntryId> deleted;  ///< Were pending, and are not in the stream any more: finished. StreamClaimIdle only.
  EntryId next;                  ///< StreamClaimIdle: where to go on; 0-0: it was all.
};

/// What is taken over on the way to new entries (XREADGROUP CLAIM).
struct StreamTakeIdle {
  StreamMember member;
  std::chrono::milliseconds min_idle{0};
  std::size_t count = 1;  ///< SIZE_MAX: all there are, up to kStreamReplyBytesMax.
};
struct StreamIdleTaken {
  StreamHistory taken;
  std::vector<StreamPendingRow> before;  ///< For each of taken.held, as it was.
  /// With nothing taken: how long until there may be something.
  std::chrono::milliseconds next{0};
  std::uint64_t given_back = 0;  ///< How often something was given back; for StreamGroups::wait().
};

/// XNACK.
struct StreamGiveBack {
  std::vector<EntryId> ids;
  EntryGiveBack::Kind kind = EntryGiveBack::Kind::fail;
  std::optional<std::uint32_t> deliveries;
  bool force = false;  ///< Also entries that are not pending.
};

struct StreamMemberInfo {
  std::string name;
  Timestamp seen{};
  Timestamp active{};  ///< Epoch: never.
  std::uint64_t pending = 0;
  std::vector<StreamPendingRow> held;  ///< Only where asked for.
};
struct StreamGroupInfo {
  std::string name;
  EntryId last_id;
  std::optional<std::uint64_t> entries_read;
  std::optional<std::uint64_t> lag_of_redis;  ///< By the rules of Redis; nullopt: it would not know.
  std::uint64_t lag = 0;                      ///< Entries never handed out.
  std::uint64_t pending = 0;
  std::vector<StreamPendingRow> held;     ///< Only where asked for.
  std::vector<StreamMemberInfo> members;  ///< By name.
};
struct StreamGroupsQuery {
  bool held = false;         ///< With what is pending.
  std::size_t held_max = 0;  ///< Of each group, and of each member; 0: all.
};

/// What became of an entry that was to go.
enum class StreamRemoved {
  not_there,  ///< There was none; of ack_and_remove(): it was not pending in the group.
  removed,
  needed,  ///< A group needs it: it stays.
};

inline constexpr std::size_t kStreamReplyBytesMax = 64 * 1024 * 1024;  ///< Of fields in one answer; what is beyond is left for later.
inline constexpr std::size_t kStreamRowsMax = 1'000'000;               ///< Pending entries in one answer; the rest is left out.

}  // namespace tidemark::broker
