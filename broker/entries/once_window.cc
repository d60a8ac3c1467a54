#include "broker/entries/once_window.h"

#include "storage/base/check.h"

namespace tidemark::broker {

std::optional<OnceWindow::Seen> OnceWindow::find(const EntryOnce& once, std::uint64_t now_ms, std::chrono::milliseconds duration) {
  expire(now_ms, duration);
  const auto found = entries_.find(once.entry);
  if (found == entries_.end()) return std::nullopt;
  return found->second.seen;
}

void OnceWindow::add(const EntryOnce& once, Seen seen, std::size_t per_producer_max) {
  while (!budget_.try_take(kBytesPerEntry)) {
    ++forgotten_early_;
    if (order_.empty()) return;
    forget_first();
  }
  const bool added = entries_.emplace(once.entry, Kept{seen, once.producer}).second;
  if (!added) {
    budget_.give_back(kBytesPerEntry);
    return;
  }
  order_.emplace_back(once.entry, seen.id);
  std::deque<DedupId>& own = producers_[once.producer];
  own.push_back(once.entry);
  while (own.size() > per_producer_max && own.size() > 1) forget(DedupId(own.front()));
  constexpr std::size_t kStaleMax = 1024;
  if (order_.size() <= 2 * entries_.size() + kStaleMax) return;
  std::erase_if(order_, [this](const auto& one) {
    const auto found = entries_.find(one.first);
    return found == entries_.end() || found->second.seen.id != one.second;
  });
}

void OnceWindow::expire(std::uint64_t now_ms, std::chrono::milliseconds duration) {
  const auto back = static_cast<std::uint64_t>(duration.count());
  const std::uint64_t until = now_ms > back ? now_ms - back : 0;
  while (!order_.empty() && (order_.front().second.ms <= until || !entries_.contains(order_.front().first))) forget_first();
}

void OnceWindow::forget_first() {
  const auto [entry, id] = order_.front();
  order_.pop_front();
  const auto found = entries_.find(entry);
  // One that was forgotten may have been added again since, under another id.
  if (found != entries_.end() && found->second.seen.id == id) forget(entry);
}

void OnceWindow::forget(const DedupId& entry) {
  const auto found = entries_.find(entry);
  const auto own = producers_.find(found->second.producer);
  CHECK(own != producers_.end());
  // Nearly always the first: entries of a producer go in their order.
  if (own->second.front() == entry)
    own->second.pop_front();
  else
    std::erase(own->second, entry);
  if (own->second.empty()) producers_.erase(own);
  entries_.erase(found);
  budget_.give_back(kBytesPerEntry);
}

void OnceWindow::clear() {
  budget_.give_back(entries_.size() * kBytesPerEntry);
  entries_.clear();
  producers_.clear();
  order_.clear();
}

}  // namespace tidemark::broker
