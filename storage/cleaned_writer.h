#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "storage/file_system.h"
#include "storage/segment.h"

namespace tidemark::storage {

/// Writes what takes the place of a segment: the files `<base20>.log.cleaned`, `.idx.cleaned` and `.seal.cleaned`. Memory: one buffer and
/// the index. Every call may block; an error other than disk_full is one of a disk that should not be used further.
class CleanedWriter {
 public:
  /// Nothing is on the disk before the first call. `directory` is the partition's.
  CleanedWriter(FileSystem& files, std::string directory, Offset base);

  /// Begins with a copy of the first bytes of a segment, whole intervals as `source` has them. Before anything else.
  Status begin_with(File& source, std::span<const IndexEntry> intervals, Offset end);
  /// The next batch, whose append time is that of the interval it came from. `first_id` is zero unless known.
  Status append(ByteView batch, const BatchHeader& header, Timestamp append_time, bool estimated, EntryId first_id);

  std::uint64_t bytes() const { return bytes_; }
  Offset end() const { return end_; }  ///< Behind the last batch.
  std::int32_t leader_epoch() const { return leader_epoch_; }

  struct Times {
    std::int64_t first_append_ms;
    std::int64_t last_append_ms;
  };
  /// Makes all three files and their names durable; `end` is where the next segment begins. Answers the index.
  Result<std::shared_ptr<const LoadedIndex>> finish(Offset end, const Times& times);
  /// Removes what was written, as far as possible; a start does the rest.
  void abandon();

 private:
  std::string path(std::string_view suffix) const;
  Status open();
  Status write_out();

  FileSystem& files_;
  const std::string directory_;
  const Offset base_;
  std::unique_ptr<File> file_;
  ByteVector buffer_;
  std::uint64_t written_ = 0;
  std::uint64_t bytes_ = 0;
  Offset end_;
  std::int32_t leader_epoch_ = 0;
  SegmentIndex index_;
};

}  // namespace tidemark::storage
