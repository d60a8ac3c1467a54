#pragma once

#include <cstdint>
#include <optional>
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
  std::uint32_t interval_crc = 0;      ///< CRC-32C of the log bytes of this interval, batch headers included.
  bool estimated = false;              ///< The append time is an estimate.
};

/// The sparse index of one segment, in memory: derived data, never evidence about the log.
/// A new interval is begun at the first batch, then at least every kIndexIntervalBytes and once per second of appends.
struct SegmentIndex {
  std::vector<IndexEntry> entries;  ///< Ascending in offset and position.

  /// Where to start scanning for `target`: the last entry whose first offset is <= target; entry 0 when there is none.
  /// nullopt only for an empty index.
  std::optional<std::size_t> find_offset(Offset target) const;
  /// The first interval that can hold a record with timestamp >= `time`; nullopt if none can.
  std::optional<std::size_t> find_timestamp(std::int64_t time_ms) const;
  /// Last interval whose append time is <= `time`; nullopt if the segment begins later.
  std::optional<std::size_t> find_append_time(Timestamp time) const;
};

inline constexpr std::size_t kIndexIntervalBytes = 32 * 1024;
inline constexpr std::size_t kIndexEntryBytes = 56;

/// File form: a 16-byte header (magic, version, base offset) and fixed-size entries, each with its own checksum, so that a torn or
/// lost tail is simply a shorter index. docs/FILE_FORMAT.md has the byte table.
ByteVector encode_index_header(Offset base);
void encode_index_entry(ByteVector& out, Offset base, const IndexEntry& entry);
/// The longest valid ascending prefix of an index file; an empty index for a foreign or damaged header.
SegmentIndex decode_index(ByteView file, Offset base);

}  // namespace tidemark::storage
