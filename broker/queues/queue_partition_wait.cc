#include <algorithm>
#include <utility>

#include "broker/queues/queue_partition.h"
#include "storage/base/printable.h"

/// Members that wait, and what happens by itself: new records, leases that run out, delays that end.
namespace tidemark::broker {

/// Told by the partition that there may be more; looks when the partition is done.
class QueuePartition::Watcher final : public ReadWatcher {
 public:
  Watcher(std::weak_ptr<QueuePartition> queue, Shard& shard) : queue_(std::move(queue)), shard_(shard) {}
  void moved() override {
    if (posted_) return;
    posted_ = true;
    shard_.post([this, keep = queue_] {
      const std::shared_ptr<QueuePartition> queue = keep.lock();
      if (!queue || queue->watcher_.get() != this) return;
      posted_ = false;
      queue->offer_around();
    });
  }

 private:
  const std::weak_ptr<QueuePartition> queue_;
  Shard& shard_;
  bool posted_ = false;
};

void QueuePartition::start() {
  stopped_ = false;
  watcher_ = std::make_shared<Watcher>(weak_from_this(), services_.shard);
  seen_start_ = log_start();
  window_->trimmed(seen_start_);
  if (const std::int64_t producer = window_->producer_id(); producer >= 0) services_.holds.hold(producer);
  mover_->resume();
  changed();
}

void QueuePartition::configure(std::shared_ptr<const QueueSettings> settings) {
  window_->configure(std::move(settings));
  changed();
}

void QueuePartition::close(const Error& reason) {
  closed_ = reason;
  stop();
  recorder_->close();
  if (window_->producer_id() >= 0) services_.holds.release(window_->producer_id());
}

void QueuePartition::stop() {
  stopped_ = true;
  mover_->stop();
  if (timer_) services_.shard.cancel(*std::exchange(timer_, std::nullopt));
  // They look everywhere again, and hear why there is nothing.
  for (const std::shared_ptr<ReceiveOffer>& waiting : std::exchange(offers_, {})) waiting->offer(key_.partition);
  unwatch();
}

void QueuePartition::changed() {
  if (closed_) return;
  recorder_->record();
  if (stopped_) return;
  offer_around();
  mover_->wake();
  arm();
}

// --- Waiting.

bool QueuePartition::may_have(const ReceiveOffer& offer) {
  if (paused() || recorder_->behind() || !stalled_.empty()) return false;
  const bool fresh = may_look() && window_->room(offer.member()) > 0;
  if (fresh || offer.new_only() || !window_->settings().redelivers) return fresh;
  if (!window_->has_work()) return false;
  // Keys have to be looked up first: whoever takes does that.
  return window_->needs_look() || !window_->choose(offer.member(), 1, now()).empty();
}

void QueuePartition::wait(std::shared_ptr<ReceiveOffer> offer) {
  housekeeping();
  if (closed_ || stopped_ || may_have(*offer)) {
    offer->offer(key_.partition);
    return;
  }
  if (offers_.size() >= 64) std::erase_if(offers_, [](const auto& waiting) { return waiting->over(); });
  offers_.push_back(std::move(offer));
  watch();
  arm();
}

void QueuePartition::note_given_back() {
  ++given_back_;
  for (const std::shared_ptr<ReceiveOffer>& waiting : offers_) {
    if (waiting->claims()) waiting->offer(key_.partition);
  }
  std::erase_if(offers_, [](const auto& waiting) { return waiting->over(); });
}

/// To as many as there are records, in the order they came.
void QueuePartition::offer_around() {
  if (offers_.empty()) return unwatch();
  if (working_) return;  // Its end comes here.
  const std::int64_t fresh = std::max<std::int64_t>(0, log_end() - window_->cursor());
  const QueueCounts& counts = window_->counts();
  std::uint64_t left = static_cast<std::uint64_t>(fresh) + counts.waiting + counts.retrying;
  for (auto next = offers_.begin(); next != offers_.end() && left > 0;) {
    if ((*next)->over()) {
      next = offers_.erase(next);
    } else if (may_have(**next)) {
      if ((*next)->offer(key_.partition)) --left;
      next = offers_.erase(next);
    } else {
      ++next;
    }
  }
  if (offers_.empty()) unwatch();
}

void QueuePartition::watch() {
  if (watching_ || closed_) return;
  const std::shared_ptr<Partition> log = partition();
  if (!log) return;
  watching_ = true;
  log->watch(log->high_watermark(), log->high_watermark(), watcher_);
}

void QueuePartition::unwatch() {
  if (!std::exchange(watching_, false)) return;
  if (const std::shared_ptr<Partition> log = partition()) log->unwatch(watcher_);
}

// --- Time.

void QueuePartition::arm() {
  std::optional<Timestamp> due = window_->next_deadline();
  const QueueSettings& settings = window_->settings();
  if (settings.paused && settings.paused_until && *settings.paused_until > now() && (!due || *settings.paused_until < *due)) {
    due = settings.paused_until;
  }
  if (!due || stopped_ || closed_) return;
  // One that fires too early arms itself again.
  if (timer_ && timer_due_ <= *due) return;
  if (timer_) services_.shard.cancel(*std::exchange(timer_, std::nullopt));
  timer_due_ = *due;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - now());
  timer_ = services_.shard.run_after(std::max(left, std::chrono::milliseconds(1)), [weak = weak_from_this()] {
    const std::shared_ptr<QueuePartition> queue = weak.lock();
    if (!queue) return;
    queue->timer_.reset();
    if (queue->closed_) return;
    queue->housekeeping();
    queue->changed();
  });
}

QueuePartitionInfo QueuePartition::info() {
  housekeeping();
  QueuePartitionInfo info;
  info.partition = key_.partition;
  info.log_start = log_start();
  info.end = log_end();
  info.floor = window_->floor();
  info.cursor = window_->cursor();
  info.counts = window_->counts();
  info.waiting = info.counts.waiting + static_cast<std::uint64_t>(std::max<std::int64_t>(0, info.end - info.cursor));
  info.memory_bytes = window_->memory_bytes();
  const QueueSettings& settings = window_->settings();
  if (!stalled_.empty()) {
    info.stalled = stalled_;
  } else if (paused()) {
    info.stalled = "paused";
  } else if (recorder_->behind()) {
    info.stalled = recorder_->behind_error().to_string();
  } else if (window_->lookahead_full()) {
    info.stalled = "the look-ahead of " + std::to_string(settings.lookahead) + " unfinished records is used up";
  } else if (settings.max_pending > 0 && info.counts.in_flight >= settings.max_pending) {
    info.stalled = "max.pending of " + std::to_string(settings.max_pending) + " is reached";
  }
  if (settings.looks_ahead()) {
    for (const QueueWindow::BlockedKey& blocked : window_->blocked_keys(10)) {
      info.blocked_keys.push_back({.key = {}, .by = blocked.by, .state = blocked.state, .waiting = blocked.waiting});
    }
  }
  return info;
}

}  // namespace tidemark::broker
