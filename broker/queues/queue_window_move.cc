#include <algorithm>

#include "broker/queues/queue_window_impl.h"

/// Dead letters, and changes of many records at once.
namespace tidemark::broker {
namespace {

constexpr unsigned mask_of(EntryState state) { return 1U << static_cast<unsigned>(state); }
constexpr unsigned kUnfinished = 0x3e;
constexpr Offset kEnd{std::numeric_limits<std::int64_t>::max()};

}  // namespace

// --- Dead letters.

std::vector<Offset> QueueWindow::dying(std::size_t max) const {
  std::vector<Offset> found;
  for (const std::int64_t offset : impl_->dying) {
    if (found.size() == max) break;
    if (!impl_->in_move({offset})) found.push_back({offset});
  }
  return found;
}

void QueueWindow::begin_move(Move move) {
  Impl& w = *impl_;
  CHECK(!w.move);
  CHECK(std::ranges::is_sorted(move.offsets) && move.offsets.size() <= kMoveOffsetsMax);
  for (const Offset offset : move.offsets) CHECK(w.dying.contains(offset.value));
  // Sequences of a producer are non-negative and begin again at 0, as Kafka's.
  const std::uint32_t next = static_cast<std::uint32_t>(move.first_sequence) + static_cast<std::uint32_t>(move.offsets.size());
  w.next_sequence = static_cast<std::int32_t>(next & 0x7fffffff);
  w.move = std::move(move);
  w.move_changed = true;
  w.must_tell = true;
}

const std::optional<QueueWindow::Move>& QueueWindow::move() const { return impl_->move; }

void QueueWindow::end_move(std::span<const Offset> lost) {
  Impl& w = *impl_;
  CHECK(w.move.has_value());
  const Move ended = *std::exchange(w.move, std::nullopt);
  for (const Offset offset : ended.offsets) {
    const bool is_lost = std::ranges::find(lost, offset) != lost.end();
    // The group may have been reset meanwhile; the copy is there all the same.
    const bool forgotten = !w.dying.contains(offset.value);
    if (!forgotten) w.finish(offset);
    if (!is_lost)
      ++w.counts.dead;
    else if (!forgotten)
      ++w.counts.gone;
  }
  w.move_changed = true;
  w.must_tell = true;
  w.give_up_dying();
}

void QueueWindow::park(Offset offset, std::string_view why) {
  Impl& w = *impl_;
  CHECK(w.dying.contains(offset.value) && !w.in_move(offset));
  Impl::Edit entry(w, offset);
  entry->set_state(EntryState::parked);
  w.set_note(*entry, offset, Impl::note(w.story(*entry, offset).member, why));
  w.must_tell = true;
}

void QueueWindow::set_producer(std::int64_t id, std::int16_t epoch) {
  impl_->producer_id = id;
  impl_->producer_epoch = epoch;
  impl_->next_sequence = 0;
  impl_->must_tell = true;
}
std::int64_t QueueWindow::producer_id() const { return impl_->producer_id; }
std::int16_t QueueWindow::producer_epoch() const { return impl_->producer_epoch; }
std::int32_t QueueWindow::next_sequence() const { return impl_->next_sequence; }

bool QueueWindow::kick(Offset offset, Timestamp) {
  Impl& w = *impl_;
  const QueueEntry* const known = w.pages.entry(offset);
  if (known == nullptr || (known->state() != EntryState::parked && known->state() != EntryState::delayed)) return false;
  Impl::Edit entry(w, offset);
  if (entry->state() == EntryState::parked) {
    entry->failures = 0;
    w.set_note(*entry, offset, {});
    if (w.settings->count_deliveries) entry->deliveries = 0;  // They are what it died of.
  }
  entry->set_state(EntryState::available);
  w.must_tell = true;
  return true;
}

bool QueueWindow::revive(Offset offset, Timestamp) {
  Impl& w = *impl_;
  const QueueEntry* const known = w.pages.entry(offset);
  if (offset >= w.cursor || (known != nullptr && known->state() != EntryState::done)) return false;
  if (w.settings->ordering == Ordering::key) w.start_look();  // Its key was forgotten when it was finished.
  Impl::Edit(w, offset)->set_state(EntryState::available);
  w.must_tell = true;
  return true;
}

// --- Moving.

void QueueWindow::reset(Offset to) {
  Impl& w = *impl_;
  w.pages.clear();
  w.reasons.clear();
  w.reason_bytes = 0;
  w.looked.clear();
  w.keys.clear();
  w.ready.clear();
  w.suspects.clear();
  w.dying.clear();
  for (const auto& member : w.slots) {
    if (!member) continue;
    member->in_flight = 0;
    member->own_leases = 0;
  }
  QueueCounts& counts = w.counts;
  counts.waiting = counts.in_flight = counts.retrying = counts.delayed = counts.parked = counts.dying = 0;
  w.needs_look = false;
  w.start = w.cursor = to;
  w.stream.reset();
  w.floor_hint = EntryPage::kNever;
  w.wiped = true;
  w.must_tell = true;
}

void QueueWindow::set_cursor(Offset to) {
  impl_->cursor = to;
  impl_->must_tell = true;
}

std::optional<StreamPosition> QueueWindow::stream_position() const {
  const Impl& w = *impl_;
  return w.stream && w.stream->cursor == w.cursor ? w.stream : std::nullopt;
}

void QueueWindow::set_stream_position(const StreamPosition& position) {
  Impl& w = *impl_;
  const bool known = w.stream && w.stream->last_id == position.last_id && w.stream->entries_read == position.entries_read;
  // Passing over what is not there is found again for nothing.
  if (!known || position.cursor < w.cursor) w.must_tell = true;
  w.stream = position;
  w.cursor = position.cursor;
}

std::uint64_t QueueWindow::purge(Offset to) {
  Impl& w = *impl_;
  std::uint64_t purged = 0;
  if (to > w.cursor) {
    purged += static_cast<std::uint64_t>(to - w.cursor) - w.offsets_in(w.cursor, to, kUnfinished).size();
    w.cursor = to;
  }
  for (const Offset offset : w.offsets_in({0}, w.cursor, kUnfinished & ~mask_of(EntryState::acquired))) {
    if (w.in_move(offset)) continue;  // On its way.
    w.finish(offset);
    ++purged;
  }
  if (purged > 0) w.must_tell = true;
  return purged;
}

void QueueWindow::trimmed(Offset log_start) {
  Impl& w = *impl_;
  const unsigned states = w.settings->keeps_ids ? kUnfinished & ~mask_of(EntryState::acquired) : kUnfinished;
  for (const Offset offset : w.offsets_in({0}, log_start, states)) {
    if (w.in_move(offset)) continue;  // The copy may be on its way; end_move() hears whether it was lost.
    if (w.settings->keeps_ids && w.given_back(*w.pages.entry(offset))) continue;
    w.finish(offset);
    ++w.counts.gone;
    w.must_tell = true;
  }
  if (log_start > w.cursor) {
    w.counts.gone += static_cast<std::uint64_t>(log_start - w.cursor) - w.offsets_in(w.cursor, log_start, kUnfinished).size();
    if (w.stream && w.stream->cursor == w.cursor) w.stream->cursor = log_start;
    w.cursor = log_start;
    w.must_tell = true;
  }
}

bool QueueWindow::clamp(Offset log_end) {
  Impl& w = *impl_;
  const std::vector<Offset> beyond = w.offsets_in(log_end, kEnd, kUnfinished);
  const bool lost = w.cursor > log_end || !beyond.empty();
  // A group that was set back may have begun behind the end although its cursor lies before it.
  if (!lost && w.start <= log_end) return false;
  for (const Offset offset : beyond) w.finish(offset);
  w.counts.gone += beyond.size();
  w.cursor = std::min(w.cursor, log_end);
  w.start = std::min(w.start, log_end);
  w.must_tell = true;
  return lost;
}

}  // namespace tidemark::broker
