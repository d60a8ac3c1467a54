#include "broker/tail_cache.h"

#include <algorithm>

namespace tidemark::broker {

void PartitionTail::push(Offset base, Offset end, Slice batch) {
  CHECK(entries_.empty() || entries_.back().end == base);
  const std::size_t bytes = batch.size();
  entries_.push_back({base, end, std::move(batch)});
  cache_.added(*this, bytes);
}

void PartitionTail::clear() {
  if (entries_.empty()) return;
  for (const Entry& entry : entries_) cache_.removed(entry.batch.size());
  entries_.clear();
  cache_.forget(*this);
}

std::optional<std::size_t> PartitionTail::find(Offset from) const {
  if (entries_.empty() || from < entries_.front().base || from >= entries_.back().end) return std::nullopt;
  const auto past = std::ranges::upper_bound(entries_, from, {}, &Entry::base);
  return static_cast<std::size_t>(past - entries_.begin()) - 1;
}

std::optional<PartitionTail::Found> PartitionTail::read(Offset from, Offset limit, std::size_t bytes_max) const {
  const std::optional<std::size_t> start = find(from);
  if (!start) return std::nullopt;
  Found found;
  found.next = from;
  for (std::size_t i = *start; i < entries_.size() && entries_[i].end <= limit; ++i) {
    const Entry& entry = entries_[i];
    if (!found.batches.empty() && found.bytes + entry.batch.size() > bytes_max) break;
    found.batches.push_back(entry.batch);
    found.bytes += entry.batch.size();
    found.next = entry.end;
  }
  return found;
}

std::optional<std::size_t> PartitionTail::bytes_between(Offset from, Offset limit, std::size_t enough) const {
  const std::optional<std::size_t> start = find(from);
  if (!start) return std::nullopt;
  std::size_t bytes = 0;
  for (std::size_t i = *start; i < entries_.size() && entries_[i].end <= limit && bytes < enough; ++i) bytes += entries_[i].batch.size();
  return bytes;
}

void TailCache::added(PartitionTail& tail, std::size_t bytes) {
  bytes_ += bytes;
  order_.push_back(&tail);
  shrink();
}

void TailCache::forget(PartitionTail& tail) { std::ranges::replace(order_, &tail, nullptr); }

void TailCache::shrink() {
  while (bytes_ > bytes_max_ && !order_.empty()) {
    PartitionTail* const oldest = order_.front();
    order_.pop_front();
    if (oldest == nullptr) continue;
    bytes_ -= oldest->entries_.front().batch.size();
    oldest->entries_.pop_front();
  }
}

}  // namespace tidemark::broker
