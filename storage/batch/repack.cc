#include "storage/batch/repack.h"

#include <cstring>

#include "storage/base/crc32c.h"
#include "storage/batch/batch_layout.h"
#include "storage/batch/compression.h"

namespace tidemark {

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
