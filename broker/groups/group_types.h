#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "broker/groups/classic_membership.h"
#include "broker/partition_state.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"

/// The values of stream groups: what is asked of them, what they answer, what is kept. No state here.
namespace tidemark::broker {

/// Stream groups are named by their name, queue groups by name and topic; the namespaces do not touch.
enum class GroupKind : std::uint8_t { stream = 1, queue = 2 };
/// Who speaks for the members while there are some. Offsets are the same store for all.
enum class GroupProtocol : std::uint8_t {
  none = 0,     ///< No members; commits come from consumers that assign themselves, or there were none yet.
  native = 1,   ///< The broker assigns, incrementally (the model of KIP-848).
  classic = 2,  ///< Kafka's join/sync protocol: a member assigns.
};
std::string_view to_string(GroupKind kind);
std::string_view to_string(GroupProtocol protocol);

inline constexpr std::size_t kGroupNameBytesMax = 249;
inline constexpr std::size_t kCommitMetadataBytesMax = 4096;
inline constexpr std::size_t kMembersMax = 10'000;
inline constexpr std::size_t kSubscribedTopicsMax = 10'000;
inline constexpr std::size_t kSeekHistoryMax = 50;
inline constexpr std::size_t kSeekRowsMax = 10'000;  ///< Partitions moved by one seek; no topic has more.

/// 1-249 bytes, any. Error invalid_argument names the rule.
Status validate_group_name(std::string_view name);

/// Where a group starts in partitions it has no position in.
struct StartAt {
  enum class Kind : std::uint8_t { earliest = 0, latest = 1, offset = 2, time = 3 };
  Kind kind = Kind::earliest;
  std::int64_t value = 0;  ///< Offset, or milliseconds since the epoch of record time.
  bool operator==(const StartAt&) const = default;
};

/// What becomes of a member whose position retention has removed.
enum class WhenGone : std::uint8_t {
  fail = 0,      ///< It gets offset_out_of_range until somebody seeks.
  earliest = 1,  ///< It goes on at the log start; what it missed is counted.
  latest = 2,    ///< It goes on at the end.
};

/// Settings of one group, alterable live: keys `on.gone` (fail | earliest | latest), `offsets.retention` (duration; empty: for ever),
/// `lag.objective` (duration).
struct GroupSettings {
  WhenGone when_gone = WhenGone::earliest;
  std::optional<std::chrono::milliseconds> offsets_retention;  ///< After the last member left. nullopt: progress never expires.
  std::chrono::milliseconds lag_objective{60'000};
};
/// Error invalid_config names key, value and rule; an unknown key gets a suggestion.
Result<GroupSettings> resolve_group_settings(const std::map<std::string, std::string>& settings);

/// A position a group has committed in one partition.
struct CommittedOffset {
  Offset offset;                   ///< The next record to process.
  std::int32_t leader_epoch = -1;  ///< Of the last record processed, as the consumer told; -1: not told.
  std::string metadata;            ///< At most kCommitMetadataBytesMax; the consumer's own.
  Timestamp time{};
  bool operator==(const CommittedOffset&) const = default;
};

struct NamedPartition {
  std::string topic;
  std::int32_t partition = 0;
  auto operator<=>(const NamedPartition&) const = default;
};

// --- Membership of the broker-assigned protocol.

/// Topics a member wants. Names need not exist yet.
struct Subscription {
  std::vector<std::string> topics;
  std::string regex;  ///< RE2, matches whole names; empty: none. Internal topics never match.
  bool operator==(const Subscription&) const = default;
};

struct HeartbeatRequest {
  std::string group;
  std::string member;       ///< Chosen by the member, unique: a random UUID. 1-249 bytes.
  std::int32_t epoch = 0;   ///< 0 joins; otherwise what the last answer said.
  std::string instance;     ///< Static member: keeps its partitions over a restart. Empty: none.
  std::string client_host;  ///< For people.
  std::chrono::milliseconds session_timeout{45'000};
  std::chrono::milliseconds rebalance_timeout{60'000};  ///< How long it may take to give up partitions.
  std::optional<Subscription> subscription;             ///< Required when joining; nullopt: as before.
  /// What the member holds now; required when joining, and whenever it differs from the last time it was told. nullopt: no change.
  std::optional<std::vector<NamedPartition>> owned;
  StartAt start;  ///< Used when this heartbeat creates the group.
};

struct HeartbeatReply {
  std::int32_t epoch = 0;
  std::chrono::milliseconds interval{};  ///< When to come again at the latest, if not called before.
  /// All the member may hold from now on, when that changed since it was last told. What it holds beyond must be given up: finish, commit,
  /// and say so with `owned`, within the rebalance timeout.
  std::optional<std::vector<NamedPartition>> assignment;
};

// --- Offsets.

struct CommitRequest {
  std::string group;
  std::string member;      ///< Empty: a consumer that assigns itself; allowed while the group has no members.
  std::int32_t epoch = 0;  ///< Member epoch or generation.
  std::optional<std::string> instance;
  bool beyond_end = false;  ///< Offsets beyond the end are taken, as Kafka does.
  struct Entry {
    NamedPartition where;
    Offset offset;
    std::int32_t leader_epoch = -1;
    std::string metadata;
  };
  std::vector<Entry> entries;
};
/// In the order of the entries.
using CommitReply = std::vector<Status>;

struct PositionsRequest {
  std::string group;
  std::string member;  ///< Empty: no member; nothing is judged but that the group exists.
  std::int32_t epoch = 0;
  struct Entry {
    NamedPartition where;
    std::optional<Offset> at;  ///< Where the consumer is, if it met offset_out_of_range there; nullopt: the committed offset counts.
  };
  std::vector<Entry> entries;
};
struct GroupPosition {
  Offset offset;  ///< Where to read on.
  std::int32_t leader_epoch = -1;
  enum class Source : std::uint8_t { committed, start, moved } source = Source::start;  ///< moved: the former position is gone.
  std::int64_t skipped = 0;                                                             ///< moved: records missed.
};
/// In the order of the entries. Errors: unknown_topic, unknown_partition, not_owner, offset_out_of_range (policy `fail`), io_error.
using PositionsReply = std::vector<Result<GroupPosition>>;

// --- Looking.

struct MemberInfo {
  std::string member, instance, client_id, host;
  std::int32_t epoch = 0;
  std::vector<NamedPartition> partitions;
  std::vector<NamedPartition> revoking;
  Timestamp last_seen{};
};

struct SeekRow {
  NamedPartition where;
  std::optional<Offset> from;  ///< nullopt: no position before.
  std::optional<Offset> to;    ///< nullopt (undo only): the position is taken away again.
  std::int64_t records = 0;    ///< to - from; negative when moving back. From the start position where there was none.
  std::uint64_t bytes = 0;     ///< Of the log between the two, estimated from the index.
  bool clamped = false;        ///< The target lay outside the log.
};

struct SeekRecord {
  std::uint64_t id = 0;  ///< Ascending per group.
  Timestamp time{};
  std::string who;     ///< Principal and client that asked.
  std::string target;  ///< As asked: "earliest", "@2026-03-01T10:00Z", "undo 3".
  bool forced = false;
  std::optional<std::uint64_t> undid;   ///< This one took back that one.
  std::optional<std::uint64_t> undone;  ///< That one took back this one.
  std::vector<SeekRow> rows;
};

struct GroupInfo {
  std::string name;
  GroupKind kind = GroupKind::stream;
  GroupProtocol protocol = GroupProtocol::none;
  std::string state;  ///< "empty", "stable", "assigning", "reconciling", or the classic protocol's states.
  std::int32_t epoch = 0;
  Timestamp created{};
  StartAt start;
  std::map<std::string, std::string> settings;
  GroupSettings effective;
  std::vector<std::string> topics;  ///< Subscribed or committed; existing ones only.
  std::vector<MemberInfo> members;
  std::uint64_t skipped_records = 0;    ///< Removed by retention before they were read.
  std::uint64_t clamped_positions = 0;  ///< Positions beyond the end after records were lost with weak durability.
  /// Of a group whose members assign, or did last.
  std::optional<ClassicMembership::Description> classic;
};

/// What the bytes of a classic group's members say: the engine keeps them unread, the adapter of their protocol knows.
struct ClassicReader {
  std::function<std::vector<std::string>(ByteView metadata)> topics;           ///< Subscribed to.
  std::function<std::vector<NamedPartition>(ByteView assignment)> partitions;  ///< Assigned.
};

enum class Verdict : std::uint8_t { ok, draining, slow, stalled, stopped, rewound, paused, at_risk };
std::string_view to_string(Verdict verdict);
/// For comparing: how much a person should care; ok is 0.
int severity(Verdict verdict);

/// How far one group is in one partition.
struct PartitionLag {
  std::string group;
  GroupKind kind = GroupKind::stream;
  std::string topic;
  std::int32_t partition = 0;
  std::optional<Offset> floor;  ///< Everything below is done; nullopt: nothing committed yet.
  Offset log_start;
  Offset end;                       ///< Last stable offset.
  std::optional<std::int64_t> lag;  ///< end - floor; nullopt without a commit. Queue: the three below together.
  /// Queue groups only.
  std::optional<std::uint64_t> waiting, in_flight, retrying;
  std::optional<std::chrono::milliseconds> lag_time;  ///< Now minus append time of the record at the floor; 0 when lag is 0.
  bool lag_time_estimated = false;                    ///< The append time was rebuilt from the log.
  std::string member;                                 ///< Empty: none.
  Verdict verdict = Verdict::ok;
  std::string cause;  ///< In words.
};

// --- Moving.

/// Where to: as Position in the CLI grammar, resolved per partition by the broker.
struct SeekTarget {
  enum class Kind : std::uint8_t {
    earliest = 0,
    latest = 1,
    offset = 2,
    relative = 3,
    time = 4,
    group = 5,
    committed = 6,
    after_start = 7,
    before_end = 8
  };
  Kind kind = Kind::earliest;
  std::int64_t value = 0;  ///< Offset; records (relative: signed, from the present position); milliseconds since the epoch.
  std::string group;       ///< Kind group: whose positions.
  std::string text;        ///< As asked, for history.
};

struct SeekRequest {
  std::string group;
  std::optional<std::string> topic;  ///< nullopt: all of the group's.
  std::optional<std::int32_t> partition;
  SeekTarget target;
  bool execute = false;  ///< false: only the plan.
  bool force = false;    ///< With live members: they are fenced and come back at the new positions.
};
struct SeekReply {
  std::vector<SeekRow> rows;
  bool executed = false;
  std::uint64_t id = 0;  ///< In the history, when executed.
};

struct CreateGroupRequest {
  std::string name;
  std::vector<std::string> topics;  ///< Must exist; positions of `start` are resolved now.
  StartAt start;
  std::map<std::string, std::string> settings;
};

}  // namespace tidemark::broker
