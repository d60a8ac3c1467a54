#include <algorithm>

#include "broker/queues/queue_window_impl.h"

/// What may be handed out, and in which order.
namespace tidemark::broker {
namespace {

constexpr int kPriorityMax = 9;
/// The one queue of a window that hands out one record at a time.
constexpr std::uint64_t kSingleKey = 1;

}  // namespace

/// nullopt: free of order.
std::optional<std::uint64_t> QueueWindow::Impl::key_of(Offset offset) const {
  switch (settings->ordering) {
    case Ordering::none:
      return std::nullopt;
    case Ordering::single:
      return kSingleKey;
    case Ordering::key:
      break;
  }
  const auto found = looked.find(offset.value);
  if (found == looked.end() || found->second.key == 0) return std::nullopt;
  return found->second.key;
}

QueueWindow::Impl::Rank QueueWindow::Impl::rank(Offset offset) const {
  if (settings->ordering == Ordering::single || looked.empty()) return {kPriorityMax, offset.value};
  const auto found = looked.find(offset.value);
  return {kPriorityMax - (found == looked.end() ? 0 : found->second.priority), offset.value};
}

void QueueWindow::Impl::put(EntryPage& page, Offset offset) {
  QueueEntry& entry = page.at(offset);
  if (suspect(entry)) {
    suspects.insert(rank(offset));
    entry.set(QueueEntry::in_suspects, true);
  } else if (settings->looks_ahead() || rank(offset).first != kPriorityMax) {
    ready.insert(rank(offset));
    entry.set(QueueEntry::in_ready, true);
  } else {
    pages.offer(page, offset);
  }
}

void QueueWindow::Impl::take_out(EntryPage& page, Offset offset) {
  QueueEntry& entry = page.at(offset);
  if (entry.is(QueueEntry::in_suspects))
    suspects.erase(rank(offset));
  else if (entry.is(QueueEntry::in_ready))
    ready.erase(rank(offset));
  else
    pages.withdraw(page, offset);
  entry.set(QueueEntry::in_suspects, false);
  entry.set(QueueEntry::in_ready, false);
}

void QueueWindow::Impl::unindex(EntryPage& page, Offset offset) {
  take_out(page, offset);
  if (needs_look) return;
  const auto key = key_of(offset);
  const auto queue = key ? keys.find(*key) : keys.end();
  if (queue == keys.end()) return;
  queue->second.entries.erase(offset.value);
  if (page.at(offset).state() == EntryState::acquired) --queue->second.acquired;
  if (queue->second.ready == offset.value) queue->second.ready.reset();
}

void QueueWindow::Impl::index(EntryPage& page, Offset offset) {
  if (needs_look) return;
  const QueueEntry& entry = page.at(offset);
  const auto key = key_of(offset);
  if (!key) {
    if (offered(entry)) put(page, offset);
    return;
  }
  if (entry.state() != EntryState::done && !steps_aside(entry.state())) {
    KeyQueue& queue = keys[*key];
    queue.entries.insert(offset.value);
    if (entry.state() == EntryState::acquired) ++queue.acquired;
  }
  refresh(*key);
}

/// The first of the key may be handed out if nobody has one of them.
void QueueWindow::Impl::refresh(std::uint64_t key) {
  const auto found = keys.find(key);
  if (found == keys.end()) return;
  KeyQueue& queue = found->second;
  if (queue.entries.empty()) {
    keys.erase(found);
    return;
  }
  const Offset head{*queue.entries.begin()};
  const bool may_go = queue.acquired == 0 && offered(*pages.entry(head));
  if (queue.ready && (!may_go || *queue.ready != head.value)) {
    take_out(*pages.find({*queue.ready}), {*queue.ready});
    queue.ready.reset();
  }
  if (may_go && !queue.ready) {
    put(*pages.find(head), head);
    queue.ready = head.value;
  }
}

void QueueWindow::Impl::rebuild_indexes() {
  pages.withdraw_all();
  ready.clear();
  suspects.clear();
  keys.clear();
  for (const auto& [number, page] : pages.all()) {
    if (page->unfinished() == 0) continue;
    for (QueueEntry& entry : page->entries) {
      entry.set(QueueEntry::in_ready, false);
      entry.set(QueueEntry::in_suspects, false);
    }
  }
  for (const auto& [number, page] : pages.all()) {
    if (page->unfinished() == 0) continue;
    for (std::size_t i = 0; i < page->entries.size(); ++i) {
      if (page->entries[i].state() != EntryState::done) index(*page, page->first() + static_cast<std::int64_t>(i));
    }
  }
}

/// Somebody's key is not known: nothing is handed out until it is.
void QueueWindow::Impl::start_look() {
  if (needs_look) return;
  needs_look = true;
  rebuild_indexes();
}

void QueueWindow::Impl::note_looked(const LookedAt& told) {
  const auto priority = std::min<std::uint8_t>(told.priority, kPriorityMax);
  if (settings->looks_ahead() || priority > 0)
    looked.insert_or_assign(told.offset.value, Looked{told.key, priority});
  else
    looked.erase(told.offset.value);
}

void QueueWindow::extend(Offset to, std::span<const LookedAt> looked) {
  // Cursors that only a crash takes back are told at the latest after as many records as this: what is behind is read again.
  constexpr std::int64_t kUntoldMax = 16 * 1024;
  Impl& w = *impl_;
  CHECK(to >= w.cursor);
  auto next = looked.begin();
  for (Offset offset = w.cursor; offset < to; offset = offset + 1) {
    LookedAt what{.offset = offset};
    if (next != looked.end() && next->offset == offset) what = *next++;
    const QueueEntry* const known = w.pages.entry(offset);
    const EntryState state = known == nullptr ? EntryState::done : known->state();
    switch (what.what) {
      case LookedAt::What::candidate: {
        Impl::Edit entry(w, offset);
        w.note_looked(what);
        if (state == EntryState::done) entry->set_state(EntryState::available);
        break;
      }
      case LookedAt::What::filtered:
      case LookedAt::What::gone:
        // What the cursor comes by again after it was moved back, and somebody has, stays with him.
        if (state != EntryState::done && state != EntryState::available) break;
        if (state == EntryState::available) w.finish(offset);
        ++(what.what == LookedAt::What::filtered ? w.counts.filtered : w.counts.gone);
        break;
      case LookedAt::What::expired: {
        if (state != EntryState::done && state != EntryState::available) break;
        Impl::Edit entry(w, offset);
        w.note_looked(what);
        w.die(*entry, offset, "record.ttl");
        w.must_tell = true;
        break;
      }
    }
  }
  CHECK(next == looked.end());
  w.cursor = to;
  const Offset told = w.recorded_head ? w.recorded_head->cursor : w.start;
  if (w.cursor - told >= kUntoldMax) w.must_tell = true;
}

bool QueueWindow::needs_look() const { return impl_->needs_look; }

void QueueWindow::look_again(std::span<const LookedAt> looked) {
  Impl& w = *impl_;
  for (const LookedAt& told : looked) {
    const QueueEntry* const known = w.pages.entry(told.offset);
    if (known == nullptr || known->state() == EntryState::done) continue;
    const EntryState state = known->state();
    Impl::Edit entry(w, told.offset);
    w.note_looked(told);
    if (told.what == LookedAt::What::candidate || state != EntryState::available) continue;
    w.must_tell = true;
    if (told.what == LookedAt::What::expired) {
      w.die(*entry, told.offset, "record.ttl");
    } else {
      entry->set_state(EntryState::done);
      ++(told.what == LookedAt::What::filtered ? w.counts.filtered : w.counts.gone);
    }
  }
}

void QueueWindow::looked_again() {
  impl_->needs_look = false;
  impl_->rebuild_indexes();
}

std::vector<Offset> QueueWindow::choose(std::string_view member, std::size_t max, Timestamp now) const {
  const Impl& w = *impl_;
  const QueueSettings& settings = *w.settings;
  std::vector<Offset> chosen;
  if (w.needs_look || (settings.paused && (!settings.paused_until || now < *settings.paused_until))) return chosen;
  max = std::min(max, room(member));
  if (max == 0) return chosen;
  if (!w.suspects.empty()) {
    const auto slot = w.slot_of(member);
    const bool idle = !slot || w.slots[*slot]->in_flight == 0;
    std::vector<Offset> plain;
    if (w.ready.empty()) w.pages.first_offered(1, plain);
    const Impl::Rank other = !w.ready.empty() ? *w.ready.begin()
                             : plain.empty()  ? Impl::Rank(kPriorityMax + 1, 0)
                                              : Impl::Rank(kPriorityMax, plain.front().value);
    if (idle && *w.suspects.begin() < other) return {Offset{w.suspects.begin()->second}};
  }
  for (const Impl::Rank& rank : w.ready) {
    if (chosen.size() == max) return chosen;
    chosen.push_back({rank.second});
  }
  w.pages.first_offered(max - chosen.size(), chosen);
  return chosen;
}

std::vector<QueueWindow::BlockedKey> QueueWindow::blocked_keys(std::size_t max) const {
  const Impl& w = *impl_;
  std::vector<std::pair<std::size_t, std::uint64_t>> blocked;  // (entries, key)
  for (const auto& [key, queue] : w.keys) {
    if (!queue.ready && queue.entries.size() > 1) blocked.emplace_back(queue.entries.size(), key);
  }
  const std::size_t shown = std::min(max, blocked.size());
  const auto more_waiting = [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; };
  std::ranges::partial_sort(blocked, blocked.begin() + static_cast<std::ptrdiff_t>(shown), more_waiting);
  std::vector<BlockedKey> keys;
  for (std::size_t i = 0; i < shown; ++i) {
    const Impl::KeyQueue& queue = w.keys.at(blocked[i].second);
    const auto is_acquired = [&](std::int64_t offset) { return w.pages.entry({offset})->state() == EntryState::acquired; };
    auto by = queue.entries.begin();
    if (queue.acquired > 0) by = std::ranges::find_if(queue.entries, is_acquired);
    keys.push_back({.key = w.settings->ordering == Ordering::single ? 0 : blocked[i].second,
                    .by = {*by},
                    .state = w.pages.entry({*by})->state(),
                    .waiting = queue.entries.size() - 1});
  }
  return keys;
}

bool QueueWindow::lookahead_full() const {
  const Impl& w = *impl_;
  if (!w.settings->looks_ahead()) return w.counts.waiting >= w.settings->lookahead;
  // What stepped aside blocks nothing; a heap of parked records must not stop the group.
  const std::uint64_t aside = w.steps_aside(EntryState::parked) ? w.counts.parked + w.counts.dying : 0;
  return w.counts.unfinished() - aside >= w.settings->lookahead;
}

}  // namespace tidemark::broker
