#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "broker/broker.h"
#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark::broker {

/// A transaction that has records in a partition and no marker behind them yet.
struct OpenTransaction {
  ProducerIdentity producer;
  Offset first;  ///< Of its first record here.
  bool operator==(const OpenTransaction&) const = default;
};

/// The transactions of one partition (KIP-98): who may append to which, what is still open, what was aborted.
///
/// Staged view: `check` and `open` speak of what was appended. Flushed view: `last_stable` and `aborted_in` speak of what readers see; a
/// marker counts there once flushed() has passed it. The coordinator *admits* a producer when the partition joins its transaction, and the
/// marker takes that back: so a late batch of a finished transaction finds no place. Admissions are not recorded: the coordinator, which
/// has them in its own records, admits anew after a restart.
///
/// At most kOpenMax transactions are open and kAbortedMax aborted ones remembered; beyond, new ones are refused with `overloaded`. Aborted
/// ones are forgotten once the log start has passed their markers, or compaction has removed their records.
class OpenTransactions {
 public:
  static constexpr std::size_t kOpenMax = 10'000;
  static constexpr std::size_t kAbortedMax = 1'000'000;

  // --- Staged view.

  /// Pre: no older epoch of the producer is open here with records. A newer admission replaces the older one.
  void admit(const ProducerIdentity& producer);
  void revoke(std::int64_t producer_id) { admitted_.erase(producer_id); }
  /// Whether a produced batch may go on: a transactional one only inside its producer's transaction, any other of the producer only
  /// outside. Errors: invalid_transaction_state, stale_producer_epoch, overloaded.
  Status check(const BatchHeader& header) const;
  /// A batch was appended; a control batch ends the producer's transaction as `commit` says.
  void appended(const BatchHeader& header, Offset base, bool commit = false);
  bool is_open(std::int64_t producer_id) const { return open_.contains(producer_id); }
  std::vector<OpenTransaction> open() const;
  std::optional<Offset> first_open(std::int64_t producer_id) const;

  // --- Flushed view.

  void flushed(Offset high_watermark);
  /// First record of a transaction that is open for readers, or the high watermark; never below the log start.
  Offset last_stable(Offset log_start, Offset high_watermark) const;
  /// Aborted transactions with records in [from, to), by first offset: so every producer's ascend. Pre: to <= last_stable().
  std::vector<AbortedTransaction> aborted_in(Offset from, Offset to) const;
  bool has_aborted_before(Offset end) const { return !aborted_.empty() && aborted_.front().marker < end; }
  /// The log has nothing left of what was aborted with a marker below `end`. Batches read from it earlier must not be shown any more.
  void forget_aborted_before(Offset end);
  /// How many were forgotten so far: as long as it stays the same, aborted_in() tells all about batches read meanwhile.
  std::uint64_t forgotten() const { return forgotten_; }

  // --- What a checkpoint records: the flushed view at that moment.

  struct Snapshot {
    std::vector<OpenTransaction> open;
    std::vector<AbortedTransaction> aborted;  ///< By marker.
  };
  /// `recorded_until`: aborted transactions whose markers lie below are left out, since an earlier record has them.
  Snapshot snapshot(Offset high_watermark, Offset recorded_until = {}) const;
  std::vector<AbortedTransaction> aborted_before(Offset end) const;
  void restore(const Snapshot& snapshot);
  /// Recovery: batches behind the checkpoint, in log order. A marker that does not decode aborts: its records were never shown.
  void recovered(const BatchHeader& header, ByteView batch);
  /// Recovery: forgets what did not survive.
  void cut(Offset end);

 private:
  struct Ending {
    Offset marker;
    OpenTransaction transaction;
    std::optional<AbortedTransaction> aborted;  ///< nullopt: committed.
  };

  std::unordered_map<std::int64_t, std::int16_t> admitted_;  ///< Producer id to epoch.
  std::unordered_map<std::int64_t, OpenTransaction> open_;
  std::deque<Ending> ending_;               ///< Markers that are staged, in order.
  std::set<Offset> unstable_;               ///< First offsets of `open_` and `ending_`.
  std::set<Offset> open_firsts_;            ///< Of `open_` alone.
  std::deque<AbortedTransaction> aborted_;  ///< Markers flushed, in their order.
  std::uint64_t forgotten_ = 0;
};

/// Which batches belong to aborted transactions, from the list of those.
class AbortedRanges {
 public:
  /// Ascending by first offset for each producer.
  explicit AbortedRanges(std::span<const AbortedTransaction> aborted);
  /// Whether a transactional batch of the producer that begins at `base` is aborted.
  bool contains(std::int64_t producer_id, Offset base) const;
  bool ends_with(std::int64_t producer_id, Offset marker) const;

 private:
  struct Range {
    Offset first;
    Offset marker;
  };
  const Range* find(std::int64_t producer_id, Offset at) const;

  std::unordered_map<std::int64_t, std::vector<Range>> by_producer_;
};

/// What a control batch says: true commit, false abort; nullopt when it is no marker of a transaction.
std::optional<bool> marker_commits(ByteView batch);

/// The batches of `batches` (whole ones back to back) that a reader of committed records gets: no control batches and none of `aborted`.
/// Pieces of the same buffers; nothing is copied.
std::vector<Slice> committed_only(std::vector<Slice> batches, std::span<const AbortedTransaction> aborted);

}  // namespace tidemark::broker
