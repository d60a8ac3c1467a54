#include "broker/entries/deleted_offsets.h"

#include <algorithm>
#include <bit>

#include "storage/base/check.h"

namespace tidemark::broker {
namespace {

constexpr std::int64_t kPage = DeletedOffsets::kPageOffsets;

/// Calls `visit(word, mask)` for the words that hold bits [from, to) of a page.
template <class Visit>
void for_words(std::int64_t from, std::int64_t to, Visit visit) {
  for (std::int64_t word = from / 64; word * 64 < to; ++word) {
    const std::int64_t low = std::max<std::int64_t>(from - word * 64, 0);
    const std::int64_t high = std::min<std::int64_t>(to - word * 64, 64);
    const std::uint64_t below_high = high == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << high) - 1;
    visit(static_cast<std::size_t>(word), below_high & (~std::uint64_t{0} << low));
  }
}

}  // namespace

std::uint64_t DeletedOffsets::count_in_page(const Page& page, std::int64_t from, std::int64_t to) {
  if (from >= to) return 0;
  if (!page.bits) return static_cast<std::uint64_t>(to - from);
  if (from == 0 && to == kPage) return page.count;
  std::uint64_t count = 0;
  for_words(from, to,
            [&](std::size_t word, std::uint64_t mask) { count += static_cast<std::uint64_t>(std::popcount((*page.bits)[word] & mask)); });
  return count;
}

bool DeletedOffsets::contains(Offset offset) const {
  if (pages_.empty() || offset.value < 0) return false;
  const auto page = pages_.find(offset.value / kPage);
  return page != pages_.end() && count_in_page(page->second, offset.value % kPage, offset.value % kPage + 1) == 1;
}

std::uint64_t DeletedOffsets::count(Offset from, Offset to) const {
  std::uint64_t count = 0;
  if (from >= to) return count;
  for (auto page = pages_.lower_bound(from.value / kPage); page != pages_.end() && page->first * kPage < to.value; ++page) {
    const std::int64_t base = page->first * kPage;
    count += count_in_page(page->second, std::max<std::int64_t>(from.value - base, 0), std::min(to.value - base, kPage));
  }
  return count;
}

bool DeletedOffsets::any(Offset from, Offset to) const {
  if (from >= to) return false;
  for (auto page = pages_.lower_bound(from.value / kPage); page != pages_.end() && page->first * kPage < to.value; ++page) {
    const std::int64_t base = page->first * kPage;
    if (count_in_page(page->second, std::max<std::int64_t>(from.value - base, 0), std::min(to.value - base, kPage)) > 0) return true;
  }
  return false;
}

Offset DeletedOffsets::first_kept(Offset from) const { return Offset{behind_kept(from, 1).value - 1}; }

Offset DeletedOffsets::behind_kept(Offset from, std::uint64_t count) const {
  CHECK(from.value >= 0);
  if (count == 0) return from;
  std::int64_t at = from.value;
  for (auto page = pages_.lower_bound(at / kPage); page != pages_.end(); ++page) {
    const std::int64_t base = page->first * kPage;
    // Before the page everything is kept.
    if (base > at) {
      const auto between = static_cast<std::uint64_t>(base - at);
      if (count <= between) break;
      count -= between;
      at = base;
    }
    const auto kept = static_cast<std::uint64_t>(base + kPage - at) - count_in_page(page->second, at - base, kPage);
    if (count > kept) {
      count -= kept;
      at = base + kPage;
      continue;
    }
    for (; count > 0; ++at) count -= contains(Offset{at}) ? 0 : 1;
    return Offset{at};
  }
  return Offset{at + static_cast<std::int64_t>(count)};
}

std::vector<OffsetRange> DeletedOffsets::ranges(Offset from, Offset to) const {
  std::vector<OffsetRange> found;
  const auto extend = [&](std::int64_t begin, std::int64_t end) {
    if (!found.empty() && found.back().to.value == begin)
      found.back().to = Offset{end};
    else
      found.push_back({Offset{begin}, Offset{end}});
  };
  if (from >= to) return found;
  for (auto page = pages_.lower_bound(from.value / kPage); page != pages_.end() && page->first * kPage < to.value; ++page) {
    const std::int64_t base = page->first * kPage;
    const std::int64_t first = std::max(from.value, base);
    const std::int64_t end = std::min(to.value, base + kPage);
    if (!page->second.bits) {
      extend(first, end);
      continue;
    }
    for_words(first - base, end - base, [&](std::size_t word, std::uint64_t mask) {
      for (std::uint64_t bits = (*page->second.bits)[word] & mask; bits != 0;) {
        const int begin = std::countr_zero(bits);
        const int length = std::countr_one(bits >> begin);
        const std::int64_t at = base + static_cast<std::int64_t>(word) * 64 + begin;
        extend(at, at + length);
        if (begin + length == 64) break;
        bits &= ~std::uint64_t{0} << (begin + length);
      }
    });
  }
  return found;
}

std::vector<OffsetRange> DeletedOffsets::ranges() const {
  if (pages_.empty()) return {};
  return ranges(Offset{0}, Offset{(pages_.rbegin()->first + 1) * kPage});
}

void DeletedOffsets::add(Offset from, Offset to) {
  CHECK(from.value >= 0 && from <= to);
  for (std::int64_t at = from.value; at < to.value;) {
    const std::int64_t page = at / kPage;
    const std::int64_t end = std::min(to.value, (page + 1) * kPage);
    add_in_page(page, at - page * kPage, end - page * kPage);
    at = end;
  }
}

void DeletedOffsets::add_in_page(std::int64_t number, std::int64_t from, std::int64_t to) {
  Page& page = pages_[number];
  if (page.count == kPage) return;
  total_ -= page.count;
  if (from == 0 && to == kPage) {
    page.count = kPage;
  } else {
    if (!page.bits) page.bits = std::make_unique<Bits>();
    for_words(from, to, [&](std::size_t word, std::uint64_t mask) {
      std::uint64_t& bits = (*page.bits)[word];
      page.count = static_cast<std::uint16_t>(page.count + std::popcount(mask & ~bits));
      bits |= mask;
    });
  }
  if (page.count == kPage) page.bits.reset();
  total_ += page.count;
}

void DeletedOffsets::add(const DeletedOffsets& other) {
  for (const OffsetRange& range : other.ranges()) add(range.from, range.to);
}

void DeletedOffsets::forget_below(Offset start) {
  while (!pages_.empty() && (pages_.begin()->first + 1) * kPage <= start.value) {
    total_ -= pages_.begin()->second.count;
    pages_.erase(pages_.begin());
  }
  if (pages_.empty() || pages_.begin()->first * kPage >= start.value) return;
  const std::int64_t end = start.value - pages_.begin()->first * kPage;
  Page& page = pages_.begin()->second;
  if (!page.bits) {
    page.bits = std::make_unique<Bits>();
    page.bits->fill(~std::uint64_t{0});
  }
  total_ -= page.count;
  for_words(0, end, [&](std::size_t word, std::uint64_t mask) { (*page.bits)[word] &= ~mask; });
  page.count = 0;
  for (const std::uint64_t bits : *page.bits) page.count = static_cast<std::uint16_t>(page.count + std::popcount(bits));
  total_ += page.count;
  if (page.count == 0) pages_.erase(pages_.begin());
}

}  // namespace tidemark::broker
