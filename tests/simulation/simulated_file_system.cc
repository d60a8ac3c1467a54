#include "tests/simulation/simulated_file_system.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "tests/simulation/simulated_disk.h"

namespace tidemark::simulation {
namespace {

using storage::DirectoryEntry;
using storage::File;
using storage::FileLock;
using storage::OpenMode;
using storage::SpaceInfo;

Error error_of(FaultEffect effect, std::string_view op, const std::string& path) {
  switch (effect) {
    case FaultEffect::io_error:
    case FaultEffect::short_write_io_error:
      return {Errc::io_error, fmt::format("{} {}: input/output error", op, path)};
    case FaultEffect::disk_full:
    case FaultEffect::short_write_disk_full:
      break;
  }
  return {Errc::disk_full, fmt::format("{} {}: no space left", op, path)};
}

Error not_found(const std::string& path) { return {Errc::not_found, path + ": no such file or directory"}; }

std::string next_boot_id(const std::string& id, std::uint64_t seed) {
  return fmt::format("boot-{:016x}", hash_bytes(hash_mix(4, seed), as_bytes(id)));
}

void add_tree(const Disk& disk, InodeId directory, const std::string& prefix, std::vector<std::string>& paths) {
  for (const auto& [name, id] : disk.directory(directory).entries()) {
    paths.push_back(prefix + name + (disk.is_directory(id) ? "/" : ""));
    if (disk.is_directory(id)) add_tree(disk, id, prefix + name + "/", paths);
  }
}

}  // namespace

/// Shared by the file system and everything opened through it.
struct SimulatedFileSystem::State {
  explicit State(Disk initial) : disk(std::move(initial)) {}

  /// Every counted call starts here: counts it, shows it to the hook, says whether it fails.
  std::optional<FaultEffect> begin_call(std::string_view op, const std::string& path) {
    std::shared_ptr<const CallHook> shown;
    std::uint64_t index = 0;
    {
      const std::lock_guard guard(mutex);
      index = plan.count_call();
      shown = hook;
    }
    if (shown != nullptr) (*shown)(index, op, path);
    const std::lock_guard guard(mutex);
    return plan.effect_on(index, op, path);
  }

  InodeId file_at(const std::string& path) const {
    const std::optional<InodeId> id = disk.find(path);
    CHECK(id && !disk.is_directory(*id));
    return *id;
  }

  std::mutex mutex;  ///< Guards everything below. Not held while the hook runs.
  Disk disk;
  FaultPlan plan;
  std::shared_ptr<const CallHook> hook;
  std::set<InodeId> locked;
  std::string boot_id = "boot-1";
};

class SimulatedFileSystem::OpenFile final : public File {
 public:
  /// The caller holds the mutex.
  OpenFile(std::shared_ptr<State> state, InodeId id, std::string path, bool writable)
      : state_(std::move(state)), id_(id), path_(std::move(path)), writable_(writable) {
    state_->disk.add_handle(id_);
  }
  ~OpenFile() override {
    const std::lock_guard guard(state_->mutex);
    state_->disk.drop_handle(id_);
  }

  bool belongs_to(const State& state) const { return state_.get() == &state; }
  const std::string& path() const override { return path_; }

  Result<std::size_t> read(FilePosition at, MutableBytes into) override {
    const std::lock_guard guard(state_->mutex);
    if (const auto effect = state_->plan.effect_on(0, "read", path_)) return error_of(*effect, "read", path_);
    for (const auto& [from, to] : state_->disk.inode(id_).unreadable) {
      if (at.value < to && from < at.value + into.size()) return error_of(FaultEffect::io_error, "read", path_);
    }
    return state_->disk.file(id_).read(at.value, into);
  }

  Status write(FilePosition at, std::span<const ByteView> parts) override {
    const std::optional<FaultEffect> effect = state_->begin_call("write", path_);
    if (!writable_) return not_writable("write");
    const bool short_write = effect == FaultEffect::short_write_io_error || effect == FaultEffect::short_write_disk_full;
    if (effect && !short_write) return error_of(*effect, "write", path_);
    std::uint64_t left = 0;
    for (const ByteView part : parts) left += part.size();
    if (short_write) left /= 2;

    const std::lock_guard guard(state_->mutex);
    std::uint64_t position = at.value;
    for (ByteView part : parts) {
      part = part.first(std::min<std::uint64_t>(part.size(), left));
      const std::uint64_t written = state_->disk.write(id_, position, part);
      if (written < part.size()) return error_of(FaultEffect::disk_full, "write", path_);
      position += written;
      left -= written;
    }
    if (effect) return error_of(*effect, "write", path_);
    return {};
  }

