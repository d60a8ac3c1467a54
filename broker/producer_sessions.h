#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "broker/producer_holds.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark::broker {

/// One batch of a producer that a retry may repeat.
struct ProducedBatch {
  std::int32_t first_sequence = 0;
  std::int32_t last_sequence = 0;
  Offset base_offset;
  Offset end_offset;
  Timestamp append_time{};
  bool operator==(const ProducedBatch&) const = default;
};

/// What a partition remembers of one producer: its epoch and its last five batches, oldest first.
struct ProducerSession {
  std::int64_t id = -1;
  std::int16_t epoch = 0;
  std::vector<ProducedBatch> batches;
  Timestamp last_append{};
  bool operator==(const ProducerSession&) const = default;
};

/// The idempotent producers of one partition, staged view (KIP-98): who may append what next.
///
/// Rules: a batch equal to one of the last five is a duplicate; the next one must continue the sequence (2147483647 wraps to 0); a new
/// epoch starts at sequence 0; an older epoch is refused; an unknown producer may start anywhere, since its state may have expired. At most
/// kSessionsMax producers are remembered and none longer than kExpiry after its last append; the oldest go first. Producers on hold neither
/// expire nor go first.
class ProducerSessions {
 public:
  static constexpr std::size_t kSessionsMax = 100'000;
  static constexpr std::size_t kBatchesKept = 5;
  static constexpr std::chrono::hours kExpiry{24};

  /// `holds` outlives the sessions.
  explicit ProducerSessions(const ProducerHolds* holds = nullptr) : holds_(holds) {}

  /// The earlier batch if `header` repeats one, nullopt if it is next in line. Pre: header.has_producer().
  /// Errors: out_of_order_sequence, duplicate_sequence, stale_producer_epoch.
  Result<std::optional<ProducedBatch>> check(const BatchHeader& header) const;
  /// Records an appended batch.
  void appended(const BatchHeader& header, Offset base_offset, Timestamp append_time);
  /// Records a batch of which nothing was stored: its sequences are used up at `at`, the end of the log, and it spans no offsets.
  void passed_over(const BatchHeader& header, Offset at, Timestamp time);
  /// The session of one producer as of offset `flushed`, as take_changed() reports it. Pre: it is known.
  ProducerSession as_of(std::int64_t id, Offset flushed) const;
  /// Recovery: restores a session from the state log, then batches in log order. Batches the session knows already are passed over.
  void restore(ProducerSession session);
  void recovered(const BatchHeader& header, Timestamp append_time);
  /// Recovery: forgets batches that did not survive.
  void cut(Offset end);
  void expire(Timestamp now);

  std::size_t size() const { return sessions_.size(); }
  const ProducerSession* find(std::int64_t id) const;
  /// Sessions that changed since the last call, as of offset `flushed`: batches beyond it may still be lost, and a session that claims a
  /// lost batch would swallow its retry. Sessions with such batches are reported again next time.
  std::vector<ProducerSession> take_changed(Offset flushed);
  std::vector<ProducerSession> all(Offset flushed) const;

 private:
  bool held(std::int64_t id) const { return holds_ != nullptr && holds_->contains(id); }
  void evict_oldest();
  void note(const BatchHeader& header, Offset base_offset, Offset end_offset, Timestamp time);

  const ProducerHolds* holds_;
  std::unordered_map<std::int64_t, ProducerSession> sessions_;
  std::unordered_set<std::int64_t> changed_;
};

}  // namespace tidemark::broker
