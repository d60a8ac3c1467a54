#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/runtime.h"

namespace tidemark::redis {

class SessionCore;

/// The connections of a Redis listener, each on its shard, and what is counted over all of them.
class Clients {
 public:
  explicit Clients(broker::Runtime& runtime) : runtime_(runtime), by_shard_(runtime.shard_count()) {}

  std::uint64_t next_id() { return next_id_.fetch_add(1, std::memory_order_relaxed); }
  /// On the shard of the session, which must leave() before it goes.
  void enter(std::size_t shard, SessionCore& session);
  void leave(std::size_t shard, SessionCore& session);

  std::size_t connected() const { return connected_.load(std::memory_order_relaxed); }
  /// Connections in a blocking command.
  std::atomic<std::size_t>& blocked() { return blocked_; }

  /// Calls `visit` with every session on its own shard, in the order of their ids there, and `done` on `home` with the sum of its answers.
  void visit_all(broker::Shard& home, std::function<std::size_t(SessionCore&)> visit, std::function<void(std::size_t)> done);
  /// The same, for texts; they come in the order of the ids of all sessions.
  void describe_all(broker::Shard& home, std::function<std::string(const SessionCore&)> describe,
                    std::function<void(std::vector<std::string>)> done);

 private:
  std::vector<SessionCore*> sessions_of(std::size_t shard) const;

  broker::Runtime& runtime_;
  std::atomic<std::uint64_t> next_id_ = 1;
  std::atomic<std::size_t> connected_ = 0;
  std::atomic<std::size_t> blocked_ = 0;
  std::vector<std::unordered_map<std::uint64_t, SessionCore*>> by_shard_;  ///< By shard, and touched by that shard only.
};

}  // namespace tidemark::redis
