#include "protocol/redis/adapter/key_fences.h"

#include <algorithm>
#include <atomic>
#include <tuple>
#include <utility>

#include "storage/base/check.h"

namespace tidemark::redis {
namespace {

/// Commands over all keys have no keys among their arguments.
bool touches_all(const CommandSpec& command) {
  if (command.ordering != Ordering::alone || command.keys.first != 0 || command.find_keys != nullptr) return false;
  return command.group == CommandGroup::generic || command.name == "dbsize" || command.name == "flushall" || command.name == "flushdb";
}

bool has_keys(const CommandSpec& command) { return command.keys.first != 0 || command.find_keys != nullptr; }

}  // namespace

void FencedKeys::add(const Request& request) {
  if (touches_all(*request.command)) all = true;
  for (const std::size_t position : key_positions(*request.command, request.arguments)) names.emplace(request[position]);
}

bool FencedKeys::touches(const FencedKeys& other) const {
  if (all || other.all) return (all || !names.empty()) && (other.all || !other.names.empty());
  const auto& [few, many] = names.size() < other.names.size() ? std::tie(names, other.names) : std::tie(other.names, names);
  return std::ranges::any_of(few, [&](const std::string& name) { return many.contains(name); });
}

bool FencedKeys::touches(const Request& request) const {
  if (all || touches_all(*request.command)) return all || !names.empty();
  const std::vector<std::size_t> positions = key_positions(*request.command, request.arguments);
  return std::ranges::any_of(positions, [&](std::size_t position) { return names.contains(request[position]); });
}

// --- Commands.

bool KeyFences::concerns(const CommandSpec& command) { return has_keys(command) || touches_all(command); }

bool KeyFences::admits(std::size_t shard, const Request& request) const {
  const auto& fences = shards_[shard].fences;
  return fences.empty() || !concerns(*request.command) ||
         std::ranges::none_of(fences, [&](const auto& fence) { return fence.second->touches(request); });
}

bool KeyFences::admits(std::size_t shard, const std::vector<std::string>& keys) const {
  return std::ranges::none_of(shards_[shard].fences, [&](const auto& fence) {
    return fence.second->all || std::ranges::any_of(keys, [&](const std::string& key) { return fence.second->names.contains(key); });
  });
}

std::uint64_t KeyFences::begin(std::size_t shard) {
  ShardFences& here = shards_[shard];
  ++here.generations.back().under_way;
  return here.first_generation + here.generations.size() - 1;
}

void KeyFences::end(std::size_t shard, std::uint64_t number) {
  ShardFences& here = shards_[shard];
  Generation& generation = here.generations.at(number - here.first_generation);
  CHECK(generation.under_way > 0);
  --generation.under_way;
  drop_ended(here);
}

void KeyFences::drop_ended(ShardFences& here) {
  while (here.generations.size() > 1 && here.generations.front().under_way == 0) {
    const std::vector<std::function<void()>> ended = std::move(here.generations.front().ended);
    here.generations.pop_front();
    ++here.first_generation;
    for (const std::function<void()>& call : ended) call();
  }
}

void KeyFences::wait_for_earlier(std::size_t shard, std::function<void()> ended) {
  ShardFences& here = shards_[shard];
  here.generations.back().ended.push_back(std::move(ended));
  here.generations.emplace_back();
  drop_ended(here);
}

// --- EXEC.

void KeyFences::acquire(broker::Shard& home, FencedKeys keys, std::function<void(Ticket)> go) {
  auto shared = std::make_shared<const FencedKeys>(std::move(keys));
  runtime_.shard(0).post([this, self = shared_from_this(), &home, keys = std::move(shared), go = std::move(go)]() mutable {
    claims_.push_back({next_ticket_++, std::move(keys), &home, std::move(go)});
    grant();
  });
}

void KeyFences::release(Ticket ticket) {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    runtime_.shard(i).post([this, self = shared_from_this(), i, ticket] {
      shards_[i].fences.erase(ticket);
      for (const std::function<void()>& moved : std::exchange(shards_[i].waiting, {})) moved();
    });
  }
  runtime_.shard(0).post([this, self = shared_from_this(), ticket] {
    granted_.erase(ticket);
    grant();
  });
}

void KeyFences::grant() {
  std::vector<std::shared_ptr<const FencedKeys>> before;  // Nobody overtakes who wants a key of theirs.
  for (const auto& [ticket, keys] : granted_) before.push_back(keys);
  for (auto claim = claims_.begin(); claim != claims_.end();) {
    const bool free = std::ranges::none_of(before, [&](const auto& keys) { return keys->touches(*claim->keys); });
    before.push_back(claim->keys);
    if (!free) {
      ++claim;
      continue;
    }
    granted_.emplace(claim->ticket, claim->keys);
    Claim granted = std::move(*claim);
    claim = claims_.erase(claim);
    fence(std::move(granted));
  }
}

void KeyFences::fence(Claim claim) {
  const auto waiting = std::make_shared<std::atomic<std::size_t>>(shards_.size());
  const auto shared = std::make_shared<const Claim>(std::move(claim));
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    runtime_.shard(i).post([this, self = shared_from_this(), i, shared, waiting] {
      shards_[i].fences.emplace(shared->ticket, shared->keys);
      wait_for_earlier(i, [shared, waiting] {
        if (--*waiting == 0) shared->home->post([shared] { shared->go(shared->ticket); });
      });
    });
  }
}

}  // namespace tidemark::redis
