#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "broker/entries/entry_ids.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark::broker {

/// Walks whole batches as they lie in the log, record by record, with ids. What it returns points into the batches and into readers that it
/// hands over with release().
class EntryWalk {
 public:
  EntryWalk(Slice batches, EntryIdMode mode) : batches_(std::move(batches)), rest_(batches_.view()), mode_(mode) {}

  struct Step {
    RecordView record;
    EntryId id;
  };
  /// False at the end. Error corrupt_batch. Records of control batches are no entries.
  Result<bool> next(Step& step);
  /// Everything taken from next() so far stays valid as long as what this returns.
  std::shared_ptr<const void> keep();

 private:
  Slice batches_;
  ByteView rest_;
  const EntryIdMode mode_;
  std::shared_ptr<std::vector<BatchReader>> readers_ = std::make_shared<std::vector<BatchReader>>();
  bool in_batch_ = false;
  EntryIds ids_;
};

/// The id of the first record of a batch of a topic with `entry.id = time`; nullopt without records.
std::optional<EntryId> first_entry_id(ByteView batch);

/// A batch as produced, with ids from `first` on: its records have their milliseconds as times. `batch` has been validated.
struct StampedBatch {
  Slice batch;
  BatchHeader header;
  EntryId first;
  EntryId last;
};
/// Stamps in place where it can; the ids are consecutive. Error conflict when there are not that many ids; decompression_limit.
Result<StampedBatch> stamp_batch(Slice batch, EntryId first);

}  // namespace tidemark::broker
