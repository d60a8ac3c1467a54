#include "broker/transactions/open_transactions.h"

#include <algorithm>

namespace tidemark::broker {
namespace {

std::string producer_text(const BatchHeader& header) {
  return "producer " + std::to_string(header.producer_id) + " epoch " + std::to_string(header.producer_epoch);
}

}  // namespace

void OpenTransactions::admit(const ProducerIdentity& producer) { admitted_[producer.id] = producer.epoch; }

Status OpenTransactions::check(const BatchHeader& header) const {
  if (!header.has_producer()) return {};
  const bool open = open_.contains(header.producer_id);
  if (!header.is_transactional()) {
    if (!open) return {};
    return Error{Errc::invalid_transaction_state, producer_text(header) + " has a transaction open and sent a batch outside of it"};
  }
  const auto admitted = admitted_.find(header.producer_id);
  if (admitted == admitted_.end()) {
    return Error{Errc::invalid_transaction_state, "the partition is in no open transaction of " + producer_text(header)};
  }
  if (header.producer_epoch != admitted->second) {
    return Error{header.producer_epoch < admitted->second ? Errc::stale_producer_epoch : Errc::invalid_transaction_state,
                 producer_text(header) + ": the open transaction has epoch " + std::to_string(admitted->second)};
  }
  if (!open && (open_.size() >= kOpenMax || aborted_.size() + ending_.size() + open_.size() >= kAbortedMax)) {
    return Error{Errc::overloaded, "too many transactions in this partition: " + std::to_string(open_.size()) + " open, " +
                                       std::to_string(aborted_.size()) + " aborted"};
  }
  return {};
}

void OpenTransactions::appended(const BatchHeader& header, Offset base, bool commit) {
  if (!header.has_producer() || !header.is_transactional()) return;
  if (header.record_count == 0) return;  // Left of a compacted batch; its marker may be gone.
  const auto open = open_.find(header.producer_id);
  if (!header.is_control()) {
    if (open != open_.end()) return;
    open_.emplace(header.producer_id, OpenTransaction{{header.producer_id, header.producer_epoch}, base});
    open_firsts_.insert(base);
    unstable_.insert(base);
    return;
  }
  admitted_.erase(header.producer_id);
  if (open == open_.end()) return;  // Its records lie in damage, or below the log start.
  Ending ending{.marker = base, .transaction = open->second, .aborted = std::nullopt};
  const Offset first = ending.transaction.first;
  open_.erase(open);
  open_firsts_.erase(first);
  if (!commit) {
    const Offset stable = open_firsts_.empty() ? base + 1 : *open_firsts_.begin();
    ending.aborted = AbortedTransaction{.producer_id = header.producer_id, .first = first, .marker = base, .last_stable = stable};
  }
  ending_.push_back(ending);
}

std::vector<OpenTransaction> OpenTransactions::open() const {
  std::vector<OpenTransaction> all;
  all.reserve(open_.size());
  for (const auto& [id, one] : open_) all.push_back(one);
  std::ranges::sort(all, {}, &OpenTransaction::first);
  return all;
}

std::optional<Offset> OpenTransactions::first_open(std::int64_t producer_id) const {
  const auto open = open_.find(producer_id);
  return open == open_.end() ? std::nullopt : std::optional(open->second.first);
}

// --- Flushed view.

void OpenTransactions::flushed(Offset high_watermark) {
  while (!ending_.empty() && ending_.front().marker < high_watermark) {
    unstable_.erase(ending_.front().transaction.first);
    if (ending_.front().aborted) aborted_.push_back(*ending_.front().aborted);
    ending_.pop_front();
  }
}

Offset OpenTransactions::last_stable(Offset log_start, Offset high_watermark) const {
  if (unstable_.empty()) return high_watermark;
  return std::clamp(*unstable_.begin(), log_start, high_watermark);
}

std::vector<AbortedTransaction> OpenTransactions::aborted_in(Offset from, Offset to) const {
  std::vector<AbortedTransaction> found;
  auto next = std::ranges::lower_bound(aborted_, from, {}, &AbortedTransaction::marker);
  for (; next != aborted_.end(); ++next) {
    if (next->first < to) found.push_back(*next);
    // Whatever ended later began behind what was open then.
    if (next->last_stable >= to) break;
  }
  std::ranges::sort(found, {}, &AbortedTransaction::first);
  return found;
}

void OpenTransactions::forget_aborted_before(Offset end) {
  for (; has_aborted_before(end); ++forgotten_) aborted_.pop_front();
}

// --- Records and recovery.

OpenTransactions::Snapshot OpenTransactions::snapshot(Offset high_watermark, Offset recorded_until) const {
  Snapshot snapshot;
  for (const auto& [id, one] : open_) {
    if (one.first < high_watermark) snapshot.open.push_back(one);
  }
  // Their markers may still be lost.
  for (const Ending& ending : ending_) {
    if (ending.transaction.first < high_watermark) snapshot.open.push_back(ending.transaction);
  }
  std::ranges::sort(snapshot.open, {}, &OpenTransaction::first);
  const auto from = std::ranges::lower_bound(aborted_, recorded_until, {}, &AbortedTransaction::marker);
  snapshot.aborted.assign(from, aborted_.end());
  return snapshot;
}

std::vector<AbortedTransaction> OpenTransactions::aborted_before(Offset end) const {
  return {aborted_.begin(), std::ranges::lower_bound(aborted_, end, {}, &AbortedTransaction::marker)};
}

void OpenTransactions::restore(const Snapshot& snapshot) {
  for (const OpenTransaction& one : snapshot.open) {
    if (!open_.emplace(one.producer.id, one).second) continue;
    open_firsts_.insert(one.first);
    unstable_.insert(one.first);
  }
  aborted_.assign(snapshot.aborted.begin(), snapshot.aborted.end());
}

void OpenTransactions::recovered(const BatchHeader& header, ByteView batch) {
  appended(header, header.base_offset, header.is_control() && marker_commits(batch).value_or(false));
  flushed(header.end_offset());
}

void OpenTransactions::cut(Offset end) {
  std::erase_if(open_, [&](const auto& entry) {
    const Offset first = entry.second.first;
    if (first < end) return false;
    open_firsts_.erase(first);
    unstable_.erase(first);
    return true;
  });
  while (!aborted_.empty() && aborted_.back().marker >= end) aborted_.pop_back();
}

// --- Batches.

AbortedRanges::AbortedRanges(std::span<const AbortedTransaction> aborted) {
  for (const AbortedTransaction& one : aborted) by_producer_[one.producer_id].push_back({one.first, one.marker});
}

const AbortedRanges::Range* AbortedRanges::find(std::int64_t producer_id, Offset at) const {
  const auto ranges = by_producer_.find(producer_id);
  if (ranges == by_producer_.end()) return nullptr;
  const auto behind = std::ranges::upper_bound(ranges->second, at, {}, &Range::first);
  return behind == ranges->second.begin() ? nullptr : &*std::prev(behind);
}

bool AbortedRanges::contains(std::int64_t producer_id, Offset base) const {
  const Range* const range = find(producer_id, base);
  return range != nullptr && base < range->marker;
}

bool AbortedRanges::ends_with(std::int64_t producer_id, Offset marker) const {
  const Range* const range = find(producer_id, marker);
  return range != nullptr && range->marker == marker;
}

std::optional<bool> marker_commits(ByteView batch) {
  constexpr std::int16_t kAbort = 0;
  constexpr std::int16_t kCommit = 1;
  constexpr std::size_t kKeyBytes = 4;  // Version and type, two bytes each.
  Result<BatchReader> reader = BatchReader::open(batch);
  if (!reader || !reader->header().is_control()) return std::nullopt;
  RecordView record;
  const Result<bool> read = reader->next(record);
  if (!read || !*read || !record.key || record.key->size() < kKeyBytes) return std::nullopt;
  const auto type = load_be<std::int16_t>(record.key->data() + 2);
  if (type != kAbort && type != kCommit) return std::nullopt;
  return type == kCommit;
}

std::vector<Slice> committed_only(std::vector<Slice> batches, std::span<const AbortedTransaction> aborted) {
  const AbortedRanges ranges(aborted);
  std::vector<Slice> kept;
  kept.reserve(batches.size());
  for (const Slice& slice : batches) {
    std::size_t run = 0;  // Batches next to each other stay one piece.
    std::size_t at = 0;
    const auto end_run = [&] {
      if (at > run) kept.push_back(slice.subslice(run, at - run));
    };
    while (at < slice.size()) {
      const Result<BatchHeader> header = BatchHeader::parse(slice.view().subspan(at));
      const std::size_t left = slice.size() - at;
      const std::size_t size = header ? std::min(header->size_bytes(), left) : left;
      const bool aborted_batch = header && header->is_transactional() && ranges.contains(header->producer_id, header->base_offset);
      if (header && (header->is_control() || aborted_batch)) {
        end_run();
        run = at + size;
      }
      at += size;
    }
    end_run();
  }
  return kept;
}

}  // namespace tidemark::broker
