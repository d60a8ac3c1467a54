#include "protocol/redis/adapter/clients.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "protocol/redis/adapter/all_shards.h"
#include "protocol/redis/adapter/session_core.h"

namespace tidemark::redis {

void Clients::enter(std::size_t shard, SessionCore& session) {
  by_shard_[shard].emplace(session.id(), &session);
  connected_.fetch_add(1, std::memory_order_relaxed);
}

void Clients::leave(std::size_t shard, SessionCore& session) {
  if (by_shard_[shard].erase(session.id()) > 0) connected_.fetch_sub(1, std::memory_order_relaxed);
}

std::vector<SessionCore*> Clients::sessions_of(std::size_t shard) const {
  std::vector<SessionCore*> sessions;
  for (const auto& [id, session] : by_shard_[shard]) sessions.push_back(session);
  std::ranges::sort(sessions, {}, [](const SessionCore* session) { return session->id(); });
  return sessions;
}

void Clients::visit_all(broker::Shard& home, std::function<std::size_t(SessionCore&)> visit, std::function<void(std::size_t)> done) {
  ask_all_shards<std::size_t>(
      runtime_, home,
      [this, visit = std::move(visit)](std::size_t shard) {
        // What a visit ends may leave the table at once.
        std::vector<std::shared_ptr<SessionCore>> sessions;
        for (SessionCore* const session : sessions_of(shard)) sessions.push_back(session->shared_from_this());
        std::size_t sum = 0;
        for (const std::shared_ptr<SessionCore>& session : sessions) sum += visit(*session);
        return sum;
      },
      [done = std::move(done)](const std::vector<std::size_t>& sums) {
        std::size_t total = 0;
        for (const std::size_t sum : sums) total += sum;
        done(total);
      });
}

void Clients::describe_all(broker::Shard& home, std::function<std::string(const SessionCore&)> describe,
                           std::function<void(std::vector<std::string>)> done) {
  using Described = std::vector<std::pair<std::uint64_t, std::string>>;
  ask_all_shards<Described>(
      runtime_, home,
      [this, describe = std::move(describe)](std::size_t shard) {
        Described described;
        for (const SessionCore* const session : sessions_of(shard)) {
          std::string text = describe(*session);
          if (!text.empty()) described.emplace_back(session->id(), std::move(text));
        }
        return described;
      },
      [done = std::move(done)](std::vector<Described> parts) {
        Described all;
        for (Described& part : parts) std::ranges::move(part, std::back_inserter(all));
        std::ranges::sort(all);
        std::vector<std::string> texts;
        for (auto& [id, text] : all) texts.push_back(std::move(text));
        done(std::move(texts));
      });
}

}  // namespace tidemark::redis
