#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/partition.h"
#include "broker/queues/dead_letter_mover.h"
#include "broker/queues/queue_recorder.h"
#include "broker/queues/queue_services.h"
#include "broker/queues/queue_types.h"
#include "broker/queues/queue_window.h"

namespace tidemark::broker {

/// A member that waits for a record of any partition. Made anew for every wait. Partitions offer; the first to do so wins.
class ReceiveOffer {
 public:
  /// `offered` runs once, on any shard, with the partition that has something.
  /// `claims`: also tell it when something was given back that waits for a claim.
  ReceiveOffer(std::string member, bool new_only, std::function<void(std::int32_t)> offered, bool claims = false)
      : member_(std::move(member)), new_only_(new_only), claims_(claims), offered_(std::move(offered)) {}

  const std::string& member() const { return member_; }
  bool new_only() const { return new_only_; }
  bool claims() const { return claims_; }
  bool over() const { return over_.load(std::memory_order_acquire); }
  /// True for exactly one caller, over all of offer() and withdraw().
  bool offer(std::int32_t partition) {
    if (over_.exchange(true)) return false;
    offered_(partition);
    return true;
  }
  bool withdraw() { return !over_.exchange(true); }

 private:
  const std::string member_;
  const bool new_only_;
  const bool claims_;
  const std::function<void(std::int32_t)> offered_;
  std::atomic<bool> over_ = false;
};

/// One queue group in one partition: its window, the log behind it, who waits, what is due. Lives on the partition's shard.
class QueuePartition : public std::enable_shared_from_this<QueuePartition> {
 public:
  QueuePartition(QueueServices services, PartitionKey key, std::unique_ptr<QueueWindow> window);
  ~QueuePartition();

  const PartitionKey& key() const { return key_; }
  const std::string& group() const { return window_->identity().group; }
  QueueWindow& window() { return *window_; }
  /// Begins to work: timers, dead letters. Once the partition is open.
  void start();
  void configure(std::shared_ptr<const QueueSettings> settings);
  /// Everything ends: waiting members are answered by others; nothing more is recorded but what is under way.
  void close(const Error& reason);
  /// No timer runs any more.
  void stop();

  struct Take {
    std::string member;
    std::size_t records_max = 1;
    std::size_t bytes_max = 1024 * 1024;
    bool new_only = false;
    bool settled = false;
    bool durable = false;
  };
  /// What there is for the member now; no runs: nothing. Takes are served in order.
  void take(Take take, Done<ReceivedPartition> done);
  /// Offers as soon as there is something the member may have; at once if there is.
  void wait(std::shared_ptr<ReceiveOffer> offer);

  /// How often something was given back to wait for a claim, since the start.
  std::uint64_t given_back() const { return given_back_; }
  /// It was, just now.
  void note_given_back();

  /// Makes changes that need no reading and answers when they are flushed. disk_full, and no call, while the state log is behind.
  template <class T>
  void change(UniqueFunction<T(QueueWindow&, Timestamp)> make, Done<T> done);
  /// `value` once everything it shows is flushed.
  template <class T>
  void answer(T value, Done<T> done);
  /// Whole batches that hold records of `offsets` (ascending), and those offsets whose record is gone.
  struct Records {
    std::vector<Slice> batches;
    std::vector<Offset> gone;
    std::size_t reached = 0;  ///< Of `offsets`, from the front; the rest was left out for its size.
  };
  void read_records(std::vector<Offset> offsets, std::size_t bytes_max, Done<Records> done);

  /// As far as it is known without reading; oldest and keys are filled by others.
  QueuePartitionInfo info();
  /// Null: the topic was deleted.
  std::shared_ptr<Partition> partition() const;
  std::shared_ptr<const Topic> topic() const { return services_.topic(key_.topic); }
  Shard& shard() { return services_.shard; }
  bool closed() const { return closed_.has_value(); }
  /// Why nothing can be changed now; nullopt: it can.
  std::optional<Error> refusal() const;
  /// What time and retention have done since the last look.
  void housekeeping();
  bool paused() const;
  /// Records of the topic may be more urgent than others.
  bool priorities() const;
  /// Ids of entries are noted when they are handed out, since they do not follow from offsets.
  bool notes_ids() const;
  Offset log_start() const;
  Offset log_end() const;  ///< Last stable offset.
  Timestamp now() const;
  /// After any change: records, offers, arms timers.
  void changed();

 private:
  friend class DeadLetterMover;
  class Watcher;
  struct Work;

  void next_work();
  void begin(const std::shared_ptr<Work>& work);
  void plan(const std::shared_ptr<Work>& work);
  void look_again(const std::shared_ptr<Work>& work, Offset from);
  void read_new(const std::shared_ptr<Work>& work);
  void took_new(const std::shared_ptr<Work>& work, ReadReply reply);
  void fetch_chosen(const std::shared_ptr<Work>& work);
  void finish(const std::shared_ptr<Work>& work);
  void fail(const std::shared_ptr<Work>& work, Error error);
  /// What the batch holds from `from` on, until `candidates_max` are found; answers where it stopped.
  Result<Offset> judge_batch(ByteView batch, Offset from, std::size_t candidates_max, bool keys, std::vector<LookedAt>& looked,
                             std::vector<Offset>& candidates) const;
  std::vector<EntryId> ids_of(const Work& work, std::span<const Offset> offsets) const;
  /// There is more to look at, and room to remember it.
  bool may_look() const;
  bool may_have(const ReceiveOffer& offer);
  void offer_around();
  void watch();
  void unwatch();
  void arm();
  std::shared_ptr<QueuePartition> self() { return shared_from_this(); }

  QueueServices services_;
  const PartitionKey key_;
  std::unique_ptr<QueueWindow> window_;
  std::shared_ptr<QueueRecorder> recorder_;
  std::unique_ptr<DeadLetterMover> mover_;
  std::deque<std::shared_ptr<Work>> takes_;
  bool working_ = false;
  std::deque<std::shared_ptr<ReceiveOffer>> offers_;
  std::shared_ptr<Watcher> watcher_;
  bool watching_ = false;
  std::optional<TimerId> timer_;
  Timestamp timer_due_{};
  Offset seen_start_;
  std::uint64_t given_back_ = 0;
  std::string stalled_;
  std::optional<Error> closed_;
  bool stopped_ = true;  ///< Not begun yet, or over.
};

template <class T>
void QueuePartition::answer(T value, Done<T> done) {
  recorder_->record([value = std::move(value), done = std::move(done)](Status recorded) mutable {
    if (!recorded) return done(std::move(recorded).error());
    done(std::move(value));
  });
}

template <class T>
void QueuePartition::change(UniqueFunction<T(QueueWindow&, Timestamp)> make, Done<T> done) {
  if (closed_) return done(*closed_);
  if (recorder_->behind()) return done(recorder_->behind_error());
  housekeeping();
  T value = make(*window_, now());
  answer<T>(std::move(value), std::move(done));
  changed();
}

}  // namespace tidemark::broker
