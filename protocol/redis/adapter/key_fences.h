#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/runtime.h"
#include "protocol/redis/adapter/command.h"

namespace tidemark::redis {

/// The keys that commands touch; `all`: whatever keys there are.
struct FencedKeys {
  std::set<std::string, std::less<>> names;
  bool all = false;

  void add(const Request& request);
  bool touches(const FencedKeys& other) const;
  bool touches(const Request& request) const;
};

/// Keeps commands of other connections out of the keys of an EXEC while its commands run one after another, so that to the connections of
/// this listener it is one step. Other protocols do not stop at fences.
///
/// Each shard knows the fences, so that a command without one in its way costs a look at an empty list. An EXEC gets its keys from shard 0,
/// in the order in which they ask, unless somebody before it wants one of them; then no shard lets commands begin on them any more,
/// and those that had begun before (on whatever key) end; then it runs. Blocked commands do not count: they look again when they may.
class KeyFences : public std::enable_shared_from_this<KeyFences> {
 public:
  explicit KeyFences(broker::Runtime& runtime) : runtime_(runtime), shards_(runtime.shard_count()) {}

  /// Which commands stop at fences, and are waited for: those that touch keys.
  static bool concerns(const CommandSpec& command);

  // --- Of a shard's commands, on that shard.

  bool admits(std::size_t shard, const Request& request) const;
  bool admits(std::size_t shard, const std::vector<std::string>& keys) const;
  /// Calls `moved` once, when a fence has gone.
  void when_moved(std::size_t shard, std::function<void()> moved) { shards_[shard].waiting.push_back(std::move(moved)); }
  /// A command begins; its number is handed back when it ends or blocks.
  std::uint64_t begin(std::size_t shard);
  void end(std::size_t shard, std::uint64_t number);

  // --- Of an EXEC.

  using Ticket = std::uint64_t;
  /// Calls `go`, later and on `home`, when the keys are this caller's alone; it hands back the ticket with release().
  void acquire(broker::Shard& home, FencedKeys keys, std::function<void(Ticket)> go);
  void release(Ticket ticket);

 private:
  /// Commands that began between two fences.
  struct Generation {
    std::size_t under_way = 0;
    std::vector<std::function<void()>> ended;  ///< Called when these, and all before them, have ended.
  };
  struct ShardFences {
    std::map<Ticket, std::shared_ptr<const FencedKeys>> fences;
    std::deque<Generation> generations{1};
    std::uint64_t first_generation = 0;
    std::vector<std::function<void()>> waiting;
  };
  struct Claim {
    Ticket ticket = 0;
    std::shared_ptr<const FencedKeys> keys;
    broker::Shard* home = nullptr;
    std::function<void(Ticket)> go;
  };

  void grant();
  void fence(Claim claim);
  void wait_for_earlier(std::size_t shard, std::function<void()> ended);
  void drop_ended(ShardFences& here);

  broker::Runtime& runtime_;
  std::vector<ShardFences> shards_;  ///< Each touched by its shard only.
  // On shard 0.
  Ticket next_ticket_ = 1;
  std::deque<Claim> claims_;  ///< In the order in which they came.
  std::map<Ticket, std::shared_ptr<const FencedKeys>> granted_;
};

}  // namespace tidemark::redis
