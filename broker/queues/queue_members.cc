#include <algorithm>

#include "broker/queues/queue_window_impl.h"

/// The members of a queue group's window.
namespace tidemark::broker {
namespace {

constexpr std::size_t kSlotsMax = std::size_t{1} << 24;
/// That a member is here is recorded with other changes, and not more often than this.
constexpr std::chrono::minutes kSeenRecordedEvery{1};

template <class Member>  // QueueWindow's own type is private.
QueueMemberInfo info_of(const Member& member) {
  return {.name = member.name, .created = member.created, .seen = member.seen, .active = member.active, .in_flight = member.in_flight};
}

}  // namespace

std::optional<std::uint32_t> QueueWindow::Impl::slot_of(std::string_view name) const {
  const auto found = slots_by_name.find(name);
  if (found == slots_by_name.end()) return std::nullopt;
  return found->second;
}

QueueWindow::Impl::Member& QueueWindow::Impl::place_member(std::uint32_t slot, std::string name) {
  for (auto added = static_cast<std::uint32_t>(slots.size()); added <= slot; ++added) {
    slots.emplace_back();
    free_slots.insert(added);
  }
  CHECK(slots[slot] == nullptr);
  free_slots.erase(slot);
  slots[slot] = std::make_unique<Member>();
  slots[slot]->name = name;
  CHECK(slots_by_name.emplace(std::move(name), slot).second);
  return *slots[slot];
}

std::uint32_t QueueWindow::Impl::touch(std::string_view name, Timestamp now) {
  std::optional<std::uint32_t> slot = slot_of(name);
  if (!slot) {
    slot = free_slots.empty() ? static_cast<std::uint32_t>(slots.size()) : *free_slots.begin();
    CHECK(*slot < kSlotsMax);
    Member& made = place_member(*slot, std::string(name));
    made.created = now;
    made.changed = true;
    members_changed.push_back(*slot);
    must_tell = true;
  }
  Member& member = *slots[*slot];
  member.seen = now;
  if (!member.changed && now - member.recorded >= kSeenRecordedEvery) {
    member.changed = true;
    members_changed.push_back(*slot);
  }
  return *slot;
}

std::vector<Offset> QueueWindow::Impl::entries_of(std::uint32_t slot) const {
  std::vector<Offset> found;
  std::uint64_t left = slots[slot]->in_flight;
  for (const auto& [number, page] : pages.all()) {
    if (left == 0) break;
    if ((page->members & EntryPage::member_bit(slot)) == 0) continue;
    for (std::size_t i = 0; i < page->entries.size(); ++i) {
      const QueueEntry& entry = page->entries[i];
      if (entry.state() != EntryState::acquired || entry.member != slot) continue;
      found.push_back(page->first() + static_cast<std::int64_t>(i));
      --left;
    }
  }
  return found;
}

void QueueWindow::Impl::forget_member(std::uint32_t slot) {
  CHECK(slots[slot]->in_flight == 0);
  slots_by_name.erase(slots[slot]->name);
  slots[slot].reset();
  free_slots.insert(slot);
  members_forgotten.insert(slot);
  must_tell = true;
}

std::vector<QueueMemberInfo> QueueWindow::members() const {
  std::vector<QueueMemberInfo> all;
  all.reserve(impl_->slots_by_name.size());
  for (const auto& [name, slot] : impl_->slots_by_name) all.push_back(info_of(*impl_->slots[slot]));
  return all;
}

std::optional<QueueMemberInfo> QueueWindow::member(std::string_view name) const {
  const auto slot = impl_->slot_of(name);
  if (!slot) return std::nullopt;
  return info_of(*impl_->slots[*slot]);
}

void QueueWindow::touch(std::string_view name, Timestamp now) { impl_->touch(name, now); }

bool QueueWindow::add_member(std::string_view name, Timestamp now) {
  if (impl_->slot_of(name)) return false;
  impl_->touch(name, now);
  return true;
}

std::uint64_t QueueWindow::remove_member(std::string_view name, bool drop, Timestamp) {
  Impl& w = *impl_;
  const auto slot = w.slot_of(name);
  if (!slot) return 0;
  const std::vector<Offset> had = w.entries_of(*slot);
  for (const Offset offset : had) {
    Impl::Edit entry(w, offset);
    if (drop)
      entry->set_state(EntryState::done);
    else
      w.release(*entry);
  }
  w.forget_member(*slot);
  return had.size();
}

std::uint64_t QueueWindow::release_all(std::string_view name, bool failed, std::string_view reason, Timestamp now) {
  Impl& w = *impl_;
  const auto slot = w.slot_of(name);
  if (!slot) return 0;
  const std::vector<Offset> had = w.entries_of(*slot);
  for (const Offset offset : had) {
    Impl::Edit entry(w, offset);
    if (failed)
      w.fail(*entry, offset, std::chrono::milliseconds(0), reason, now);
    else
      w.release(*entry);
  }
  if (!had.empty()) w.must_tell = true;
  return had.size();
}

std::size_t QueueWindow::room(std::string_view member) const {
  const Impl& w = *impl_;
  const auto left = [](std::size_t bound, std::uint64_t used) {
    if (bound == 0) return std::numeric_limits<std::size_t>::max();
    return bound <= used ? 0 : bound - static_cast<std::size_t>(used);
  };
  const auto slot = w.slot_of(member);
  return std::min(left(w.settings->max_pending, w.counts.in_flight),
                  left(w.settings->max_pending_member, slot ? w.slots[*slot]->in_flight : 0));
}

}  // namespace tidemark::broker
