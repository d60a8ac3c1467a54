#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"

/// The one door to the disk. Nothing else in storage/ or broker/ makes a file call (a test greps for it). Two implementations: POSIX, and
/// the simulated disk of tests/simulation, which knows what a crash can leave. Every call may block; errors name the path.
namespace tidemark::storage {

/// One open descriptor. Reads may run beside a write of other bytes; writes, sync, reserve and truncate have one caller at a time.
class File {
 public:
  virtual ~File() = default;

  /// Fills `into` from `at`; fewer bytes only at the end of the file. Error io_error.
  virtual Result<std::size_t> read(FilePosition at, MutableBytes into) = 0;
  /// Writes all parts one after another at `at`, extending the file as needed; a short write is continued inside. On an error any part
  /// of the bytes may be there. Errors: disk_full, io_error.
  virtual Status write(FilePosition at, std::span<const ByteView> parts) = 0;
  /// Makes data and size durable (fdatasync). A failure is final: the pages are clean and gone, a second call would lie.
  virtual Status sync() = 0;
  /// Takes disk space up to `bytes` from the start of the file without changing its size. Errors: disk_full, nothing changed.
  virtual Status reserve(std::uint64_t bytes) = 0;
  /// Cuts the file to `bytes` and gives reserved space beyond back.
  virtual Status truncate(std::uint64_t bytes) = 0;
  virtual Result<std::uint64_t> size() = 0;
  /// Drops clean cached pages, so that the next read comes from the disk itself: after a failed flush the cache may hold what the disk
  /// does not. Best effort.
  virtual void drop_cache() = 0;
  virtual const std::string& path() const = 0;
};

/// Exclusive lock on a file, held until destroyed; the kernel drops it when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  read,        ///< Must exist.
  read_write,  ///< Must exist.
  create,      ///< Read-write; made if missing.
  create_new,  ///< Read-write; conflict if it exists.
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
};

struct SpaceInfo {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< What an unprivileged process may still take.
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// not_found when the file or its directory is missing; the error's detail names the path.
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  /// conflict if it exists. The name is durable only after sync_directory() of the parent.
  virtual Status create_directory(const std::string& path) = 0;
  virtual Status remove(const std::string& path) = 0;            ///< A file.
  virtual Status remove_directory(const std::string& path) = 0;  ///< Must be empty.
  /// Replaces `to` if it exists. Durable only after sync_directory().
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status sync_directory(const std::string& path) = 0;
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;  ///< Without . and .., sorted by name.
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<std::uint64_t> file_size(const std::string& path) = 0;
  virtual Result<SpaceInfo> space(const std::string& path) = 0;
  /// Makes everything written on the file system of `file` durable (syncfs): one call for many files.
  virtual Status sync_all(File& file) = 0;
  /// `locked` if another process or another lock object holds it.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  /// Names the running boot of the machine; changes with every start of the kernel.
  virtual std::string boot_id() = 0;
};

/// Whole small file, bounded by `bytes_max` (io_error when larger).
Result<ByteVector> read_file(FileSystem& files, const std::string& path, std::size_t bytes_max);
/// Replaces `path` so that a crash leaves the old or the new contents: temporary file, sync, rename, directory sync.
Status replace_file(FileSystem& files, const std::string& path, ByteView contents);
/// The directory part of a path; "." if it has none.
std::string parent_directory(const std::string& path);

}  // namespace tidemark::storage
