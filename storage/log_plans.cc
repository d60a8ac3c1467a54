#include <mutex>
#include <string>
#include <vector>

#include "storage/base/crc32c.h"
#include "storage/base/log.h"
#include "storage/log.h"
#include "storage/segment.h"

/// The blocking halves of the log's plans, except reads. They run on any thread and touch only what the plan holds.
namespace tidemark::storage {
namespace {

/// The new file must be there, with its name, before anything in it is acknowledged; and the directory with its.
Status create_segment(const Segment& segment, bool creates_directory, std::uint64_t reserve_to, FileSystem& files) {
  if (creates_directory) {
    const Status created = files.create_directory(segment.directory);
    if (!created && created.error().code != Errc::conflict) return created;
  }
  const Result<std::unique_ptr<File>> file = files.open(segment.log_path(), OpenMode::create);
  if (!file) return file.error();
  // One that an abandoned plan left is empty; anything else is not ours to write into.
  const Result<std::uint64_t> size = (*file)->size();
  if (!size) return size.error();
  if (*size != 0) return Error{Errc::conflict, segment.log_path() + " exists and is not empty"};
  if (const Status reserved = (*file)->reserve(reserve_to); !reserved) return reserved;
  if (const Status synced = (*file)->sync(); !synced) return synced;
  if (const Status synced = files.sync_directory(segment.directory); !synced) return synced;
  return creates_directory ? files.sync_directory(parent_directory(segment.directory)) : Status();
}

/// Renames if it is there.
Status set_aside(FileSystem& files, const std::string& path) {
  const Status renamed = files.rename(path, path + ".deleted");
  return !renamed && renamed.error().code == Errc::not_found ? Status() : renamed;
}

Status remove_if_there(FileSystem& files, const std::string& path) {
  const Status removed = files.remove(path);
  return !removed && removed.error().code == Errc::not_found ? Status() : removed;
}

}  // namespace

Status WriteGroup::write(FileCache& files) {
  Result<std::shared_ptr<File>> opened = files.open(segment->log_path());
  if (!opened) return opened.error();
  file = std::move(*opened);
  std::vector<ByteView> parts;
  parts.reserve(batches.size());
  std::uint32_t crc = interval_crc;
  for (StagedBatch& batch : batches) {
    parts.push_back(batch.bytes.view());
    crc = crc32c(batch.bytes.view(), batch.starts_interval ? 0 : crc);
    batch.interval_crc = crc;
  }
  return file->write(position, parts);
}

Status SpacePlan::execute(FileCache& files) {
  if (!creates) {
    // A descriptor of its own: a group may be on its way into the same file.
    const Result<std::unique_ptr<File>> file = files.file_system().open(segment->log_path(), OpenMode::read_write);
    return file ? (*file)->reserve(reserve_to) : Status(file.error());
  }
  const Status created = create_segment(*segment, creates_directory, reserve_to, files.file_system());
  if (!created && created.error().code == Errc::disk_full) {
    // Give back what it took. An empty file that stays is harmless: the next attempt uses it, or recovery removes it.
    if (const Status removed = remove_if_there(files.file_system(), segment->log_path()); !removed) {
      log_warn("cannot remove " + segment->log_path() + ": " + removed.error().to_string());
    }
  }
  return created;
}

Status CheckpointPlan::execute(FileCache& files) {
  FileSystem& file_system = files.file_system();
  for (const auto& written : to_sync) {
    const Result<std::unique_ptr<File>> file = file_system.open(written->log_path(), OpenMode::read_write);
    if (!file && written->removed) continue;
    if (!file) return file.error();
    if (const Status synced = (*file)->sync(); !synced) return synced;
  }
  for (const ToSeal& work : to_seal) {
    if (const Status done = seal_segment(work.segment, work.index, work.indexed, files); !done && !work.segment->removed) return done;
  }
  if (!segment || index_entries == 0) return {};
  const std::lock_guard lock(segment->loading);
  return segment->removed ? Status() : write_index(*segment, file_system, index_first, index_bytes);
}

Place PlacePlan::in(const LoadedIndex& index) const {
  const std::optional<std::size_t> entry = index.index.find_offset(offset);
  if (!entry) return {view.segment->opened_at, true, bytes_before};  // Damaged as a whole.
  const IndexEntry& interval = index.index.entries[*entry];
  // The index of a growing segment is a copy from this entry on, and its positions are those of the file.
  return {interval.append_time, interval.estimated, bytes_before + interval.position.value};
}

Result<Place> PlacePlan::execute(FileCache& files) {
  if (view.index) return in(*view.index);
  const Result<std::shared_ptr<const LoadedIndex>> loaded = load_index(view.segment, files);
  if (!loaded) return loaded.error();
  return in(**loaded);
}

Status TimesPlan::execute(FileCache& files) {
  Status status;
  for (const auto& segment : segments) {
    if (const Status loaded = load_times(segment, files); !loaded) status = loaded;
  }
  return status;
}

Status RemovePlan::execute(FileCache& files) {
  FileSystem& file_system = files.file_system();
  std::vector<std::string> leaving;
  for (const auto& segment : segments) {
    const std::lock_guard lock(segment->loading);  // A checkpoint may be about to seal it, which it does not once this is over.
    for (const std::string& path : {segment->log_path(), segment->index_path(), segment->seal_path()}) {
      if (const Status renamed = set_aside(file_system, path); !renamed) return renamed;
      files.forget(path);
      leaving.push_back(path + ".deleted");
    }
  }
  if (const Status synced = file_system.sync_directory(directory); !synced) return synced;
  for (const std::string& path : leaving) {
    if (const Status removed = remove_if_there(file_system, path); !removed) return removed;
  }
  return {};
}

}  // namespace tidemark::storage
