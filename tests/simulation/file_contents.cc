#include "tests/simulation/file_contents.h"

#include <algorithm>
#include <cstring>

namespace tidemark::simulation {
namespace {

constexpr std::array<std::byte, kPageBytes> kZeros{};

const std::byte* bytes_of(const Page* page) { return page == nullptr ? kZeros.data() : page->bytes.data(); }

std::uint64_t pages_for(std::uint64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes; }

std::shared_ptr<Page> copy_page(Generation generation, const Page* page) {
  return page == nullptr ? std::make_shared<Page>(generation) : std::make_shared<Page>(generation, *page);
}

bool chance(Random& random, unsigned percent) { return random() % 100 < percent; }

/// The unsynced bytes of one sector, and what the power loss makes of them.
struct SectorLoss {
  const std::byte* now;                  ///< 512 bytes of the cache.
  std::byte* disk;                       ///< 512 bytes of the image being made; holds the durable bytes.
  std::uint64_t end = 0;                 ///< Bytes before this one may change,
  std::uint64_t never_durable_from = 0;  ///< and of them those that differ or lie here or after.

  bool changes(std::uint64_t i) const { return now[i] != disk[i] || i >= never_durable_from; }

  void keep() { std::memcpy(disk, now, end); }
  void zero() {
    for (std::uint64_t i = 0; i < end; ++i) {
      if (changes(i)) disk[i] = std::byte{0};
    }
  }
  void tear(Random& random) {
    const std::uint64_t torn_at = random() % end;
    for (std::uint64_t i = 0; i < end; ++i) {
      if (changes(i)) disk[i] = i < torn_at ? now[i] : static_cast<std::byte>(random());
    }
  }
};

void lose(SectorLoss sector, Random& random, unsigned keep_percent) {
  if (chance(random, keep_percent)) return sector.keep();
  switch (random() % 4) {
    case 0:
      return sector.zero();
    case 1:
      return sector.tear(random);
    default:
      return;  // Dropped: the durable bytes stay.
  }
}

}  // namespace

Generation next_generation() {
  static std::atomic<Generation> last{0};
  return ++last;
}

std::uint64_t hash_mix(std::uint64_t hash, std::uint64_t value) {
  hash = ((hash + 0x9e3779b97f4a7c15U) ^ value) * 0xff51afd7ed558ccdU;
  return hash ^ (hash >> 32);
}

std::uint64_t hash_bytes(std::uint64_t hash, ByteView bytes) {
  hash = hash_mix(hash, bytes.size());
  while (bytes.size() >= sizeof(std::uint64_t)) {
    hash = hash_mix(hash, load_le<std::uint64_t>(bytes.data()));
    bytes = bytes.subspan(sizeof(std::uint64_t));
  }
  for (const std::byte byte : bytes) hash = hash_mix(hash, static_cast<std::uint64_t>(byte));
  return hash;
}

std::uint64_t Page::hash() const {
  std::uint64_t known = cached_hash.load(std::memory_order_relaxed);
  if (known == 0) {
    known = hash_bytes(1, bytes) | 1;
    cached_hash.store(known, std::memory_order_relaxed);
  }
  return known;
}

void FileImage::set_page(std::uint64_t index, std::shared_ptr<Page> page) {
  if (index >= pages.size()) pages.resize(index + 1);
  pages[index] = std::move(page);
}

void FileImage::cut(Generation generation, std::uint64_t bytes) {
  CHECK(bytes <= size);
  size = bytes;
  reserved = std::min(reserved, bytes);
  if (pages.size() > pages_for(bytes)) pages.resize(pages_for(bytes));
  const std::uint64_t in_page = bytes % kPageBytes;
  if (in_page == 0 || page(bytes / kPageBytes) == nullptr) return;
  std::shared_ptr<Page> last = copy_page(generation, page(bytes / kPageBytes));
  std::fill(last->bytes.begin() + static_cast<std::ptrdiff_t>(in_page), last->bytes.end(), std::byte{0});
  pages[bytes / kPageBytes] = std::move(last);
}

std::uint64_t FileImage::hash() const {
  static const std::uint64_t zero_page = Page(0).hash();
  std::uint64_t hash = hash_mix(2, size);
  for (std::uint64_t i = 0; i < pages_for(size); ++i) hash = hash_mix(hash, page(i) == nullptr ? zero_page : page(i)->hash());
  return hash;
}

std::size_t FileContents::read(std::uint64_t at, MutableBytes into) const {
  if (at >= current_.size) return 0;
  const std::uint64_t count = std::min<std::uint64_t>(into.size(), current_.size - at);
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t in_page = (at + done) % kPageBytes;
    const std::uint64_t step = std::min(kPageBytes - in_page, count - done);
    std::memcpy(into.data() + done, bytes_of(current_.page((at + done) / kPageBytes)) + in_page, step);
    done += step;
  }
  return count;
}

