#include "storage/posix_file_system.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

namespace tidemark::storage {
namespace {

Errc errc_of(int error) {
  switch (error) {
    case ENOENT:
      return Errc::not_found;
    case EEXIST:
    case ENOTEMPTY:
      return Errc::conflict;
    case ENOSPC:
    case EDQUOT:
      return Errc::disk_full;
    default:
      return Errc::io_error;
  }
}

/// "write /data/x.log: No space left on device"
Error error_of(std::string_view call, const std::string& path, int error) {
  return Error{errc_of(error), std::string(call) + " " + path + ": " + std::generic_category().message(error)};
}

Error last_error(std::string_view call, const std::string& path) { return error_of(call, path, errno); }

/// Repeats a call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    // The result is of no use here: what matters was synced, and after EINTR the descriptor is closed all the same.
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

Result<Descriptor> open_descriptor(const std::string& path, int flags) {
  Descriptor descriptor(uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0644); }));
  if (descriptor.number() < 0) return last_error("open", path);
  return descriptor;
}

Result<struct stat> status_of(const Descriptor& descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor.number(), &status) != 0) return last_error("stat", path);
  return status;
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path) : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  int descriptor() const { return descriptor_.number(); }
  const std::string& path() const override { return path_; }

  Result<std::size_t> read(FilePosition at, MutableBytes into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const MutableBytes rest = into.subspan(done);
      const ssize_t count =
          uninterrupted([&] { return ::pread(descriptor(), rest.data(), rest.size(), static_cast<off_t>(at.value + done)); });
      if (count < 0) return last_error("read", path_);
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return done;
  }

  Status write(FilePosition at, std::span<const ByteView> parts) override {
    std::uint64_t position = at.value;
    std::size_t skip = 0;  // Bytes of the first part that are already written.
    while (!parts.empty()) {
      std::array<iovec, kPartsPerCall> vectors;
      const std::size_t count = std::min(parts.size(), vectors.size());
      for (std::size_t i = 0; i < count; ++i) {
        const ByteView part = parts[i].subspan(i == 0 ? skip : 0);
        // The kernel only reads from here; iovec has no const form.
        vectors[i] = {.iov_base = const_cast<std::byte*>(part.data()), .iov_len = part.size()};
      }
      const ssize_t written =
          uninterrupted([&] { return ::pwritev(descriptor(), vectors.data(), static_cast<int>(count), static_cast<off_t>(position)); });
      if (written < 0) return last_error("write", path_);
      position += static_cast<std::uint64_t>(written);

      std::size_t done = static_cast<std::size_t>(written) + skip;
      const std::size_t left_before = parts.size();
      while (!parts.empty() && done >= parts.front().size()) {
        done -= parts.front().size();
        parts = parts.subspan(1);
      }
      skip = done;
      if (written == 0 && parts.size() == left_before) return error_of("write", path_, EIO);
    }
    return {};
  }

  Status sync() override {
    if (uninterrupted([&] { return ::fdatasync(descriptor()); }) != 0) return last_error("sync", path_);
    return {};
  }

  Status reserve(std::uint64_t bytes) override {
    if (bytes == 0) return {};
    if (const Status enough = check_space(bytes); !enough) return enough.error();
    if (uninterrupted([&] { return ::fallocate(descriptor(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)); }) == 0) return {};
    // A file system without preallocation meets a full disk at the write instead.
    if (errno == EOPNOTSUPP) return {};
    return last_error("reserve", path_);
  }

  Status truncate(std::uint64_t bytes) override {
    if (uninterrupted([&] { return ::ftruncate(descriptor(), static_cast<off_t>(bytes)); }) != 0) return last_error("truncate", path_);
    return {};
  }

  Result<std::uint64_t> size() override {
    const Result<struct stat> status = status_of(descriptor_, path_);
    if (!status) return status.error();
    return static_cast<std::uint64_t>(status->st_size);
  }

  void drop_cache() override { ::posix_fadvise(descriptor(), 0, 0, POSIX_FADV_DONTNEED); }

 private:
  static constexpr std::size_t kPartsPerCall = 256;
  static_assert(kPartsPerCall <= IOV_MAX);

  /// ext4 keeps what it took before it ran out of space, so ask first: a refused reservation must not eat the last free blocks.
  Status check_space(std::uint64_t bytes) const {
    const Result<struct stat> status = status_of(descriptor_, path_);
    if (!status) return status.error();
    struct statvfs space {};
    if (::fstatvfs(descriptor(), &space) != 0) return last_error("reserve", path_);
    const std::uint64_t owned = static_cast<std::uint64_t>(status->st_blocks) * 512;
    const std::uint64_t free = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
    if (bytes > owned && bytes - owned > free) return error_of("reserve", path_, ENOSPC);
    return {};
  }

  Descriptor descriptor_;
  std::string path_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;  // The lock belongs to the open file and goes with it.
};

}  // namespace

