#pragma once

#include <cstdint>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/damage.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"

namespace tidemark::storage {

/// Reads whole intervals of one segment and proves them before anybody sees them. Lives for one plan.
class SegmentReader {
 public:
  /// Loads the index if the view has none. `known` is damage that need not be found again; what is new goes to `found`.
  static Result<SegmentReader> open(const SegmentView& view, FileCache& files, const std::vector<Damage>& known,
                                    std::vector<Damage>& found);

  const SegmentIndex& index() const { return index_->index; }
  /// Offset behind the intervals this reader knows.
  Offset end() const { return index_->end; }

  /// Consecutive intervals and what in them is good.
  struct Chunk {
    Slice bytes;
    std::vector<BatchRun> runs;  ///< In order; adjoining good intervals are one run.
  };
  /// Intervals [first, past). Damage in them goes to `found`; behind an interval that cannot be read at all nothing more is looked at.
  /// Error io_error if the first cannot be read.
  Result<Chunk> read(std::size_t first, std::size_t past);

 private:
  SegmentReader(const SegmentView& view, const std::vector<Damage>& known, std::vector<Damage>& found)
      : view_(view), known_(known), found_(found) {}

  /// Fills `into` from the start of interval `first`; shorter at the end of the file. May give up all but the first interval.
  Result<std::size_t> read_bytes(std::size_t first, std::size_t& past, MutableBytes into);
  void report(const std::vector<Damage>& damage);
  void add_run(Chunk& chunk, BatchRun run) const;

  const SegmentView& view_;
  const std::vector<Damage>& known_;
  std::vector<Damage>& found_;
  std::shared_ptr<const LoadedIndex> index_;
  std::shared_ptr<File> file_;
};

/// The error of a read that touches `damage`.
Error quarantined_error(const Damage& damage);

/// One batch of a proven run. Framing only: the bytes are known to be what was written.
struct BatchPlace {
  Offset base;
  Offset end;
  std::size_t bytes = 0;
};
/// Error corrupt_batch if even proven bytes are no batch, which only a fault of the writer can cause.
Result<BatchPlace> peek_batch(ByteView bytes);

}  // namespace tidemark::storage
