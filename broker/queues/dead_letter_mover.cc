#include "broker/queues/dead_letter_mover.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <utility>

#include "broker/queues/queue_partition.h"
#include "storage/base/log.h"
#include "storage/base/printable.h"
#include "storage/base/time_text.h"
#include "storage/batch/record_batch.h"

namespace tidemark::broker {
namespace {

struct Provenance {
  std::string reason, deliveries, failures, member, last_delivery;
};

bool may_pass(const Error& error) { return error.retriable() || error.code == Errc::not_found; }

}  // namespace

void DeadLetterMover::resume() { repeats_ = queue_.window().move().has_value(); }

void DeadLetterMover::stop() {
  stopped_ = true;
  if (timer_) services_.shard.cancel(*std::exchange(timer_, std::nullopt));
}

void DeadLetterMover::wake() {
  if (busy_ || stopped_ || timer_ || services_.stopping()) return;
  if (!queue_.window().move() && queue_.window().dying(1).empty()) return;
  busy_ = true;
  services_.began();
  const std::string name = queue_.window().settings().dead_letter_topic;
  if (name.empty()) {
    // Dead letters were turned off after the records had died.
    if (queue_.window().move()) return try_later();
    return park_all("the group has no dead letter topic any more");
  }
  services_.dead_letter_topic(name, queue_.group(), [self = queue_.shared_from_this(), this](Result<std::shared_ptr<const Topic>> topic) {
    if (stopped_) return end();
    if (topic) return with_producer(*topic);
    if (may_pass(topic.error()) || queue_.window().move()) return try_later();
    park_all(topic.error().detail);
  });
}

void DeadLetterMover::end() {
  busy_ = false;
  services_.ended();
}

void DeadLetterMover::try_later() {
  if (!stopped_ && !timer_) {
    timer_ = services_.shard.run_after(kRetryInterval, [weak = queue_.weak_from_this(), this] {
      const std::shared_ptr<QueuePartition> alive = weak.lock();
      if (!alive) return;
      timer_.reset();
      wake();
    });
  }
  end();
}

void DeadLetterMover::park_all(const std::string& why) {
  log_warn("group " + printable(queue_.group()) + ": dead records are parked: " + why);
  for (const Offset offset : queue_.window().dying(kMoveRecordsMax)) queue_.window().park(offset, why);
  end();
  queue_.changed();
}

void DeadLetterMover::with_producer(std::shared_ptr<const Topic> target) {
  if (queue_.window().producer_id() >= 0) return read(std::move(target));
  services_.new_producer([self = queue_.shared_from_this(), this, target = std::move(target)](Result<ProducerIdentity> identity) {
    if (stopped_) return end();
    if (!identity) return try_later();
    services_.holds.hold(identity->id);
    queue_.window().set_producer(identity->id, identity->epoch);
    read(target);
  });
}

void DeadLetterMover::read(std::shared_ptr<const Topic> target) {
  const std::optional<QueueWindow::Move>& open = queue_.window().move();
  std::vector<Offset> offsets = open ? open->offsets : queue_.window().dying(kMoveRecordsMax);
  if (offsets.empty()) return end();
  // An open move is read whole, whatever its size: its sequences are given.
  const std::size_t bytes_max = open ? std::numeric_limits<std::size_t>::max() : kMoveBytesMax;
  queue_.read_records(offsets, bytes_max, [self = queue_.shared_from_this(), this, target, offsets](Result<QueuePartition::Records> found) {
    if (stopped_) return end();
    if (!found) return try_later();
    QueueWindow& window = queue_.window();
    const std::shared_ptr<const Topic> source = services_.topic(queue_.key().topic);
    if (!source) return end();
    const std::string partition = std::to_string(queue_.key().partition);
    const std::string died = format_time(queue_.now());
    BatchBuilder builder;
    std::vector<Offset> moved, lost;
    auto next = offsets.begin();
    for (const Slice& batch : found->batches) {
      Result<BatchReader> reader = BatchReader::open(batch.view());
      RecordView record;
      while (reader && next != offsets.end()) {
        const Result<bool> has = reader->next(record);
        if (!has || !*has) break;
        while (next != offsets.end() && *next < record.offset) lost.push_back(*next++);
        if (next == offsets.end() || *next != record.offset) continue;
        if (!window.move() && builder.size_bytes() >= kMoveBytesMax) break;
        const std::optional<PendingEntry> entry = window.entry(*next);
        const Provenance said{.reason = entry ? std::string(entry->reason) : std::string(),
                              .deliveries = std::to_string(entry ? entry->deliveries : 0),
                              .failures = std::to_string(entry ? entry->failures : 0),
                              .member = entry ? std::string(entry->last_member) : std::string(),
                              .last_delivery = entry && entry->delivered != Timestamp{} ? format_time(entry->delivered) : std::string()};
        const std::string offset = std::to_string(next->value);
        std::vector<HeaderView> headers = record.headers();
        // Of an earlier death: this one counts.
        std::erase_if(headers, [](const HeaderView& header) { return header.name.starts_with("tidemark-dead-"); });
        const auto add = [&](std::string_view name, std::string_view value) { headers.push_back({name, as_bytes(value)}); };
        add(dead_letter::kGroup, queue_.group());
        add(dead_letter::kTopic, source->name);
        add(dead_letter::kPartition, partition);
        add(dead_letter::kOffset, offset);
        add(dead_letter::kReason, said.reason);
        add(dead_letter::kDeliveries, said.deliveries);
        add(dead_letter::kFailures, said.failures);
        add(dead_letter::kMember, said.member);
        add(dead_letter::kLastDelivery, said.last_delivery);
        add(dead_letter::kTime, died);
        builder.add({.key = record.key, .value = record.value, .timestamp_ms = record.timestamp_ms, .headers = headers});
        moved.push_back(*next++);
      }
    }
    // What was not reached for its size waits for the next move.
    for (const Offset gone : found->gone) {
      if (std::ranges::find(lost, gone) == lost.end() && std::ranges::find(moved, gone) == moved.end()) lost.push_back(gone);
    }
    std::ranges::sort(lost);
    const ProducerIdentity producer{window.producer_id(), window.producer_epoch()};
    if (repeats_) {
      const QueueWindow::Move move = *window.move();
      if (!builder.empty()) builder.set_producer(producer.id, producer.epoch, move.first_sequence);
      return repeated(target, builder.empty() ? Slice() : builder.build(), std::move(lost));
    }
    if (moved.empty()) {
      for (const Offset gone : lost) window.gone(gone);
      end();
      return queue_.changed();
    }
    const std::int32_t sequence = window.move() ? window.move()->first_sequence : window.next_sequence();
    builder.set_producer(producer.id, producer.epoch, sequence);
    Slice batch = builder.build();
    if (window.move()) return append(target, std::move(batch), std::move(lost));
    for (const Offset gone : std::exchange(lost, {})) window.gone(gone);
    window.begin_move({.offsets = std::move(moved), .first_sequence = sequence});
    queue_.recorder_->record([self, this, target, batch = std::move(batch)](const Status& recorded) mutable {
      if (stopped_) return end();
      // Not written: the move is open all the same, and its record is repeated with the next one.
      if (!recorded) return try_later();
      append(target, std::move(batch), {});
    });
  });
}

/// Whether the copies of a move that a restart interrupted are there already.
void DeadLetterMover::repeated(std::shared_ptr<const Topic> target, Slice batch, std::vector<Offset> lost) {
  const QueueWindow::Move& move = *queue_.window().move();
  const auto last = static_cast<std::int32_t>(
      (static_cast<std::int64_t>(move.first_sequence) + static_cast<std::int64_t>(move.offsets.size()) - 1) & 0x7fffffff);
  services_.holds_batch({target->name, 0}, {queue_.window().producer_id(), queue_.window().producer_epoch()}, move.first_sequence, last,
                        [self = queue_.shared_from_this(), this, target, batch, lost](Result<bool> there) {
                          if (stopped_) return end();
                          if (!there) return try_later();
                          if (*there) return finish({});
                          if (batch.empty()) return finish(lost);
                          append(target, batch, lost);
                        });
}

void DeadLetterMover::append(std::shared_ptr<const Topic> target, Slice batch, std::vector<Offset> lost) {
  services_.append({target->name, 0}, std::move(batch), [self = queue_.shared_from_this(), this, target, lost](Result<Appended> appended) {
    if (stopped_) return end();
    judge(target, std::move(appended), lost);
  });
}

void DeadLetterMover::judge(std::shared_ptr<const Topic>, Result<Appended> appended, std::vector<Offset> lost) {
  if (appended) return finish(std::move(lost));
  const Error& error = appended.error();
  switch (error.code) {
    case Errc::duplicate_sequence:  // There, long ago.
      return finish(std::move(lost));
    case Errc::out_of_order_sequence:
    case Errc::stale_producer_epoch:
      // The dead letter topic was made anew: its sequences begin anew as well.
      services_.new_producer([self = queue_.shared_from_this(), this](Result<ProducerIdentity> identity) {
        if (stopped_) return end();
        if (identity) {
          const QueueWindow::Move move = *queue_.window().move();
          services_.holds.release(queue_.window().producer_id());
          services_.holds.hold(identity->id);
          queue_.window().set_producer(identity->id, identity->epoch);
          queue_.window().begin_move({.offsets = move.offsets, .first_sequence = 0});
        }
        try_later();
      });
      return;
    default:
      log_warn("group " + printable(queue_.group()) + ": dead letters wait: " + error.to_string());
      return try_later();
  }
}

void DeadLetterMover::finish(std::vector<Offset> lost) {
  repeats_ = false;
  queue_.window().end_move(lost);
  end();
  queue_.changed();
}

}  // namespace tidemark::broker
