#pragma once

#include "broker/partition_state.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "storage/file_cache.h"
#include "storage/log.h"

/// What the log itself says of entries, beyond what the state log knows.
namespace tidemark::broker {

/// A batch above the checkpoint: one without records takes up offsets that were never used.
void recover_entries(const BatchHeader& header, PartitionState& state);

/// Blocking: the last id is the one recorded, or that of the log's last record if it is larger. Damage hides it: then ids go on behind the
/// largest that the damaged records can have had by the clock, which only an id given explicitly can pass. Error io_error.
Status recover_last_id(const storage::Log& log, storage::FileCache& files, Timestamp now, PartitionState& state);

}  // namespace tidemark::broker
