#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "storage/file_system.h"

namespace tidemark::tools {

/// Walks the batches of one segment file from front to back, knowing nothing but the file: Kafka's layout, batches back to back.
/// Memory: one batch.
class SegmentFile {
 public:
  static Result<SegmentFile> open(storage::FileSystem& files, const std::string& path);

  struct Batch {
    FilePosition position;
    BatchHeader header;
    ByteView bytes;  ///< The whole batch; valid until the next call.
    bool crc_valid = false;
  };
  /// The next batch; nullopt at the end of the file, where zeros up to the end (space written and never used) count as the end.
  /// Error corrupt_batch, naming file and position, when no batch is there: the walk cannot go on behind that.
  Result<std::optional<Batch>> next();

  std::uint64_t size() const { return size_; }
  /// Where the walk stands: behind the last batch.
  FilePosition position() const { return position_; }

 private:
  SegmentFile(std::unique_ptr<storage::File> file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  /// Makes `count` bytes from position_ on available; fewer only at the end of the file.
  Result<ByteView> look(std::size_t count);
  Result<bool> only_zeros_follow();
  Error damaged(std::string_view what) const;

  std::unique_ptr<storage::File> file_;
  std::uint64_t size_ = 0;
  FilePosition position_;
  ByteVector buffer_;
  FilePosition buffer_position_;
  std::size_t buffer_bytes_ = 0;  ///< Filled part of the buffer.
};

}  // namespace tidemark::tools
