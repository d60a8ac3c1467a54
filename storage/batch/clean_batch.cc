#include "storage/batch/clean_batch.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "storage/batch/batch_layout.h"
#include "storage/batch/compression.h"
#include "storage/batch/varint.h"

namespace tidemark {
namespace {

void append_bytes(ByteVector& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void append_field(ByteVector& out, const std::optional<ByteView>& field) {
  append_varlong(out, field ? static_cast<std::int64_t>(field->size()) : -1);
  if (field) append_bytes(out, *field);
}

/// Headers go over as they are encoded. `body` is scratch.
void append_record(ByteVector& out, ByteVector& body, const RecordView& record, const BatchHeader& header) {
  body.clear();
  body.push_back(std::byte{0});  // Attributes: none are defined.
  append_varlong(body, record.timestamp_ms - header.base_timestamp_ms);
  append_varlong(body, record.offset - header.base_offset);
  append_field(body, record.key);
  append_field(body, record.value);
  append_varlong(body, record.header_count);
  append_bytes(body, record.header_bytes);
  append_varlong(out, static_cast<std::int64_t>(body.size()));
  append_bytes(out, body);
}

/// The batch of these records under `header`, whose count and codec are set already.
Slice with_records(BatchHeader header, ByteView records) {
  ByteVector packed;
  if (header.codec() != Codec::none) packed = compress(header.codec(), records);
  const ByteView body = header.codec() == Codec::none ? records : ByteView(packed);
  const Slice batch = Slice::allocate(kBatchHeaderBytes + body.size());
  if (!body.empty()) std::memcpy(batch.data() + kBatchHeaderBytes, body.data(), body.size());
  batch_layout::seal(batch.writable(), header);
  return batch;
}

/// True if the times of all records can be said as distances from `base_ms`.
bool times_reach(const std::vector<RecordView>& records, std::int64_t base_ms) {
  return std::ranges::all_of(records, [base_ms](const RecordView& record) {
    std::int64_t delta = 0;
    return !__builtin_sub_overflow(record.timestamp_ms, base_ms, &delta);
  });
}

}  // namespace

Slice empty_batch(const BatchHeader& header) {
  BatchHeader emptied = header;
  // Some codecs have no empty frame, so records of which there are none are not packed.
  emptied.attributes = static_cast<std::uint16_t>(emptied.attributes & ~batch_layout::kCodecBits);
  emptied.record_count = 0;
  if (!emptied.log_append_time()) emptied.max_timestamp_ms = -1;
  return with_records(emptied, {});
}

Result<CleanedBatch> clean_batch(ByteView batch, const std::function<bool(const RecordView&)>& keep,
                                 std::optional<std::int64_t> delete_horizon_ms, const DecompressionLimits& limits) {
  Result<BatchReader> reader = BatchReader::open(batch, limits);
  if (!reader) return std::move(reader).error();
  BatchHeader header = reader->header();
  std::vector<RecordView> kept;
  kept.reserve(static_cast<std::size_t>(std::min(header.record_count, 65'536)));
  std::int32_t count = 0;
  RecordView record;
  for (;; ++count) {
    const Result<bool> more = reader->next(record);
    if (!more) return more.error();
    if (!*more) break;
    if (keep(record)) kept.push_back(record);
  }
  const auto left = static_cast<std::int32_t>(kept.size());
  const bool marks = delete_horizon_ms && left > 0 && times_reach(kept, *delete_horizon_ms);
  if (left == count && !marks) return CleanedBatch{{}, left};
  if (left == 0) return CleanedBatch{empty_batch(header), 0};

  if (marks) {
    header.attributes = static_cast<std::uint16_t>(header.attributes | batch_layout::kDeleteHorizonBit);
    header.base_timestamp_ms = *delete_horizon_ms;
  }
  ByteVector records;
  records.reserve(batch.size());
  ByteVector body;
  std::int64_t max_timestamp_ms = INT64_MIN;
  for (const RecordView& view : kept) {
    append_record(records, body, view, header);
    max_timestamp_ms = std::max(max_timestamp_ms, view.timestamp_ms);
  }
  header.record_count = left;
  if (!header.log_append_time()) header.max_timestamp_ms = max_timestamp_ms;
  return CleanedBatch{with_records(header, records), left};
}

}  // namespace tidemark
