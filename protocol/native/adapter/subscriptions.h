#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "protocol/native/adapter/session_core.h"

namespace tidemark::native {

/// The live readers of one connection: each is fed with pushed batches as long as it has credit and the peer takes what is pushed. A reader
/// that waits for either costs nothing but its entry; what it has not taken stays in the log.
class Subscriptions {
 public:
  explicit Subscriptions(SessionCore& session) : session_(session) {}

  /// Errors: conflict (id in use), overloaded (too many), and what the partition says of the offset. `done` with the partition's bounds;
  /// nothing is pushed before begin().
  void open(const wire::Subscribe& request, broker::Done<wire::SubscribeReply> done);
  /// The reply to open() is on its way: from here on batches may follow it.
  void begin(std::uint32_t id);
  /// Unknown ids are passed over: the subscription may have ended meanwhile.
  void add_credit(std::uint32_t id, std::uint64_t bytes);
  /// Nothing is pushed for it any more. Unknown ids are passed over.
  void end(std::uint32_t id);
  /// Each gets a last frame with the error.
  void end_all(const Error& error);
  void clear();
  bool empty() const { return open_.empty(); }
  /// The peer has taken some of what it was sent.
  void resume();

 private:
  struct Subscription {
    std::uint32_t id = 0;
    broker::TopicPartition where;
    Offset next;
    std::int64_t credit = 0;  ///< Bytes; below zero after a single batch that was larger than what was left.
    bool begun = false;
    bool reading = false;
    bool parked = false;
    bool ended = false;
  };
  using SubscriptionPtr = std::shared_ptr<Subscription>;

  SubscriptionPtr find(std::uint32_t id) const;
  void feed(const SubscriptionPtr& subscription);
  void fed(const SubscriptionPtr& subscription, Result<broker::ReadReply> read);
  void push_end(const SubscriptionPtr& subscription, const Error& error);

  SessionCore& session_;
  std::unordered_map<std::uint32_t, SubscriptionPtr> open_;
  std::vector<SubscriptionPtr> parked_;  ///< Could be fed but for the output that waits; in the order they came to it.
};

}  // namespace tidemark::native
