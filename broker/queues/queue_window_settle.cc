#include <algorithm>

#include "broker/queues/queue_window_impl.h"

/// Handing records out, and what becomes of them.
namespace tidemark::broker {
namespace {

constexpr std::uint32_t kFailuresMax = 255;

/// Joins what follows on each other with equal counters.
void add_to(std::vector<TakenRun>& runs, Offset offset, const QueueEntry& entry) {
  if (!runs.empty()) {
    TakenRun& last = runs.back();
    if (last.offsets.first + last.offsets.count == offset && last.deliveries == entry.deliveries && last.failures == entry.failures) {
      ++last.offsets.count;
      return;
    }
  }
  runs.push_back({.offsets = {offset, 1}, .deliveries = entry.deliveries, .failures = entry.failures});
}

}  // namespace

// --- Handing out.

void QueueWindow::Impl::hand_out(QueueEntry& entry, std::uint32_t slot, Timestamp delivered, Timestamp now) {
  entry.set_state(EntryState::acquired);
  entry.member = slot;
  entry.delivered = std::max<std::int64_t>(to_ms(delivered), 1);  // 0 would mean never.
  entry.set_due(lease_end(now));
  entry.set(QueueEntry::own_lease, false);
  slots[slot]->active = now;
  must_tell = true;
}

std::vector<TakenRun> QueueWindow::take(std::string_view member, std::span<const Offset> offsets, std::span<const EntryId> ids,
                                        Timestamp now) {
  Impl& w = *impl_;
  CHECK(ids.empty() || ids.size() == offsets.size());
  const std::uint32_t slot = w.touch(member, now);
  std::vector<TakenRun> runs;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const QueueEntry* const known = w.pages.entry(offsets[i]);
    if (known == nullptr || known->state() != EntryState::available) continue;
    // Where order rules, what is available may still have to wait for others.
    if (w.settings->looks_ahead() && !known->is(QueueEntry::in_ready) && !known->is(QueueEntry::in_suspects)) continue;
    Impl::Edit entry(w, offsets[i]);
    if (entry->handed_out()) ++w.counts.redelivered;
    if (entry->deliveries < std::numeric_limits<std::uint32_t>::max()) ++entry->deliveries;
    w.hand_out(*entry, slot, now, now);
    if (!ids.empty()) w.pages.set_id(entry.page(), offsets[i], ids[i]);
    add_to(runs, offsets[i], *entry);
  }
  return runs;
}

std::vector<TakenRun> QueueWindow::take_new(std::string_view member, OffsetRun run, std::span<const EntryId> ids, Timestamp now) {
  Impl& w = *impl_;
  CHECK(ids.empty() || static_cast<std::int64_t>(ids.size()) == run.count);
  const std::uint32_t slot = w.touch(member, now);
  std::vector<TakenRun> runs;
  for (std::int64_t i = 0; i < run.count; ++i) {
    const Offset offset = run.first + i;
    Impl::Edit entry(w, offset);
    w.set_note(*entry, offset, {});
    entry->deliveries = 1;
    entry->failures = 0;
    w.hand_out(*entry, slot, now, now);
    if (!ids.empty()) w.pages.set_id(entry.page(), offset, ids[static_cast<std::size_t>(i)]);
    add_to(runs, offset, *entry);
  }
  w.cursor = std::max(w.cursor, run.first + run.count);
  w.must_tell = true;
  // Nobody told the keys of these.
  if (w.settings->ordering == Ordering::key && run.count > 0) w.start_look();
  return runs;
}

bool QueueWindow::must_record(std::span<const TakenRun> runs) const {
  const QueueSettings& settings = *impl_->settings;
  const std::uint32_t from = settings.suspect_from();
  if (from == 0) return false;
  return std::ranges::any_of(runs,
                             [&](const TakenRun& run) { return (settings.count_deliveries ? run.deliveries - 1 : run.failures) >= from; });
}

// --- Settling.

/// `ok`: the caller may settle the entry as it stands.
Settled QueueWindow::Impl::standing(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries,
                                    bool only_owner) const {
  const QueueEntry* const entry = pages.entry(offset);
  if (entry == nullptr || entry->state() == EntryState::done) return offset < cursor ? Settled::already_settled : Settled::not_delivered;
  if (entry->state() == EntryState::available && !entry->handed_out()) return Settled::not_delivered;
  if (in_move(offset) && entry->state() == EntryState::dying) return Settled::already_settled;  // The dead letters have it.
  if (!settings->fence_late_acks && !only_owner) return Settled::ok;
  if (deliveries != 0 && deliveries != entry->deliveries) return Settled::lease_lost;
  if (!member) return Settled::ok;
  if (entry->state() != EntryState::acquired) return Settled::lease_lost;
  return slots[entry->member]->name == *member ? Settled::ok : Settled::not_owner;
}

