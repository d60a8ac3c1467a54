#pragma once

#include <cstdint>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"

namespace tidemark::storage {

/// A stretch of the log file between two index entries and what its bytes add up to.
struct SealInterval {
  Offset first_offset;  ///< Of the batch it begins with.
  FilePosition position;
  std::uint32_t crc = 0;  ///< As IndexEntry::interval_crc.
  bool operator==(const SealInterval&) const = default;
};

/// What a full segment was when its last byte had been flushed. Unlike the index it is evidence: bytes that no longer add up to it are
/// damage, wherever they lie, batch headers included, which Kafka's own checksum leaves out.
struct Seal {
  Offset base;
  Offset end;  ///< Where the next segment begins.
  std::uint64_t log_bytes = 0;
  std::int64_t max_timestamp_ms = -1;
  Timestamp first_append;
  Timestamp last_append;
  bool cleaned = false;                 ///< Written by compaction: there may be gaps between its batches.
  std::vector<SealInterval> intervals;  ///< Adjoining, from 0 to log_bytes.

  /// Length of interval number `i`.
  std::uint64_t interval_bytes(std::size_t i) const;
  /// Offset where interval number `i` ends.
  Offset interval_end(std::size_t i) const;
  bool operator==(const Seal&) const = default;
};

inline constexpr std::size_t kSealHeaderBytes = 64;
inline constexpr std::size_t kSealIntervalBytes = 12;
/// No seal and no index file is larger: a segment is at most 2 GiB and starts_interval() bounds its intervals.
inline constexpr std::size_t kSealFileBytesMax = 64 * 1024 * 1024;

/// File form, little-endian (docs/FILE_FORMAT.md): header
///     0 u32 magic "TMSL"   4 u8 version   5 u8 flags: 1 = cleaned   6 u16 zero   8 i64 base   16 i64 end   24 u64 log bytes
///    32 i64 max timestamp  40 i64 first append   48 i64 last append   56 u32 intervals   60 u32 CRC-32C of bytes 0..60
/// then per interval { u32 first offset - base, u32 position, u32 CRC }, then u32 CRC-32C of everything before.
ByteVector encode_seal(const Seal& seal);
/// Error corrupt_batch, saying what is wrong, for anything but one whole undamaged seal of the segment `base`.
Result<Seal> decode_seal(ByteView file, Offset base);
/// The same from the first kSealHeaderBytes alone: everything but the intervals.
Result<Seal> decode_seal_header(ByteView file, Offset base);

}  // namespace tidemark::storage
