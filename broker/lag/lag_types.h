#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/groups/group_types.h"
#include "storage/base/clock.h"

/// How far groups are, with what only time can tell: rates, an estimate of the end, how long retention leaves, and a verdict that knows
/// the past. docs/OPERATIONS.md, "Lag", explains each.
namespace tidemark::broker {

/// One group in one partition. `at.verdict` and `at.cause` are those of the whole model.
struct LagRow {
  PartitionLag at;
  /// Records a second, averaged over about a minute; 0 until two samples were taken.
  double in_rate = 0, out_rate = 0;
  std::optional<double> eta_seconds;                  ///< An estimate; nullopt: nothing to do, or not getting less.
  std::optional<std::chrono::milliseconds> headroom;  ///< Until retention by time removes the oldest unfinished record; nullopt: never.
  std::chrono::milliseconds objective{60'000};
};

/// A group over its partitions. Queue groups of one name on several topics are several.
struct LagSummary {
  std::string group;
  GroupKind kind = GroupKind::stream;
  std::string topic;  ///< Of a queue group.
  Verdict verdict = Verdict::ok;
  std::string cause;                                  ///< Of the worst partition, which it names.
  std::optional<std::int64_t> lag;                    ///< Sum; nullopt: no commit anywhere.
  std::optional<std::chrono::milliseconds> lag_time;  ///< The longest.
  std::optional<double> eta_seconds;  ///< When the last partition will be done; nullopt also when one of them is not getting there.
  std::optional<std::chrono::milliseconds> headroom;          ///< The shortest.
  std::optional<std::uint64_t> waiting, in_flight, retrying;  ///< Queue groups.
  std::optional<double> skew;                                 ///< Lag of the member that has most of it, over the mean of all members.
  double in_rate = 0, out_rate = 0;
  std::chrono::milliseconds objective{60'000};
};
/// By kind, group and (queues) topic, in the order of their first rows.
std::vector<LagSummary> summarize(std::span<const LagRow> rows);

/// A moment of a group, over its partitions.
struct LagPoint {
  Timestamp time{};
  std::int64_t lag = 0;
  std::chrono::milliseconds lag_time{0};
  std::uint64_t in_flight = 0, retrying = 0;
  std::optional<double> in_rate, out_rate;  ///< Since the point before.
};

}  // namespace tidemark::broker