/// The same for what only an entry can undergo that is in flight or waits for its next hand-out.
Settled QueueWindow::Impl::in_flight_standing(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries) const {
  const Settled stands = standing(offset, member, deliveries, false);
  if (stands != Settled::ok) return stands;
  const EntryState state = pages.entry(offset)->state();
  return state == EntryState::parked || state == EntryState::dying ? Settled::already_settled : Settled::ok;
}

void QueueWindow::Impl::die(QueueEntry& entry, Offset offset, std::string_view reason) {
  const std::string told = note_of(entry, reason);
  entry.set_state(dead_state());
  set_note(entry, offset, told);
}

void QueueWindow::Impl::fail(QueueEntry& entry, Offset offset, std::optional<std::chrono::milliseconds> delay, std::string_view reason,
                             Timestamp now) {
  if (entry.failures < kFailuresMax) ++entry.failures;
  if (at_limit(entry)) {
    die(entry, offset, reason);
    return;
  }
  set_note(entry, offset, note_of(entry, reason));
  const std::uint64_t draw = seed ^ static_cast<std::uint64_t>(offset.value) * 0x9e3779b97f4a7c15ULL;
  const std::chrono::milliseconds wait = delay ? *delay : settings->backoff.delay(entry.failures, draw);
  entry.set_state(wait.count() > 0 ? EntryState::delayed : EntryState::available);
  // A delay beyond any calendar must not wrap around.
  if (wait.count() > 0) entry.set_due(to_ms(now) + std::min<std::int64_t>(wait.count(), QueueEntry::kDueMax));
}

/// Where hand-outs count, this one may have been the last.
void QueueWindow::Impl::release(QueueEntry& entry) {
  entry.set_state(settings->count_deliveries && at_limit(entry) ? dead_state() : EntryState::available);
}

Settled QueueWindow::ack(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries, Timestamp now) {
  Impl& w = *impl_;
  if (member) w.note_seen(*member, now);
  const Settled stands = w.standing(offset, member, deliveries, false);
  if (stands != Settled::ok) return stands;
  w.finish(offset);
  ++w.counts.done;
  w.must_tell = true;
  return Settled::ok;
}

Settled QueueWindow::fail(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries,
                          std::optional<std::chrono::milliseconds> delay, std::string_view reason, Timestamp now) {
  Impl& w = *impl_;
  if (member) w.note_seen(*member, now);
  const Settled stands = w.in_flight_standing(offset, member, deliveries);
  if (stands != Settled::ok) return stands;
  Impl::Edit entry(w, offset);
  w.fail(*entry, offset, delay, reason, now);
  w.must_tell = true;
  return Settled::ok;
}

Settled QueueWindow::release(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries, bool forget_delivery,
                             Timestamp now) {
  Impl& w = *impl_;
  if (member) w.note_seen(*member, now);
  const Settled stands = w.in_flight_standing(offset, member, deliveries);
  if (stands != Settled::ok) return stands;
  Impl::Edit entry(w, offset);
  if (forget_delivery && entry->deliveries > 0) --entry->deliveries;
  w.release(*entry);
  w.must_tell = true;
  return Settled::ok;
}

Settled QueueWindow::reject(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries, std::string_view reason,
                            Timestamp now) {
  Impl& w = *impl_;
  if (member) w.note_seen(*member, now);
  const Settled stands = w.in_flight_standing(offset, member, deliveries);
  if (stands != Settled::ok) return stands;
  Impl::Edit entry(w, offset);
  if (entry->failures < kFailuresMax) ++entry->failures;
  w.die(*entry, offset, reason);
  w.must_tell = true;
  return Settled::ok;
}

Settled QueueWindow::extend_lease(Offset offset, std::string_view member, std::uint32_t deliveries,
                                  std::optional<std::chrono::milliseconds> lease, Timestamp now) {
  Impl& w = *impl_;
  w.note_seen(member, now);
  const Settled stands = w.standing(offset, member, deliveries, true);
  if (stands != Settled::ok) return stands;
  EntryPage& page = *w.pages.find(offset);
  QueueEntry& entry = page.at(offset);
  const std::int64_t until = lease ? to_ms(now) + std::clamp<std::int64_t>(lease->count(), 0, QueueEntry::kDueMax) : w.lease_end(now);
  if (until == 0) return Settled::ok;  // Leases do not end in this group.
  entry.set_due(until);
  entry.set(QueueEntry::own_lease, true);
  ++w.slots[entry.member]->own_leases;
  w.pages.due_at(page, entry.due());
  return Settled::ok;
}

bool QueueWindow::show_again(Offset offset, std::string_view member, Timestamp now) {
  Impl& w = *impl_;
  const auto slot = w.note_seen(member, now);
  const QueueEntry* const known = w.pages.entry(offset);
  if (!slot || known == nullptr || known->state() != EntryState::acquired || known->member != *slot) return false;
  Impl::Edit entry(w, offset);
  if (entry->deliveries < std::numeric_limits<std::uint32_t>::max()) ++entry->deliveries;
  entry->delivered = std::max<std::int64_t>(to_ms(now), 1);
  entry->set_due(w.lease_end(now));
  return true;
}