Result<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode) {
  int flags = O_RDWR;
  switch (mode) {
    case OpenMode::read:
      flags = O_RDONLY;
      break;
    case OpenMode::read_write:
      break;
    case OpenMode::create:
      flags |= O_CREAT;
      break;
    case OpenMode::create_new:
      flags |= O_CREAT | O_EXCL;
      break;
  }
  Result<Descriptor> descriptor = open_descriptor(path, flags);
  if (!descriptor) return descriptor.error();
  const Result<struct stat> status = status_of(*descriptor, path);
  if (!status) return status.error();
  if (!S_ISREG(status->st_mode)) return Error{Errc::io_error, "open " + path + ": not a regular file"};
  return std::unique_ptr<File>(std::make_unique<PosixFile>(*std::move(descriptor), path));
}

Status PosixFileSystem::create_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0) return last_error("create directory", path);
  return {};
}

Status PosixFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return last_error("remove", path);
  return {};
}

Status PosixFileSystem::remove_directory(const std::string& path) {
  if (::rmdir(path.c_str()) != 0) return last_error("remove directory", path);
  return {};
}

Status PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return last_error("rename", from + " to " + to);
  return {};
}

Status PosixFileSystem::sync_directory(const std::string& path) {
  const Result<Descriptor> directory = open_descriptor(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return directory.error();
  if (uninterrupted([&] { return ::fsync(directory->number()); }) != 0) return last_error("sync directory", path);
  return {};
}

Result<std::vector<DirectoryEntry>> PosixFileSystem::list(const std::string& path) {
  std::vector<DirectoryEntry> entries;
  std::error_code error;
  std::filesystem::directory_iterator entry(path, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::error_code gone;  // Removed meanwhile: it is listed as what it no longer is, a file, and opening it says not_found.
    entries.push_back({.name = entry->path().filename().string(), .is_directory = entry->is_directory(gone)});
  }
  if (error) return error_of("list", path, error.value());
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

Result<bool> PosixFileSystem::exists(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  return last_error("stat", path);
}

Result<std::uint64_t> PosixFileSystem::file_size(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return last_error("stat", path);
  return static_cast<std::uint64_t>(status.st_size);
}

Result<SpaceInfo> PosixFileSystem::space(const std::string& path) {
  struct statvfs space {};
  if (::statvfs(path.c_str(), &space) != 0) return last_error("space of", path);
  return SpaceInfo{.total_bytes = static_cast<std::uint64_t>(space.f_blocks) * space.f_frsize,
                   .free_bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize};
}

Status PosixFileSystem::sync_all(File& file) {
  const auto* const posix_file = dynamic_cast<const PosixFile*>(&file);
  CHECK(posix_file != nullptr);  // A file of this file system.
  if (uninterrupted([&] { return ::syncfs(posix_file->descriptor()); }) != 0) return last_error("sync all of", file.path());
  return {};
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path) {
  Result<Descriptor> descriptor = open_descriptor(path, O_RDWR | O_CREAT);
  if (!descriptor) return descriptor.error();
  // flock, not fcntl's process lock: that one lets a second lock of the same process in, and any close() of the file drops it.
  if (uninterrupted([&] { return ::flock(descriptor->number(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno == EWOULDBLOCK) return Error{Errc::locked, "lock " + path + ": held by another process"};
    return last_error("lock", path);
  }
  return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(*std::move(descriptor)));
}

std::string PosixFileSystem::boot_id() {
  const Result<Descriptor> descriptor = open_descriptor("/proc/sys/kernel/random/boot_id", O_RDONLY);
  if (!descriptor) return {};
  std::array<char, 64> text;
  const ssize_t count = uninterrupted([&] { return ::read(descriptor->number(), text.data(), text.size()); });
  const std::string_view line(text.data(), count < 0 ? 0 : static_cast<std::size_t>(count));
  return std::string(line.substr(0, line.find('\n')));
}

}  // namespace tidemark::storage
