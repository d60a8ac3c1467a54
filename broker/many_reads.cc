#include "broker/many_reads.h"

#include <algorithm>

namespace tidemark::broker {
namespace {

/// What a call leaves in the partitions while it waits. Any shard may call it; the news reach the call's own, once until it has looked.
class Watcher final : public ReadWatcher, public std::enable_shared_from_this<Watcher> {
 public:
  Watcher(Shard& shard, std::weak_ptr<ManyReadsCall> call) : shard_(shard), call_(std::move(call)) {}
  void moved() override;

 private:
  Shard& shard_;
  const std::weak_ptr<ManyReadsCall> call_;
  std::atomic<bool> told_ = false;
};

void Watcher::moved() {
  if (told_.exchange(true)) return;
  shard_.post([self = shared_from_this()] {
    self->told_ = false;
    if (const std::shared_ptr<ManyReadsCall> call = self->call_.lock()) call->news();
  });
}

}  // namespace

std::shared_ptr<PendingReads> ManyReadsCall::begin(Broker::Impl& broker, ManyReads reads,
                                                   UniqueFunction<void(std::vector<Result<ReadReply>>)> done) {
  auto call = std::make_shared<ManyReadsCall>(broker, std::move(reads), std::move(done));
  call->start();
  return call;
}

ManyReadsCall::ManyReadsCall(Broker::Impl& broker, ManyReads reads, UniqueFunction<void(std::vector<Result<ReadReply>>)> done)
    : broker_(broker), home_(broker.current_shard()), reads_(std::move(reads)), done_(std::move(done)) {}

void ManyReadsCall::start() {
  keys_.resize(reads_.reads.size());
  by_shard_.resize(broker_.shards.size());
  available_.resize(reads_.reads.size());
  seen_.resize(reads_.reads.size());
  replies_.resize(reads_.reads.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    keys_[i] = broker_.resolve(reads_.reads[i].where);
    if (keys_[i]) by_shard_[broker_.home_of(*keys_[i])].push_back(i);
    if (!keys_[i]) available_[i] = keys_[i].error();
  }
  last_look_ = reads_.wait_max.count() <= 0;
  if (!last_look_) {
    timer_ = shard().run_after(reads_.wait_max, [self = shared_from_this()] {
      self->timer_.reset();
      self->cancel();
    });
  }
  look();
}

void ManyReadsCall::cancel() {
  last_look_ = true;
  news();
}

void ManyReadsCall::news() {
  look_again_ = true;
  if (waiting_) look();
}

/// Runs `visit` for every partition that is there, one hand-over per shard, and then `done` here.
void ManyReadsCall::visit(std::function<void(std::size_t i, Partition* partition)> visit, Task done) {
  auto countdown = std::make_shared<Countdown>();
  countdown->done = [self = shared_from_this(), done = std::move(done)]() mutable {
    self->broker_.on_shard(self->home_, [done = std::move(done)]() mutable { done(); });
  };
  for (std::size_t shard = 0; shard < by_shard_.size(); ++shard) {
    if (by_shard_[shard].empty()) continue;
    ++countdown->left;
    broker_.on_shard(shard, [self = shared_from_this(), shard, countdown, visit] {
      auto& partitions = self->broker_.shards[shard]->partitions;
      for (const std::size_t i : self->by_shard_[shard]) {
        const auto found = partitions.find(*self->keys_[i]);
        visit(i, found == partitions.end() ? nullptr : found->second.get());
      }
      countdown->one_less();
    });
  }
  countdown->one_less();
}

void ManyReadsCall::look() {
  waiting_ = false;
  look_again_ = false;
  visit(
      // visit() keeps this object, and each shard writes its own places.
      [this](std::size_t i, Partition* partition) {
        if (partition == nullptr) {
          available_[i] = Error{Errc::unknown_topic, "topic '" + reads_.reads[i].where.topic + "' was deleted"};
          return;
        }
        const std::size_t enough = std::min(std::max<std::size_t>(reads_.bytes_min, 1), reads_.reads[i].bytes_max);
        available_[i] = partition->available(reads_.reads[i].from, enough, reads_.isolation);
        seen_[i] = partition->high_watermark();
      },
      [self = shared_from_this()] { self->looked(); });
}

void ManyReadsCall::looked() {
  std::size_t bytes = 0;
  bool any_error = false;
  for (const Result<std::size_t>& available : available_) {
    any_error = any_error || !available;
    if (available) bytes += *available;
  }
  if (last_look_ || any_error || bytes >= reads_.bytes_min) return read();
  if (look_again_) return look();
  waiting_ = true;
  if (watcher_) return;
  watcher_ = std::make_shared<Watcher>(shard(), weak_from_this());
  visit(
      [this](std::size_t i, Partition* partition) {
        if (partition != nullptr) partition->watch(reads_.reads[i].from, seen_[i], watcher_);
      },
      [] {});
}

void ManyReadsCall::read() {
  if (timer_) shard().cancel(*std::exchange(timer_, std::nullopt));
  if (watcher_) {
    visit(
        [watcher = watcher_](std::size_t, Partition* partition) {
          if (partition != nullptr) partition->unwatch(watcher);
        },
        [] {});
  }
  read_on();
}

/// Answers may come at once, so this is a loop and not a recursion over thousands of partitions.
void ManyReadsCall::read_on() {
  while (next_ < reads_.reads.size()) {
    const std::size_t i = next_;
    if (!available_[i]) {
      replies_[i] = available_[i].error();
      ++next_;
      continue;
    }
    ReadRequest request{.from = reads_.reads[i].from, .bytes_max = room(i), .bytes_min = 1, .wait_max = {}, .isolation = reads_.isolation};
    answered_ = false;
    in_loop_ = true;
    broker_.on_partition<ReadReply>(
        reads_.reads[i].where, [self = shared_from_this(), i](Result<ReadReply> reply) { self->take(i, std::move(reply)); },
        [request](Partition& partition, Done<ReadReply> answer) { partition.read(request, std::move(answer)); });
    in_loop_ = false;
    if (!answered_) return;
  }
  if (done_) std::exchange(done_, {})(std::move(replies_));
}

std::size_t ManyReadsCall::room(std::size_t i) const {
  return std::min(reads_.reads[i].bytes_max, reads_.bytes_max - std::min(bytes_, reads_.bytes_max));
}

void ManyReadsCall::take(std::size_t i, Result<ReadReply> reply) {
  if (reply) {
    std::size_t size = 0;
    for (const Slice& batches : reply->batches) size += batches.size();
    // A read brings at least one batch. Only the first that has any may be larger than its bounds (KIP-74).
    if (bytes_ > 0 && size > room(i)) {
      reply->batches.clear();
      reply->next = reads_.reads[i].from;
    } else {
      bytes_ += size;
    }
  }
  replies_[i] = std::move(reply);
  ++next_;
  answered_ = true;
  if (!in_loop_) read_on();
}

}  // namespace tidemark::broker
