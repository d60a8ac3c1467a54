#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/broker_impl.h"
#include "broker/publish_fields.h"

namespace tidemark::broker {

/// One batch whose records may ask for more than being stored: what is immediate goes to the partition, what has a time to the schedule,
/// in this order. On the shard of the caller. Bytes it holds count as staged.
class PublishCall : public std::enable_shared_from_this<PublishCall> {
 public:
  /// Answers as Broker::append().
  static void begin(Broker::Impl& broker, TopicPartition where, Slice batch, Done<Appended> done);
  /// Use begin().
  PublishCall(Broker::Impl& broker, TopicPartition where, Slice batch, Done<Appended> done);
  ~PublishCall();

 private:
  void judge();
  void append();
  void schedule(Appended appended);
  void answer(Result<Appended> result);
  std::vector<Scheduler::NewRecord> to_schedule() const;
  std::string origin(std::size_t record) const;

  Broker::Impl& broker_;
  const TopicPartition where_;
  Slice batch_;
  Done<Appended> done_;
  bool charged_ = false;
  BatchHeader header_;
  PublishFields fields_;
  ScheduleTarget target_;
  std::vector<Scheduler::NewRecord> delayed_;
  std::vector<std::int32_t> delayed_indexes_;
};

}  // namespace tidemark::broker