void QueueWindow::extend_all(std::string_view member, Timestamp now) {
  Impl& w = *impl_;
  const auto slot = w.note_seen(member, now);
  if (!slot) return;
  const std::int64_t until = w.lease_end(now);
  if (until == 0) return;
  Impl::Member& renewed = *w.slots[*slot];
  renewed.renewed_until = std::max(renewed.renewed_until, until);
  if (renewed.own_leases == 0) return;
  for (const Offset offset : w.entries_of(*slot)) {
    QueueEntry& entry = *w.pages.entry(offset);
    if (!entry.is(QueueEntry::own_lease)) continue;
    entry.set_due(std::max(entry.due(), until));
    entry.set(QueueEntry::own_lease, false);
  }
  renewed.own_leases = 0;
}

bool QueueWindow::claim(std::string_view member, const EntryClaim& claim, Timestamp now) {
  Impl& w = *impl_;
  const QueueEntry* const known = w.pages.entry(claim.offset);
  const EntryState state = known == nullptr ? EntryState::done : known->state();
  bool makes = false;
  switch (state) {
    case EntryState::done:
      if (!claim.force) return false;
      makes = true;
      break;
    case EntryState::acquired:
      if (to_ms(now) - known->delivered < claim.min_idle.count()) return false;
      break;
    case EntryState::available:
      makes = !known->handed_out();
      if (makes && !claim.force) return false;
      break;
    case EntryState::delayed:
      break;  // Nobody has it: idle for ever.
    case EntryState::parked:
    case EntryState::dying:
      return false;
  }
  if (state != EntryState::acquired && state != EntryState::done) {
    if (w.needs_look) return false;
    const auto key = w.key_of(claim.offset);
    const auto queue = key ? w.keys.find(*key) : w.keys.end();
    // One of a key at a time, and in order.
    if (queue != w.keys.end() && (queue->second.acquired > 0 || *queue->second.entries.begin() != claim.offset.value)) return false;
  }
  if (!makes && !claim.just_id && !claim.deliveries && w.settings->count_deliveries && w.at_limit(*known)) {
    Impl::Edit entry(w, claim.offset);
    w.die(*entry, claim.offset, "delivery limit");
    w.must_tell = true;
    return false;
  }
  const std::uint32_t slot = w.touch(member, now);
  if (makes && w.settings->ordering == Ordering::key && !w.looked.contains(claim.offset.value)) w.start_look();
  Impl::Edit entry(w, claim.offset);
  if (makes) {
    entry->deliveries = 1;  // As Redis: made as if handed out, and then claimed.
    if (w.settings->keeps_ids) w.pages.set_id(entry.page(), claim.offset, claim.id);
  }
  if (claim.deliveries) {
    entry->deliveries = *claim.deliveries;
  } else if (!claim.just_id && entry->deliveries < std::numeric_limits<std::uint32_t>::max()) {
    ++entry->deliveries;
    if (!makes) ++w.counts.redelivered;
  }
  w.hand_out(*entry, slot, claim.delivered.value_or(now), now);
  return true;
}

bool QueueWindow::dismiss(Offset offset) {
  Impl& w = *impl_;
  const QueueEntry* const known = w.pages.entry(offset);
  if (known == nullptr || known->state() == EntryState::done || known->state() == EntryState::dying) return false;
  w.finish(offset);
  ++w.counts.done;
  w.must_tell = true;
  return true;
}

bool QueueWindow::gone(Offset offset) {
  Impl& w = *impl_;
  const QueueEntry* const known = w.pages.entry(offset);
  if (known == nullptr || known->state() == EntryState::done) return false;
  w.finish(offset);
  ++w.counts.gone;
  w.must_tell = true;
  return true;
}

void QueueWindow::expire(Timestamp now, std::size_t max) {
  Impl& w = *impl_;
  const std::int64_t now_ms = to_ms(now);
  std::size_t settled = 0;
  for (EntryPage* page = w.pages.first_due(); page != nullptr && page->next_due <= now_ms && settled < max; page = w.pages.first_due()) {
    std::int64_t next = EntryPage::kNever;
    for (std::size_t i = 0; i < page->entries.size(); ++i) {
      QueueEntry& entry = page->entries[i];
      if (entry.due() == 0) continue;
      const Offset offset = page->first() + static_cast<std::int64_t>(i);
      const std::int64_t due = *w.due_of(entry);
      if (due <= now_ms && settled < max) {
        ++settled;
        w.must_tell = true;
        Impl::Edit edit(w, offset);
        if (edit->state() == EntryState::delayed) {
          edit->set_state(EntryState::available);
        } else {
          ++w.counts.timed_out;
          edit->set_due(0);
          w.fail(*edit, offset, std::nullopt, "ack timeout", now);
        }
      }
      if (entry.due() != 0) next = std::min(next, *w.due_of(entry));
    }
    w.pages.set_next_due(*page, next);
  }
}

}  // namespace tidemark::broker
