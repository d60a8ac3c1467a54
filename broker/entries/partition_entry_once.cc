#include <algorithm>

#include "broker/entries/entry_ids.h"
#include "broker/entries/partition_entries.h"
#include "broker/partition.h"
#include "storage/base/log.h"

/// Entries that are added once: the window is read back from the log when the first one comes.
namespace tidemark::broker {

/// False: it is being read, and the partition's advance() goes on then.
bool PartitionEntries::once_ready() {
  if (once_since_ != partition_.config().once_since && once_state_ != OnceState::loading) {
    once_since_ = partition_.config().once_since;
    once_.clear();
    // What was staged and is not flushed cannot be read: it comes from before the change.
    if (once_state_ == OnceState::ready) return true;
  }
  if (once_state_ == OnceState::ready) return true;
  if (once_state_ == OnceState::loading) return false;
  once_state_ = OnceState::loading;
  // Through the queue of the shard: whoever stages now is not called back from within.
  partition_.started();
  partition_.services_.shard.post([this, self = partition_.shared_from_this()] {
    load_once();
    partition_.finished();
  });
  return false;
}

void PartitionEntries::load_once() {
  const auto now_ms =
      static_cast<std::uint64_t>(std::max<std::int64_t>(partition_.services_.runtime.clock().now().time_since_epoch().count(), 0));
  const auto back = static_cast<std::uint64_t>(partition_.config().once_duration.count());
  partition_.started();
  offset_of({now_ms > back ? now_ms - back : 0, 0}, [this, self = partition_.shared_from_this()](Result<Offset> from) {
    partition_.finished();
    if (!from || partition_.closed_) return once_loaded(from ? Status() : Status(from.error()));
    const Offset end = partition_.high_watermark();
    const Offset first = std::max({*from, Offset{once_since_}, partition_.log_start()});
    if (first >= end) return once_loaded({});
    partition_.started();
    // Deleted entries count, too.
    auto walk = std::make_shared<Scan>(Scan{.at = first, .limit = end, .with_deleted = true, .visit = {}, .keep = {}, .done = {}});
    walk->visit = [this](const EntryWalk::Step& step) {
      if (const auto once = said_once(step.record)) once_.add(*once, {step.id, step.record.offset}, partition_.config().once_entries);
      return true;
    };
    walk->done = [this, self](Status walked) {
      partition_.finished();
      once_loaded(std::move(walked));
    };
    scan(std::move(walk));
  });
}

void PartitionEntries::once_loaded(Status loaded) {
  // Damage in the log keeps nobody from appending.
  if (!loaded) log_warn(partition_.name() + ": not all entries that were added once can be read back: " + loaded.error().to_string());
  once_state_ = OnceState::ready;
  if (!partition_.closed_) partition_.advance();
}

/// True: the entry is there, and the append is answered when that is flushed.
bool PartitionEntries::answer_duplicate(PendingEntry& pending, std::uint64_t now_ms) {
  const std::optional<OnceWindow::Seen> seen = once_.find(*pending.entry.once, now_ms, partition_.config().once_duration);
  if (!seen) return false;
  partition_.services_.staging.give_back(pending.bytes);
  EntryAppended answer{.refused = EntryRefusal::none, .id = seen->id, .offset = seen->offset, .duplicate = true};
  if (seen->offset < partition_.high_watermark()) {
    pending.done(answer);
    return true;
  }
  partition_.started();
  // Tasks wait in the order of their offsets: behind everything that is staged.
  when_flushed(staged_end(), [this, answer, done = std::move(pending.done)]() mutable {
    done(answer);
    partition_.finished();
  });
  return true;
}

}  // namespace tidemark::broker
