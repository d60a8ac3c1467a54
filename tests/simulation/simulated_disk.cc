#include "tests/simulation/simulated_disk.h"

#include <algorithm>
#include <map>

namespace tidemark::simulation {
namespace {

constexpr InodeId kRoot = 1;

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (const std::string_view part = path.substr(0, slash); !part.empty() && part != ".") parts.push_back(part);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

Error no_such_file(const std::string& path) { return {Errc::not_found, path + ": no such file or directory"}; }

}  // namespace

Disk::Disk(std::uint64_t capacity_bytes) : capacity_(capacity_bytes), generation_(next_generation()) {
  slots_.push_back({.id = next_id_++, .inode = std::make_shared<Inode>(generation_, DirectoryContents()), .names = 1});
}

Disk Disk::after_power_loss(CrashPolicy policy, std::uint64_t seed) {
  Random random(seed);
  // Both ends are worth many images: nearly everything there but one sector, and nearly nothing.
  constexpr std::array<unsigned, 5> kKeepPercents{10, 50, 80, 95, 99};
  const unsigned keep_percent = kKeepPercents[random() % kKeepPercents.size()];

  Disk after(capacity_);
  after.next_id_ = next_id_;
  generation_ = next_generation();
  std::map<InodeId, std::shared_ptr<Inode>> found;
  std::vector<InodeId> to_visit{kRoot};
  while (!to_visit.empty()) {
    const InodeId id = to_visit.back();
    to_visit.pop_back();
    std::shared_ptr<Inode>& inode = found[id];
    if (inode != nullptr) continue;  // Another name of the same file.
    inode = slot(id).inode;
    if (const auto* file = std::get_if<FileContents>(&inode->contents); file != nullptr && !file->settled()) {
      inode = std::make_shared<Inode>(after.generation_, file->after_power_loss(policy, random, keep_percent, after.generation_),
                                      inode->unreadable);
    }
    if (const auto* directory = std::get_if<DirectoryContents>(&inode->contents); directory != nullptr) {
      if (!directory->settled())
        inode = std::make_shared<Inode>(after.generation_, directory->after_power_loss(policy, random, keep_percent));
      for (const auto& [name, child] : std::get<DirectoryContents>(inode->contents).entries()) to_visit.push_back(child);
    }
  }
  after.slots_.clear();
  for (auto& [id, inode] : found) after.slots_.push_back({.id = id, .inode = std::move(inode)});
  after.count_names();
  return after;
}

Disk Disk::after_process_crash() {
  generation_ = next_generation();
  Disk after = *this;
  after.generation_ = next_generation();
  for (Slot& slot : after.slots_) slot.handles = 0;
  after.maybe_unreachable_ = true;
  after.count_names();
  return after;
}

std::optional<InodeId> Disk::find(std::string_view path) const {
  InodeId at = kRoot;
  for (const std::string_view part : split(path)) {
    const std::optional<InodeId> next = child(at, part);
    if (!next) return std::nullopt;
    at = *next;
  }
  return at;
}

bool Disk::is_directory(InodeId id) const { return std::holds_alternative<DirectoryContents>(slot(id).inode->contents); }
const FileContents& Disk::file(InodeId id) const { return std::get<FileContents>(slot(id).inode->contents); }
const DirectoryContents& Disk::directory(InodeId id) const { return std::get<DirectoryContents>(slot(id).inode->contents); }

Result<InodeId> Disk::create_file(const std::string& path) { return create(path, FileContents()); }
Result<InodeId> Disk::create_directory(const std::string& path) { return create(path, DirectoryContents()); }

Result<InodeId> Disk::create(const std::string& path, std::variant<FileContents, DirectoryContents> contents) {
  const Result<Place> place = place_of(path);
  if (!place) return place.error();
  if (child(place->directory, place->name)) return Error{Errc::conflict, path + ": exists"};
  const InodeId id = next_id_++;
  slots_.push_back({.id = id, .inode = std::make_shared<Inode>(generation_, std::move(contents))});
  add_name(id);
  writable_directory(place->directory).link(place->name, id);
  return id;
}

Status Disk::remove(const std::string& path, bool directory) {
  const Result<Place> place = place_of(path);
  if (!place) return place.error();
  const std::optional<InodeId> id = child(place->directory, place->name);
  if (!id) return no_such_file(path);
  if (is_directory(*id) != directory) return Error{Errc::io_error, path + (directory ? ": not a directory" : ": is a directory")};
  if (directory && !this->directory(*id).entries().empty()) return Error{Errc::conflict, path + ": directory not empty"};
  writable_directory(place->directory).unlink(place->name);
  drop_name(*id);
  return {};
}

Status Disk::rename(const std::string& from, const std::string& to) {
  const Result<Place> source = place_of(from);
  if (!source) return source.error();
  const Result<Place> target = place_of(to);
  if (!target) return target.error();
  const std::optional<InodeId> moved = child(source->directory, source->name);
  if (!moved) return no_such_file(from);
  const std::optional<InodeId> replaced = child(target->directory, target->name);
  if (replaced == moved) return {};
  if (replaced) {
    if (is_directory(*moved) != is_directory(*replaced)) return Error{Errc::io_error, to + ": a file and a directory"};
    if (is_directory(*replaced) && !directory(*replaced).entries().empty()) return Error{Errc::conflict, to + ": directory not empty"};
  }
  if (source->directory == target->directory) {
    writable_directory(source->directory).rename(source->name, target->name);
  } else {
    writable_directory(target->directory).link(target->name, *moved);
    writable_directory(source->directory).unlink(source->name);
  }
  if (replaced) drop_name(*replaced);
  return {};
}

void Disk::sync_directory(InodeId id) {
  writable_directory(id).sync();
  forget_unreachable();
}

void Disk::lose_directory(InodeId id) { writable_directory(id).lose_unsynced(); }

void Disk::sync_all() {
  for (const Slot& slot : slots_) {
    if (const auto* file = std::get_if<FileContents>(&slot.inode->contents)) {
      if (!file->settled()) sync(slot.id);
    } else if (!directory(slot.id).settled()) {
      writable_directory(slot.id).sync();
    }
  }
  forget_unreachable();
}

void Disk::lose_all() {
  for (const Slot& slot : slots_) {
    if (const auto* file = std::get_if<FileContents>(&slot.inode->contents)) {
      if (!file->settled()) lose_unsynced(slot.id);
    } else if (!directory(slot.id).settled()) {
      writable_directory(slot.id).lose_unsynced();
    }
  }
}

void Disk::drop_handle(InodeId id) {
  Slot& open = slot(id);
  const std::uint64_t before = footprint(open);
  --open.handles;
  used_ -= before - footprint(open);
  if (open.handles == 0 && open.names == 0) maybe_unreachable_ = true;
}

std::uint64_t Disk::write(InodeId id, std::uint64_t at, ByteView bytes) {
  FileContents& contents = writable_file(id);
  const std::uint64_t before = contents.footprint();
  const std::uint64_t end_max = before + free_bytes();
  const std::uint64_t fits = std::min<std::uint64_t>(bytes.size(), end_max > at ? end_max - at : 0);
  contents.write(generation_, at, bytes.first(fits));
  used_ += contents.footprint() - before;
  return fits;
}

bool Disk::reserve(InodeId id, std::uint64_t bytes) {
  const std::uint64_t before = file(id).footprint();
  if (bytes > before && bytes - before > free_bytes()) return false;
  writable_file(id).reserve(bytes);
  used_ += file(id).footprint() - before;
  return true;
}

void Disk::truncate(InodeId id, std::uint64_t bytes) {
  const std::uint64_t before = file(id).footprint();
  writable_file(id).truncate(generation_, bytes);
  used_ = used_ - before + file(id).footprint();
}

Inode& Disk::writable(InodeId id) {
  std::shared_ptr<Inode>& inode = slot(id).inode;
  if (inode->owner != generation_) {
    inode = std::make_shared<Inode>(*inode);
    inode->owner = generation_;
  }
  return *inode;
}

std::uint64_t Disk::hash() const { return hash_of(kRoot); }

std::uint64_t Disk::hash_of(InodeId id) const {
  if (!is_directory(id)) return file(id).hash();
  std::uint64_t hash = 3;
  const auto mix_in = [&](const DirectoryContents::Entries& entries) {
    hash = hash_mix(hash, entries.size());
    for (const auto& [name, child] : entries) hash = hash_mix(hash_bytes(hash, as_bytes(name)), hash_of(child));
  };
  const DirectoryContents& contents = directory(id);
  mix_in(contents.entries());
  if (contents.entries() != contents.durable_entries()) mix_in(contents.durable_entries());
  return hash;
}

std::uint64_t Disk::footprint(const Slot& slot) {
  if (slot.names == 0 && slot.handles == 0) return 0;
  const auto* file = std::get_if<FileContents>(&slot.inode->contents);
  return file == nullptr ? 0 : file->footprint();
}

const Disk::Slot& Disk::slot(InodeId id) const {
  const auto found = std::ranges::lower_bound(slots_, id, {}, &Slot::id);
  CHECK(found != slots_.end() && found->id == id);
  return *found;
}

std::optional<InodeId> Disk::child(InodeId directory, std::string_view name) const {
  if (!is_directory(directory)) return std::nullopt;
  const DirectoryContents::Entries& entries = this->directory(directory).entries();
  const auto entry = entries.find(name);
  if (entry == entries.end()) return std::nullopt;
  return entry->second;
}

Result<Disk::Place> Disk::place_of(const std::string& path) const {
  const std::vector<std::string_view> parts = split(path);
  if (parts.empty()) return Error{Errc::conflict, path + ": is the root"};
  InodeId at = kRoot;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::optional<InodeId> next = child(at, parts[i]);
    if (!next) return no_such_file(path);
    at = *next;
  }
  if (!is_directory(at)) return Error{Errc::io_error, path + ": not a directory"};
  return Place{.directory = at, .name = std::string(parts.back())};
}

