#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "broker/groups/group_types.h"
#include "storage/base/clock.h"

namespace tidemark::broker {

/// What was seen of one group in one partition over time.
struct LagEvidence {
  /// Records a second, over about a minute; nullopt until two samples were taken.
  std::optional<double> in_rate, out_rate;
  /// How long nothing has been finished, as far as was watched.
  std::optional<std::chrono::milliseconds> unmoved;
  /// How long ago something was finished while no member held the partition: consumers that assign themselves have no membership.
  std::optional<std::chrono::milliseconds> moved_alone;
  /// The position went back, nobody's seek did it, and it has not come to where it was.
  struct Rewind {
    Offset from;
    Timestamp at{};
  };
  std::optional<Rewind> rewind;
  /// Growth of the lag time in seconds a second, over about ten minutes; nullopt while less was watched.
  std::optional<double> slope;
};

struct Judgement {
  Verdict verdict = Verdict::ok;
  std::string cause;  ///< In words; empty: nothing to say.
};

/// Records a second that the lag gets less; nullopt: it does not, or that is not known. Below a thousandth of a record it does not.
std::optional<double> drain_rate(const LagEvidence& evidence);

/// The verdict on a row, from what the engine says of this moment (`row.verdict`) and from what was seen before. The first that holds:
///
/// | verdict  | when                                                                                                          |
/// | at-risk  | the engine says so: retention takes unread records within the hour, or has taken some                         |
/// | paused   | the engine says so: an operator paused the group                                                              |
/// | stopped  | there is lag and no member, and nothing was finished in the last minute either                                |
/// | rewound  | the position went back without a seek and has not come to where it was                                        |
/// | stalled  | the engine says so (damage, a blocked queue, nothing committed for a minute beyond the objective), or nothing |
/// |          | was finished for a minute while the lag time is beyond the objective                                          |
/// | draining | the lag time is beyond the objective and the lag gets less; the cause says by when it will be done            |
/// | slow     | the lag time is beyond the objective, or has grown by more than 0.1 s a second over ten minutes               |
/// | ok       | otherwise                                                                                                     |
Judgement judge(const PartitionLag& row, const LagEvidence& evidence, std::chrono::milliseconds objective, Timestamp now);

/// "3m20s", in whole seconds from ten seconds on.
std::string short_duration(std::chrono::milliseconds duration);

}  // namespace tidemark::broker
