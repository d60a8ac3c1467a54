#include "storage/batch/require_keys.h"

#include <string>

#include "storage/batch/record_batch.h"

namespace tidemark {

Status require_keys(ByteView batch) {
  Result<BatchReader> reader = BatchReader::open(batch);
  if (!reader) return std::move(reader).error();
  RecordView record;
  for (std::int32_t i = 0;; ++i) {
    const Result<bool> more = reader->next(record);
    if (!more) return more.error();
    if (!*more) return {};
    if (!record.key) return Error{Errc::corrupt_batch, "record " + std::to_string(i) + " has no key, and cleanup.policy is compact"};
  }
}

}  // namespace tidemark
