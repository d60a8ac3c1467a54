#include "storage/batch/filler_batch.h"

#include <cstring>

#include "storage/base/crc32c.h"
#include "storage/batch/record_batch.h"

namespace tidemark {

Slice build_filler_batch(Offset from, Offset to, std::int32_t leader_epoch) {
  CHECK(from < to && to - from <= std::int64_t{1} << 31);
  Slice batch = Slice::allocate(kBatchHeaderBytes);
  std::byte* const at = batch.data();
  std::memset(at, 0, batch.size());
  store_be<std::int64_t>(at, from.value);
  store_be<std::int32_t>(at + 8, static_cast<std::int32_t>(kBatchHeaderBytes - kBatchLogOverhead));
  store_be<std::int32_t>(at + 12, leader_epoch);
  store_be<std::int8_t>(at + 16, 2);
  store_be<std::int32_t>(at + 23, static_cast<std::int32_t>(to - from - 1));
  store_be<std::int64_t>(at + 27, -1);  // No timestamps, no producer, no sequence.
  store_be<std::int64_t>(at + 35, -1);
  store_be<std::int64_t>(at + 43, -1);
  store_be<std::int16_t>(at + 51, -1);
  store_be<std::int32_t>(at + 53, -1);
  store_be<std::uint32_t>(at + 17, crc32c(batch.view().subspan(21)));
  return batch;
}

}  // namespace tidemark
