#include "storage/segment_swap.h"

#include <algorithm>
#include <optional>

#include "storage/base/log.h"
#include "storage/seal.h"
#include "storage/segment.h"

namespace tidemark::storage {
namespace {

std::string path_of(const std::string& directory, Offset base, std::string_view suffix) {
  return directory + "/" + segment_file_name(base, suffix);
}

Status remove_if_there(FileSystem& files, const std::string& path) {
  const Status removed = files.remove(path);
  return !removed && removed.error().code == Errc::not_found ? Status() : removed;
}

/// No file under the first name: it has its new one already.
Status rename_if_there(FileSystem& files, const std::string& from, const std::string& to) {
  const Status renamed = files.rename(from, to);
  return !renamed && renamed.error().code == Errc::not_found ? Status() : renamed;
}

/// The decision on the segment `base` as it was found: which segments it takes the place of.
Result<std::vector<Offset>> absorbed_by(FileSystem& files, const std::string& directory, Offset base,
                                        const std::vector<DirectoryEntry>& names) {
  const Result<ByteVector> bytes = read_file(files, path_of(directory, base, ".seal.swap"), kSealFileBytesMax);
  if (!bytes) return bytes.error();
  std::vector<Offset> absorbed;
  const Result<Seal> seal = decode_seal(*bytes, base);
  if (!seal) {
    // Rot, after it was made durable. Without its end nothing more is removed; what overlaps is found by whoever opens the log.
    log_error(path_of(directory, base, ".seal.swap") + " is damaged: " + seal.error().detail);
    return absorbed;
  }
  for (const DirectoryEntry& entry : names) {
    for (const std::string_view suffix : {".log", ".idx", ".seal"}) {
      const std::optional<Offset> other = parse_segment_file_name(entry.name, suffix);
      if (other && *other > base && *other < seal->end) absorbed.push_back(*other);
    }
  }
  std::ranges::sort(absorbed);
  absorbed.erase(std::ranges::unique(absorbed).begin(), absorbed.end());
  return absorbed;
}

}  // namespace

Status decide_swap(FileSystem& files, const std::string& directory, Offset base) {
  const Status renamed = files.rename(path_of(directory, base, ".seal.cleaned"), path_of(directory, base, ".seal.swap"));
  return renamed ? files.sync_directory(directory) : renamed;
}

Status carry_out_swap(FileSystem& files, const std::string& directory, Offset base, const std::vector<Offset>& absorbed) {
  for (const Offset other : absorbed) {
    for (const std::string_view suffix : {".seal", ".idx", ".log"}) {
      if (const Status removed = remove_if_there(files, path_of(directory, other, suffix)); !removed) return removed;
    }
  }
  for (const std::string_view suffix : {".log", ".idx"}) {
    const std::string path = path_of(directory, base, suffix);
    if (const Status renamed = rename_if_there(files, path + std::string(kCleanedSuffix), path); !renamed) return renamed;
  }
  // Everything has its place before the decision is forgotten.
  if (const Status synced = files.sync_directory(directory); !synced) return synced;
  const std::string seal = path_of(directory, base, ".seal");
  if (const Status renamed = rename_if_there(files, seal + std::string(kSwapSuffix), seal); !renamed) return renamed;
  // A crash may have left both names for one file, and a rename between these does nothing (POSIX).
  if (const Status removed = remove_if_there(files, seal + std::string(kSwapSuffix)); !removed) return removed;
  return files.sync_directory(directory);
}

Result<bool> finish_swaps(FileSystem& files, const std::string& directory, const std::vector<DirectoryEntry>& names) {
  bool done_any = false;
  for (const DirectoryEntry& entry : names) {
    const std::optional<Offset> base = parse_segment_file_name(entry.name, ".seal.swap");
    if (!base) continue;
    const Result<std::vector<Offset>> absorbed = absorbed_by(files, directory, *base, names);
    if (!absorbed) return absorbed.error();
    // Where only the process died, the decision may not be durable yet.
    if (const Status synced = files.sync_directory(directory); !synced) return synced.error();
    if (const Status done = carry_out_swap(files, directory, *base, *absorbed); !done) return done.error();
    done_any = true;
  }
  for (const DirectoryEntry& entry : names) {
    if (!entry.name.ends_with(kCleanedSuffix)) continue;
    if (const Status removed = remove_if_there(files, directory + "/" + entry.name); !removed) return removed.error();
    done_any = true;
  }
  return done_any;
}

Status finish_swaps(FileSystem& files, const std::string& directory) {
  const Result<std::vector<DirectoryEntry>> names = files.list(directory);
  if (!names && names.error().code == Errc::not_found) return {};
  if (!names) return names.error();
  const Result<bool> done = finish_swaps(files, directory, *names);
  return done ? Status() : Status(done.error());
}

}  // namespace tidemark::storage
