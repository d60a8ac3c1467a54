#include "broker/queues/record_traits.h"

#include <string_view>
#include <vector>

namespace tidemark::broker {

std::uint64_t order_key(const RecordView& record) {
  if (!record.key) return 0;
  const std::uint64_t hash = std::hash<std::string_view>()(as_text(*record.key));
  return hash <= kSingleKey ? hash + 2 : hash;
}

std::uint8_t record_priority(const RecordView& record) {
  if (record.header_count == 0) return 0;
  std::uint8_t priority = 0;
  for (const HeaderView& header : record.headers()) {
    if (header.name != "tidemark-priority" || !header.value || header.value->size() != 1) continue;
    const char digit = as_text(*header.value).front();
    if (digit >= '0' && digit <= '9') priority = static_cast<std::uint8_t>(digit - '0');
  }
  return priority;
}

bool filter_matches(const RecordFilter& filter, std::string_view topic, std::int32_t partition, const RecordView& record) {
  FilteredRecord filtered;
  filtered.topic = topic;
  filtered.partition = partition;
  filtered.offset = record.offset.value;
  filtered.timestamp_ms = record.timestamp_ms;
  if (record.key) filtered.key = as_text(*record.key);
  if (record.value) filtered.value = as_text(*record.value);
  std::vector<HeaderView> headers;
  if (filter.uses_headers()) {
    headers = record.headers();
    filtered.headers = headers;
  }
  return filter.matches(filtered);
}

bool batch_holds(ByteView batch, const BatchHeader& header, Offset offset) {
  if (offset < header.base_offset || offset >= header.end_offset() || header.is_control()) return false;
  if (header.record_count == header.last_offset_delta + 1) return true;
  Result<BatchReader> reader = BatchReader::open(batch);
  if (!reader) return false;
  RecordView record;
  while (true) {
    const Result<bool> has = reader->next(record);
    if (!has || !*has || record.offset > offset) return false;
    if (record.offset == offset) return true;
  }
}

}  // namespace tidemark::broker
