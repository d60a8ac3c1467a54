#include <algorithm>

#include "broker/partition.h"
#include "storage/base/log.h"

/// What a partition lets go by itself: by time, by size, by number.
namespace tidemark::broker {

void Partition::enforce_retention(std::optional<Offset> held) {
  if (closed_) return;
  const Timestamp now = services_.runtime.clock().now();
  producers_.expire(now);
  dedup_.expire(now, config().dedup_window);
  drop_surplus();
  if (!config().deletes || (!config().retention && !config().retention_bytes)) return;
  if (!log_->times_known()) {  // The next round of retention knows them.
    return look_up_times([name = name()](Status read) {
      if (!read) log_warn(name + ": " + read.error().to_string());
    });
  }
  Offset start = log_->retention_start(now, config().retention, config().retention_bytes);
  if (held && *held < start) {
    const Offset bound = config().hold_bytes ? log_->retention_start(now, std::nullopt, config().hold_bytes) : log_->log_start();
    start = std::min(start, std::max(*held, bound));
  }
  if (start <= log_->log_start()) return;
  if (start == log_->flushed_offset()) log_->roll();  // The active segment is past its time, too: end it, so that its file can go.
  trim(start, [name = name()](Result<Offset> moved) {
    if (moved)
      log_info(name + ": retention moved the log start to " + std::to_string(moved->value));
    else
      log_warn(name + ": retention: " + moved.error().to_string());
  });
}

/// Times of segments from before the last start are on the disk; afterwards they are known.
void Partition::look_up_times(UniqueFunction<void(Status)> done) {
  started();
  services_.runtime.disk_pool().post([self = shared_from_this(), plan = log_->plan_times(), done = std::move(done)]() mutable {
    Status read = plan.execute(self->services_.files);
    self->services_.shard.post([self, read = std::move(read), done = std::move(done)]() mutable {
      done(std::move(read));
      self->finished();
    });
  });
}

// --- max.records.

std::uint64_t Partition::records_until(Offset end) const {
  const Offset start = std::min(log_->log_start(), end);
  return static_cast<std::uint64_t>(end - start) - entries_.deleted().count(start, end);
}

std::optional<Error> Partition::full_refusal(Offset end, std::int64_t more) const {
  if (!config().records_max || !config().refuse_when_full) return std::nullopt;
  const std::uint64_t kept = records_until(end);
  if (kept + static_cast<std::uint64_t>(more) <= *config().records_max) return std::nullopt;
  return Error{Errc::overloaded, name() + " is full: it holds " + std::to_string(kept) + " records, and its max.records is " +
                                     std::to_string(*config().records_max) + " with overflow = refuse"};
}

/// One trim at a time: each is recorded, and under load it takes along what came meanwhile.
void Partition::drop_surplus() {
  if (closed_ || dropping_surplus_ || !config().records_max || config().refuse_when_full) return;
  if (records_until(high_watermark()) <= *config().records_max) return;
  dropping_surplus_ = true;
  EntryTrim newest;
  newest.max_length = *config().records_max;
  entries_.trim(newest, [this](const Result<std::uint64_t>& dropped) {
    dropping_surplus_ = false;
    if (dropped) return drop_surplus();
    log_warn(name() + ": max.records: " + dropped.error().to_string());
  });
}

}  // namespace tidemark::broker
