#include "storage/batch/leave_out.h"

#include <algorithm>
#include <cstring>

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

/// Headers go over as they are encoded.
void append_record(ByteVector& out, const RecordView& record, const BatchHeader& header) {
  ByteVector body;
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

}  // namespace

Result<Slice> leave_out_records(ByteView batch, const std::vector<bool>& left_out, const DecompressionLimits& limits) {
  Result<BatchReader> reader = BatchReader::open(batch, limits);
  if (!reader) return std::move(reader).error();
  BatchHeader header = reader->header();
  ByteVector records;
  std::int32_t kept = 0;
  std::int64_t max_timestamp_ms = -1;
  RecordView record;
  for (std::size_t i = 0;; ++i) {
    const Result<bool> more = reader->next(record);
    if (!more) return more.error();
    if (!*more) break;
    if (i < left_out.size() && left_out[i]) continue;
    append_record(records, record, header);
    max_timestamp_ms = std::max(max_timestamp_ms, record.timestamp_ms);
    ++kept;
  }
  ByteVector packed;
  // Records of which there are none are not packed: some codecs have no empty frame.
  if (kept == 0) header.attributes = static_cast<std::uint16_t>(header.attributes & ~batch_layout::kCodecBits);
  if (header.codec() != Codec::none) packed = compress(header.codec(), records);
  const ByteView body = header.codec() == Codec::none ? ByteView(records) : ByteView(packed);
  const Slice thinned = Slice::allocate(kBatchHeaderBytes + body.size());
  if (!body.empty()) std::memcpy(thinned.data() + kBatchHeaderBytes, body.data(), body.size());
  header.record_count = kept;
  if (!header.log_append_time()) header.max_timestamp_ms = max_timestamp_ms;
  batch_layout::seal(thinned.writable(), header);
  return thinned;
}

}  // namespace tidemark
