#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "broker/broker_impl.h"

/// Calls on the home shard of a name: stream groups, queue groups and transactional ids each keep a part per shard, with a member
/// `under_way` that counts what a stop has to wait for, and `idle`, who waits for that. `broker` is the Broker::Impl, a name that only
/// friends may say.
namespace tidemark::broker {

/// Something that was under way on this shard is through; the last one tells whoever waits.
template <class ShardPart>
void one_less_under_way(ShardPart& part) {
  CHECK(part.under_way > 0);
  if (--part.under_way == 0 && part.idle) std::exchange(part.idle, {})();
}

/// Runs `call` on the shard `home`, whose part is `part`; its answer comes back to the calling shard. Under way from when it arrives there
/// until it is answered. Error shutting_down.
template <class T, class BrokerImpl, class ShardPart>
void call_home(BrokerImpl& broker, std::size_t home, ShardPart& part, Done<T> done, UniqueFunction<void(Done<T>)> call) {
  const std::size_t caller = broker.current_shard();
  broker.on_shard(home, [&broker, home, &part, caller, done = std::move(done), call = std::move(call)]() mutable {
    Done<T> answer = [&broker, home, &part, caller, done = std::move(done)](Result<T> result) mutable {
      if (caller == home) {
        done(std::move(result));
      } else {
        broker.on_shard(caller, [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
      }
      one_less_under_way(part);
    };
    ++part.under_way;
    if (broker.stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    call(std::move(answer));
  });
}

/// Asks every shard, and puts the answers together on the calling one. The first error is the answer.
template <class T, class BrokerImpl, class ShardPart>
void from_all_shards(BrokerImpl& broker, std::vector<ShardPart>& parts, Done<std::vector<T>> done,
                     const std::function<void(Done<std::vector<T>>)>& ask) {
  struct Gather {
    std::vector<T> all;
    std::size_t left;
    std::optional<Error> error;
    Done<std::vector<T>> done;
  };
  auto gather = std::make_shared<Gather>();
  gather->left = parts.size();
  gather->done = std::move(done);
  for (std::size_t shard = 0; shard < parts.size(); ++shard) {
    Done<std::vector<T>> add = [gather](Result<std::vector<T>> some) {
      if (some)
        std::ranges::move(*some, std::back_inserter(gather->all));
      else if (!gather->error)
        gather->error = std::move(some).error();
      if (--gather->left > 0) return;
      if (gather->error) return gather->done(*std::move(gather->error));
      gather->done(std::move(gather->all));
    };
    call_home<std::vector<T>>(broker, shard, parts[shard], std::move(add), [ask](Done<std::vector<T>> answer) { ask(std::move(answer)); });
  }
}

}  // namespace tidemark::broker
