#include "broker/queues/entry_pages.h"

#include <algorithm>

namespace tidemark::broker {

EntryPage& EntryPages::make(Offset offset) {
  EntryPage*& page = by_number_[number_of(offset)];
  if (page == nullptr) {
    auto made = std::make_unique<EntryPage>(number_of(offset));
    page = made.get();
    ordered_.emplace(page->number, std::move(made));
  }
  return *page;
}

void EntryPages::clear() {
  ordered_.clear();
  by_number_.clear();
  offering_.clear();
  due_.clear();
  by_id_.clear();
  changed_.clear();
  pages_with_ids_ = 0;
}

void EntryPages::offer(EntryPage& page, Offset offset) {
  const std::size_t index = EntryPage::index(offset);
  page.offered[index / 64] |= std::uint64_t{1} << (index % 64);
  offering_.insert(page.number);
}

void EntryPages::withdraw(EntryPage& page, Offset offset) {
  const std::size_t index = EntryPage::index(offset);
  const std::uint64_t bit = std::uint64_t{1} << (index % 64);
  if ((page.offered[index / 64] & bit) == 0) return;
  page.offered[index / 64] &= ~bit;
  if (page.offered[index / 64] == 0 && std::ranges::all_of(page.offered, [](std::uint64_t word) { return word == 0; }))
    offering_.erase(page.number);
}

void EntryPages::withdraw_all() {
  for (const std::int64_t number : offering_) by_number_.at(number)->offered = {};
  offering_.clear();
}

void EntryPages::first_offered(std::size_t max, std::vector<Offset>& out) const {
  for (const std::int64_t number : offering_) {
    const EntryPage& page = *by_number_.at(number);
    for (std::size_t word = 0; word < page.offered.size(); ++word) {
      for (std::uint64_t bits = page.offered[word]; bits != 0; bits &= bits - 1) {
        if (max-- == 0) return;
        out.push_back(page.first() + static_cast<std::int64_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(bits))));
      }
    }
  }
}

void EntryPages::due_at(EntryPage& page, std::int64_t due) {
  if (due < page.next_due) set_next_due(page, due);
}

void EntryPages::set_next_due(EntryPage& page, std::int64_t due) {
  if (page.next_due == due) return;
  if (page.next_due != EntryPage::kNever) due_.erase({page.next_due, page.number});
  page.next_due = due;
  if (due != EntryPage::kNever) due_.emplace(due, page.number);
}

EntryPage* EntryPages::first_due() const { return due_.empty() ? nullptr : by_number_.at(due_.begin()->second); }

void EntryPages::set_id(EntryPage& page, Offset offset, EntryId id) {
  if (!page.ids) {
    page.ids = std::make_unique<EntryPage::Ids>();
    ++pages_with_ids_;
  }
  (*page.ids)[EntryPage::index(offset)] = id;
  page.at(offset).set(QueueEntry::has_id, true);
  if (id >= page.first_id) return;
  // Ids ascend with offsets, so two pages never have the same first one; a client that breaks this loses its own way only.
  const auto old = by_id_.find(page.first_id);
  if (old != by_id_.end() && old->second == page.number) by_id_.erase(old);
  page.first_id = id;
  by_id_.insert_or_assign(id, page.number);
}

EntryPages::Ordered::const_iterator EntryPages::from_id(EntryId id) const {
  const auto after = by_id_.upper_bound(id);
  if (after == by_id_.begin()) return ordered_.begin();
  return ordered_.lower_bound(std::prev(after)->second);
}

const std::vector<std::int64_t>& EntryPages::changed() {
  std::ranges::sort(changed_);
  return changed_;
}

void EntryPages::forget_changes() {
  for (const std::int64_t number : std::exchange(changed_, {})) {
    EntryPage& page = *by_number_.at(number);
    page.changed = {};
    page.is_changed = false;
    if (page.unfinished() == 0) remove(number);
  }
}

void EntryPages::remove(std::int64_t number) {
  const auto found = ordered_.find(number);
  if (found == ordered_.end()) return;
  EntryPage& page = *found->second;
  if (page.is_changed) std::erase(changed_, number);
  set_next_due(page, EntryPage::kNever);
  offering_.erase(number);
  const auto id = by_id_.find(page.first_id);
  if (id != by_id_.end() && id->second == number) by_id_.erase(id);
  if (page.ids) --pages_with_ids_;
  by_number_.erase(number);
  ordered_.erase(found);
}

std::size_t EntryPages::memory_bytes() const {
  constexpr std::size_t kIndexes = 200;  // Of one page in the maps and sets.
  return ordered_.size() * (sizeof(EntryPage) + kIndexes) + pages_with_ids_ * sizeof(EntryPage::Ids) +
         changed_.capacity() * sizeof(std::int64_t);
}

}  // namespace tidemark::broker
