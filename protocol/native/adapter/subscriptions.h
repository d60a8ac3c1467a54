#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "protocol/native/adapter/session_core.h"

namespace tidemark::native {

/// The live readers of one connection: each is fed with pushed batches as long as it has credit. A reader without credit costs nothing but
/// its entry; what it has not taken stays in the log.
class Subscriptions {
 public:
  explicit Subscriptions(SessionCore& session) : session_(session) {}

  /// Errors: conflict (id in use), overloaded (too many), and what the partition says of the offset. `done` with the partition's bounds.
  void open(const wire::Subscribe& request, broker::Done<wire::SubscribeReply> done);
  /// Unknown ids are passed over: the subscription may have ended meanwhile.
  void add_credit(std::uint32_t id, std::uint64_t bytes);
  /// False if there is no such subscription.
  bool end(std::uint32_t id);
  bool empty() const { return open_.empty(); }
  void clear() { open_.clear(); }

 private:
  struct Subscription {
    std::uint32_t id = 0;
    broker::TopicPartition where;
    Offset next;
    std::uint64_t credit = 0;
    bool reading = false;
  };
  void feed(const std::shared_ptr<Subscription>& subscription);
  void fed(const std::shared_ptr<Subscription>& subscription, Result<broker::ReadReply> read);

  SessionCore& session_;
  std::unordered_map<std::uint32_t, std::shared_ptr<Subscription>> open_;
};

}  // namespace tidemark::native
