#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "storage/base/result.h"
#include "storage/file_system.h"

namespace tidemark::storage {

class IndexCache;

/// Bounded cache of open files, shared by the logs of a data directory, and of the loaded indexes of their sealed segments.
/// Thread-safe. A file in use stays open after eviction.
///
/// Two callers may get the same File. That is fine for reads and for the one group in flight; other writers (reservation, checkpoint)
/// open their own descriptor, because a File allows only one of them at a time.
class FileCache {
 public:
  explicit FileCache(FileSystem& files, std::size_t open_max, std::size_t index_bytes_max = 64 * 1024 * 1024);
  ~FileCache();

  /// Read-write; the file must exist. Errors: not_found, io_error.
  Result<std::shared_ptr<File>> open(const std::string& path);
  /// Closes it as soon as nobody uses it: before the file is removed or renamed.
  void forget(const std::string& path);
  std::size_t open_files() const;
  FileSystem& file_system() const { return files_; }
  IndexCache& indexes() const { return *indexes_; }

 private:
  struct Impl;
  FileSystem& files_;
  std::unique_ptr<Impl> impl_;
  std::unique_ptr<IndexCache> indexes_;
};

}  // namespace tidemark::storage
