#pragma once

#include "storage/file_system.h"

namespace tidemark::storage {

/// The real disk, through POSIX and Linux calls.
class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status create_directory(const std::string& path) override;
  Status remove(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status sync_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::uint64_t> file_size(const std::string& path) override;
  Result<SpaceInfo> space(const std::string& path) override;
  Status sync_all(File& file) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  std::string boot_id() override;
};

}  // namespace tidemark::storage
