#include "storage/torn_tail.h"

#include <algorithm>
#include <array>
#include <vector>

namespace tidemark::storage {

Result<std::string> set_torn_tail_aside(FileSystem& files, const std::string& path, FilePosition position, ByteView bytes) {
  const std::string directory = parent_directory(path);
  const std::string kept = path + ".torn-" + std::to_string(position.value);
  Result<std::unique_ptr<File>> copy = files.open(kept, OpenMode::create);
  if (!copy) return copy.error();
  const std::array<ByteView, 1> parts = {bytes};
  if (const Status emptied = (*copy)->truncate(0); !emptied) return emptied.error();
  if (const Status written = (*copy)->write({0}, parts); !written) return written.error();
  if (const Status synced = (*copy)->sync(); !synced) return synced.error();

  const Result<std::vector<DirectoryEntry>> entries = files.list(directory);
  if (!entries) return entries.error();
  std::vector<std::string> torn;
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.find(".torn-") != std::string::npos) torn.push_back(directory + "/" + entry.name);
  }
  // Names carry the base offset or number first, so name order is age order for all but the file at hand.
  std::ranges::sort(torn);
  for (std::size_t i = 0; i + kTornTailsKept < torn.size(); ++i) {
    if (torn[i] == kept) continue;
    if (const Status removed = files.remove(torn[i]); !removed) return removed.error();
  }
  if (const Status synced = files.sync_directory(directory); !synced) return synced.error();
  return kept;
}

}  // namespace tidemark::storage
