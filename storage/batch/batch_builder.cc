#include <algorithm>
#include <cstring>
#include <limits>

#include "storage/base/check.h"
#include "storage/batch/batch_layout.h"
#include "storage/batch/compression.h"
#include "storage/batch/record_batch.h"
#include "storage/batch/varint.h"

namespace tidemark {
namespace {

constexpr std::int64_t kNoTimestamp = -1;
constexpr std::int64_t kTimestampMax = std::numeric_limits<std::int64_t>::max() - 1;  // So that no difference to -1 overflows.

std::int64_t length_of(const std::optional<ByteView>& bytes) { return bytes ? static_cast<std::int64_t>(bytes->size()) : -1; }

std::size_t field_size(const std::optional<ByteView>& bytes) { return varlong_size(length_of(bytes)) + (bytes ? bytes->size() : 0); }
std::size_t name_size(std::string_view name) { return varlong_size(static_cast<std::int64_t>(name.size())) + name.size(); }

std::byte* store_bytes(std::byte* at, ByteView bytes) {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}
std::byte* store_field(std::byte* at, const std::optional<ByteView>& bytes) {
  at = store_varlong(at, length_of(bytes));
  return bytes ? store_bytes(at, *bytes) : at;
}
std::byte* store_name(std::byte* at, std::string_view name) {
  return store_bytes(store_varlong(at, static_cast<std::int64_t>(name.size())), as_bytes(name));
}

/// What follows the deltas of a record: the part whose size is known without them.
std::size_t payload_size(const RecordInput& record) {
  std::size_t size = field_size(record.key) + field_size(record.value) + varlong_size(static_cast<std::int64_t>(record.headers.size()));
  for (const HeaderView& header : record.headers) size += name_size(header.name) + field_size(header.value);
  return size;
}

}  // namespace

BatchBuilder::BatchBuilder(Options options) : options_(options) {}

std::size_t BatchBuilder::size_bound(const RecordInput& record) {
  constexpr std::size_t kLengthMax = 5;
  constexpr std::size_t kAttributesAndDeltasMax = 1 + 10 + 5;
  return kLengthMax + kAttributesAndDeltasMax + payload_size(record);
}

void BatchBuilder::add(const RecordInput& record) {
  CHECK(record.headers.size() <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()));
  CHECK(records_.size() + size_bound(record) <= std::numeric_limits<std::int32_t>::max() - kBatchHeaderBytes);
  const std::int64_t timestamp_ms = std::clamp(record.timestamp_ms, kNoTimestamp, kTimestampMax);
  if (count_ == 0) {
    base_timestamp_ms_ = timestamp_ms;
    max_timestamp_ms_ = timestamp_ms;
  }
  max_timestamp_ms_ = std::max(max_timestamp_ms_, timestamp_ms);

  const std::int64_t timestamp_delta = timestamp_ms - base_timestamp_ms_;
  const std::size_t body = 1 + varlong_size(timestamp_delta) + varlong_size(count_) + payload_size(record);
  const std::size_t start = records_.size();
  records_.resize(start + varlong_size(static_cast<std::int64_t>(body)) + body);
  std::byte* at = store_varlong(records_.data() + start, static_cast<std::int64_t>(body));
  *at++ = std::byte{0};  // Attributes: none are defined for records.
  at = store_varlong(at, timestamp_delta);
  at = store_varlong(at, count_);
  at = store_field(at, record.key);
  at = store_field(at, record.value);
  at = store_varlong(at, static_cast<std::int64_t>(record.headers.size()));
  for (const HeaderView& header : record.headers) at = store_field(store_name(at, header.name), header.value);
  CHECK(at == records_.data() + records_.size());
  ++count_;
}

void BatchBuilder::set_producer(std::int64_t id, std::int16_t epoch, std::int32_t base_sequence) {
  options_.producer_id = id;
  options_.producer_epoch = epoch;
  options_.base_sequence = base_sequence;
}

Slice BatchBuilder::build() {
  CHECK(count_ > 0);
  ByteVector packed;
  if (options_.codec != Codec::none) packed = compress(options_.codec, records_, options_.level);
  const ByteView body = options_.codec == Codec::none ? ByteView(records_) : ByteView(packed);
  Slice batch = Slice::allocate(kBatchHeaderBytes + body.size());
  store_bytes(batch.data() + kBatchHeaderBytes, body);

  BatchHeader header;
  header.attributes = static_cast<std::uint16_t>(options_.codec);
  if (options_.transactional) header.attributes |= batch_layout::kTransactionalBit;
  header.last_offset_delta = count_ - 1;
  header.base_timestamp_ms = base_timestamp_ms_;
  header.max_timestamp_ms = max_timestamp_ms_;
  header.producer_id = options_.producer_id;
  header.producer_epoch = options_.producer_epoch;
  header.base_sequence = options_.base_sequence;
  header.record_count = count_;
  batch_layout::seal(batch.writable(), header);

  records_.clear();
  count_ = 0;
  base_timestamp_ms_ = kNoTimestamp;
  max_timestamp_ms_ = kNoTimestamp;
  return batch;
}

Slice build_control_batch(std::int64_t producer_id, std::int16_t producer_epoch, bool commit, std::int32_t coordinator_epoch,
                          Timestamp time) {
  constexpr std::int16_t kVersion = 0;
  std::array<std::byte, 4> key{};  // int16 version, int16 type: 0 abort, 1 commit.
  store_be<std::int16_t>(key.data(), kVersion);
  store_be<std::int16_t>(key.data() + 2, commit ? 1 : 0);
  std::array<std::byte, 6> value{};  // int16 version, int32 coordinator epoch.
  store_be<std::int16_t>(value.data(), kVersion);
  store_be<std::int32_t>(value.data() + 2, coordinator_epoch);

  BatchBuilder builder({.producer_id = producer_id, .producer_epoch = producer_epoch, .transactional = true});
  builder.add({.key = key, .value = value, .timestamp_ms = time.time_since_epoch().count(), .headers = {}});
  Slice batch = builder.build();
  Result<BatchHeader> header = BatchHeader::parse(batch.view());
  CHECK(header.has_value());
  header->attributes |= batch_layout::kControlBit;
  batch_layout::seal(batch.writable(), *header);
  return batch;
}

}  // namespace tidemark
