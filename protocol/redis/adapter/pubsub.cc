#include "protocol/redis/adapter/pubsub.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "protocol/redis/adapter/all_shards.h"
#include "protocol/redis/adapter/glob.h"
#include "protocol/redis/adapter/session_core.h"

namespace tidemark::redis {

void PubSub::subscribe(std::size_t shard, Kind kind, const std::string& name, SessionCore& session) {
  Shard& here = shards_[shard];
  Subscribers& table = kind == Kind::channel ? here.channels : here.patterns;
  if (table[name].insert(&session).second) here.count.fetch_add(1);
}

void PubSub::unsubscribe(std::size_t shard, Kind kind, const std::string& name, SessionCore& session) {
  Shard& here = shards_[shard];
  Subscribers& table = kind == Kind::channel ? here.channels : here.patterns;
  const auto found = table.find(name);
  if (found == table.end() || found->second.erase(&session) == 0) return;
  here.count.fetch_sub(1);
  if (found->second.empty()) table.erase(found);
}

std::size_t PubSub::deliver(std::size_t shard, const std::string& channel, const std::string& message) {
  struct Receiver {
    std::shared_ptr<SessionCore> session;
    const std::string* pattern = nullptr;
  };
  // A receiver whose connection ends over it leaves the tables, so they are not walked meanwhile.
  std::vector<Receiver> receivers;
  Shard& here = shards_[shard];
  if (const auto found = here.channels.find(channel); found != here.channels.end()) {
    for (SessionCore* const session : found->second) receivers.push_back({session->shared_from_this(), nullptr});
  }
  std::vector<std::string> matching;
  for (const auto& [pattern, sessions] : here.patterns) {
    if (matches_glob(pattern, channel)) matching.push_back(pattern);
  }
  for (const std::string& pattern : matching) {
    for (SessionCore* const session : here.patterns[pattern]) receivers.push_back({session->shared_from_this(), &pattern});
  }
  for (const Receiver& receiver : receivers) {
    RespWriter push(receiver.session->protocol());
    push.push(receiver.pattern == nullptr ? 3 : 4);
    push.bulk(receiver.pattern == nullptr ? "message" : "pmessage");
    if (receiver.pattern != nullptr) push.bulk(*receiver.pattern);
    push.bulk(channel);
    push.bulk(message);
    receiver.session->push(std::move(push).take());
  }
  return receivers.size();
}

void PubSub::publish(broker::Shard& home, std::string channel, std::string message, std::function<void(std::size_t)> done) {
  const bool anybody = std::ranges::any_of(shards_, [](const Shard& shard) { return shard.count.load() > 0; });
  if (!anybody) return done(0);
  ask_all_shards<std::size_t>(
      runtime_, home,
      [this, channel = std::move(channel), message = std::move(message)](std::size_t shard) { return deliver(shard, channel, message); },
      [done = std::move(done)](const std::vector<std::size_t>& counts) {
        std::size_t total = 0;
        for (const std::size_t count : counts) total += count;
        done(total);
      });
}

void PubSub::channels(broker::Shard& home, std::string pattern, std::function<void(std::vector<std::string>)> done) {
  using Names = std::vector<std::string>;
  ask_all_shards<Names>(
      runtime_, home,
      [this, pattern = std::move(pattern)](std::size_t shard) {
        Names names;
        for (const auto& [name, sessions] : shards_[shard].channels) {
          if (pattern.empty() || matches_glob(pattern, name)) names.push_back(name);
        }
        return names;
      },
      [done = std::move(done)](const std::vector<Names>& parts) {
        std::set<std::string> all;
        for (const Names& part : parts) all.insert(part.begin(), part.end());
        done({all.begin(), all.end()});
      });
}

void PubSub::subscribers(broker::Shard& home, std::vector<std::string> channels, std::function<void(std::vector<std::size_t>)> done) {
  using Counts = std::vector<std::size_t>;
  const std::size_t asked = channels.size();
  ask_all_shards<Counts>(
      runtime_, home,
      [this, channels = std::move(channels)](std::size_t shard) {
        Counts counts;
        for (const std::string& channel : channels) {
          const auto found = shards_[shard].channels.find(channel);
          counts.push_back(found == shards_[shard].channels.end() ? 0 : found->second.size());
        }
        return counts;
      },
      [asked, done = std::move(done)](const std::vector<Counts>& parts) {
        Counts total(asked);
        for (const Counts& part : parts) {
          for (std::size_t i = 0; i < asked; ++i) total[i] += part[i];
        }
        done(std::move(total));
      });
}

void PubSub::patterns(broker::Shard& home, std::function<void(std::size_t)> done) {
  using Names = std::vector<std::string>;
  ask_all_shards<Names>(
      runtime_, home,
      [this](std::size_t shard) {
        Names names;
        for (const auto& [name, sessions] : shards_[shard].patterns) names.push_back(name);
        return names;
      },
      [done = std::move(done)](const std::vector<Names>& parts) {
        std::set<std::string> all;
        for (const Names& part : parts) all.insert(part.begin(), part.end());
        done(all.size());
      });
}

}  // namespace tidemark::redis
