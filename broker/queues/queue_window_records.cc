#include <algorithm>
#include <bit>

#include "broker/queues/queue_record_format.h"
#include "broker/queues/queue_window_impl.h"
#include "storage/batch/varint.h"

/// Writing what a window holds as state records (queue_record_format.h).
namespace tidemark::broker {
namespace {

using namespace queue_record;

constexpr std::int64_t kHead = -1;
constexpr std::int64_t kPagesPerSlice = QueueWindow::kSliceOffsets / EntryPage::kEntries;
/// A stream whose deltas pass both is restated.
constexpr std::size_t kDeltaBytesMin = 64 * 1024;
constexpr std::size_t kDeltasPerSnapshot = 4;

/// Payloads of one stream, cut where they grow too long.
class Parts {
 public:
  /// Where the next run or row goes. `begins`: it is the first of its payload.
  ByteVector& next(bool& begins) {
    begins = parts_.empty() || parts_.back().size() >= kPartBytes;
    if (begins) parts_.push_back({kVersion});
    return parts_.back();
  }
  ByteVector& next() {
    bool begins = false;
    return next(begins);
  }
  std::vector<storage::StateRecord> to_records(const storage::StreamKey& stream, bool snapshot) && {
    if (parts_.empty()) parts_.push_back({kVersion});
    std::vector<storage::StateRecord> records;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      storage::StateRecordType type = storage::StateRecordType::delta;
      if (snapshot) type = i == 0 ? storage::StateRecordType::snapshot : storage::StateRecordType::snapshot_more;
      records.push_back({.stream = stream,
                         .type = type,
                         .last_part = !snapshot || i + 1 == parts_.size(),
                         .sequence = 0,
                         .payload = std::move(parts_[i])});
    }
    return records;
  }

