#include <algorithm>

#include "broker/queues/queue_record_format.h"
#include "broker/queues/queue_window_impl.h"
#include "storage/batch/varint.h"
#include "storage/state_record.h"

/// Reading a window back from its state records.
namespace tidemark::broker {
namespace {

using namespace queue_record;

constexpr std::int64_t kHead = -1;
constexpr std::int64_t kPagesPerSlice = QueueWindow::kSliceOffsets / EntryPage::kEntries;

/// Reads numbers one by one; after the first failure all are 0 and ok() is false.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {
    if (byte() != std::to_integer<unsigned>(kVersion)) ok_ = false;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return !ok_ || bytes_.empty(); }
  unsigned byte() {
    if (!ok_ || bytes_.empty()) return failed();
    const auto value = std::to_integer<unsigned>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint32_t count() {
    if (!ok_) return 0;
    const auto value = read_unsigned_varint(bytes_);
    return value ? *value : failed();
  }
  std::int64_t number() {
    if (!ok_) return 0;
    const auto value = read_varlong(bytes_);
    return value ? *value : static_cast<std::int64_t>(failed());
  }
  std::int64_t not_negative() {
    const std::int64_t value = number();
    return value >= 0 ? value : static_cast<std::int64_t>(failed());
  }
  std::string text() {
    const std::uint32_t size = count();
    if (!ok_ || size > bytes_.size()) {
      failed();
      return {};
    }
    std::string value(as_text(bytes_.first(size)));
    bytes_ = bytes_.subspan(size);
    return value;
  }
  std::uint32_t failed() {
    ok_ = false;
    return 0;
  }

 private:
  ByteView bytes_;
  bool ok_ = true;
};

Error corrupt(const storage::StreamKey& stream, std::string_view what) {
  return {Errc::corrupt_batch, "state of " + storage::describe(stream) + ": " + std::string(what)};
}

}  // namespace

void QueueWindow::Impl::drop_slice(std::int64_t slice) {
  std::vector<std::int64_t> numbers;
  for (auto at = pages.from({slice * kSliceOffsets}); at != pages.all().end() && at->first < (slice + 1) * kPagesPerSlice; ++at) {
    numbers.push_back(at->first);
    for (std::size_t i = 0; i < at->second->entries.size(); ++i)
      set_note(at->second->entries[i], at->second->first() + static_cast<std::int64_t>(i), {});
  }
  for (const std::int64_t number : numbers) pages.remove(number);
}

/// Entries are written raw; recovered() counts and indexes them.
Status QueueWindow::Impl::replay_slice(std::int64_t slice, ByteView payload) {
  Reader in(payload);
  const std::int64_t begin = slice * kSliceOffsets;
  std::int64_t at = 0;
  std::int64_t delivered = 0;
  EntryId id;
  while (!in.at_end()) {
    at += in.count();
    const std::int64_t count = in.count();
    const unsigned head = in.byte();
    if (!in.ok() || count == 0 || at + count > kSliceOffsets || (head & kStateMask) > static_cast<unsigned>(EntryState::dying))
      return corrupt(slice_stream(slice), "a run of entries is out of bounds");
    QueueEntry entry;
    entry.set_state(static_cast<EntryState>(head & kStateMask));
    if (entry.state() == EntryState::acquired) entry.member = in.count();
    if (entry.state() == EntryState::delayed) entry.set_due(in.not_negative());
    if ((head & kTimes) != 0) {
      entry.deliveries = in.count();
      delivered = static_cast<std::int64_t>(static_cast<std::uint64_t>(delivered) + static_cast<std::uint64_t>(in.number()));
      entry.delivered = delivered;
    }
    if ((head & kFailures) != 0) entry.failures = static_cast<std::uint8_t>(in.byte());
    const std::string reason = (head & kReason) != 0 ? in.text() : std::string();
    for (std::int64_t i = 0; i < count && in.ok(); ++i) {
      const Offset offset{begin + at + i};
      if (entry.state() == EntryState::done && pages.find(offset) == nullptr) continue;
      EntryPage& page = pages.make(offset);
      QueueEntry& target = page.at(offset);
      set_note(target, offset, {});
      target = entry;
      set_note(target, offset, reason);
      if ((head & kIds) == 0) continue;
      const auto ms = static_cast<std::uint64_t>(in.number());
      const auto seq = static_cast<std::uint64_t>(in.number());
      id.seq = ms == 0 ? id.seq + seq : seq;
      id.ms += ms;
      pages.set_id(page, offset, id);  // Whether the group keeps ids is not known yet.
    }
    at += count;
  }
  if (!in.ok()) return corrupt(slice_stream(slice), "it does not decode");
  return {};
}

