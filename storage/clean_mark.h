#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/cleaning_rules.h"
#include "storage/file_system.h"

namespace tidemark::storage {

/// How far a log has been compacted: the file `cleaned` of its directory. Only a help: without it the whole log counts as not compacted,
/// and the next compaction reads all of it. Because a tombstone may only go when everything older of its key is gone, a mark must never
/// say too much: it is written after the segments it speaks of.
struct CleanMark {
  Offset end;        ///< Below, every key was looked at together with everything before it.
  Offset tried;      ///< The same but for segments that could not be read: >= end, and nothing below makes compaction worth while.
  Timestamp time{};  ///< When the last compaction began.
  std::int64_t next_horizon_ms = kNoHorizon;  ///< From then on tombstones may go.
  bool operator==(const CleanMark&) const = default;
};

/// File form, little-endian: 8 bytes "TDMKCOMP", u32 version 1, i64 end, i64 tried, i64 time in ms, i64 next horizon
/// in ms, u32 CRC-32C of all before.
inline constexpr std::string_view kCleanMarkName = "cleaned";
ByteVector encode_clean_mark(const CleanMark& mark);
/// nullopt for anything else.
std::optional<CleanMark> decode_clean_mark(ByteView file);

/// Replaces the file, durably. Errors: disk_full, io_error.
Status write_clean_mark(FileSystem& files, const std::string& directory, const CleanMark& mark);
/// nullopt when there is none, or none that can be read.
std::optional<CleanMark> read_clean_mark(FileSystem& files, const std::string& directory);

}  // namespace tidemark::storage