  Status sync() override {
    const std::optional<FaultEffect> effect = state_->begin_call("sync", path_);
    const std::lock_guard guard(state_->mutex);
    if (effect) {
      state_->disk.lose_unsynced(id_);
      return error_of(*effect, "sync", path_);
    }
    state_->disk.sync(id_);
    return {};
  }

  Status reserve(std::uint64_t bytes) override {
    const std::optional<FaultEffect> effect = state_->begin_call("reserve", path_);
    if (!writable_) return not_writable("reserve");
    if (effect) return error_of(*effect, "reserve", path_);
    const std::lock_guard guard(state_->mutex);
    if (!state_->disk.reserve(id_, bytes)) return error_of(FaultEffect::disk_full, "reserve", path_);
    return {};
  }

  Status truncate(std::uint64_t bytes) override {
    const std::optional<FaultEffect> effect = state_->begin_call("truncate", path_);
    if (!writable_) return not_writable("truncate");
    if (effect) return error_of(*effect, "truncate", path_);
    const std::lock_guard guard(state_->mutex);
    state_->disk.truncate(id_, bytes);
    return {};
  }

  Result<std::uint64_t> size() override {
    const std::lock_guard guard(state_->mutex);
    return state_->disk.file(id_).size();
  }

  void drop_cache() override {
    const std::lock_guard guard(state_->mutex);
    state_->disk.drop_cache(id_);
  }

 private:
  Error not_writable(std::string_view op) const { return {Errc::io_error, fmt::format("{} {}: opened for reading only", op, path_)}; }

  std::shared_ptr<State> state_;
  InodeId id_;
  std::string path_;
  bool writable_;
};

class SimulatedFileSystem::Lock final : public FileLock {
 public:
  Lock(std::shared_ptr<State> state, InodeId id) : state_(std::move(state)), id_(id) {}
  ~Lock() override {
    const std::lock_guard guard(state_->mutex);
    state_->locked.erase(id_);
    state_->disk.drop_handle(id_);
  }

