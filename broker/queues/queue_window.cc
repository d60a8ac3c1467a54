#include "broker/queues/queue_window.h"

#include <algorithm>

#include "broker/queues/queue_window_impl.h"

namespace tidemark::broker {
namespace {

constexpr std::int64_t kNothingHolds = EntryPage::kNever;

/// FNV-1a: the same in every process, so that a replay draws the same jitter.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

bool holds_floor(EntryState state) { return state != EntryState::done && state != EntryState::parked; }

constexpr unsigned mask_of(EntryState state) { return 1U << static_cast<unsigned>(state); }
constexpr unsigned kUnfinished = 0x3e;

}  // namespace

std::string_view to_string(EntryState state) {
  switch (state) {
    case EntryState::done:
      return "done";
    case EntryState::available:
      return "available";
    case EntryState::acquired:
      return "acquired";
    case EntryState::delayed:
      return "delayed";
    case EntryState::parked:
      return "parked";
    case EntryState::dying:
      return "dying";
  }
  return "unknown";
}

QueueWindow::Impl::Impl(Identity who, Offset first, std::shared_ptr<const QueueSettings> how)
    : identity(std::move(who)),
      seed(stable_hash(identity.group)),
      first_start(first),
      settings(std::move(how)),
      start(first),
      cursor(first),
      floor_hint(kNothingHolds) {
  CHECK(settings != nullptr);
}

QueueWindow::QueueWindow(Identity identity, Offset start, std::shared_ptr<const QueueSettings> settings)
    : impl_(std::make_unique<Impl>(std::move(identity), start, std::move(settings))) {}
QueueWindow::~QueueWindow() = default;

const QueueWindow::Identity& QueueWindow::identity() const { return impl_->identity; }
const QueueSettings& QueueWindow::settings() const { return *impl_->settings; }

void QueueWindow::configure(std::shared_ptr<const QueueSettings> settings) {
  CHECK(settings != nullptr);
  Impl& w = *impl_;
  const std::shared_ptr<const QueueSettings> old = std::exchange(w.settings, std::move(settings));
  if (old->ack_timeout != w.settings->ack_timeout) {
    // Common leases are compared with those of single entries: what was renewed under another timeout is written into the entries.
    for (const auto& [number, page] : w.pages.all()) {
      if (page->count(EntryState::acquired) == 0) continue;
      for (QueueEntry& entry : page->entries) {
        if (entry.state() == EntryState::acquired) entry.set_due(w.due_of(entry).value_or(0));
      }
    }
    for (const auto& member : w.slots) {
      if (member) member->renewed_until = 0;
    }
  }
  if (old->ordering != w.settings->ordering) {
    w.needs_look = w.settings->ordering == Ordering::key && w.counts.unfinished() > 0;
    if (!w.settings->looks_ahead()) std::erase_if(w.looked, [](const auto& row) { return row.second.priority == 0; });
  }
  w.rebuild_indexes();
  w.give_up_dying();
}

/// Without a dead letter topic nobody would ever move what is dying.
void QueueWindow::Impl::give_up_dying() {
  if (!settings->dead_letter_topic.empty()) return;
  const std::vector<std::int64_t> all(dying.begin(), dying.end());
  for (const std::int64_t offset : all) {
    if (in_move({offset})) continue;
    Edit(*this, {offset})->set_state(EntryState::parked);
    must_tell = true;
  }
}

// --- Entries.

void QueueWindow::Impl::count(const QueueEntry& entry, std::uint64_t by) {
  switch (entry.state()) {
    case EntryState::done:
      return;
    case EntryState::available:
      (entry.handed_out() ? counts.retrying : counts.waiting) += by;
      return;
    case EntryState::acquired:
      counts.in_flight += by;
      slots[entry.member]->in_flight += by;
      return;
    case EntryState::delayed:
      counts.delayed += by;
      return;
    case EntryState::parked:
      counts.parked += by;
      return;
    case EntryState::dying:
      counts.dying += by;
      return;
  }
}

void QueueWindow::Impl::leave(EntryPage& page, Offset offset) {
  const QueueEntry& entry = page.at(offset);
  if (entry.state() == EntryState::done) return;
  --page.by_state[static_cast<std::size_t>(entry.state())];
  count(entry, std::uint64_t{0} - 1);
  if (entry.state() == EntryState::dying) dying.erase(offset.value);
  unindex(page, offset);
}

void QueueWindow::Impl::enter(EntryPage& page, Offset offset) {
  QueueEntry& entry = page.at(offset);
  const EntryState state = entry.state();
  if (state != EntryState::acquired) {
    entry.member = QueueEntry::kNobody;
    entry.set(QueueEntry::own_lease, false);
    if (state != EntryState::delayed) entry.set_due(0);
  }
  pages.note_change(page, offset);
  if (state == EntryState::done) {
    index(page, offset);
    set_note(entry, offset, {});
    looked.erase(offset.value);
    entry = QueueEntry();
  } else {
    ++page.by_state[static_cast<std::size_t>(state)];
    count(entry, 1);
    if (state == EntryState::acquired) page.members |= EntryPage::member_bit(entry.member);
    note_in_line(page, entry);
    if (state == EntryState::dying) dying.insert(offset.value);
    if (holds_floor(state)) floor_hint = std::min(floor_hint, offset.value);
    if (entry.due() != 0) pages.due_at(page, entry.due());
    index(page, offset);
  }
  if (page.next_due != EntryPage::kNever && page.count(EntryState::acquired) + page.count(EntryState::delayed) == 0)
    pages.set_next_due(page, EntryPage::kNever);
}

void QueueWindow::Impl::finish(Offset offset) { Edit(*this, offset)->set_state(EntryState::done); }

std::optional<std::int64_t> QueueWindow::Impl::due_of(const QueueEntry& entry) const {
  if (entry.due() == 0) return std::nullopt;
  if (entry.state() != EntryState::acquired || entry.is(QueueEntry::own_lease)) return entry.due();
  return std::max(entry.due(), slots[entry.member]->renewed_until);
}

PendingEntry QueueWindow::Impl::show(Offset offset, const QueueEntry& entry, const EntryPage& page) const {
  PendingEntry shown{.offset = offset,
                     .state = entry.state(),
                     .member = {},
                     .delivered = from_ms(entry.delivered),
                     .due = {},
                     .deliveries = entry.deliveries,
                     .failures = entry.failures,
                     .last_member = {},
                     .reason = {},
                     .id = {}};
  if (entry.state() == EntryState::acquired) shown.member = slots[entry.member]->name;
  if (const auto due = due_of(entry)) shown.due = from_ms(*due);
  const Story told = story(entry, offset);
  shown.reason = told.reason;
  shown.last_member = entry.state() == EntryState::acquired ? shown.member : told.member;
  if (entry.is(QueueEntry::has_id)) shown.id = (*page.ids)[EntryPage::index(offset)];
  return shown;
}

/// One byte for the length of the member's name, the name, the reason.
std::string QueueWindow::Impl::note(std::string_view member, std::string_view reason) {
  if (member.empty() && reason.empty()) return {};
  std::string text(1, static_cast<char>(member.size()));
  text += member;
  text += reason.substr(0, kReasonBytesMax);
  return text;
}

std::string QueueWindow::Impl::note_of(const QueueEntry& entry, std::string_view reason) const {
  return note(entry.state() == EntryState::acquired ? std::string_view(slots[entry.member]->name) : std::string_view(), reason);
}

QueueWindow::Impl::Story QueueWindow::Impl::story(const QueueEntry& entry, Offset offset) const {
  if (!entry.is(QueueEntry::has_reason)) return {};
  const std::string_view text = reasons.at(offset.value);
  const std::size_t name = std::min<std::size_t>(static_cast<unsigned char>(text.front()), text.size() - 1);
  return {text.substr(1, name), text.substr(1 + name)};
}

void QueueWindow::Impl::set_note(QueueEntry& entry, Offset offset, std::string_view text) {
  if (entry.is(QueueEntry::has_reason)) {
    const auto old = reasons.find(offset.value);
    reason_bytes -= old->second.size();
    reasons.erase(old);
  }
  const bool kept = !text.empty() && reasons.size() < kReasonsKept;
  if (kept) {
    reasons.emplace(offset.value, text);
    reason_bytes += text.size();
  }
  entry.set(QueueEntry::has_reason, kept);
}

bool QueueWindow::Impl::in_move(Offset offset) const { return move && std::ranges::binary_search(move->offsets, offset); }

std::vector<Offset> QueueWindow::Impl::offsets_in(Offset from, Offset to, unsigned states) const {
  std::vector<Offset> found;
  for (auto at = pages.from(from); at != pages.all().end() && at->second->first() < to; ++at) {
    const EntryPage& page = *at->second;
    if (!page.has_any(states)) continue;
    for (std::size_t i = 0; i < page.entries.size(); ++i) {
      const Offset offset = page.first() + static_cast<std::int64_t>(i);
      if ((states & mask_of(page.entries[i].state())) != 0 && offset >= from && offset < to) found.push_back(offset);
    }
  }
  return found;
}

// --- Looking.

Offset QueueWindow::start() const { return impl_->start; }
Offset QueueWindow::cursor() const { return impl_->cursor; }
const QueueCounts& QueueWindow::counts() const { return impl_->counts; }

Offset QueueWindow::floor() const {
  Impl& w = *impl_;
  // Entries are passed over once, until one below is unfinished again.
  while (w.floor_hint < w.cursor.value) {
    const auto at = w.pages.from({w.floor_hint});
    if (at == w.pages.all().end()) {
      w.floor_hint = kNothingHolds;
      break;
    }
    const EntryPage& page = *at->second;
    std::int64_t offset = std::max(w.floor_hint, page.first().value);
    const std::int64_t end = page.first().value + EntryPage::kEntries;
    if (page.unfinished() == page.count(EntryState::parked)) offset = end;
    while (offset < end && !holds_floor(page.at({offset}).state())) ++offset;
    w.floor_hint = offset;
    if (offset < end) break;
  }
  return {std::min(w.floor_hint, w.cursor.value)};
}

bool QueueWindow::has_work() const { return impl_->pages.offers() || !impl_->ready.empty() || !impl_->suspects.empty(); }

std::optional<Timestamp> QueueWindow::next_deadline() const {
  const EntryPage* const page = impl_->pages.first_due();
  if (page == nullptr) return std::nullopt;
  return from_ms(page->next_due);
}

std::optional<PendingEntry> QueueWindow::entry(Offset offset) const {
  const EntryPage* const page = impl_->pages.find(offset);
  if (page == nullptr || page->at(offset).state() == EntryState::done) return std::nullopt;
  return impl_->show(offset, page->at(offset), *page);
}

std::size_t QueueWindow::visit(Offset from, Offset to, unsigned states, std::optional<std::string_view> member,
                               const std::function<bool(const PendingEntry&)>& visit) const {
  const Impl& w = *impl_;
  std::uint32_t slot = QueueEntry::kNobody;
  if (member) {
    const auto found = w.slot_of(*member);
    if (!found || w.slots[*found]->in_flight == 0) return 0;
    slot = *found;
    states &= mask_of(EntryState::acquired);
  }
  states &= kUnfinished;
  std::size_t seen = 0;
  for (auto at = w.pages.from(from); at != w.pages.all().end() && at->second->first() < to; ++at) {
    const EntryPage& page = *at->second;
    if (!page.has_any(states) || (member && (page.members & EntryPage::member_bit(slot)) == 0)) continue;
    for (std::size_t i = 0; i < page.entries.size(); ++i) {
      const QueueEntry& entry = page.entries[i];
      const Offset offset = page.first() + static_cast<std::int64_t>(i);
      if ((states & mask_of(entry.state())) == 0 || offset < from) continue;
      if (offset >= to) return seen;
      ++seen;
      if ((!member || entry.member == slot) && !visit(w.show(offset, entry, page))) return seen;
    }
  }
  return seen;
}

std::optional<Offset> QueueWindow::last_of(unsigned states) const {
  const EntryPages::Ordered& pages = impl_->pages.all();
  for (auto at = pages.rbegin(); at != pages.rend(); ++at) {
    const EntryPage& page = *at->second;
    if (!page.has_any(states & kUnfinished)) continue;
    for (std::size_t i = page.entries.size(); i-- > 0;) {
      const EntryState state = page.entries[i].state();
      if (state != EntryState::done && (states & mask_of(state)) != 0) return page.first() + static_cast<std::int64_t>(i);
    }
  }
  return std::nullopt;
}

std::optional<Offset> QueueWindow::find_id(EntryId id) const {
  const Impl& w = *impl_;
  for (auto at = w.pages.from_id(id); at != w.pages.all().end(); ++at) {
    const EntryPage& page = *at->second;
    if (!page.ids || page.unfinished() == 0) continue;
    for (std::size_t i = 0; i < page.entries.size(); ++i) {
      if (page.entries[i].is(QueueEntry::has_id) && (*page.ids)[i] >= id) return page.first() + static_cast<std::int64_t>(i);
    }
  }
  return std::nullopt;
}

std::size_t QueueWindow::memory_bytes() const {
  // Nodes of the standard containers, roughly.
  constexpr std::size_t kReason = 80, kMember = 240, kLooked = 40, kKey = 160, kOrdered = 50;
  const Impl& w = *impl_;
  std::size_t bytes = sizeof(Impl) + w.pages.memory_bytes() + w.reasons.size() * kReason + w.reason_bytes;
  bytes += w.slots_by_name.size() * kMember + w.slots.capacity() * sizeof(void*);
  bytes += w.looked.size() * (kLooked + (w.keys.empty() ? 0 : kOrdered)) + w.keys.size() * kKey;
  bytes += (w.ready.size() + w.suspects.size() + w.dying.size()) * kOrdered;
  bytes += w.recorded.size() * (kOrdered + sizeof(Impl::Recorded));
  return bytes;
}

}  // namespace tidemark::broker
