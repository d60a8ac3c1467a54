#include "storage/batch/repack.h"

#include <cstring>
#include <optional>

#include "storage/base/crc32c.h"
#include "storage/batch/batch_layout.h"
#include "storage/batch/compression.h"
#include "storage/batch/varint.h"

namespace tidemark {
namespace {

/// A record as it lies in the batch, and its place there.
struct RawRecord {
  ByteView bytes;
  std::int32_t offset_delta = 0;
};

std::optional<RawRecord> take_record(ByteView& rest) {
  const ByteView before = rest;
  const auto length = read_varint(rest);
  if (!length || *length < 1 || static_cast<std::size_t>(*length) > rest.size()) return std::nullopt;
  ByteView body = rest.subspan(1, static_cast<std::size_t>(*length) - 1);  // Behind the attributes.
  rest = rest.subspan(static_cast<std::size_t>(*length));
  if (!read_varlong(body)) return std::nullopt;
  const auto delta = read_varint(body);
  if (!delta) return std::nullopt;
  return RawRecord{before.first(before.size() - rest.size()), *delta};
}

}  // namespace

Result<Slice> drop_records(ByteView batch, std::span<const OffsetRange> gone, const DecompressionLimits& limits) {
  Result<BatchHeader> header = BatchHeader::parse(batch);
  if (!header) return std::move(header).error();
  const ByteView stored = batch.subspan(kBatchHeaderBytes);
  ByteVector unpacked;
  if (header->codec() != Codec::none && !stored.empty()) {
    Result<ByteVector> plain = decompress(header->codec(), stored, limits);
    if (!plain) return std::move(plain).error();
    unpacked = *std::move(plain);
  }
  ByteView rest = unpacked.empty() ? stored : ByteView(unpacked);
  ByteVector kept;
  std::int32_t count = 0;
  auto range = gone.begin();
  for (std::int32_t i = 0; i < header->record_count; ++i) {
    const std::optional<RawRecord> record = take_record(rest);
    if (!record) return Error{Errc::corrupt_batch, "record " + std::to_string(i) + " runs out of the batch"};
    const Offset offset = header->base_offset + record->offset_delta;
    while (range != gone.end() && range->to <= offset) ++range;
    if (range != gone.end() && range->from <= offset) continue;
    kept.insert(kept.end(), record->bytes.begin(), record->bytes.end());
    ++count;
  }
  // An empty batch is not packed: there is nothing that could be unpacked.
  const Codec codec = count == 0 ? Codec::none : header->codec();
  if (codec != Codec::none) kept = compress(codec, kept);
  Slice left = Slice::allocate(kBatchHeaderBytes + kept.size());
  if (!kept.empty()) std::memcpy(left.data() + kBatchHeaderBytes, kept.data(), kept.size());
  header->attributes = static_cast<std::uint16_t>((header->attributes & ~batch_layout::kCodecBits) | static_cast<int>(codec));
  header->record_count = count;
  batch_layout::seal(left.writable(), *header);
  return left;
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
  ByteVector packed;
  if (codec != Codec::none) packed = compress(codec, plain);
  const ByteView records = codec == Codec::none ? plain : ByteView(packed);

  const Slice repacked = Slice::allocate(kBatchHeaderBytes + records.size());
  std::memcpy(repacked.data() + kBatchHeaderBytes, records.data(), records.size());
  header->attributes = static_cast<std::uint16_t>((header->attributes & ~batch_layout::kCodecBits) | static_cast<int>(codec));
  batch_layout::seal(repacked.writable(), *header);
  return repacked;
}

void set_max_timestamp(MutableBytes batch, std::int64_t time_ms) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  store_be<std::int64_t>(batch.data() + batch_layout::kMaxTimestamp, time_ms);
  store_be<std::uint32_t>(batch.data() + batch_layout::kCrc, crc32c(ByteView(batch).subspan(batch_layout::kAttributes)));
}

}  // namespace tidemark
