#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/schedule/offset_set.h"
#include "broker/schedule/schedule.h"
#include "broker/schedule/schedule_index.h"
#include "broker/schedule/scheduled_record.h"

namespace tidemark::broker {

/// What waits, in memory: the lanes' indexes and the targets they name. No disk and no clock; the scheduler keeps it in step with the
/// lanes.
///
/// A record is *live* from the moment it is known until it is done with (settle()); a live record is in an index, or has been taken out to
/// be moved.
class ScheduleBook {
 public:
  using Key = std::pair<std::int64_t, std::int64_t>;

  struct Target {
    ScheduleTarget what;
    std::uint64_t waiting = 0, failed = 0;  ///< In the indexes.
    std::optional<Timestamp> paused_until;  ///< After a refusal.
    std::chrono::milliseconds pause{0};
    std::optional<Error> refusal;
    bool singly = false;  ///< A batch of several was too large.
  };
  struct Lane {
    ScheduleIndex waiting, failed;
    OffsetSet live;
    Offset known_end;  ///< Every record below is known, or under way in `adds`.
    /// known_end when each append under way began: its records lie there or later.
    std::multiset<Offset> adds;
    std::uint64_t renumbered = 0;  ///< Live records that lie elsewhere than their id says.

    /// Nothing below is needed any more.
    Offset floor() const;
  };

  std::uint32_t target_number(const ScheduleTarget& target);
  Target& target(std::uint32_t number) { return targets_[number]; }
  const Target& target(std::uint32_t number) const { return targets_[number]; }
  const std::vector<Target>& targets() const { return targets_; }
  Lane& lane(std::int32_t number) { return lanes_[static_cast<std::size_t>(number)]; }
  const Lane& lane(std::int32_t number) const { return lanes_[static_cast<std::size_t>(number)]; }
  static std::int32_t lane_of(const ScheduleTarget& target);

  /// A record that is new to the book; false if it is live already.
  bool add(std::int32_t lane, const WaitingRecord& record, bool failed);
  /// Takes a live record out of its index; it stays live. nullopt when it is not there.
  std::optional<WaitingRecord> take(std::int32_t lane, Key key, bool failed);
  /// Puts back what was taken.
  void put_back(std::int32_t lane, const WaitingRecord& record, bool failed);
  /// The record is done with. Pre: taken.
  void settle(std::int32_t lane, const WaitingRecord& record);

  /// Where the record is whose due time and place are known, or at least its id.
  struct Found {
    WaitingRecord record;
    bool failed = false;
  };
  std::optional<Found> find(std::int32_t lane, std::int64_t due_ms, std::int64_t offset) const;
  std::optional<Found> find_number(std::int32_t lane, std::int64_t number) const;

  std::uint64_t waiting() const { return waiting_; }
  std::uint64_t failed() const { return failed_; }
  std::optional<std::int64_t> first_due_ms() const;
  std::size_t memory_bytes() const;

  ScheduledInfo info(std::int32_t lane, const WaitingRecord& record, bool failed) const;
  /// Errors: invalid_argument.
  Result<SchedulePage> list(const ScheduleQuery& query) const;
  std::vector<ScheduleCount> counts() const;

 private:
  void count(const WaitingRecord& record, bool failed, int by);

  std::array<Lane, kScheduleLanes> lanes_;
  std::vector<Target> targets_;
  std::map<std::pair<Uuid, std::int32_t>, std::uint32_t> target_numbers_;
  std::uint64_t waiting_ = 0, failed_ = 0;
};

}  // namespace tidemark::broker
