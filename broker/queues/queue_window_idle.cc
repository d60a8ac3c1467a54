#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include "broker/queues/queue_window_impl.h"

/// What was handed out long ago, and what is given back to wait for a claim.
namespace tidemark::broker {
namespace {

/// Where an entry stands in the line of those to be claimed: when it was handed out; what nobody has comes first.
constexpr std::int64_t kGivenBack = -(std::int64_t{1} << 62);

std::int64_t place_in_line(const QueueEntry& entry) {
  return entry.state() == EntryState::acquired ? entry.delivered : kGivenBack + entry.delivered;
}

}  // namespace

/// Whether it is in the line at all.
bool QueueWindow::Impl::claimable(const QueueEntry& entry) const { return entry.state() == EntryState::acquired || given_back(entry); }

void QueueWindow::Impl::note_in_line(EntryPage& page, const QueueEntry& entry) {
  const bool may_be = entry.state() == EntryState::acquired || (entry.state() == EntryState::available && entry.handed_out());
  if (may_be) page.oldest = std::min(page.oldest, place_in_line(entry));
}

bool QueueWindow::is_pending(const PendingEntry& entry) const {
  if (entry.state == EntryState::acquired) return true;
  return entry.state == EntryState::available && entry.delivered != Timestamp{} && !impl_->settings->redelivers;
}

std::uint64_t QueueWindow::pending() const {
  const QueueCounts& counts = impl_->counts;
  return counts.in_flight + (impl_->settings->redelivers ? 0 : counts.retrying);
}

std::vector<Offset> QueueWindow::idle(Timestamp until, std::size_t max) const {
  const Impl& w = *impl_;
  using Place = std::pair<std::int64_t, std::int64_t>;  // In the line, and the offset.
  std::vector<std::pair<std::int64_t, EntryPage*>> pages;
  for (const auto& [number, page] : w.pages.all()) {
    if (page->oldest <= to_ms(until)) pages.emplace_back(page->oldest, page.get());
  }
  std::ranges::sort(pages, {}, [](const auto& one) { return std::pair(one.first, one.second->number); });
  std::set<Place> first;
  for (const auto& [oldest, page] : pages) {
    if (first.size() == max && (max == 0 || oldest > first.rbegin()->first)) break;
    page->oldest = EntryPage::kNever;
    for (std::size_t i = 0; i < page->entries.size(); ++i) {
      const QueueEntry& entry = page->entries[i];
      if (!w.claimable(entry)) continue;
      const std::int64_t place = place_in_line(entry);
      page->oldest = std::min(page->oldest, place);
      if (place > to_ms(until)) continue;
      first.emplace(place, page->first().value + static_cast<std::int64_t>(i));
      if (first.size() > max) first.erase(std::prev(first.end()));
    }
  }
  std::vector<Offset> offsets;
  offsets.reserve(first.size());
  for (const Place& place : first) offsets.push_back({place.second});
  return offsets;
}

std::optional<Timestamp> QueueWindow::next_idle(Timestamp until) const {
  const Impl& w = *impl_;
  std::int64_t next = EntryPage::kNever;
  for (const auto& [number, page] : w.pages.all()) {
    if (page->oldest > to_ms(until)) {
      next = std::min(next, page->oldest);
      continue;
    }
    for (const QueueEntry& entry : page->entries) {
      if (w.claimable(entry) && place_in_line(entry) > to_ms(until)) next = std::min(next, place_in_line(entry));
    }
  }
  if (next == EntryPage::kNever) return std::nullopt;
  return from_ms(next);
}

bool QueueWindow::give_back(const EntryGiveBack& asked, Timestamp now) {
  constexpr std::uint32_t kMost = std::numeric_limits<std::uint32_t>::max();
  Impl& w = *impl_;
  const QueueEntry* const known = w.pages.entry(asked.offset);
  const bool pending = known != nullptr && (known->state() == EntryState::acquired || w.given_back(*known));
  if (!pending && (!asked.force || (known != nullptr && known->state() != EntryState::done))) return false;
  if (!pending && w.settings->ordering == Ordering::key && !w.looked.contains(asked.offset.value)) w.start_look();
  w.must_tell = true;
  Impl::Edit entry(w, asked.offset);
  if (!pending && w.settings->keeps_ids) w.pages.set_id(entry.page(), asked.offset, asked.id);
  const bool by_itself = w.settings->redelivers && pending;
  if (asked.kind == EntryGiveBack::Kind::silent && entry->deliveries > 0 && pending) --entry->deliveries;
  if (asked.kind == EntryGiveBack::Kind::fatal && !by_itself) entry->deliveries = kMost;
  if (asked.deliveries) entry->deliveries = *asked.deliveries;
  if (by_itself && asked.kind == EntryGiveBack::Kind::fail) {
    w.fail(*entry, asked.offset, std::nullopt, "given back", now);
  } else if (by_itself && asked.kind == EntryGiveBack::Kind::fatal) {
    w.die(*entry, asked.offset, "given back as fatal");
  } else if (by_itself) {
    w.release(*entry);
  } else {
    entry->delivered = std::max<std::int64_t>(to_ms(now), 1);  // Those given back first are claimed first.
    entry->set_state(EntryState::available);
  }
  return true;
}

}  // namespace tidemark::broker