void FileContents::write(Generation generation, std::uint64_t at, ByteView bytes) {
  for (std::uint64_t done = 0; done < bytes.size();) {
    const std::uint64_t index = (at + done) / kPageBytes;
    const std::uint64_t in_page = (at + done) % kPageBytes;
    const std::uint64_t step = std::min<std::uint64_t>(kPageBytes - in_page, bytes.size() - done);
    std::memcpy(writable(generation, index).bytes.data() + in_page, bytes.data() + done, step);
    if (const auto lost = lost_.find(index); lost != lost_.end()) {
      for (std::uint64_t s = in_page / kSectorBytes; s <= (in_page + step - 1) / kSectorBytes; ++s)
        lost->second = static_cast<SectorMask>(lost->second & ~(1U << s));
      if (lost->second == 0) lost_.erase(lost);
    }
    done += step;
  }
  if (!bytes.empty()) current_.size = std::max(current_.size, at + bytes.size());
}

void FileContents::truncate(Generation generation, std::uint64_t bytes) {
  current_.reserved = std::min(current_.reserved, bytes);
  if (bytes >= current_.size) {
    current_.size = bytes;
    return;
  }
  for (std::uint64_t i = pages_for(bytes); i < current_.pages.size(); ++i) {
    if (current_.pages[i] != nullptr) mark_unsynced(i);
    lost_.erase(i);
  }
  if (bytes % kPageBytes != 0 && current_.page(bytes / kPageBytes) != nullptr) {
    const ByteVector zeros(std::min(kPageBytes - bytes % kPageBytes, current_.size - bytes));
    write(generation, bytes, zeros);
  }
  if (current_.pages.size() > pages_for(bytes)) current_.pages.resize(pages_for(bytes));
  current_.size = bytes;
  if (bytes < durable_.size) unsynced_cut_ = std::min(unsynced_cut_.value_or(bytes), bytes);
}

void FileContents::sync(Generation generation) {
  if (unsynced_cut_) durable_.cut(generation, *unsynced_cut_);
  for (const std::uint64_t index : unsynced_) {
    std::shared_ptr<Page> written = index < current_.pages.size() ? current_.pages[index] : nullptr;
    if (const SectorMask lost = lost_sectors(index); lost != 0) {
      written = copy_page(generation, written.get());
      for (std::uint64_t s = 0; s < kSectorsPerPage; ++s) {
        if ((lost & (1U << s)) != 0)
          std::memcpy(written->bytes.data() + s * kSectorBytes, bytes_of(durable_.page(index)) + s * kSectorBytes, kSectorBytes);
      }
    }
    if (written != nullptr || index < durable_.pages.size()) durable_.set_page(index, std::move(written));
  }
  durable_.size = current_.size;
  durable_.reserved = current_.reserved;
  if (durable_.pages.size() > pages_for(durable_.size)) durable_.pages.resize(pages_for(durable_.size));
  unsynced_.clear();
  unsynced_cut_.reset();
}

void FileContents::lose_unsynced(Generation generation) {
  if (unsynced_cut_) durable_.cut(generation, *unsynced_cut_);
  unsynced_cut_.reset();
  for (const std::uint64_t index : unsynced_) {
    SectorMask differs = 0;
    for (std::uint64_t s = 0; s < kSectorsPerPage; ++s) {
      const std::uint64_t at = s * kSectorBytes;
      if (std::memcmp(bytes_of(current_.page(index)) + at, bytes_of(durable_.page(index)) + at, kSectorBytes) != 0)
        differs = static_cast<SectorMask>(differs | 1U << s);
    }
    if (differs != 0) lost_[index] = differs;
  }
  unsynced_.clear();
}

void FileContents::drop_cache(Generation generation) {
  for (const auto& [index, sectors] : lost_) {
    Page& page = writable(generation, index);
    for (std::uint64_t s = 0; s < kSectorsPerPage; ++s) {
      if ((sectors & (1U << s)) != 0)
        std::memcpy(page.bytes.data() + s * kSectorBytes, bytes_of(durable_.page(index)) + s * kSectorBytes, kSectorBytes);
    }
  }
  lost_.clear();
}

