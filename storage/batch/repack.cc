#include "storage/batch/repack.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

#include "storage/base/crc32c.h"
#include "storage/batch/batch_layout.h"
#include "storage/batch/compression.h"
#include "storage/batch/varint.h"

namespace tidemark {
namespace {

constexpr OffsetRange kAllOffsets{Offset{0}, Offset{std::numeric_limits<std::int64_t>::max()}};

/// Takes one encoded record off the front of `rest`; nullopt when it is none. `delta` is that of its offset.
std::optional<ByteView> take_record(ByteView& rest, std::int32_t& delta) {
  const ByteView from = rest;
  const std::optional<std::int32_t> length = read_varint(rest);
  if (!length || *length < 1 || static_cast<std::size_t>(*length) > rest.size()) return std::nullopt;
  ByteView body = rest.subspan(1, static_cast<std::size_t>(*length) - 1);  // Behind the attributes.
  rest = rest.subspan(static_cast<std::size_t>(*length));
  if (!read_varlong(body)) return std::nullopt;  // The time.
  const std::optional<std::int32_t> found = read_varint(body);
  if (!found) return std::nullopt;
  delta = *found;
  return from.first(from.size() - rest.size());
}

/// Takes records off the front of `rest` without a look into them. How many, at most `count`: fewer where one is none.
std::int32_t skip_records(ByteView& rest, std::int64_t count) {
  std::int32_t skipped = 0;
  for (; skipped < count; ++skipped) {
    ByteView behind = rest;
    const std::optional<std::int32_t> length = read_varint(behind);
    if (!length || *length < 1 || static_cast<std::size_t>(*length) > behind.size()) break;
    rest = behind.subspan(static_cast<std::size_t>(*length));
  }
  return skipped;
}

/// The same batch over other records; `plain` are these, not packed.
Slice with_records(BatchHeader header, ByteView plain, Codec codec) {
  ByteVector packed;
  if (codec != Codec::none) packed = compress(codec, plain);
  const ByteView records = codec == Codec::none ? plain : ByteView(packed);
  const Slice batch = Slice::allocate(kBatchHeaderBytes + records.size());
  if (!records.empty()) std::memcpy(batch.data() + kBatchHeaderBytes, records.data(), records.size());
  header.attributes = static_cast<std::uint16_t>((header.attributes & ~batch_layout::kCodecBits) | static_cast<int>(codec));
  batch_layout::seal(batch.writable(), header);
  return batch;
}

/// The batch with the records that `keep` wants, asked in ascending order, of those in `range`.
template <class Keep>
Result<Slice> copy_records(ByteView batch, const Keep& keep, OffsetRange range, const DecompressionLimits& limits) {
  Result<BatchHeader> header = BatchHeader::parse(batch);
  if (!header) return std::move(header).error();
  ByteView rest = batch.subspan(kBatchHeaderBytes);
  ByteVector unpacked;
  if (header->codec() != Codec::none && !rest.empty()) {
    Result<ByteVector> plain = decompress(header->codec(), rest, limits);
    if (!plain) return std::move(plain).error();
    unpacked = *std::move(plain);
    rest = unpacked;
  }
  ByteVector kept;
  std::int32_t count = 0;
  // Without gaps, the place of a record is its offset.
  const bool dense = header->record_count == std::int64_t{header->last_offset_delta} + 1;
  std::int32_t i = dense ? skip_records(rest, std::min<std::int64_t>(range.from - header->base_offset, header->record_count)) : 0;
  for (; i < header->record_count; ++i) {
    std::int32_t delta = 0;
    const std::optional<ByteView> record = take_record(rest, delta);
    if (!record) return Error{Errc::corrupt_batch, "record " + std::to_string(i) + " runs out of its bounds"};
    const Offset offset = header->base_offset + delta;
    if (offset >= range.to) break;
    if (!keep(offset)) continue;
    kept.insert(kept.end(), record->begin(), record->end());
    ++count;
  }
  header->record_count = count;
  // An empty batch is not packed: there is nothing that could be unpacked.
  return with_records(*header, kept, count == 0 ? Codec::none : header->codec());
}

}  // namespace

Result<Slice> drop_records(ByteView batch, std::span<const OffsetRange> gone, const DecompressionLimits& limits) {
  auto range = gone.begin();
  const auto keep = [&](Offset offset) {
    while (range != gone.end() && range->to <= offset) ++range;
    return range == gone.end() || offset < range->from;
  };
  return copy_records(batch, keep, kAllOffsets, limits);
}

Result<std::vector<Slice>> without_records(const std::vector<Slice>& batches, std::span<const OffsetRange> gone) {
  std::vector<Slice> kept;
  for (const Slice& slice : batches) {
    std::size_t passed = 0;  // Up to here, the slice is in `kept`.
    const auto pass_on = [&](std::size_t to) {
      if (to > passed) kept.push_back(slice.subslice(passed, to - passed));
    };
    for (std::size_t at = 0; at < slice.size();) {
      const Result<BatchHeader> header = BatchHeader::parse(slice.view().subspan(at));
      if (!header) return header.error();
      if (header->size_bytes() > slice.size() - at) return Error{Errc::corrupt_batch, "a batch is cut off"};
      while (!gone.empty() && gone.front().to <= header->base_offset) gone = gone.subspan(1);
      const bool touched = !gone.empty() && gone.front().from < header->end_offset() && header->record_count > 0;
      if (touched) {
        pass_on(at);
        Result<Slice> left = drop_records(slice.view().subspan(at, header->size_bytes()), gone);
        if (!left) return std::move(left).error();
        kept.push_back(*std::move(left));
        passed = at + header->size_bytes();
      }
      at += header->size_bytes();
    }
    pass_on(slice.size());
  }
  return kept;
}

Result<Slice> repack_batch(ByteView batch, Codec codec, const DecompressionLimits& limits) {
  Result<BatchHeader> header = BatchHeader::parse(batch);
  if (!header) return std::move(header).error();
  const ByteView stored = batch.subspan(kBatchHeaderBytes);
  ByteVector unpacked;
  if (header->codec() != Codec::none) {
    Result<ByteVector> plain = decompress(header->codec(), stored, limits);
    if (!plain) return std::move(plain).error();
    unpacked = *std::move(plain);
  }
  const ByteView plain = header->codec() == Codec::none ? stored : ByteView(unpacked);
  return with_records(*header, plain, codec);
}

Result<Slice> keep_records(ByteView batch, std::span<const OffsetRange> wanted, const DecompressionLimits& limits) {
  auto range = wanted.begin();
  const auto keep = [&](Offset offset) {
    while (range != wanted.end() && range->to <= offset) ++range;
    return range != wanted.end() && range->from <= offset;
  };
  return copy_records(batch, keep, wanted.empty() ? OffsetRange{} : OffsetRange{wanted.front().from, wanted.back().to}, limits);
}

void set_max_timestamp(MutableBytes batch, std::int64_t time_ms) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  store_be<std::int64_t>(batch.data() + batch_layout::kMaxTimestamp, time_ms);
  store_be<std::uint32_t>(batch.data() + batch_layout::kCrc, crc32c(ByteView(batch).subspan(batch_layout::kAttributes)));
}

}  // namespace tidemark
