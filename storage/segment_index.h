#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"

namespace tidemark::storage {

/// Entry identifier of a topic with `entry.id = time`; zero elsewhere.
struct EntryId {
  std::uint64_t ms = 0;
  std::uint64_t seq = 0;
  auto operator<=>(const EntryId&) const = default;
};

/// One interval of a segment file: it starts at a batch and ends where the next entry (or the file) does.
struct IndexEntry {
  Offset first_offset;  ///< Base offset of the batch at `position`.
  FilePosition position;
  Timestamp append_time;               ///< When the broker took that batch. Estimated where the index was rebuilt from the log.
  std::int64_t max_timestamp_ms = -1;  ///< Largest record time in the segment up to the end of this interval.
  EntryId first_id;                    ///< Id of the first record of that batch; zero without ids.
  std::uint32_t bytes = 0;             ///< Length of the interval so far: what `interval_crc` covers.
  /// CRC-32C of the log bytes of this interval, batch headers included. Where recovery found the interval damaged: the complement of
  /// what the bytes have, so that every later read finds the damage again.
  std::uint32_t interval_crc = 0;
  bool estimated = false;  ///< The append time is an estimate.

  FilePosition end() const { return position + bytes; }
  bool operator==(const IndexEntry&) const = default;
};

/// The sparse index of one segment, in memory: derived data, never evidence about the log.
/// A new interval is begun at the first batch, then as starts_interval() says. Append times do not go back.
struct SegmentIndex {
  std::vector<IndexEntry> entries;  ///< Ascending in offset; each begins where the one before ends, the first at 0.

  /// Where to start scanning for `target`: the last entry whose first offset is <= target; entry 0 when there is none.
  /// nullopt only for an empty index.
  std::optional<std::size_t> find_offset(Offset target) const;
  /// The first interval that can hold a record with timestamp >= `time`; nullopt if none can.
  std::optional<std::size_t> find_timestamp(std::int64_t time_ms) const;
  /// Last interval whose append time is <= `time`; nullopt if the segment begins later.
  std::optional<std::size_t> find_append_time(Timestamp time) const;
  /// End of the last interval; 0 for an empty index.
  FilePosition covered() const { return entries.empty() ? FilePosition{} : entries.back().end(); }

  bool operator==(const SegmentIndex&) const = default;
};

inline constexpr std::size_t kIndexIntervalBytes = 32 * 1024;
inline constexpr std::size_t kIndexHeaderBytes = 16;
inline constexpr std::size_t kIndexEntryBytes = 56;

/// True if a batch appended at `time` behind `last` begins a new interval: 32 KiB are full, or a second has passed. A segment that
/// fills slowly would get an entry for every second of a week: after 4096 entries more than its bytes ask for, the second becomes two,
/// after 4096 more four, and so on, which bounds the index and keeps the error of a time below one per cent of its age.
bool starts_interval(const IndexEntry& last, std::size_t entry_count, Timestamp time);

/// File form: a 16-byte header (magic, version, base offset) and fixed-size entries, each with its own checksum, so that a torn or
/// lost tail is simply a shorter index. docs/FILE_FORMAT.md has the byte table. All little-endian:
///     0 u32 first offset - base    4 u32 position     8 u32 bytes     12 u32 interval CRC
///    16 i64 append time, ms       24 i64 max timestamp, ms            32 u64 u64 first id
///    48 u32 flags: 1 = estimated  52 u32 CRC-32C of the base offset (8 bytes) and bytes 0..52
ByteVector encode_index_header(Offset base);
void encode_index_entry(ByteVector& out, Offset base, const IndexEntry& entry);
/// The longest valid adjoining prefix of an index file; an empty index for a foreign or damaged header.
SegmentIndex decode_index(ByteView file, Offset base);
/// Where entry number `entry` lies in the file.
constexpr FilePosition index_file_position(std::size_t entry) { return {kIndexHeaderBytes + entry * kIndexEntryBytes}; }

}  // namespace tidemark::storage