Status QueueWindow::Impl::replay_head(ByteView payload) {
  Reader in(payload);
  while (!in.at_end()) {
    switch (static_cast<Row>(in.byte())) {
      case Row::position:
        start = {in.not_negative()};
        cursor = {in.not_negative()};
        break;
      case Row::counters:
        for (std::uint64_t* const counter :
             {&counts.done, &counts.filtered, &counts.gone, &counts.dead, &counts.redelivered, &counts.timed_out})
          *counter = static_cast<std::uint64_t>(in.number());
        break;
      case Row::producer:
        producer_id = in.number();
        producer_epoch = static_cast<std::int16_t>(in.number());
        next_sequence = static_cast<std::int32_t>(in.not_negative());
        break;
      case Row::move: {
        const std::uint32_t count = in.count();
        Move read{.offsets = {}, .first_sequence = static_cast<std::int32_t>(in.number())};
        std::int64_t before = 0;
        for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
          before = static_cast<std::int64_t>(static_cast<std::uint64_t>(before) + static_cast<std::uint64_t>(in.not_negative()));
          read.offsets.push_back({before});
        }
        move.reset();
        if (count > 0) move = std::move(read);
        break;
      }
      case Row::member: {
        const std::uint32_t slot = in.count();
        std::string name = in.text();
        const std::int64_t created = in.number(), seen = in.number(), active = in.number();
        if (!in.ok() || slot >= kSlotsMax) return corrupt(slice_stream(kHead), "a member does not decode");
        if (slot < slots.size() && slots[slot]) forget_member(slot);
        if (slot_of(name)) return corrupt(slice_stream(kHead), "a member is there twice");
        Member& member = place_member(slot, std::move(name));
        member.created = from_ms(created);
        member.seen = member.recorded = from_ms(seen);
        member.active = from_ms(active);
        break;
      }
      case Row::stream: {
        StreamPosition read;
        read.last_id.ms = static_cast<std::uint64_t>(in.number());
        read.last_id.seq = static_cast<std::uint64_t>(in.number());
        const std::int64_t entries_read = in.number();
        if (entries_read >= 0) read.entries_read = static_cast<std::uint64_t>(entries_read);
        read.cursor = {in.not_negative()};
        stream = read;
        break;
      }
      case Row::forgotten: {
        const std::uint32_t slot = in.count();
        if (slot < slots.size() && slots[slot]) forget_member(slot);
        break;
      }
      default:
        return corrupt(slice_stream(kHead), "a row of unknown kind");
    }
  }
  if (!in.ok()) return corrupt(slice_stream(kHead), "it does not decode");
  return {};
}

Status QueueWindow::replay(const storage::StateRecord& record) {
  using storage::StateRecordType;
  Impl& w = *impl_;
  const auto parsed = parse_queue_stream(record.stream);
  if (!parsed || w.slice_stream(parsed->slice) != record.stream) return corrupt(record.stream, "it is not of this group and partition");
  const std::int64_t slice = parsed->slice;
  if (record.type == StateRecordType::deleted || record.type == StateRecordType::snapshot) {
    if (slice == kHead) {
      for (std::uint32_t slot = 0; slot < w.slots.size(); ++slot) {
        if (w.slots[slot]) w.forget_member(slot);
      }
      w.start = w.cursor = w.first_start;
      w.stream.reset();
      w.counts = {};
      w.move.reset();
      w.producer_id = -1;
      w.producer_epoch = 0;
      w.next_sequence = 0;
    } else {
      w.drop_slice(slice);
    }
    w.recorded.erase(slice);
    if (record.type == StateRecordType::deleted) return {};
  }
  Impl::Recorded& recorded = w.recorded[slice];
  (record.type == StateRecordType::delta ? recorded.delta_bytes : recorded.snapshot_bytes) += storage::StateLog::encoded_size(record);
  return slice == kHead ? w.replay_head(record.payload) : w.replay_slice(slice, record.payload);
}

void QueueWindow::recovered(Timestamp now) {
  Impl& w = *impl_;
  QueueCounts& counts = w.counts;
  counts.waiting = counts.in_flight = counts.retrying = counts.delayed = counts.parked = counts.dying = 0;
  for (const auto& member : w.slots) {
    if (member) member->in_flight = 0;
  }
  w.dying.clear();
  w.floor_hint = 0;
  const std::int64_t lease_end = w.lease_end(now);
  std::vector<std::int64_t> empty;
  for (const auto& [number, page] : w.pages.all()) {
    page->by_state = {};
    page->members = 0;
    std::int64_t next_due = EntryPage::kNever;
    for (std::size_t i = 0; i < page->entries.size(); ++i) {
      QueueEntry& entry = page->entries[i];
      if (entry.state() == EntryState::done) continue;
      if (entry.state() == EntryState::acquired) {
        // Records name no member that is not there, but bytes from a disk decide nothing here.
        if (entry.member < w.slots.size() && w.slots[entry.member]) {
          page->members |= EntryPage::member_bit(entry.member);
          entry.set_due(lease_end);
        } else {
          entry.set_state(EntryState::available);
          entry.member = QueueEntry::kNobody;
        }
      }
      if (entry.state() == EntryState::dying) w.dying.insert(page->first().value + static_cast<std::int64_t>(i));
      if (entry.due() != 0) next_due = std::min(next_due, entry.due());
      ++page->by_state[static_cast<std::size_t>(entry.state())];
      w.count(entry, 1);
    }
    w.pages.set_next_due(*page, next_due);
    if (page->unfinished() == 0) empty.push_back(number);
  }
  for (const std::int64_t number : empty) w.pages.remove(number);

  w.members_changed.clear();
  w.members_forgotten.clear();
  if (w.recorded.contains(kHead)) w.recorded_head = w.head();
  w.must_tell = w.wiped = w.move_changed = false;
  w.needs_look = w.settings->ordering == Ordering::key && counts.unfinished() > 0;
  w.rebuild_indexes();
  w.give_up_dying();
}

}  // namespace tidemark::broker
