#include "storage/torn_tail.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>
#include <vector>

namespace tidemark::storage {
namespace {

constexpr std::string_view kMark = ".torn-";

/// Names carry the base offset or number first, and a file grows: so by name, then by position, which is not padded.
bool is_older(std::string_view a, std::string_view b) {
  const std::size_t a_mark = a.find(kMark);
  const std::size_t b_mark = b.find(kMark);
  const std::string_view a_file = a.substr(0, a_mark);
  const std::string_view b_file = b.substr(0, b_mark);
  return std::tuple(a_file, a.size() - a_file.size(), a) < std::tuple(b_file, b.size() - b_file.size(), b);
}

}  // namespace

Result<std::string> set_torn_tail_aside(FileSystem& files, const std::string& path, FilePosition position, ByteView bytes) {
  const std::string directory = parent_directory(path);
  const std::string kept = path + std::string(kMark) + std::to_string(position.value);
  Result<std::unique_ptr<File>> copy = files.open(kept, OpenMode::create);
  if (!copy) return copy.error();
  const std::array<ByteView, 1> parts = {bytes};
  if (const Status emptied = (*copy)->truncate(0); !emptied) return emptied.error();
  if (const Status written = (*copy)->write({0}, parts); !written) return written.error();
  if (const Status synced = (*copy)->sync(); !synced) return synced.error();

  const Result<std::vector<DirectoryEntry>> entries = files.list(directory);
  if (!entries) return entries.error();
  std::vector<std::string> others;
  for (const DirectoryEntry& entry : *entries) {
    const std::string other = directory + "/" + entry.name;
    if (entry.name.find(kMark) != std::string::npos && other != kept) others.push_back(other);
  }
  std::ranges::sort(others, is_older);
  for (std::size_t i = 0; i + kTornTailsKept - 1 < others.size(); ++i) {
    if (const Status removed = files.remove(others[i]); !removed) return removed.error();
  }
  if (const Status synced = files.sync_directory(directory); !synced) return synced.error();
  return kept;
}

}  // namespace tidemark::storage
