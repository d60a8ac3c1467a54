#pragma once

#include <cstdint>
#include <unordered_set>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "storage/cleaning_rules.h"
#include "storage/key_map.h"

namespace tidemark::storage {

/// Decides what becomes of the batches of a log, which are shown to it in their order from the log start on.
///
/// A record goes when the map knows a newer one of its key, when it was deleted, when its transaction was aborted, or when it is a
/// tombstone (a key with a null value) whose delete horizon has passed. The horizon is set by the first cleaning that keeps a tombstone:
/// by then everything older of that key is gone, so that nothing comes back when the tombstone goes.
class BatchJudge {
 public:
  /// `keys`: the newest offset of every key in a stretch of the log that ends at `decided_below`. All outlive the judge.
  BatchJudge(const CleaningRules& rules, const KeyMap& keys, Offset decided_below);

  enum class Fate : std::uint8_t { keep, replace, drop };
  struct Verdict {
    Fate fate = Fate::keep;
    Slice batch;  ///< The replacement.
  };
  /// `batch` is exactly one whole batch whose bytes are known to be sound. `closes_segment`: it ends where its segment ends, and stays as a
  /// header if nothing else is left of it. Errors: corrupt_batch, decompression_limit.
  Result<Verdict> judge(const BatchHeader& header, ByteView batch, bool closes_segment);

  /// A stretch of the log cannot be read: what it holds may be older values of any key, or the data of any transaction, so from here on no
  /// tombstone and no marker goes.
  void passed_unread() { something_unread_ = true; }

  /// The first moment, ms since 1970, from which on a tombstone or marker that was kept may go; kNoHorizon if none waits.
  std::int64_t next_horizon_ms() const { return next_horizon_ms_; }
  const CleaningCounts& counts() const { return counts_; }

 private:
  bool was_deleted(Offset offset);
  bool keeps(const RecordView& record, bool horizon_passed);
  Verdict without_records(const BatchHeader& header, bool closes_segment) const;
  Verdict judge_marker(const BatchHeader& header, ByteView batch, bool closes_segment);
  bool horizon_passed(const BatchHeader& header) const;
  void await(std::int64_t horizon_ms);

  const CleaningRules& rules_;
  const KeyMap& keys_;
  const Offset decided_below_;
  std::size_t next_deleted_ = 0;                  ///< Ranges before it lie behind us.
  std::unordered_set<std::int64_t> in_progress_;  ///< Producers with transactional data left since their last marker.
  bool something_unread_ = false;
  std::int64_t next_horizon_ms_ = kNoHorizon;
  CleaningCounts counts_;
};

}  // namespace tidemark::storage
