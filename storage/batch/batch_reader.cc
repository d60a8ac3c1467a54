#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "storage/base/check.h"
#include "storage/batch/batch_layout.h"
#include "storage/batch/compression.h"
#include "storage/batch/record_batch.h"
#include "storage/batch/varint.h"

namespace tidemark {
namespace {

Error corrupt(std::string detail) { return {Errc::corrupt_batch, std::move(detail)}; }
Error corrupt_record(std::int32_t index, std::string_view problem) {
  return corrupt("record " + std::to_string(index) + ": " + std::string(problem));
}

/// A record as it lies in the batch, before its deltas are judged.
struct RawRecord {
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::uint32_t header_count = 0;
  ByteView header_bytes;
};

/// Takes a length and that many bytes from the front of `rest`; a length of -1 is null. False if they are not there.
inline bool take_field(ByteView& rest, std::optional<ByteView>& field) {
  const auto length = read_varint(rest);
  if (!length) return false;
  if (*length < 0) {
    field.reset();
    return *length == -1;
  }
  const auto size = static_cast<std::size_t>(*length);
  if (size > rest.size()) return false;
  field = rest.first(size);
  rest = rest.subspan(size);
  return true;
}

/// Takes one whole header. Its name must not be null.
inline bool take_header(ByteView& rest, HeaderView& header) {
  std::optional<ByteView> name;
  if (!take_field(rest, name) || !name) return false;
  header.name = as_text(*name);
  return take_field(rest, header.value);
}

/// Takes one record from the front of `rest`. Null if it is well formed, otherwise the problem in words. Allocates nothing: this is
/// the inner loop of every produce and of every scan.
inline const char* take_record(ByteView& rest, RawRecord& record) {
  const auto length = read_varint(rest);
  if (!length || *length < 0 || static_cast<std::size_t>(*length) > rest.size()) return "its length runs out of the batch";
  ByteView body = rest.first(static_cast<std::size_t>(*length));
  rest = rest.subspan(body.size());
  if (body.empty()) return "its length leaves no room for attributes";
  body = body.subspan(1);  // Attributes: no bit is defined.
  const auto timestamp_delta = read_varlong(body);
  if (!timestamp_delta) return "bad timestamp delta";
  record.timestamp_delta = *timestamp_delta;
  const auto offset_delta = read_varint(body);
  if (!offset_delta) return "bad offset delta";
  record.offset_delta = *offset_delta;
  if (!take_field(body, record.key)) return "its key runs out of the record";
  if (!take_field(body, record.value)) return "its value runs out of the record";
  const auto header_count = read_varint(body);
  if (!header_count || *header_count < 0) return "bad header count";
  record.header_count = static_cast<std::uint32_t>(*header_count);
  record.header_bytes = body;
  HeaderView header;
  for (std::uint32_t i = 0; i < record.header_count; ++i)
    if (!take_header(body, header)) return "a header runs out of the record";
  if (!body.empty()) return "bytes are left over after its headers";
  return nullptr;
}

Error left_over(std::size_t bytes, std::int32_t record_count) {
  return corrupt(std::to_string(bytes) + " bytes are left over after the last of " + std::to_string(record_count) + " records");
}

/// The whole batch is there and nothing behind it.
Status check_framing(const BatchHeader& header, ByteView bytes) {
  if (bytes.size() < header.size_bytes())
    return corrupt("batch is cut off: " + std::to_string(bytes.size()) + " of " + std::to_string(header.size_bytes()) + " bytes");
  if (bytes.size() == header.size_bytes()) return {};
  const ByteView behind = bytes.subspan(header.size_bytes());
  if (BatchHeader::parse(behind)) return corrupt("more than one batch");
  return corrupt(std::to_string(behind.size()) + " bytes follow the batch");
}

/// The records of a batch, unpacked into `unpacked` where they are compressed. An emptied batch has none, whatever its codec.
Result<ByteView> plain_records(const BatchHeader& header, ByteView batch, const DecompressionLimits& limits, ByteVector& unpacked) {
  const ByteView stored = batch.subspan(kBatchHeaderBytes);
  if (header.codec() == Codec::none || stored.empty()) return stored;
  Result<ByteVector> plain = decompress(header.codec(), stored, limits);
  if (!plain) return std::move(plain).error();
  unpacked = *std::move(plain);
  return ByteView(unpacked);
}

Status check_producer_fields(const BatchHeader& header) {
  if (header.base_offset != Offset{0}) return corrupt("base offset is " + std::to_string(header.base_offset.value) + ", not 0");
  if (header.is_control()) return corrupt("control batches are not taken from producers");
  if (header.log_append_time()) return corrupt("timestamp type is LogAppendTime, which only the broker sets");
  if (header.has_delete_horizon()) return corrupt("delete horizon is set, which only compaction does");
  if (header.record_count == 0) return corrupt("record count is 0");
  if (header.last_offset_delta != header.record_count - 1)
    return corrupt("last offset delta " + std::to_string(header.last_offset_delta) + " does not fit record count " +
                   std::to_string(header.record_count));
  if (header.producer_id < -1) return corrupt("producer id " + std::to_string(header.producer_id) + " is negative");
  if (header.has_producer() && header.producer_epoch < 0)
    return corrupt("producer epoch " + std::to_string(header.producer_epoch) + " is negative beside a producer id");
  if (header.has_producer() && header.base_sequence < 0)
    return corrupt("base sequence " + std::to_string(header.base_sequence) + " is negative beside a producer id");
  if (header.is_transactional() && !header.has_producer()) return corrupt("transactional batch without a producer id");
  return {};
}

/// The largest timestamp of the records.
Result<std::int64_t> check_produced_records(const BatchHeader& header, ByteView records) {
  std::int64_t max_timestamp_ms = std::numeric_limits<std::int64_t>::min();
  RawRecord record;
  for (std::int32_t i = 0; i < header.record_count; ++i) {
    if (const char* const problem = take_record(records, record)) [[unlikely]]
      return corrupt_record(i, problem);
    if (record.offset_delta != i) [[unlikely]]
      return corrupt_record(i, "its offset delta is " + std::to_string(record.offset_delta));
    std::int64_t timestamp_ms = 0;
    if (__builtin_add_overflow(header.base_timestamp_ms, record.timestamp_delta, &timestamp_ms)) [[unlikely]]
      return corrupt_record(i, "its timestamp overflows");
    max_timestamp_ms = std::max(max_timestamp_ms, timestamp_ms);
  }
  if (!records.empty()) return left_over(records.size(), header.record_count);
  return max_timestamp_ms;
}

}  // namespace

std::vector<HeaderView> RecordView::headers() const {
  std::vector<HeaderView> decoded;
  decoded.reserve(header_count);
  ByteView rest = header_bytes;
  HeaderView header;
  for (std::uint32_t i = 0; i < header_count; ++i) {
    CHECK(take_header(rest, header));  // The reader has walked these bytes before.
    decoded.push_back(header);
  }
  return decoded;
}

std::optional<HeaderView> RecordView::first_header() const {
  if (header_count == 0) return std::nullopt;
  ByteView rest = header_bytes;
  HeaderView header;
  CHECK(take_header(rest, header));  // The reader has walked these bytes before.
  return header;
}

Result<BatchReader> BatchReader::open(ByteView batch, DecompressionLimits limits) {
  const Result<BatchHeader> header = BatchHeader::parse(batch);
  if (!header) return header.error();
  if (const Status framed = check_framing(*header, batch); !framed) return framed.error();
  BatchReader reader;
  reader.header_ = *header;
  const Result<ByteView> records = plain_records(*header, batch, limits, reader.unpacked_);
  if (!records) return records.error();
  reader.rest_ = *records;
  return reader;
}

Result<bool> BatchReader::next(RecordView& record) {
  if (read_ == header_.record_count) {
    if (!rest_.empty()) return left_over(rest_.size(), header_.record_count);
    return false;
  }
  // On an error the reader stays where it was, so that asking again gives the same error and never half a batch.
  ByteView rest = rest_;
  RawRecord raw;
  if (const char* const problem = take_record(rest, raw)) return corrupt_record(read_, problem);
  if (raw.offset_delta <= previous_delta_ || raw.offset_delta > header_.last_offset_delta)
    return corrupt_record(read_, "its offset delta is " + std::to_string(raw.offset_delta) + " after " + std::to_string(previous_delta_) +
                                     ", the last of the batch is " + std::to_string(header_.last_offset_delta));
  std::int64_t timestamp_ms = header_.max_timestamp_ms;
  if (!header_.log_append_time() && __builtin_add_overflow(header_.base_timestamp_ms, raw.timestamp_delta, &timestamp_ms))
    return corrupt_record(read_, "its timestamp overflows");
  rest_ = rest;
  previous_delta_ = raw.offset_delta;
  ++read_;
  record.offset = header_.base_offset + raw.offset_delta;
  record.timestamp_ms = timestamp_ms;
  record.key = raw.key;
  record.value = raw.value;
  record.header_count = raw.header_count;
  record.header_bytes = raw.header_bytes;
  return true;
}

Result<BatchHeader> validate_produced_batch(ByteView batch, DecompressionLimits limits) {
  Result<BatchHeader> header = batch_layout::parse_any_codec(batch);
  if (!header) return header;
  if (const Status framed = check_framing(*header, batch); !framed) return framed.error();
  if (!batch_crc_matches(batch)) return corrupt("checksum does not match");
  // Only now: a flipped bit in the attributes is damage, not a codec from the future.
  if (const Status known = batch_layout::check_codec(*header, Errc::unsupported_compression); !known) return known.error();
  if (const Status allowed = check_producer_fields(*header); !allowed) return allowed.error();
  ByteVector unpacked;
  const Result<ByteView> records = plain_records(*header, batch, limits, unpacked);
  if (!records) return records.error();
  const Result<std::int64_t> max_timestamp_ms = check_produced_records(*header, *records);
  if (!max_timestamp_ms) return max_timestamp_ms.error();
  header->max_timestamp_ms = *max_timestamp_ms;
  return header;
}

}  // namespace tidemark
