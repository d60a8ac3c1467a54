#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/record_filter.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"

/// What a queue group does with records that are not settled as hoped: every setting can be changed while the group works.
namespace tidemark::broker {

enum class Ordering : std::uint8_t {
  none = 0,    ///< Any member, any record.
  key = 1,     ///< Of the records with one key, one at a time and in order; other keys go on. Records without a key are free.
  single = 2,  ///< One record of a partition at a time, in order.
};
enum class OnDead : std::uint8_t {
  go_on = 0,  ///< The next record of the key is handed out.
  stop = 1,   ///< The key stands still while its dead or parked record is not redriven, kicked or purged.
};

/// How long a record that failed waits before it is handed out again.
struct Backoff {
  std::vector<std::chrono::milliseconds> steps;  ///< By number of failures; the last one repeats. Empty: `first` doubles up to `most`.
  std::chrono::milliseconds first{100};          ///< 0: at once, always.
  std::chrono::milliseconds most{60'000};
  /// Drawn from [d/2, d] for the doubling kind, by group, offset and failures, so that a replay draws the same.
  std::chrono::milliseconds delay(std::uint32_t failures, std::uint64_t seed) const;
};

struct QueueSettings {
  std::chrono::milliseconds ack_timeout{30'000};  ///< 0: records come back only by a claim. At most 12 h.
  std::uint32_t delivery_limit = 5;               ///< Failures after which a record is dead; 0: no limit. At most 255.
  Backoff backoff;
  std::string dead_letter_topic;            ///< Empty: dead records are parked.
  std::size_t max_pending = 100'000;        ///< Records of one partition in flight, over all members; 0: no bound.
  std::size_t max_pending_member = 10'000;  ///< The same for one member.
  Ordering ordering = Ordering::none;
  OnDead on_dead = OnDead::go_on;
  std::size_t lookahead = 16'384;  ///< Unfinished records of one partition a group looks at to find one it may hand out. 16 to 1 000 000.
  std::string filter;              ///< RecordFilter's grammar; records that do not match count as done. Empty: all.
  bool paused = false;
  std::optional<Timestamp> paused_until;  ///< Only with `paused`; nullopt: until somebody resumes.
  bool keeps_ids = false;                 ///< Remembers the entry ids of what was handed out (Redis).
  bool fence_late_acks = true;            ///< False (Redis): an ack counts whoever sends it and whenever.
  bool redelivers = true;         ///< Released records are handed out again to who asks for new ones. False (Redis): only by a claim.
  bool count_deliveries = false;  ///< The limit counts hand-outs (Redis, Kafka) instead of failures.
  std::chrono::milliseconds lag_objective{60'000};

  std::shared_ptr<const RecordFilter> parsed_filter;  ///< Null: every record.
  /// Records are looked at before they are handed out, because not every one may be.
  bool looks_ahead() const { return ordering != Ordering::none; }
  /// A record with as many failures is handed out alone, so that it takes no neighbour with it. 0: never.
  std::uint32_t suspect_from() const { return delivery_limit == 0 ? 0 : std::max<std::uint32_t>(2, (delivery_limit + 1) / 2); }
};

/// Whose defaults a group has, by who made it.
enum class QueueFlavor : std::uint8_t { native = 0, redis = 1, share = 2 };

/// From what was set, by key: `ack.timeout delivery.limit backoff dead.letter.topic max.pending max.pending.member ordering on.dead
/// lookahead filter paused.until late.acks redelivery limit.counts lag.objective`. `backoff` is `none`, a list (`1s,10s,1m`) or a range
/// (`100ms..1m`: doubling, with jitter); `dead.letter.topic` is a name or `none` (default: `<group>.dlq` where that is a legal name);
/// `paused.until` is a time or `forever`. `now` is what relative times in a filter count from.
/// Error invalid_config names key, value and rule; an unknown key gets a suggestion.
Result<QueueSettings> resolve_queue_settings(const std::string& group, QueueFlavor flavor,
                                             const std::map<std::string, std::string>& settings, Timestamp now);

}  // namespace tidemark::broker
