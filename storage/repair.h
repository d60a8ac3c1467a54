#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/damage.h"
#include "storage/file_system.h"

/// Giving up a damaged range of a partition for good: the only place that takes bytes out of a log other than from its ends.
///
/// The bad bytes go to `<base20>.log.lost-<position>`, a batch without records takes their offsets, so that the chain holds, and the rest
/// of the segment moves up. A line of JSON in the partition's file `lost` says what was given up and when. Index and seal are made anew;
/// append times are kept. In place of a whole segment file that is missing comes one that holds nothing but its offsets.
namespace tidemark::storage {

/// A damaged range with the bytes it covers.
struct DamagedBytes {
  Damage damage;
  FilePosition begin;  ///< In the segment file; == end where the bytes themselves are missing.
  FilePosition end;
};

/// What is damaged in the segment that holds `offset`, in order. Reads the whole segment, writes nothing. `directory` is the partition's.
/// Errors: not_found when no segment can hold the offset, io_error.
Result<std::vector<DamagedBytes>> find_damaged_bytes(FileSystem& files, const std::string& directory, Offset offset, Timestamp now);

struct RepairReport {
  std::string file;       ///< The segment, without its directory.
  FilePosition position;  ///< Where the bad bytes were.
  std::uint64_t bytes = 0;
  std::string kept;  ///< Path of the file that has them now; empty when a whole segment file was missing.
  Offset from;
  Offset to;
};

/// Gives up [from, to), which must be one damaged range as find_damaged_bytes() tells it, or several next to each other: sound records are
/// never dropped. The directory must not be in use: the caller holds its lock.
///
/// A crash inside leaves the damage as it was, or gone with its bytes kept; call again. Errors: not_found; conflict when that range is not
/// damaged, naming what is; disk_full, io_error.
Result<RepairReport> drop_damaged_range(FileSystem& files, const std::string& directory, Offset from, Offset to, Timestamp now);

}  // namespace tidemark::storage
