#include "tools/tidemark/sender.h"

#include <algorithm>

#include <fmt/format.h>

#include "storage/base/check.h"
#include "tools/tidemark/errors.h"
#include "tools/tidemark/output.h"

namespace tidemark::tools {
namespace {

/// The broker is out of reach or going away: later records would fail alike.
bool is_useless_to_go_on(const Error& error) {
  switch (error.code) {
    case Errc::connection_lost:
    case Errc::cannot_connect:
    case Errc::timed_out:
    case Errc::cancelled:
    case Errc::shutting_down:
    case Errc::unknown_topic:
    case Errc::disk_full:
      return true;
    default:
      return error.fatal();
  }
}

}  // namespace

Sender::Sender(Producer producer, OnAnswer on_answer) : producer_(std::move(producer)), on_answer_(std::move(on_answer)) {}

bool Sender::post(const Record& record, std::uint64_t tag) {
  std::uint64_t sequence = 0;
  std::uint64_t answers_seen = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    sequence = first_sequence_ + pending_.size();
    pending_.push_back({.bytes = record.key.value_or("").size() + record.value.value_or("").size(), .answer = {.tag = tag}});
    answers_seen = answers_;
  }
  // Two words, so that the callback needs no allocation.
  while (!producer_.try_post(record, [this, sequence](const Result<Stored>& result) { answered(sequence, result); })) {
    // Full: an answer makes room. Answers that came since are seen by their number, so none is waited for in vain.
    std::unique_lock lock(mutex_);
    waiting_ = true;
    changed_.wait(lock, [&] { return answers_ != answers_seen || stopped_; });
    waiting_ = false;
    answers_seen = answers_;
    if (!stopped_) continue;
    pending_.pop_back();  // Never posted.
    return false;
  }
  return true;
}

void Sender::refuse(std::uint64_t tag, Error error) {
  const std::lock_guard lock(mutex_);
  pending_.push_back({.answer = {.tag = tag}});
  settle(pending_.back(), std::move(error));
  deliver_in_order();
}

void Sender::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool Sender::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void Sender::finish() {
  // The answers themselves are counted as they come; what flush() tells is the first of them that failed.
  const Status flushed = producer_.flush();
  std::unique_lock lock(mutex_);
  if (!flushed && !totals_.first_error) totals_.first_error = flushed.error();
  changed_.wait(lock, [&] { return pending_.empty(); });
}

Sender::Totals Sender::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

void Sender::answered(std::uint64_t sequence, const Result<Stored>& result) {
  const std::lock_guard lock(mutex_);
  CHECK(sequence >= first_sequence_ && sequence - first_sequence_ < pending_.size());
  settle(pending_[sequence - first_sequence_], result);
  ++answers_;
  deliver_in_order();
  if (waiting_ || pending_.empty()) changed_.notify_all();
}

void Sender::settle(Pending& pending, const Result<Stored>& result) {
  pending.answered = true;
  if (!result) {
    ++totals_.failed;
    totals_.maybe_done |= result.error().maybe_done;
    if (!totals_.first_error) totals_.first_error = result.error();
    if (is_useless_to_go_on(result.error())) stopped_ = true;
    pending.answer.error = result.error();
    return;
  }
  ++totals_.records;
  totals_.bytes += pending.bytes;
  if (result->duplicate) ++totals_.duplicates;
  if (!result->scheduled.empty()) ++totals_.scheduled;
  if (totals_.durability != result->durability) totals_.durability = result->durability;
  pending.answer.partition = result->partition;
  pending.answer.offset = result->offset.value;
  pending.answer.timestamp_ms = result->timestamp.time_since_epoch().count();
  pending.answer.duplicate = result->duplicate;
  pending.answer.scheduled = result->scheduled;
  pending.answer.due_ms = result->due.time_since_epoch().count();
  if (result->offset.value < 0) return;  // Scheduled, or stored so long ago that the broker no longer knows where.
  PartitionRange& range = totals_.partitions[result->partition];
  range.first = range.first < 0 ? result->offset.value : std::min(range.first, result->offset.value);
  range.last = std::max(range.last, result->offset.value);
}

void Sender::deliver_in_order() {
  while (!pending_.empty() && pending_.front().answered) {
    if (on_answer_) on_answer_(pending_.front().answer);
    pending_.pop_front();
    ++first_sequence_;
  }
}

Exit exit_code(const Sender::Totals& totals) {
  if (totals.maybe_done) return Exit::timed_out;
  if (totals.failed == 0) return totals.first_error ? exit_code(*totals.first_error) : Exit::done;
  return totals.records == 0 && totals.first_error ? exit_code(*totals.first_error) : Exit::partial;
}

std::string summary(const Sender::Totals& totals, double seconds) {
  std::string text =
      fmt::format("{} records, {}, {}, {}", totals.records, format_bytes_decimal(totals.bytes), format_seconds(seconds), totals.durability);
  if (totals.failed > 0) text += fmt::format(", {} failed", totals.failed);
  if (totals.scheduled > 0) text += fmt::format(", {} scheduled", totals.scheduled);
  if (totals.duplicates > 0) text += fmt::format(", {} duplicates", totals.duplicates);
  return text + "\n";
}

}  // namespace tidemark::tools
