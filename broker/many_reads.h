#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "broker/broker_impl.h"

namespace tidemark::broker {

/// Broker::read_many(). Asks every partition what it has; while that is too little, hangs a watcher on each and asks again when one has
/// moved; then reads, one after the other in the order of the request, as long as there is room. Lives on the shard that asked.
class ManyReadsCall final : public PendingReads, public std::enable_shared_from_this<ManyReadsCall> {
 public:
  static std::shared_ptr<PendingReads> begin(Broker::Impl& broker, ManyReads reads,
                                             UniqueFunction<void(std::vector<Result<ReadReply>>)> done);
  ManyReadsCall(Broker::Impl& broker, ManyReads reads, UniqueFunction<void(std::vector<Result<ReadReply>>)> done);

  void cancel() override;
  /// A partition has moved: look again, now or when the look under way is done.
  void news();

 private:
  Shard& shard() { return broker_.shards[home_]->shard; }
  void start();
  void visit(std::function<void(std::size_t i, Partition* partition)> visit, Task done);
  void look();
  void looked();
  void read();
  void read_on();
  std::size_t room(std::size_t i) const;
  void take(std::size_t i, Result<ReadReply> reply);

  Broker::Impl& broker_;
  const std::size_t home_;
  const ManyReads reads_;
  UniqueFunction<void(std::vector<Result<ReadReply>>)> done_;
  std::vector<Result<PartitionKey>> keys_;
  std::vector<std::vector<std::size_t>> by_shard_;
  std::vector<Result<std::size_t>> available_;
  std::vector<Offset> seen_;  ///< High watermarks at the last look.
  std::vector<Result<ReadReply>> replies_;
  std::shared_ptr<ReadWatcher> watcher_;
  std::optional<TimerId> timer_;
  bool last_look_ = false;
  bool look_again_ = false;
  bool waiting_ = false;
  std::size_t next_ = 0;
  std::size_t bytes_ = 0;
  bool in_loop_ = false;
  bool answered_ = false;
};

}  // namespace tidemark::broker