 private:
  std::shared_ptr<State> state_;
  InodeId id_;
};

SimulatedFileSystem::SimulatedFileSystem(std::uint64_t capacity_bytes) : state_(std::make_shared<State>(Disk(capacity_bytes))) {}
SimulatedFileSystem::SimulatedFileSystem(std::shared_ptr<State> state) : state_(std::move(state)) {}
SimulatedFileSystem::~SimulatedFileSystem() = default;

Result<std::unique_ptr<File>> SimulatedFileSystem::open(const std::string& path, OpenMode mode) {
  const bool may_create = mode == OpenMode::create || mode == OpenMode::create_new;
  std::optional<FaultEffect> effect;
  if (may_create && !*exists(path)) effect = state_->begin_call("open", path);
  if (effect) return error_of(*effect, "open", path);

  const std::lock_guard guard(state_->mutex);
  std::optional<InodeId> id = state_->disk.find(path);
  if (id && mode == OpenMode::create_new) return Error{Errc::conflict, path + ": exists"};
  if (id && state_->disk.is_directory(*id)) return Error{Errc::io_error, path + ": is a directory"};
  if (!id) {
    if (!may_create) return not_found(path);
    const Result<InodeId> created = state_->disk.create_file(path);
    if (!created) return created.error();
    id = *created;
  }
  return std::unique_ptr<File>(std::make_unique<OpenFile>(state_, *id, path, mode != OpenMode::read));
}

Status SimulatedFileSystem::create_directory(const std::string& path) {
  if (const auto effect = state_->begin_call("create_directory", path)) return error_of(*effect, "create directory", path);
  const std::lock_guard guard(state_->mutex);
  if (const Result<InodeId> created = state_->disk.create_directory(path); !created) return created.error();
  return {};
}

Status SimulatedFileSystem::remove(const std::string& path) {
  if (const auto effect = state_->begin_call("remove", path)) return error_of(*effect, "remove", path);
  const std::lock_guard guard(state_->mutex);
  return state_->disk.remove(path, false);
}

Status SimulatedFileSystem::remove_directory(const std::string& path) {
  if (const auto effect = state_->begin_call("remove_directory", path)) return error_of(*effect, "remove directory", path);
  const std::lock_guard guard(state_->mutex);
  return state_->disk.remove(path, true);
}

Status SimulatedFileSystem::rename(const std::string& from, const std::string& to) {
  if (const auto effect = state_->begin_call("rename", from)) return error_of(*effect, "rename", from + " to " + to);
  const std::lock_guard guard(state_->mutex);
  return state_->disk.rename(from, to);
}

Status SimulatedFileSystem::sync_directory(const std::string& path) {
  const std::optional<FaultEffect> effect = state_->begin_call("sync_directory", path);
  const std::lock_guard guard(state_->mutex);
  const std::optional<InodeId> id = state_->disk.find(path);
  if (!id) return not_found(path);
  if (!state_->disk.is_directory(*id)) return Error{Errc::io_error, path + ": not a directory"};
  if (effect) {
    state_->disk.lose_directory(*id);
    return error_of(*effect, "sync directory", path);
  }
  state_->disk.sync_directory(*id);
  return {};
}

Result<std::vector<DirectoryEntry>> SimulatedFileSystem::list(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  const std::optional<InodeId> id = state_->disk.find(path);
  if (!id) return not_found(path);
  if (!state_->disk.is_directory(*id)) return Error{Errc::io_error, path + ": not a directory"};
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, child] : state_->disk.directory(*id).entries())
    entries.push_back({.name = name, .is_directory = state_->disk.is_directory(child)});
  return entries;
}

Result<bool> SimulatedFileSystem::exists(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  return state_->disk.find(path).has_value();
}

Result<std::uint64_t> SimulatedFileSystem::file_size(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  const std::optional<InodeId> id = state_->disk.find(path);
  if (!id) return not_found(path);
  if (state_->disk.is_directory(*id)) return Error{Errc::io_error, path + ": is a directory"};
  return state_->disk.file(*id).size();
}

Result<SpaceInfo> SimulatedFileSystem::space(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  if (!state_->disk.find(path)) return not_found(path);
  return SpaceInfo{.total_bytes = state_->disk.capacity(), .free_bytes = state_->disk.free_bytes()};
}

Status SimulatedFileSystem::sync_all(File& file) {
  const auto* const own = dynamic_cast<const OpenFile*>(&file);
  CHECK(own != nullptr && own->belongs_to(*state_));
  const std::optional<FaultEffect> effect = state_->begin_call("sync_all", file.path());
  const std::lock_guard guard(state_->mutex);
  if (effect) {
    state_->disk.lose_all();
    return error_of(*effect, "sync all of", file.path());
  }
  state_->disk.sync_all();
  return {};
}

Result<std::unique_ptr<FileLock>> SimulatedFileSystem::lock(const std::string& path) {
  std::optional<FaultEffect> effect;
  if (!*exists(path)) effect = state_->begin_call("lock", path);
  if (effect) return error_of(*effect, "lock", path);

  const std::lock_guard guard(state_->mutex);
  std::optional<InodeId> id = state_->disk.find(path);
  if (!id) {
    const Result<InodeId> created = state_->disk.create_file(path);
    if (!created) return created.error();
    id = *created;
  }
  if (state_->disk.is_directory(*id)) return Error{Errc::io_error, path + ": is a directory"};
  if (!state_->locked.insert(*id).second) return Error{Errc::locked, "lock " + path + ": held by another process"};
  state_->disk.add_handle(*id);
  return std::unique_ptr<FileLock>(std::make_unique<Lock>(state_, *id));
}

std::string SimulatedFileSystem::boot_id() {
  const std::lock_guard guard(state_->mutex);
  return state_->boot_id;
}

