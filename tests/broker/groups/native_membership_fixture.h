#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/groups/native_membership.h"

namespace tidemark::broker {

using namespace std::chrono_literals;
using Named = std::vector<NamedPartition>;

/// Topics without a broker.
class TopicBook {
 public:
  /// Makes it, or gives it another number of partitions.
  void put(const std::string& name, std::int32_t partitions) {
    const Topic* const known = table_.find(name);
    auto topic = std::make_shared<Topic>();
    topic->name = name;
    if (known == nullptr) ++made_;
    topic->id = known != nullptr ? known->id : Uuid::from_random(made_ << 32, made_);
    topic->partitions = partitions;
    table_.by_name[name] = topic;
    table_.by_id[topic->id] = topic;
    ++table_.revision;
  }
  void remove(const std::string& name) {
    table_.by_id.erase(table_.find(name)->id);
    table_.by_name.erase(name);
    ++table_.revision;
  }
  const TopicTable& table() const { return table_; }
  PartitionKey key(const NamedPartition& where) const { return {table_.find(where.topic)->id, where.partition}; }

 private:
  TopicTable table_;
  std::uint64_t made_ = 0;
};

inline Named partitions_of(const std::string& topic, const std::vector<std::int32_t>& numbers) {
  Named named;
  for (const std::int32_t number : numbers) named.push_back({topic, number});
  return named;
}

/// One group and the clients of it; each does what the answers ask for when the test lets it come.
class NativeMembershipTest : public testing::Test {
 protected:
  struct Client {
    std::string id, instance;
    std::int32_t epoch = 0;
    Named held;
    std::optional<Subscription> subscription;
    int news = 0;
    std::chrono::milliseconds interval{};
  };
  static Client stranger(const std::string& id, const std::string& instance = "", std::int32_t epoch = 0) {
    Client client;
    client.id = id;
    client.instance = instance;
    client.epoch = epoch;
    return client;
  }
  using Told = std::optional<Named>;

  NativeMembershipTest() { topics_.put("t", 4); }

  HeartbeatRequest request(const Client& client) const {
    HeartbeatRequest request;
    request.group = "g";
    request.member = client.id;
    request.instance = client.instance;
    request.epoch = client.epoch;
    request.session_timeout = session_timeout_;
    request.rebalance_timeout = rebalance_timeout_;
    if (client.epoch == 0) {
      request.subscription = client.subscription.value_or(Subscription{.topics = {"t"}, .regex = {}});
      request.owned = client.held;
    }
    return request;
  }
  Result<HeartbeatReply> send(HeartbeatRequest asked, int* news = nullptr) {
    UniqueFunction<void()> call;
    if (news != nullptr) call = [news] { ++*news; };
    Result<HeartbeatReply> reply = group_.heartbeat(asked, "client of " + asked.member, topics_.table(), now_, wall(), std::move(call));
    settle();
    return reply;
  }
  /// What a client does with an answer: it takes up what it got and gives up the rest at once, but tells only with its next give_up().
  Told take(Client& client, const Result<HeartbeatReply>& reply) {
    EXPECT_TRUE(reply) << reply.error().to_string();
    if (!reply) return std::nullopt;
    client.epoch = reply->epoch;
    client.interval = reply->interval;
    return reply->assignment;
  }

  Client& join(const std::string& id, const std::string& instance = "", std::optional<Subscription> subscription = {}) {
    Client& client = clients_[id];
    client = {.id = id, .instance = instance, .epoch = 0, .held = {}, .subscription = std::move(subscription), .news = 0, .interval = {}};
    client.held = take(client, send(request(client), &client.news)).value_or(Named{{"no assignment", -1}});
    return client;
  }
  /// A heartbeat in which nothing is new; what it is told, it holds: use where nothing is to be given up.
  Told beat(Client& client) {
    const Told told = take(client, send(request(client), &client.news));
    if (told) client.held = *told;
    return told;
  }
  /// Says that it holds no more than this.
  Told give_up_but(Client& client, const Named& kept) {
    HeartbeatRequest asked = request(client);
    asked.owned = kept;
    const Told told = take(client, send(std::move(asked), &client.news));
    if (told) client.held = *told;
    return told;
  }
  Errc refusal(const Result<HeartbeatReply>& reply) const {
    EXPECT_FALSE(reply);
    return reply ? Errc::internal : reply.error().code;
  }
  /// The group comes back from its records.
  void restart() {
    state::GroupChange all;
    group_.write_all(all);
    group_ = NativeMembership();
    group_.apply(all);
    group_.recovered(topics_.table(), now_, wall());
    group_.check_invariants();
  }
  void settle() {
    group_.check_invariants();
    for (UniqueFunction<void()>& news : group_.take_news()) news();
  }
  void topics_change() {
    group_.topics_changed(topics_.table());
    settle();
  }
  std::vector<std::string> expire_after(std::chrono::milliseconds time) {
    now_ += time;
    std::vector<std::string> ended = group_.expire(topics_.table(), now_);
    settle();
    return ended;
  }
  Timestamp wall() const { return Timestamp(std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch())); }

  TopicBook topics_;
  NativeMembership group_;
  std::map<std::string, Client> clients_;
  SteadyTime now_{std::chrono::hours(1)};
  std::chrono::milliseconds session_timeout_ = 10s;
  std::chrono::milliseconds rebalance_timeout_ = 60s;
};

}  // namespace tidemark::broker