void FileContents::flip_bit(Generation generation, std::uint64_t at, unsigned bit) {
  CHECK(at < current_.size && bit < 8);
  const std::uint64_t index = at / kPageBytes;
  const bool same = current_.page(index) == durable_.page(index);
  const auto flip = [&](FileImage& image) {
    std::shared_ptr<Page> page = copy_page(generation, image.page(index));
    page->bytes[at % kPageBytes] ^= static_cast<std::byte>(1U << bit);
    image.set_page(index, std::move(page));
  };
  flip(current_);
  if (same) {
    durable_.set_page(index, current_.pages[index]);
  } else if (at < durable_.size) {
    flip(durable_);
  }
}

bool FileContents::settled() const {
  return unsynced_.empty() && lost_.empty() && !unsynced_cut_ && current_.size == durable_.size && current_.reserved == durable_.reserved;
}

FileContents FileContents::after_power_loss(CrashPolicy policy, Random& random, unsigned keep_percent, Generation generation) const {
  FileContents after;
  switch (policy) {
    case CrashPolicy::drop_all:
      after.durable_ = durable_;
      break;
    case CrashPolicy::keep_all: {
      FileContents synced = *this;
      synced.sync(generation);
      after.durable_ = std::move(synced.durable_);
      break;
    }
    case CrashPolicy::random:
      after.durable_ = random_image(random, keep_percent, generation);
      break;
  }
  after.current_ = after.durable_;
  return after;
}

FileImage FileContents::random_image(Random& random, unsigned keep_percent, Generation generation) const {
  FileImage image = durable_;
  // Where in-place writes end: a truncate that did not happen takes everything after it along.
  std::uint64_t limit = current_.size;
  if (unsynced_cut_) {
    if (chance(random, keep_percent)) {
      image.cut(generation, *unsynced_cut_);
    } else {
      limit = *unsynced_cut_;
    }
  }
  const std::uint64_t durable_end = image.size;

  std::vector<std::uint64_t> pages = unsynced_;
  std::ranges::sort(pages);
  pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
  for (const std::uint64_t index : pages) {
    std::shared_ptr<Page> disk;
    for (std::uint64_t s = 0; s < kSectorsPerPage; ++s) {
      const std::uint64_t in_page = s * kSectorBytes;
      const std::uint64_t at = index * kPageBytes + in_page;
      const std::byte* const now = bytes_of(current_.page(index)) + in_page;
      if (at >= limit || (lost_sectors(index) & (1U << s)) != 0) continue;
      if (std::memcmp(now, bytes_of(image.page(index)) + in_page, kSectorBytes) == 0) continue;
      if (disk == nullptr) disk = copy_page(generation, image.page(index));
      const std::uint64_t never_durable_from = durable_end > at ? durable_end - at : 0;
      lose({.now = now,
            .disk = disk->bytes.data() + in_page,
            .end = std::min(kSectorBytes, limit - at),
            .never_durable_from = never_durable_from},
           random, keep_percent);
    }
    if (disk != nullptr) image.set_page(index, std::move(disk));
  }

  if (limit == current_.size && current_.size > durable_end) {
    const std::uint64_t grown = current_.size - durable_end;
    std::uint64_t end = current_.size;
    if (!chance(random, keep_percent)) end = random() % 2 == 0 ? durable_end : durable_end + random() % grown;
    image.size = current_.size;
    image.reserved = std::max(image.reserved, current_.size);
    image.cut(generation, end);
  } else {
    image.size = durable_end;
  }
  image.reserved = chance(random, 50) ? current_.reserved : durable_.reserved;
  return image;
}

std::uint64_t FileContents::hash() const { return hash_mix(hash_mix(5, current_.hash()), durable_.hash()); }

Page& FileContents::writable(Generation generation, std::uint64_t index) {
  const Page* const page = current_.page(index);
  if (page == durable_.page(index)) {
    mark_unsynced(index);
    current_.set_page(index, copy_page(generation, page));
  } else {
    if (lost_sectors(index) != 0) mark_unsynced(index);
    if (page == nullptr || page->owner != generation) current_.set_page(index, copy_page(generation, page));
  }
  Page& own = *current_.pages[index];
  own.cached_hash.store(0, std::memory_order_relaxed);
  return own;
}

void FileContents::mark_unsynced(std::uint64_t index) {
  if (unsynced_.empty() || unsynced_.back() != index) unsynced_.push_back(index);
}

FileContents::SectorMask FileContents::lost_sectors(std::uint64_t index) const {
  if (lost_.empty()) return 0;
  const auto lost = lost_.find(index);
  return lost == lost_.end() ? SectorMask{0} : lost->second;
}

}  // namespace tidemark::simulation
