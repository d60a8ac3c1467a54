#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/groups/group_types.h"
#include "broker/queues/queue_settings.h"
#include "broker/queues/queue_window.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"

/// The values of queue groups: what is asked of them, what they answer. No state here.
namespace tidemark::broker {

/// A queue group is named by its name and its topic.
struct QueueName {
  std::string group;  ///< 1-249 bytes, any. Names that begin with "__tidemark_" are the broker's own.
  std::string topic;
  auto operator<=>(const QueueName&) const = default;
};

inline constexpr std::size_t kReceiveRecordsMax = 10'000;
inline constexpr std::size_t kSettlementsMax = 100'000;  ///< Offsets of one request, over all its runs.
inline constexpr std::size_t kPendingRowsMax = 10'000;
inline constexpr std::chrono::hours kRetryDelayMax{24 * 30};
inline constexpr std::chrono::hours kLeaseMax{12};

struct CreateQueueRequest {
  QueueName name;
  QueueFlavor flavor = QueueFlavor::native;
  StartAt start;  ///< Resolved now, in every partition; partitions that come later are read from their beginning.
  std::map<std::string, std::string> settings;
  bool may_exist = false;  ///< The group as it is, if there is one; `start` and `settings` are not looked at then.
};

struct ReceiveRequest {
  QueueName name;
  std::string member;                     ///< 1-249 bytes (Redis: 0-249), chosen by the member.
  std::optional<std::int32_t> partition;  ///< nullopt: any.
  std::size_t records_max = 1;            ///< 1 to kReceiveRecordsMax.
  std::size_t bytes_max = 1024 * 1024;    ///< Of the batches that come along; one batch may exceed it.
  std::chrono::milliseconds wait{0};      ///< How long to wait for the first record.
  bool new_only = false;                  ///< From the cursor only, whatever state those records are in (Redis `>`).
  bool settled = false;                   ///< Finished as they are handed out (Redis NOACK).
  bool durable = false;                   ///< The answer waits until the hand-out is recorded. Suspects are always waited for.
};

struct ReceivedPartition {
  std::int32_t partition = 0;
  std::vector<TakenRun> runs;          ///< In the order to work them off: by priority, then by offset.
  std::vector<Slice> batches;          ///< Whole batches that contain them, ascending, perhaps with other records in between.
  std::chrono::milliseconds lease{0};  ///< From now; 0: none.
};
struct ReceiveReply {
  std::vector<ReceivedPartition> partitions;  ///< Empty: nothing came in time.
  std::chrono::milliseconds lease{0};         ///< Of what came; 0: none.
};

struct Settlement {
  enum class Kind : std::uint8_t {
    ack = 0,      ///< Done.
    retry = 1,    ///< Failed: again after `delay`, or the group's backoff.
    release = 2,  ///< Given back unworked, at once and uncounted.
    reject = 3,   ///< Hopeless: to the dead letters now.
  };
  std::int32_t partition = 0;
  OffsetRun offsets;
  std::uint32_t deliveries = 0;  ///< As handed out; 0: whatever it is.
  Kind kind = Kind::ack;
  std::optional<std::chrono::milliseconds> delay;  ///< retry only; 0 to kRetryDelayMax.
  std::string reason;                              ///< retry and reject; at most QueueWindow::kReasonBytesMax, cut beyond.
};
struct SettleReply {
  std::uint64_t settled = 0;
  struct Failure {
    std::int32_t partition = 0;
    Offset offset;
    Error error;  ///< not_delivered, already_settled, not_owner, lease_lost, unknown_partition: nothing changed there.
  };
  std::vector<Failure> failures;
};

struct QueuePartitionInfo {
  std::int32_t partition = 0;
  Offset log_start, end;  ///< `end`: last stable offset.
  Offset floor, cursor;
  QueueCounts counts;
  std::uint64_t waiting = 0;  ///< counts.waiting and what lies between cursor and end, in offsets.
  std::uint64_t lag() const { return waiting + counts.in_flight + counts.retrying + counts.delayed; }
  std::optional<Timestamp> oldest;  ///< Append time of the oldest unfinished record; nullopt: there is none.
  bool oldest_estimated = false;
  std::string stalled;  ///< Why nothing can be handed out, in words; empty: it can.
  struct Blocked {
    std::string key;  ///< The key's bytes, as far as they could be read.
    Offset by;
    EntryState state = EntryState::acquired;
    std::size_t waiting = 0;
  };
  std::vector<Blocked> blocked_keys;  ///< Worst first, at most 10.
  std::size_t memory_bytes = 0;
};

struct QueueMember {
  std::string member;
  std::string client_id;  ///< Of the connection it is on; empty: none at the moment.
  std::string host;
  bool connected = false;
  Timestamp created{}, seen{}, active{};
  std::uint64_t in_flight = 0;
  std::vector<std::pair<std::int32_t, std::uint64_t>> partitions;  ///< In flight, by partition.
};

struct QueueInfo {
  QueueName name;
  QueueFlavor flavor = QueueFlavor::native;
  Timestamp created{};
  StartAt start;
  std::map<std::string, std::string> settings;  ///< As set.
  QueueSettings effective;
  std::vector<QueuePartitionInfo> partitions;
  std::vector<QueueMember> members;
  QueueCounts counts() const;
};

struct PendingQuery {
  QueueName name;
  std::optional<std::int32_t> partition = std::nullopt;
  std::optional<std::string> member = std::nullopt;
  std::vector<EntryState> states = {};  ///< Empty: all unfinished that were handed out (not `available` with no delivery).
  std::chrono::milliseconds older{0};   ///< Since the last hand-out.
  Offset from{0};                       ///< In each partition.
  std::size_t max = 1000;               ///< At most kPendingRowsMax.
};
struct PendingRow {
  std::int32_t partition = 0;
  Offset offset;
  EntryState state = EntryState::acquired;
  std::string member;
  std::optional<std::chrono::milliseconds> idle;  ///< Since the last hand-out.
  std::optional<Timestamp> due;
  std::uint32_t deliveries = 0, failures = 0;
  std::string reason;
};

/// What an operator does to unfinished records.
struct QueueAction {
  enum class Kind : std::uint8_t {
    release = 0,  ///< Take acquired ones back from whoever has them; uncounted.
    kick = 1,     ///< Parked and delayed ones are available now.
    purge = 2,    ///< Everything nobody has is finished.
  };
  QueueName name;
  Kind kind = Kind::release;
  std::optional<std::string> member = std::nullopt;           ///< release: only what this one has.
  std::chrono::milliseconds older{0};                         ///< release: only what was handed out so long ago.
  std::vector<std::pair<std::int32_t, Offset>> offsets = {};  ///< Only these; empty: all. At most kSettlementsMax.
  std::string match = {};                                     ///< kick: only records this filter matches.
  bool execute = true;                                        ///< False: only count.
};
struct QueueActionReply {
  std::uint64_t records = 0;  ///< That it did, or would do, this to.
};

struct ClaimRequest {
  QueueName name;
  std::string member;
  std::int32_t partition = 0;
  std::vector<EntryClaim> entries;
  bool with_records = true;
  bool drop_gone = false;  ///< Entries whose record is gone are finished (Redis 7).
};
struct ClaimReply {
  std::vector<TakenRun> claimed;
  std::vector<Offset> gone;
  std::vector<Slice> batches;
};

// --- Dead letters.

/// Names of the headers a dead letter carries besides the record's own.
namespace dead_letter {
inline constexpr std::string_view kGroup = "tidemark-dead-group";
inline constexpr std::string_view kTopic = "tidemark-dead-topic";
inline constexpr std::string_view kPartition = "tidemark-dead-partition";
inline constexpr std::string_view kOffset = "tidemark-dead-offset";
inline constexpr std::string_view kReason = "tidemark-dead-reason";
inline constexpr std::string_view kDeliveries = "tidemark-dead-deliveries";
inline constexpr std::string_view kFailures = "tidemark-dead-failures";
inline constexpr std::string_view kMember = "tidemark-dead-member";
inline constexpr std::string_view kLastDelivery = "tidemark-dead-last-delivery";  ///< RFC 3339, UTC.
inline constexpr std::string_view kTime = "tidemark-dead-time";                   ///< When it died.
}  // namespace dead_letter

struct DeadLetterSummary {
  QueueName name;     ///< Whose dead letters.
  std::string topic;  ///< Where they are.
  std::uint64_t letters = 0;
  std::optional<Timestamp> oldest, newest;
  std::vector<std::pair<std::string, std::uint64_t>> reasons;  ///< Most frequent first, at most 10, of at most the last 10 000 letters.
};
struct DeadLetter {
  std::string topic;  ///< Where it lies.
  std::int32_t partition = 0;
  Offset offset;
  QueueName from;
  std::int32_t from_partition = 0;
  Offset from_offset;
  std::string reason;
  std::uint32_t deliveries = 0, failures = 0;
  std::string member;
  Timestamp died{};
  std::int64_t timestamp_ms = -1;  ///< Of the record.
  std::optional<ByteVector> key, value;
  std::vector<std::pair<std::string, std::optional<ByteVector>>> headers;  ///< The record's own.
};
struct RedriveRequest {
  std::string group;
  std::optional<std::string> topic = std::nullopt;  ///< Only those from this topic.
  std::string match = {};                           ///< RecordFilter; empty: all.
  std::size_t max = 0;                              ///< 0: all that are there now.
  double records_per_second = 0;                    ///< 0: as fast as it goes.
  std::optional<std::string> to = std::nullopt;     ///< Publish there, for everybody, instead of giving them back to the group.
  bool dry_run = false;
};
struct RedriveReply {
  std::uint64_t matched = 0;
  std::uint64_t redriven = 0;
  std::uint64_t gone = 0;     ///< Their record is no longer in the topic they came from: only `to` helps.
  std::uint64_t skipped = 0;  ///< Did not match.
};

}  // namespace tidemark::broker