std::unique_ptr<SimulatedFileSystem> SimulatedFileSystem::crash_clone(CrashPolicy policy, std::uint64_t seed) const {
  const std::lock_guard guard(state_->mutex);
  auto after = std::make_shared<State>(state_->disk.after_power_loss(policy, seed));
  after->boot_id = next_boot_id(state_->boot_id, seed);
  return std::unique_ptr<SimulatedFileSystem>(new SimulatedFileSystem(std::move(after)));
}

std::unique_ptr<SimulatedFileSystem> SimulatedFileSystem::process_crash_clone() const {
  const std::lock_guard guard(state_->mutex);
  auto after = std::make_shared<State>(state_->disk.after_process_crash());
  after->boot_id = state_->boot_id;
  return std::unique_ptr<SimulatedFileSystem>(new SimulatedFileSystem(std::move(after)));
}

std::uint64_t SimulatedFileSystem::calls() const {
  const std::lock_guard guard(state_->mutex);
  return state_->plan.calls();
}

void SimulatedFileSystem::on_call(CallHook hook) {
  const std::lock_guard guard(state_->mutex);
  state_->hook = hook ? std::make_shared<const CallHook>(std::move(hook)) : nullptr;
}

void SimulatedFileSystem::fail_call(std::uint64_t index, FaultEffect effect) {
  const std::lock_guard guard(state_->mutex);
  state_->plan.fail_call(index, effect);
}

void SimulatedFileSystem::add_fault(FaultRule rule) {
  const std::lock_guard guard(state_->mutex);
  state_->plan.add_rule(std::move(rule));
}

void SimulatedFileSystem::clear_faults() {
  const std::lock_guard guard(state_->mutex);
  state_->plan.clear();
}

void SimulatedFileSystem::make_unreadable(const std::string& path, std::uint64_t position, std::uint64_t bytes) {
  const std::lock_guard guard(state_->mutex);
  state_->disk.writable(state_->file_at(path)).unreadable.emplace_back(position, position + bytes);
}

void SimulatedFileSystem::make_readable(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  state_->disk.writable(state_->file_at(path)).unreadable.clear();
}

void SimulatedFileSystem::flip_bit(const std::string& path, std::uint64_t position, unsigned bit) {
  const std::lock_guard guard(state_->mutex);
  state_->disk.flip_bit(state_->file_at(path), position, bit);
}

void SimulatedFileSystem::set_capacity(std::uint64_t bytes) {
  const std::lock_guard guard(state_->mutex);
  state_->disk.set_capacity(bytes);
}

void SimulatedFileSystem::set_boot_id(std::string id) {
  const std::lock_guard guard(state_->mutex);
  state_->boot_id = std::move(id);
}

std::uint64_t SimulatedFileSystem::image_hash() const {
  const std::lock_guard guard(state_->mutex);
  return state_->disk.hash();
}

std::string SimulatedFileSystem::contents(const std::string& path) const {
  const std::lock_guard guard(state_->mutex);
  const FileContents& file = state_->disk.file(state_->file_at(path));
  std::string bytes(file.size(), '\0');
  CHECK(file.read(0, std::as_writable_bytes(std::span(bytes))) == bytes.size());
  return bytes;
}

void SimulatedFileSystem::plant(const std::string& path, std::string_view bytes) {
  const std::lock_guard guard(state_->mutex);
  Disk& disk = state_->disk;
  std::string directory;
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::optional<InodeId> above = disk.find(directory);
    directory = path.substr(0, slash);
    if (!disk.find(directory)) {
      CHECK(disk.create_directory(directory));
      disk.sync_directory(*above);
    }
  }
  std::optional<InodeId> id = disk.find(path);
  if (!id) id = *disk.create_file(path);
  disk.truncate(*id, 0);
  CHECK(disk.write(*id, 0, as_bytes(bytes)) == bytes.size());
  disk.sync(*id);
  disk.sync_directory(*disk.find(directory));
}

std::vector<std::string> SimulatedFileSystem::tree() const {
  const std::lock_guard guard(state_->mutex);
  std::vector<std::string> paths;
  add_tree(state_->disk, *state_->disk.find("/"), "", paths);
  std::ranges::sort(paths);
  return paths;
}

}  // namespace tidemark::simulation
