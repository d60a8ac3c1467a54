#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file_system.h"
#include "tests/simulation/fault_plan.h"
#include "tests/simulation/file_contents.h"

namespace tidemark::simulation {

/// A disk in memory that knows what a crash can leave, counts the calls made to it, and fails them on demand.
///
/// Every file exists twice, as reads see it and as the disk holds it, in 512-byte sectors; every directory likewise. File::sync makes the
/// bytes and the size of its file durable but not its name; sync_directory() makes the names in one directory durable; sync_all() both,
/// for everything. The two crash_clone calls return a new, independent disk and leave this one running, so a test can take clones at every
/// call of a workload. Cloning shares unchanged pages. What can come out of a power loss is said at FileContents and DirectoryContents.
///
/// A call counts if it changes or syncs something: "open" and "lock" when they create the file, "write", "sync", "reserve", "truncate",
/// "create_directory", "remove", "remove_directory", "rename", "sync_directory", "sync_all". Calls are numbered from 1 in their order.
///
/// Thread-safe. Files and locks may outlive the object they came from.
class SimulatedFileSystem final : public storage::FileSystem {
 public:
  static constexpr std::uint64_t kDefaultCapacity = std::uint64_t{1} << 40;
  /// Called before the call takes effect, without any lock held: it may clone and read this disk.
  using CallHook = std::function<void(std::uint64_t index, std::string_view op, const std::string& path)>;

  explicit SimulatedFileSystem(std::uint64_t capacity_bytes = kDefaultCapacity);
  ~SimulatedFileSystem() override;

  Result<std::unique_ptr<storage::File>> open(const std::string& path, storage::OpenMode mode) override;
  Status create_directory(const std::string& path) override;
  Status remove(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status sync_directory(const std::string& path) override;
  Result<std::vector<storage::DirectoryEntry>> list(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::uint64_t> file_size(const std::string& path) override;
  Result<storage::SpaceInfo> space(const std::string& path) override;
  Status sync_all(storage::File& file) override;
  Result<std::unique_ptr<storage::FileLock>> lock(const std::string& path) override;
  std::string boot_id() override;

  /// A disk that power loss at this moment may leave, the same one for the same seed. New boot id; no locks, faults, hook or counted calls.
  std::unique_ptr<SimulatedFileSystem> crash_clone(CrashPolicy policy, std::uint64_t seed) const;
  /// What kill -9 leaves: everything as it was seen, no more durable than before, same boot id; no locks, faults, hook or counted calls.
  std::unique_ptr<SimulatedFileSystem> process_crash_clone() const;

  std::uint64_t calls() const;
  void on_call(CallHook hook);
  /// The call with this number fails.
  void fail_call(std::uint64_t index, FaultEffect effect);
  /// Rules also see reads, as op "read".
  void add_fault(FaultRule rule);
  /// Faults only; unreadable ranges stay.
  void clear_faults();
  /// Reads that touch these bytes fail with io_error, here and in clones made from now on.
  void make_unreadable(const std::string& path, std::uint64_t position, std::uint64_t bytes);
  void make_readable(const std::string& path);
  /// Bit rot, in the cache and on the disk. The byte must exist.
  void flip_bit(const std::string& path, std::uint64_t position, unsigned bit);
  /// Writes and reservations beyond it fail with disk_full; a write does what fits first. Free space may be none, never negative.
  void set_capacity(std::uint64_t bytes);
  void set_boot_id(std::string id);

  /// Of all names, sizes and bytes, current and durable.
  std::uint64_t image_hash() const;
  /// Current contents; the file must exist.
  std::string contents(const std::string& path) const;
  /// Puts a file there, durable with its name; missing directories are made. Not counted, never failed.
  void plant(const std::string& path, std::string_view bytes);
  /// Every path, sorted, without a leading slash; directories end in '/'.
  std::vector<std::string> tree() const;

 private:
  struct State;
  class OpenFile;
  class Lock;

  explicit SimulatedFileSystem(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace tidemark::simulation
