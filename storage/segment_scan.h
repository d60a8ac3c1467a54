#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "storage/damage.h"
#include "storage/file_system.h"
#include "storage/segment_index.h"

/// Judging log bytes: is this the batch that must be here, and if not, what is lost and where does the log go on?
namespace tidemark::storage {

enum class Fault : std::uint8_t { none, truncated, framing, chain, epoch, crc };
std::string_view to_string(Fault fault);

/// What is known about the batch that comes next.
struct ChainState {
  Offset expected;                ///< Its base offset; the least it may be where gaps are allowed.
  std::int32_t leader_epoch = 0;  ///< The least it may be.
  bool gaps_allowed = false;      ///< The segment was cleaned.
};

struct CheckedBatch {
  Fault fault = Fault::none;
  bool framed = false;  ///< The header makes sense and the whole batch is there, so its length can be believed for a try.
  BatchHeader header;   ///< Meaningful if framed.
};

/// Checks the batch at the start of `bytes` (which may go on): framing, place in the chain, checksum, counts.
CheckedBatch check_batch(ByteView bytes, const ChainState& chain);

/// Good bytes next to each other.
struct BatchRun {
  std::size_t begin = 0;  ///< In the bytes inspected.
  std::size_t end = 0;
  Offset first;
  Offset next;  ///< Behind the last batch, or what comes next if that is known.
};

struct IntervalFindings {
  std::vector<BatchRun> runs;  ///< In order.
  std::vector<Damage> damage;  ///< In order, between the runs.
};

/// Takes an interval apart whose checksum does not match. `bytes` may be shorter than the entry says when the file ends there.
/// Never returns without damage: where every batch looks right, some header lies, and the whole interval is given up.
IntervalFindings inspect_interval(ByteView bytes, const IndexEntry& entry, Offset interval_end, bool gaps_allowed, const std::string& file);

struct ScanOptions {
  Offset base;                   ///< Of the segment.
  FilePosition from;             ///< First batch to look at; the index covers what lies before.
  ChainState chain;              ///< What must be there.
  std::uint64_t file_bytes = 0;  ///< Where the file ends.
  std::optional<FilePosition>
      torn_from;  ///< Bad bytes from here on are a torn tail if at most kGroupBytesMax follow. None: nothing can be torn.
  std::span<const IndexEntry> landmarks;  ///< An old index: its times are kept, and scanning resumes at its positions behind damage.
  Timestamp now;                          ///< Upper bound of estimated append times.
  std::optional<Offset> segment_end;      ///< Where the next segment begins, if there is one.
  std::string file_name;                  ///< For reports.
};

struct ScanOutcome {
  FilePosition end;   ///< Behind the last byte that belongs to the log, damaged or not.
  Offset end_offset;  ///< What the next batch must have.
  std::int32_t leader_epoch = 0;
  std::optional<FilePosition> torn_at;
  std::vector<Damage> damage;
  bool rest_lost = false;  ///< Damage up to the end of the file: end_offset is the least it can have been.
};

/// Gives intervals that were read again the checksums they had in an older index: a difference is damage that no batch checksum covers, and
/// the next reader must find it.
void keep_evidence(SegmentIndex& index, std::span<const IndexEntry> older);

/// Reads the rest of a segment and extends `index`, which must end at `options.from`, over it. Damaged stretches get intervals of their
/// own, with a checksum that does not match. Calls `on_batch` (may be empty) for each good batch, whose bytes live until it returns.
/// Memory: one read buffer. Error io_error.
Result<ScanOutcome> scan_segment(File& file, const ScanOptions& options, SegmentIndex& index,
                                 const std::function<void(const BatchHeader&, ByteView batch)>& on_batch);

}  // namespace tidemark::storage
