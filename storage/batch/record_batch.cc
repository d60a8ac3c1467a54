#include "storage/batch/record_batch.h"

#include <array>
#include <limits>
#include <string>

#include "storage/base/check.h"
#include "storage/base/crc32c.h"
#include "storage/batch/batch_layout.h"

namespace tidemark {
namespace {

constexpr std::array<std::string_view, 5> kCodecNames = {"none", "gzip", "snappy", "lz4", "zstd"};
constexpr std::int8_t kMagicValue = 2;
constexpr std::int32_t kBatchLengthMin = static_cast<std::int32_t>(kBatchHeaderBytes - kBatchLogOverhead);
constexpr std::int32_t kBatchLengthMax = std::numeric_limits<std::int32_t>::max() - static_cast<std::int32_t>(kBatchLogOverhead);

Error corrupt(std::string detail) { return {Errc::corrupt_batch, std::move(detail)}; }

Status check_ranges(const BatchHeader& header) {
  if (header.batch_length < kBatchLengthMin || header.batch_length > kBatchLengthMax)
    return corrupt("batch length " + std::to_string(header.batch_length) + " is out of range");
  if (header.last_offset_delta < 0) return corrupt("last offset delta " + std::to_string(header.last_offset_delta) + " is negative");
  if (header.record_count < 0) return corrupt("record count " + std::to_string(header.record_count) + " is negative");
  // The end offset must exist, too.
  if (header.base_offset.value < 0 || header.base_offset.value >= std::numeric_limits<std::int64_t>::max() - header.last_offset_delta)
    return corrupt("base offset " + std::to_string(header.base_offset.value) + " is out of range");
  return {};
}

std::uint32_t crc_of(ByteView batch) { return crc32c(batch.subspan(batch_layout::kAttributes)); }

}  // namespace

std::string_view to_string(Codec codec) {
  const auto index = static_cast<std::size_t>(codec);
  return index < kCodecNames.size() ? kCodecNames[index] : std::string_view("unknown");
}

std::optional<Codec> parse_codec(std::string_view name) {
  for (std::size_t i = 0; i < kCodecNames.size(); ++i)
    if (kCodecNames[i] == name) return static_cast<Codec>(i);
  return std::nullopt;
}

Result<BatchHeader> batch_layout::parse_any_codec(ByteView bytes) {
  if (bytes.size() < kBatchHeaderBytes)
    return corrupt("batch header needs " + std::to_string(kBatchHeaderBytes) + " bytes, there are " + std::to_string(bytes.size()));
  const std::byte* const at = bytes.data();
  if (const auto magic = load_be<std::int8_t>(at + kMagic); magic != kMagicValue)
    return corrupt("magic " + std::to_string(magic) + " is not " + std::to_string(kMagicValue));
  BatchHeader header;
  header.base_offset = Offset{load_be<std::int64_t>(at + kBaseOffset)};
  header.batch_length = load_be<std::int32_t>(at + kBatchLength);
  header.leader_epoch = load_be<std::int32_t>(at + kLeaderEpoch);
  header.crc = load_be<std::uint32_t>(at + kCrc);
  header.attributes = load_be<std::uint16_t>(at + kAttributes);
  header.last_offset_delta = load_be<std::int32_t>(at + kLastOffsetDelta);
  header.base_timestamp_ms = load_be<std::int64_t>(at + kBaseTimestamp);
  header.max_timestamp_ms = load_be<std::int64_t>(at + kMaxTimestamp);
  header.producer_id = load_be<std::int64_t>(at + kProducerId);
  header.producer_epoch = load_be<std::int16_t>(at + kProducerEpoch);
  header.base_sequence = load_be<std::int32_t>(at + kBaseSequence);
  header.record_count = load_be<std::int32_t>(at + kRecordCount);
  if (const Status in_range = check_ranges(header); !in_range) return in_range.error();
  return header;
}

Status batch_layout::check_codec(const BatchHeader& header, Errc code) {
  const int codec = header.attributes & kCodecBits;
  if (codec < static_cast<int>(kCodecNames.size())) return {};
  return Error{code, "codec " + std::to_string(codec) + " is unknown"};
}

void batch_layout::seal(MutableBytes batch, BatchHeader header) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  CHECK(batch.size() - kBatchLogOverhead <= static_cast<std::size_t>(kBatchLengthMax));
  std::byte* const at = batch.data();
  store_be<std::int64_t>(at + kBaseOffset, header.base_offset.value);
  store_be<std::int32_t>(at + kBatchLength, static_cast<std::int32_t>(batch.size() - kBatchLogOverhead));
  store_be<std::int32_t>(at + kLeaderEpoch, header.leader_epoch);
  store_be<std::int8_t>(at + kMagic, kMagicValue);
  store_be<std::uint16_t>(at + kAttributes, header.attributes);
  store_be<std::int32_t>(at + kLastOffsetDelta, header.last_offset_delta);
  store_be<std::int64_t>(at + kBaseTimestamp, header.base_timestamp_ms);
  store_be<std::int64_t>(at + kMaxTimestamp, header.max_timestamp_ms);
  store_be<std::int64_t>(at + kProducerId, header.producer_id);
  store_be<std::int16_t>(at + kProducerEpoch, header.producer_epoch);
  store_be<std::int32_t>(at + kBaseSequence, header.base_sequence);
  store_be<std::int32_t>(at + kRecordCount, header.record_count);
  store_be<std::uint32_t>(at + kCrc, crc_of(batch));
}

Result<BatchHeader> BatchHeader::parse(ByteView bytes) {
  Result<BatchHeader> header = batch_layout::parse_any_codec(bytes);
  if (!header) return header;
  if (const Status known = batch_layout::check_codec(*header, Errc::corrupt_batch); !known) return known.error();
  return header;
}

std::int32_t BatchHeader::last_sequence() const {
  if (base_sequence < 0) return -1;
  const std::int64_t unwrapped = std::int64_t{base_sequence} + last_offset_delta;
  return static_cast<std::int32_t>(unwrapped & std::numeric_limits<std::int32_t>::max());
}

bool batch_crc_matches(ByteView batch) {
  return batch.size() >= kBatchHeaderBytes && load_be<std::uint32_t>(batch.data() + batch_layout::kCrc) == crc_of(batch);
}

void patch_batch(MutableBytes batch, Offset base_offset, std::int32_t leader_epoch) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  store_be<std::int64_t>(batch.data() + batch_layout::kBaseOffset, base_offset.value);
  store_be<std::int32_t>(batch.data() + batch_layout::kLeaderEpoch, leader_epoch);
}

void set_log_append_time(MutableBytes batch, Timestamp time) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  std::byte* const at = batch.data();
  const auto attributes = load_be<std::uint16_t>(at + batch_layout::kAttributes);
  store_be<std::uint16_t>(at + batch_layout::kAttributes, static_cast<std::uint16_t>(attributes | batch_layout::kLogAppendTimeBit));
  store_be<std::int64_t>(at + batch_layout::kMaxTimestamp, time.time_since_epoch().count());
  store_be<std::uint32_t>(at + batch_layout::kCrc, crc_of(batch));
}

}  // namespace tidemark
