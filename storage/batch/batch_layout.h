#pragma once

#include <cstddef>
#include <cstdint>

#include "storage/base/bytes.h"
#include "storage/batch/record_batch.h"

/// Byte places of the fields of a record batch (KIP-98), for the sources of this folder only.
namespace tidemark::batch_layout {

inline constexpr std::size_t kBaseOffset = 0;
inline constexpr std::size_t kBatchLength = 8;
inline constexpr std::size_t kLeaderEpoch = 12;
inline constexpr std::size_t kMagic = 16;
inline constexpr std::size_t kCrc = 17;
inline constexpr std::size_t kAttributes = 21;  ///< The checksum covers the bytes from here on.
inline constexpr std::size_t kLastOffsetDelta = 23;
inline constexpr std::size_t kBaseTimestamp = 27;
inline constexpr std::size_t kMaxTimestamp = 35;
inline constexpr std::size_t kProducerId = 43;
inline constexpr std::size_t kProducerEpoch = 51;
inline constexpr std::size_t kBaseSequence = 53;
inline constexpr std::size_t kRecordCount = 57;
static_assert(kRecordCount + sizeof(std::int32_t) == kBatchHeaderBytes);

inline constexpr std::uint16_t kCodecBits = 7;
inline constexpr std::uint16_t kLogAppendTimeBit = 8;
inline constexpr std::uint16_t kTransactionalBit = 16;
inline constexpr std::uint16_t kControlBit = 32;
inline constexpr std::uint16_t kDeleteHorizonBit = 64;

/// Parses like BatchHeader::parse() but leaves the codec bits unjudged.
Result<BatchHeader> parse_any_codec(ByteView bytes);
Status check_codec(const BatchHeader& header, Errc code);

/// Writes all fields of `header` over the first 61 bytes of `batch`, with length and checksum computed from the rest, which must be in
/// place already.
void seal(MutableBytes batch, BatchHeader header);

}  // namespace tidemark::batch_layout