 private:
  std::vector<ByteVector> parts_;
};

void append_byte(ByteVector& out, unsigned byte) { out.push_back(static_cast<std::byte>(byte)); }
void append_text(ByteVector& out, std::string_view text) {
  append_unsigned_varint(out, static_cast<std::uint32_t>(text.size()));
  const ByteView bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void append_count(ByteVector& out, std::uint64_t count) { append_varlong(out, static_cast<std::int64_t>(count)); }

/// Gathers equal neighbours into runs.
class RunWriter {
 public:
  explicit RunWriter(Offset slice_begin) : slice_begin_(slice_begin), written_to_(slice_begin) {}

  void add(const EntryPage& page, std::size_t i, const std::unordered_map<std::int64_t, std::string>& reasons) {
    const QueueEntry& entry = page.entries[i];
    const Offset offset = page.first() + static_cast<std::int64_t>(i);
    const std::string_view reason = entry.is(QueueEntry::has_reason) ? std::string_view(reasons.at(offset.value)) : std::string_view();
    if (count_ == 0 || first_ + count_ != offset || !same(entry, reason)) {
      flush();
      first_ = offset;
      entry_ = entry;
      reason_ = reason;
    }
    ++count_;
    if (entry.is(QueueEntry::has_id)) ids_.push_back((*page.ids)[i]);
  }
  Parts finish() && {
    flush();
    return std::move(parts_);
  }

 private:
  bool same(const QueueEntry& other, std::string_view reason) const {
    if (entry_.state() != other.state()) return false;
    if (other.state() == EntryState::done) return true;
    if (other.state() == EntryState::delayed && entry_.due() != other.due()) return false;
    return entry_.member == other.member && entry_.delivered == other.delivered && entry_.deliveries == other.deliveries &&
           entry_.failures == other.failures && entry_.is(QueueEntry::has_id) == other.is(QueueEntry::has_id) && reason_ == reason;
  }

  void flush() {
    if (count_ == 0) return;
    bool begins = false;
    ByteVector& out = parts_.next(begins);
    if (begins) {
      written_to_ = slice_begin_;
      delivered_ = 0;
      id_ = {};
    }
    append_unsigned_varint(out, static_cast<std::uint32_t>(first_ - written_to_));
    append_unsigned_varint(out, static_cast<std::uint32_t>(count_));
    unsigned head = static_cast<unsigned>(entry_.state());
    if (entry_.delivered != 0 || entry_.deliveries != 0) head |= kTimes;
    if (entry_.failures != 0) head |= kFailures;
    if (!reason_.empty()) head |= kReason;
    if (!ids_.empty()) head |= kIds;
    append_byte(out, head);
    if (entry_.state() == EntryState::acquired) append_unsigned_varint(out, entry_.member);
    if (entry_.state() == EntryState::delayed) append_varlong(out, entry_.due());
    if ((head & kTimes) != 0) {
      append_unsigned_varint(out, entry_.deliveries);
      append_varlong(out, entry_.delivered - delivered_);
      delivered_ = entry_.delivered;
    }
    if ((head & kFailures) != 0) append_byte(out, entry_.failures);
    if ((head & kReason) != 0) append_text(out, reason_);
    for (const EntryId& id : ids_) {
      const bool same_ms = id.ms == id_.ms;
      append_varlong(out, static_cast<std::int64_t>(id.ms - id_.ms));
      append_varlong(out, static_cast<std::int64_t>(same_ms ? id.seq - id_.seq : id.seq));
      id_ = id;
    }
    written_to_ = first_ + count_;
    count_ = 0;
    ids_.clear();
  }

  const Offset slice_begin_;
  Parts parts_;
  Offset written_to_;
  std::int64_t delivered_ = 0;
  EntryId id_;

  Offset first_;
  std::int64_t count_ = 0;
  QueueEntry entry_;
  std::string_view reason_;
  std::vector<EntryId> ids_;
};

storage::StateRecord end_of(storage::StreamKey stream) {
  return {.stream = std::move(stream), .type = storage::StateRecordType::deleted, .last_part = true, .sequence = 0, .payload = {}};
}

std::size_t bytes_of(std::span<const storage::StateRecord> records) {
  std::size_t bytes = 0;
  for (const storage::StateRecord& record : records) bytes += storage::StateLog::encoded_size(record);
  return bytes;
}

}  // namespace

bool QueueWindow::Impl::slice_unfinished(std::int64_t slice) const {
  for (auto at = pages.from({slice * kSliceOffsets}); at != pages.all().end() && at->first < (slice + 1) * kPagesPerSlice; ++at) {
    if (at->second->unfinished() > 0) return true;
  }
  return false;
}

std::vector<storage::StateRecord> QueueWindow::Impl::slice_snapshot(std::int64_t slice) const {
  RunWriter runs({slice * kSliceOffsets});
  for (auto at = pages.from({slice * kSliceOffsets}); at != pages.all().end() && at->first < (slice + 1) * kPagesPerSlice; ++at) {
    const EntryPage& page = *at->second;
    for (std::size_t i = 0; i < page.entries.size(); ++i) {
      if (page.entries[i].state() != EntryState::done) runs.add(page, i, reasons);
    }
  }
  return std::move(runs).finish().to_records(slice_stream(slice), true);
}

std::vector<storage::StateRecord> QueueWindow::Impl::slice_delta(std::int64_t slice, std::span<const std::int64_t> changed_pages) const {
  RunWriter runs({slice * kSliceOffsets});
  for (const std::int64_t number : changed_pages) {
    const EntryPage& page = *page_numbered(number);
    for (std::size_t word = 0; word < page.changed.size(); ++word) {
      for (std::uint64_t bits = page.changed[word]; bits != 0; bits &= bits - 1)
        runs.add(page, word * 64 + static_cast<std::size_t>(std::countr_zero(bits)), reasons);
    }
  }
  return std::move(runs).finish().to_records(slice_stream(slice), false);
}

QueueWindow::Impl::Head QueueWindow::Impl::head() const {
  return {.start = start,
          .cursor = cursor,
          .done = counts.done,
          .filtered = counts.filtered,
          .gone = counts.gone,
          .dead = counts.dead,
          .redelivered = counts.redelivered,
          .timed_out = counts.timed_out,
          .producer_id = producer_id,
          .producer_epoch = producer_epoch,
          .next_sequence = next_sequence,
          .stream = stream};
}

std::vector<storage::StateRecord> QueueWindow::Impl::head_records(bool snapshot) const {
  Parts parts;
  const auto row = [&](Row tag) -> ByteVector& {
    ByteVector& out = parts.next();
    append_byte(out, static_cast<unsigned>(tag));
    return out;
  };
  const auto write_member = [&](std::uint32_t slot) {
    const Member& member = *slots[slot];
    ByteVector& out = row(Row::member);
    append_unsigned_varint(out, slot);
    append_text(out, member.name);
    for (const Timestamp time : {member.created, member.seen, member.active}) append_varlong(out, to_ms(time));
  };

  ByteVector& position = row(Row::position);
  append_varlong(position, start.value);
  append_varlong(position, cursor.value);
  ByteVector& counters = row(Row::counters);
  for (const std::uint64_t count : {counts.done, counts.filtered, counts.gone, counts.dead, counts.redelivered, counts.timed_out})
    append_count(counters, count);
  if (snapshot || !recorded_head || producer_id != recorded_head->producer_id || producer_epoch != recorded_head->producer_epoch ||
      next_sequence != recorded_head->next_sequence) {
    ByteVector& producer = row(Row::producer);
    append_varlong(producer, producer_id);
    append_varlong(producer, producer_epoch);
    append_varlong(producer, next_sequence);
  }
  if (stream && (snapshot || !recorded_head || stream != recorded_head->stream)) {
    ByteVector& out = row(Row::stream);
    append_count(out, stream->last_id.ms);
    append_count(out, stream->last_id.seq);
    append_varlong(out, stream->entries_read ? static_cast<std::int64_t>(*stream->entries_read) : -1);
    append_varlong(out, stream->cursor.value);
  }
  if (move_changed || (snapshot && move)) {
    ByteVector& out = row(Row::move);
    append_unsigned_varint(out, move ? static_cast<std::uint32_t>(move->offsets.size()) : 0);
    append_varlong(out, move ? move->first_sequence : 0);
    std::int64_t before = 0;
    for (const Offset offset : move ? move->offsets : std::vector<Offset>())
      append_varlong(out, offset.value - std::exchange(before, offset.value));
  }
  if (snapshot) {
    for (std::uint32_t slot = 0; slot < slots.size(); ++slot) {
      if (slots[slot]) write_member(slot);
    }
  } else {
    for (const std::uint32_t slot : members_forgotten) append_unsigned_varint(row(Row::forgotten), slot);
    for (const std::uint32_t slot : members_changed) {
      if (slots[slot] && slots[slot]->changed) write_member(slot);
    }
  }
  return std::move(parts).to_records(slice_stream(kHead), snapshot);
}

std::vector<storage::StateRecord> QueueWindow::take_records() {
  Impl& w = *impl_;
  std::vector<storage::StateRecord> all;
  if (!w.must_tell) return all;

  const auto add = [&](std::int64_t slice, bool snapshot, std::vector<storage::StateRecord> records) {
    Impl::Recorded& recorded = w.recorded[slice];
    if (snapshot)
      recorded = {.snapshot_bytes = bytes_of(records), .delta_bytes = 0};
    else
      recorded.delta_bytes += bytes_of(records);
    std::ranges::move(records, std::back_inserter(all));
  };
  const auto outweighed = [&](std::int64_t slice) {
    const auto known = w.recorded.find(slice);
    return known != w.recorded.end() && known->second.delta_bytes > kDeltaBytesMin &&
           known->second.delta_bytes > kDeltasPerSnapshot * known->second.snapshot_bytes;
  };

  if (w.wiped) {
    // What is recorded of slices is void: they are restated below, or end here.
    for (const auto& [slice, recorded] : w.recorded) {
      if (slice != kHead && !w.slice_unfinished(slice)) all.push_back(end_of(w.slice_stream(slice)));
    }
    std::erase_if(w.recorded, [&](const auto& row) { return row.first != kHead && !w.slice_unfinished(row.first); });
  }
  const std::span<const std::int64_t> changed(w.pages.changed());
  for (auto begin = changed.begin(); begin != changed.end();) {
    const std::int64_t slice = *begin / kPagesPerSlice;
    const auto end = std::find_if(begin, changed.end(), [&](std::int64_t number) { return number / kPagesPerSlice != slice; });
    const bool known = w.recorded.contains(slice);
    const bool unfinished = std::any_of(begin, end, [&](std::int64_t number) { return w.page_numbered(number)->unfinished() > 0; }) ||
                            w.slice_unfinished(slice);
    if (unfinished && known && (w.wiped || outweighed(slice)))
      add(slice, true, w.slice_snapshot(slice));
    else if (unfinished)
      add(slice, false, w.slice_delta(slice, {begin, end}));
    else if (known) {
      all.push_back(end_of(w.slice_stream(slice)));
      w.recorded.erase(slice);
    }
    begin = end;
  }
  const Impl::Head head = w.head();
  if (w.recorded_head != head || w.move_changed || !w.members_changed.empty() || !w.members_forgotten.empty()) {
    const bool snapshot = outweighed(kHead);
    add(kHead, snapshot, w.head_records(snapshot));
  }

  w.pages.forget_changes();
  for (const std::uint32_t slot : w.members_changed) {
    if (!w.slots[slot]) continue;
    w.slots[slot]->changed = false;
    w.slots[slot]->recorded = w.slots[slot]->seen;
  }
  w.members_changed.clear();
  w.members_forgotten.clear();
  w.recorded_head = head;
  w.must_tell = w.wiped = w.move_changed = false;
  return all;
}

std::vector<storage::StateRecord> QueueWindow::snapshot(const storage::StreamKey& stream) const {
  const auto parsed = parse_queue_stream(stream);
  if (!parsed || queue_stream(impl_->identity, parsed->slice) != stream || !impl_->recorded.contains(parsed->slice)) return {};
  return parsed->slice == kHead ? impl_->head_records(true) : impl_->slice_snapshot(parsed->slice);
}

std::vector<storage::StreamKey> QueueWindow::streams() const {
  std::vector<storage::StreamKey> all;
  for (const auto& [slice, recorded] : impl_->recorded) all.push_back(impl_->slice_stream(slice));
  return all;
}

}  // namespace tidemark::broker
