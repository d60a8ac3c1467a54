#include "storage/file_cache.h"

#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "storage/segment.h"

namespace tidemark::storage {

struct FileCache::Impl {
  struct Entry {
    std::string path;
    std::shared_ptr<File> file;
  };

  explicit Impl(std::size_t limit) : open_max(limit) {}

  const std::size_t open_max;
  mutable std::mutex mutex;
  std::list<Entry> by_use;  ///< Most recent first.
  std::unordered_map<std::string, std::list<Entry>::iterator> by_path;

  /// Pre: locked. Null if the file is not open.
  std::shared_ptr<File> find(const std::string& path) {
    const auto hit = by_path.find(path);
    if (hit == by_path.end()) return nullptr;
    by_use.splice(by_use.begin(), by_use, hit->second);
    return hit->second->file;
  }
};

FileCache::FileCache(FileSystem& files, std::size_t open_max, std::size_t index_bytes_max)
    : files_(files), impl_(std::make_unique<Impl>(open_max)), indexes_(std::make_unique<IndexCache>(index_bytes_max)) {
  CHECK(open_max > 0);
}

FileCache::~FileCache() = default;

Result<std::shared_ptr<File>> FileCache::open(const std::string& path) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (std::shared_ptr<File> file = impl_->find(path)) return file;
  }
  Result<std::unique_ptr<File>> opened = files_.open(path, OpenMode::read_write);  // Outside the lock: it may wait for the disk.
  if (!opened) return opened.error();
  std::list<Impl::Entry> closing;  // Closed after the lock is gone.
  const std::lock_guard lock(impl_->mutex);
  if (std::shared_ptr<File> file = impl_->find(path)) return file;
  impl_->by_use.push_front({path, std::shared_ptr<File>(std::move(*opened))});
  impl_->by_path[path] = impl_->by_use.begin();
  if (impl_->by_use.size() > impl_->open_max) {
    impl_->by_path.erase(impl_->by_use.back().path);
    closing.splice(closing.begin(), impl_->by_use, std::prev(impl_->by_use.end()));
  }
  return impl_->by_use.front().file;
}

void FileCache::forget(const std::string& path) {
  std::list<Impl::Entry> closing;
  const std::lock_guard lock(impl_->mutex);
  const auto hit = impl_->by_path.find(path);
  if (hit == impl_->by_path.end()) return;
  closing.splice(closing.begin(), impl_->by_use, hit->second);
  impl_->by_path.erase(hit);
}

std::size_t FileCache::open_files() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->by_use.size();
}

}  // namespace tidemark::storage
