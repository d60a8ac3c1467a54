#pragma once

#include <cstdint>

#include "broker/record_filter.h"
#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/batch/record_batch.h"

/// What queue groups want to know of a record in the log.
namespace tidemark::broker {

/// The key by which a group with `ordering = single` orders everything.
inline constexpr std::uint64_t kSingleKey = 1;

/// A hash of the record's key, never 0; 0: it has no key and may go to anybody at any time.
std::uint64_t order_key(const RecordView& record);
/// Header `tidemark-priority`: one digit; everything else counts as 0.
std::uint8_t record_priority(const RecordView& record);
bool filter_matches(const RecordFilter& filter, std::string_view topic, std::int32_t partition, const RecordView& record);
/// Whether the batch with this header has a record of its own at `offset`.
bool batch_holds(ByteView batch, const BatchHeader& header, Offset offset);

}  // namespace tidemark::broker
