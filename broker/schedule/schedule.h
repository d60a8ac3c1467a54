#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/broker.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"

/// Records that wait for their time: what users see of them and can do about them.
namespace tidemark::broker {

/// The broker's own topic in which records wait. Made when the first one is scheduled. Its partitions are the *lanes*; their number
/// is fixed, and the target partition says which lane a record waits in.
inline constexpr std::string_view kScheduleTopic = "__tidemark_schedule";
inline constexpr std::int32_t kScheduleLanes = 4;

/// Names a scheduled record for as long as it waits, also when it is written anew: "3-1042".
struct ScheduledId {
  std::int32_t lane = 0;
  std::int64_t number = 0;  ///< The offset it got first.
  std::string to_string() const;
  static std::optional<ScheduledId> parse(std::string_view text);
  auto operator<=>(const ScheduledId&) const = default;
};

struct ScheduledInfo {
  ScheduledId id;
  std::string topic;
  std::optional<std::int32_t> partition;  ///< nullopt: the key decides when it is due.
  Timestamp due{};                        ///< Of a record that was refused, when it is tried next.
  enum class State {
    waiting,
    retrying,  ///< It was due, and its topic takes nothing at the moment.
    failed,    ///< Its topic or partition is gone, or does not take it for good. It stays until it is cancelled.
  } state = State::waiting;
  std::string reason;  ///< Of `retrying` and `failed`.
  Offset place;        ///< Where it lies now in its lane.
  struct Content {
    std::optional<std::string> key;  ///< At most its first kKeyBytesMax bytes.
    std::uint64_t bytes = 0;         ///< Key, value and headers together, uncompressed.
    static constexpr std::size_t kKeyBytesMax = 1024;
  };
  std::optional<Content> content;  ///< Where it was asked for, and could be read.
};
std::string_view to_string(ScheduledInfo::State state);

struct ScheduleQuery {
  std::string topic;        ///< Empty: of all topics.
  std::string page;         ///< SchedulePage::next of the page before; empty: the first one.
  std::size_t limit = 100;  ///< 1 to kPageMax.
  static constexpr std::size_t kPageMax = 10'000;
  bool with_content = false;  ///< Read the records themselves, too; the limit is kContentPageMax then.
  static constexpr std::size_t kContentPageMax = 1'000;
};
struct SchedulePage {
  std::vector<ScheduledInfo> records;  ///< By due time. Records that are just being moved are not shown.
  std::string next;                    ///< Empty: that was the last page.
};

struct ScheduleCount {
  std::string topic;
  std::uint64_t waiting = 0;
  std::uint64_t failed = 0;
};
struct ScheduleStatus {
  std::vector<ScheduleCount> topics;  ///< By name; those with any.
  std::uint64_t waiting = 0, failed = 0;
  std::uint64_t records_max = 0;  ///< More are refused.
  std::uint64_t index_bytes = 0;  ///< Memory.
  std::uint64_t moved = 0;        ///< Since the start.
  std::uint64_t damaged = 0;      ///< Records lost to damage of the disk, since the start.
  std::optional<Timestamp> next_due;
};

class Scheduler;

/// Made and owned by the broker. Publishing goes through Broker::append(). Answers as Broker's calls do; right after a start they wait
/// until the schedule has been read.
class Schedule {
 public:
  explicit Schedule(Broker::Impl& broker) : broker_(broker) {}

  /// Errors: invalid_argument (a page that is none, a limit out of range).
  void list(const RequestContext& context, ScheduleQuery query, Done<SchedulePage> done);
  /// The record is never delivered; answers once that is durable. Errors: not_found (delivered, cancelled, never there), conflict (it is
  /// just being delivered), disk_full, shutting_down.
  void cancel(const RequestContext& context, ScheduledId id, Done<ScheduledInfo> done);
  void status(const RequestContext& context, Done<ScheduleStatus> done);

 private:
  /// Runs `call` on the scheduler's shard and answers on the calling one.
  template <class T>
  void on_scheduler(Done<T> done, UniqueFunction<void(Scheduler&, Done<T>)> call);

  Broker::Impl& broker_;
};

}  // namespace tidemark::broker