void Disk::add_name(InodeId id) { ++slot(id).names; }

void Disk::drop_name(InodeId id) {
  Slot& named = slot(id);
  const std::uint64_t before = footprint(named);
  --named.names;
  used_ -= before - footprint(named);
  if (named.names == 0 && named.handles == 0) maybe_unreachable_ = true;
}

void Disk::forget_unreachable() {
  if (!maybe_unreachable_) return;
  std::vector<InodeId> referenced{kRoot};
  for (const Slot& slot : slots_) {
    if (const auto* directory = std::get_if<DirectoryContents>(&slot.inode->contents))
      directory->for_each_reference([&](InodeId id) { referenced.push_back(id); });
  }
  std::ranges::sort(referenced);
  maybe_unreachable_ = false;
  std::erase_if(slots_, [&](const Slot& slot) {
    if (slot.names != 0 || slot.handles != 0) return false;
    if (!std::ranges::binary_search(referenced, slot.id)) return true;
    maybe_unreachable_ = true;  // A crash may still bring it back.
    return false;
  });
}

/// Names and used space from the tree itself.
void Disk::count_names() {
  for (Slot& slot : slots_) slot.names = slot.id == kRoot ? 1 : 0;
  for (const Slot& counted : slots_) {
    if (const auto* directory = std::get_if<DirectoryContents>(&counted.inode->contents)) {
      for (const auto& [name, id] : directory->entries()) ++slot(id).names;
    }
  }
  used_ = 0;
  for (const Slot& slot : slots_) used_ += footprint(slot);
}

}  // namespace tidemark::simulation
