#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "storage/base/result.h"
#include "tests/simulation/directory_contents.h"
#include "tests/simulation/file_contents.h"

namespace tidemark::simulation {

/// One file or directory. Shared between disks that were cloned from each other, copied by the first that changes it.
struct Inode {
  Generation owner = 0;
  std::variant<FileContents, DirectoryContents> contents;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> unreadable = {};  ///< Half open ranges of bytes that answer EIO.
};

/// The tree of a simulated disk: names, inodes, space. Knows what a power loss leaves of them; knows no calls, faults or locks. Paths
/// are split at '/'; empty parts and "." are skipped, so "/a" and "a" are the same. Not thread-safe.
class Disk {
 public:
  explicit Disk(std::uint64_t capacity_bytes);

  /// The disk after a power loss now: a tree with nothing unsynced. Both disks go on independently; handles stay with this one.
  Disk after_power_loss(CrashPolicy policy, std::uint64_t seed);
  /// The disk as another process of the same boot finds it: everything current, nothing more durable than here.
  Disk after_process_crash();

  std::optional<InodeId> find(std::string_view path) const;
  bool is_directory(InodeId id) const;
  const FileContents& file(InodeId id) const;
  const DirectoryContents& directory(InodeId id) const;
  const Inode& inode(InodeId id) const { return *slot(id).inode; }

  Result<InodeId> create_file(const std::string& path);
  Result<InodeId> create_directory(const std::string& path);
  Status remove(const std::string& path, bool directory);
  Status rename(const std::string& from, const std::string& to);
  void sync_directory(InodeId id);
  void lose_directory(InodeId id);
  void sync_all();
  void lose_all();

  /// An open handle keeps a removed file.
  void add_handle(InodeId id) { ++slot(id).handles; }
  void drop_handle(InodeId id);

  /// Writes as much as fits; returns how much that was.
  std::uint64_t write(InodeId id, std::uint64_t at, ByteView bytes);
  bool reserve(InodeId id, std::uint64_t bytes);
  void truncate(InodeId id, std::uint64_t bytes);
  void sync(InodeId id) { writable_file(id).sync(generation_); }
  void lose_unsynced(InodeId id) { writable_file(id).lose_unsynced(generation_); }
  void drop_cache(InodeId id) { writable_file(id).drop_cache(generation_); }
  void flip_bit(InodeId id, std::uint64_t at, unsigned bit) { writable_file(id).flip_bit(generation_, at, bit); }
  Inode& writable(InodeId id);

  std::uint64_t capacity() const { return capacity_; }
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  std::uint64_t free_bytes() const { return used_ < capacity_ ? capacity_ - used_ : 0; }

  std::uint64_t hash() const;

 private:
  struct Slot {
    InodeId id = 0;
    std::shared_ptr<Inode> inode;
    std::uint32_t names = 0;    ///< That lead to it now.
    std::uint32_t handles = 0;  ///< Open on it.
  };
  struct Place {
    InodeId directory = 0;
    std::string name;
  };

  static std::uint64_t footprint(const Slot& slot);
  const Slot& slot(InodeId id) const;
  Slot& slot(InodeId id) { return const_cast<Slot&>(std::as_const(*this).slot(id)); }
  FileContents& writable_file(InodeId id) { return std::get<FileContents>(writable(id).contents); }
  DirectoryContents& writable_directory(InodeId id) { return std::get<DirectoryContents>(writable(id).contents); }
  std::optional<InodeId> child(InodeId directory, std::string_view name) const;
  Result<Place> place_of(const std::string& path) const;
  Result<InodeId> create(const std::string& path, std::variant<FileContents, DirectoryContents> contents);
  void add_name(InodeId id);
  void drop_name(InodeId id);
  void forget_unreachable();
  void count_names();
  std::uint64_t hash_of(InodeId id) const;

  std::uint64_t capacity_;
  Generation generation_;
  std::vector<Slot> slots_;  ///< By rising id.
  InodeId next_id_ = 1;
  std::uint64_t used_ = 0;
  bool maybe_unreachable_ = false;  ///< Some inode has lost its last name and handle.
};

}  // namespace tidemark::simulation
