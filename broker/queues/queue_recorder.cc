#include "broker/queues/queue_recorder.h"

#include "storage/base/log.h"
#include "storage/base/printable.h"

namespace tidemark::broker {

QueueRecorder::QueueRecorder(QueueWindow& window, Committer& committer, Shard& shard, std::function<void()> began,
                             std::function<void()> ended)
    : window_(&window), committer_(committer), shard_(shard), began_(std::move(began)), ended_(std::move(ended)) {}

Error QueueRecorder::behind_error() const {
  return {Errc::disk_full, "an earlier change of group '" + printable(window_ == nullptr ? "" : window_->identity().group) +
                               "' could not be recorded: no change is taken until it is"};
}

void QueueRecorder::record(Committer::StateDone then) {
  if (window_ == nullptr) return then(Error{Errc::unknown_group, "the group was removed"});
  std::vector<storage::StateRecord> records = window_->take_records();
  if (records.empty() && unrecorded_.empty()) {
    if (submitted_ == settled_) return then(Status());
    waiting_.emplace_back(submitted_, std::move(then));
    return;
  }
  std::unordered_set<storage::StreamKey> restated;
  if (!unrecorded_.empty()) {
    std::erase_if(records, [this](const storage::StateRecord& record) { return unrecorded_.contains(record.stream); });
    for (const storage::StreamKey& stream : unrecorded_) {
      std::vector<storage::StateRecord> whole = window_->snapshot(stream);
      if (whole.empty()) whole.push_back({stream, storage::StateRecordType::deleted, true, 0, {}});
      for (storage::StateRecord& record : whole) records.push_back(std::move(record));
      restated.insert(stream);
    }
  }
  waiting_.emplace_back(submitted_ + 1, std::move(then));
  submit(std::move(records), std::move(restated));
}

void QueueRecorder::submit(std::vector<storage::StateRecord> records, std::unordered_set<storage::StreamKey> restated) {
  const std::uint64_t number = ++submitted_;
  std::vector<storage::StreamKey> streams;
  for (const storage::StateRecord& record : records) {
    if (streams.empty() || streams.back() != record.stream) streams.push_back(record.stream);
  }
  began_();
  committer_.submit(std::move(records), shard_,
                    [self = shared_from_this(), number, streams = std::move(streams), restated = std::move(restated)](Status recorded) {
                      self->submitted(number, streams, restated, std::move(recorded));
                      self->ended_();
                    });
}

void QueueRecorder::submitted(std::uint64_t number, const std::vector<storage::StreamKey>& streams,
                              const std::unordered_set<storage::StreamKey>& restated, Status recorded) {
  settled_ = number;
  if (!recorded) {
    unrecorded_.insert(streams.begin(), streams.end());
    if (window_ != nullptr) {
      log_warn("group " + printable(window_->identity().group) + ": " + recorded.error().to_string());
      arm_retry();
    }
  } else {
    for (const storage::StreamKey& stream : restated) unrecorded_.erase(stream);
    for (const storage::StreamKey& stream : streams) {
      if (unrecorded_.contains(stream)) recorded = behind_error();
    }
  }
  while (!waiting_.empty() && waiting_.front().first <= number) {
    Committer::StateDone done = std::move(waiting_.front().second);
    waiting_.pop_front();
    done(recorded);
  }
}

void QueueRecorder::arm_retry() {
  if (retry_) return;
  retry_ = shard_.run_after(kRetryInterval, [self = shared_from_this()] {
    self->retry_.reset();
    if (self->window_ != nullptr && !self->unrecorded_.empty()) self->record();
  });
}

void QueueRecorder::close() {
  window_ = nullptr;
  if (retry_) shard_.cancel(*std::exchange(retry_, std::nullopt));
}

}  // namespace tidemark::broker
