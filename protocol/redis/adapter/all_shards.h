#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "broker/runtime.h"

namespace tidemark::redis {

/// Runs `ask` on every shard and hands the answers, in the order of the shards, to `done` on `home`, the caller's shard.
template <class Answer>
void ask_all_shards(broker::Runtime& runtime, broker::Shard& home, std::function<Answer(std::size_t shard)> ask,
                    std::function<void(std::vector<Answer>)> done) {
  struct Gathered {
    std::vector<Answer> answers;
    std::size_t waiting;
    std::function<void(std::vector<Answer>)> done;
  };
  const std::size_t count = runtime.shard_count();
  const auto gathered = std::make_shared<Gathered>(Gathered{std::vector<Answer>(count), count, std::move(done)});
  for (std::size_t i = 0; i < count; ++i) {
    runtime.shard(i).post([i, &home, ask, gathered] {
      home.post([i, gathered, answer = ask(i)]() mutable {
        gathered->answers[i] = std::move(answer);
        if (--gathered->waiting == 0) gathered->done(std::move(gathered->answers));
      });
    });
  }
}

}  // namespace tidemark::redis
