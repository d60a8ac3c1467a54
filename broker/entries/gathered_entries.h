#pragma once

#include <vector>

#include "broker/entries/entry_record.h"
#include "broker/entries/partition_entries.h"
#include "broker/partition.h"

namespace tidemark::broker {

/// Entries that have their ids and offsets and wait to become a batch: while a group is being flushed, what comes goes into the next.
struct PartitionEntries::Gathered {
  BatchBuilder builder;
  EntryIds ids;
  EntryId first;
  EntryId last;
  std::vector<Partition::FlushWaiter> waiters;

  void add(const EntryRecord& record, std::int64_t time_ms, Offset offset, EntryId id) {
    RecordInput input = record.input();
    input.timestamp_ms = time_ms;
    if (builder.empty()) first = id;
    // The offset is relative to nothing yet, but the distance counts.
    ids.took(offset, id);
    last = id;
    builder.add(input);
  }
};

}  // namespace tidemark::broker
