#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <list>
#include <set>

#include "storage/base/random.h"
#include "tests/broker/groups/native_membership_fixture.h"

namespace tidemark::broker {
namespace {

constexpr int kOperations = 100'000;
constexpr int kOperationsBetweenCalms = 250;
constexpr std::size_t kClientsMax = 10;
constexpr auto kSession = 10s;
constexpr auto kRebalance = 20s;

/// A program that keeps the rules: it holds what it was told until it has given that up, and nothing once it cannot be sure any more that
/// the broker counts it in.
struct Client {
  std::string id, instance;
  Subscription subscription;
  std::int32_t epoch = 0;
  std::set<NamedPartition> held;
  std::optional<std::set<NamedPartition>> allowed;  ///< The last assignment told; what is held beyond is being given up.
  bool tell_held = true;
  std::optional<SteadyTime> renewed;        ///< When the last heartbeat that was answered was sent.
  std::optional<SteadyTime> first_unheard;  ///< When the first was sent of those that have no answer since.
  std::optional<SteadyTime> give_up_until;

  void lose_everything() {
    epoch = 0;
    held.clear();
    allowed.reset();
    give_up_until.reset();
    renewed.reset();
    first_unheard.reset();
    tell_held = true;
  }
};

class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {
    topics_.put("t0", 4);
    live_topics_.push_back("t0");
  }

  void step() {
    switch (below(40)) {
      case 0:
      case 1:
        if (clients_.size() < kClientsMax) start_program();
        break;
      case 2:
        if (!clients_.empty()) crash();
        break;
      case 3:
        if (!clients_.empty() && below(2) == 0) leave();
        break;
      case 4:
      case 5:
        pass(std::chrono::milliseconds(below(below(8) == 0 ? 12'000 : 1'500)));
        break;
      case 6:
        if (below(4) == 0) change_topics();
        break;
      case 7:
        if (below(3) == 0) restart();
        break;
      case 8:
        if (below(10) == 0) fence();
        break;
      case 9:
        if (!clients_.empty() && below(5) == 0) change_subscription(any());
        break;
      case 10:
      case 11:
      case 12:
        if (!clients_.empty()) commit(any());
        break;
      case 13:
      case 14:
      case 15:
        if (!clients_.empty()) finish(any());
        break;
      default:
        if (!clients_.empty()) heartbeat(any(), below(10) < 8 ? Loss::none : below(3) == 0 ? Loss::request : Loss::reply);
        break;
    }
  }

  /// Nothing is lost and everybody does at once what it is asked.
  void calm() {
    for (int second = 0; second < 45; ++second) {
      for (int round = 0; round < 2; ++round) {
        for (Client& client : clients_) {
          finish(client);
          heartbeat(client, Loss::none);
        }
      }
      pass(1s);
      if (testing::Test::HasFatalFailure()) return;
    }
    check_settled();
  }

  void check() {
    group_.check_invariants();
    std::map<NamedPartition, std::string> holder;
    for (const Client& client : clients_) {
      for (const NamedPartition& where : client.held) {
        const auto [there, fresh] = holder.emplace(where, client.id);
        ASSERT_TRUE(fresh) << where.topic << ":" << where.partition << " is held by " << there->second << " and " << client.id;
        if (topics_.table().find(where.topic) == nullptr) continue;
        const Status may = group_.may_commit(client.id, client.epoch, topics_.key(where));
        ASSERT_TRUE(may) << "who holds a partition may commit: " << may.error().to_string();
      }
    }
    ASSERT_GE(group_.epoch(), epoch_seen_) << "an epoch that was told is not taken back";
  }

  std::string figures() const {
    return std::to_string(heartbeats_) + " heartbeats, " + std::to_string(hand_overs_) + " partitions taken up, " +
           std::to_string(commits_) + " commits taken and " + std::to_string(commits_refused_) + " refused, " + std::to_string(expired_) +
           " members timed out, " + std::to_string(restarts_) + " restarts";
  }
  bool saw_everything() const {
    return heartbeats_ > 10'000 && hand_overs_ > 1'000 && commits_ > 1'000 && commits_refused_ > 1'000 && expired_ > 100 && restarts_ > 100;
  }

 private:
  enum class Loss { none, request, reply };

  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
  Client& any() { return *std::next(clients_.begin(), static_cast<std::ptrdiff_t>(below(clients_.size()))); }
  Timestamp wall() const { return Timestamp(std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch())); }

  Subscription some_subscription() {
    if (below(4) == 0) return {.topics = {}, .regex = "t[0-9]*"};
    Subscription wanted;
    for (const std::string& topic : live_topics_) {
      if (below(3) != 0) wanted.topics.push_back(topic);
    }
    if (below(4) == 0) wanted.topics.push_back("t" + std::to_string(topics_made_ + 1));  // Does not exist yet.
    return wanted;
  }

  void start_program() {
    Client client;
    client.id = "m" + std::to_string(++programs_);
    if (below(3) == 0) client.instance = "host" + std::to_string(below(4));
    const auto same = [&](const Client& other) { return !client.instance.empty() && other.instance == client.instance; };
    if (std::ranges::any_of(clients_, same)) client.instance.clear();  // An instance is one program at a time.
    client.subscription = some_subscription();
    clients_.push_back(std::move(client));
  }
  void crash() {
    const auto whom = std::next(clients_.begin(), static_cast<std::ptrdiff_t>(below(clients_.size())));
    clients_.erase(whom);
  }
  void leave() {
    const auto whom = std::next(clients_.begin(), static_cast<std::ptrdiff_t>(below(clients_.size())));
    if (group_.leave(whom->id, below(2) == 0, topics_.table())) record();
    clients_.erase(whom);
  }

  void heartbeat(Client& client, Loss loss) {
    ++heartbeats_;
    HeartbeatRequest asked;
    asked.group = "g";
    asked.member = client.id;
    asked.instance = client.instance;
    asked.epoch = client.epoch;
    asked.session_timeout = kSession;
    asked.rebalance_timeout = kRebalance;
    if (client.epoch == 0) asked.subscription = client.subscription;
    if (client.epoch == 0 || client.tell_held || below(5) == 0) asked.owned = Named(client.held.begin(), client.held.end());
    send(client, asked, loss);
  }

  void send(Client& client, const HeartbeatRequest& asked, Loss loss) {
    if (!client.first_unheard) client.first_unheard = now_;
    client.tell_held = true;  // Until it is answered.
    if (loss == Loss::request) return;
    const Result<HeartbeatReply> reply = group_.heartbeat(asked, "", topics_.table(), now_, wall(), nullptr);
    // Power may fail before any of it is on the disk, and then nobody has heard of it.
    if (loss == Loss::reply && below(4) == 0) return restart(false);
    record();
    if (loss == Loss::reply) return;
    if (!reply) {
      const Errc code = reply.error().code;
      ASSERT_TRUE(code == Errc::unknown_member || code == Errc::stale_member_epoch) << reply.error().to_string();
      return client.lose_everything();
    }
    ASSERT_GE(reply->epoch, client.epoch);
    client.epoch = reply->epoch;
    epoch_seen_ = std::max(epoch_seen_, client.epoch);
    client.renewed = now_;
    const SteadyTime told_since = *std::exchange(client.first_unheard, std::nullopt);
    client.tell_held = false;
    if (!reply->assignment) return;
    client.allowed.emplace(reply->assignment->begin(), reply->assignment->end());
    for (const NamedPartition& where : *client.allowed) hand_overs_ += client.held.insert(where).second ? 1 : 0;
    if (client.held == *client.allowed)
      client.give_up_until.reset();
    else if (!client.give_up_until)
      client.give_up_until = told_since + kRebalance;
    client.tell_held = true;
  }

  /// It is done with what it should give up.
  void finish(Client& client) {
    if (!client.allowed || client.held == *client.allowed) return;
    client.held = *client.allowed;
    client.give_up_until.reset();
    client.tell_held = true;
  }

  void commit(Client& client) {
    if (live_topics_.empty()) return;
    const std::string& topic = live_topics_[below(live_topics_.size())];
    NamedPartition where{topic, static_cast<std::int32_t>(below(static_cast<std::size_t>(topics_.table().find(topic)->partitions)))};
    if (!client.held.empty() && below(3) != 0)
      where = *std::next(client.held.begin(), static_cast<std::ptrdiff_t>(below(client.held.size())));
    if (topics_.table().find(where.topic) == nullptr) return;
    const std::int32_t epoch = client.epoch + static_cast<std::int32_t>(below(3)) - 1;
    const bool taken = group_.may_commit(client.id, epoch, topics_.key(where)).has_value();
    (taken ? commits_ : commits_refused_) += 1;
    if (!taken) return;
    ASSERT_EQ(group_.owner(topics_.key(where)), client.id);
    for (const Client& other : clients_) ASSERT_TRUE(&other == &client || !other.held.contains(where)) << other.id << " holds it";
  }

  void change_subscription(Client& client) {
    client.subscription = some_subscription();
    if (client.epoch == 0) return;
    HeartbeatRequest asked;
    asked.member = client.id;
    asked.instance = client.instance;
    asked.epoch = client.epoch;
    asked.session_timeout = kSession;
    asked.rebalance_timeout = kRebalance;
    asked.subscription = client.subscription;
    asked.owned = Named(client.held.begin(), client.held.end());
    send(client, asked, Loss::none);
  }

  void change_topics() {
    const std::size_t what = below(4);
    if (what == 0 && live_topics_.size() > 1) {
      const std::size_t gone = below(live_topics_.size());
      topics_.remove(live_topics_[gone]);
      live_topics_.erase(live_topics_.begin() + static_cast<std::ptrdiff_t>(gone));
    } else if (what <= 1 && live_topics_.size() < 5) {
      live_topics_.push_back("t" + std::to_string(++topics_made_));
      topics_.put(live_topics_.back(), static_cast<std::int32_t>(1 + below(8)));
    } else {
      const std::string& topic = live_topics_[below(live_topics_.size())];
      topics_.put(topic, std::min(topics_.table().find(topic)->partitions + static_cast<std::int32_t>(1 + below(3)), 24));
    }
    if (below(8) == 0) return restart();  // It was down meanwhile.
    group_.topics_changed(topics_.table());
    record();
  }

  void pass(std::chrono::milliseconds time) {
    now_ += time;
    for (Client& client : clients_) {
      const bool unsure = client.renewed && *client.renewed + kSession <= now_;
      const bool too_late = client.give_up_until && *client.give_up_until <= now_;
      if (unsure || too_late) client.lose_everything();
    }
    expired_ += group_.expire(topics_.table(), now_).size();
    record();
  }

  void fence() {
    group_.fence_all();
    record();
    for (Client& client : clients_) client.lose_everything();
  }

  void record() {
    state::GroupChange change;
    if (group_.take_change(change)) records_.push_back(change.SerializeAsString());
    if (records_.size() < 200) return;
    state::GroupChange all;
    group_.write_all(all);
    records_ = {all.SerializeAsString()};
  }
  void restart(bool everything_recorded = true) {
    ++restarts_;
    NativeMembership back;
    for (const std::string& bytes : records_) {
      state::GroupChange change;
      ASSERT_TRUE(change.ParseFromString(bytes));
      back.apply(change);
    }
    if (everything_recorded) {
      state::GroupChange before, after;
      group_.write_all(before);
      back.write_all(after);
      ASSERT_EQ(before.SerializeAsString(), after.SerializeAsString()) << "the records do not add up to the state";
    }
    group_ = std::move(back);
    group_.recovered(topics_.table(), now_, wall());
    record();
  }

  void check_settled() {
    if (clients_.empty()) {
      ASSERT_TRUE(group_.empty());
      return;
    }
    ASSERT_EQ(group_.state(), "stable");
    ASSERT_EQ(group_.size(), clients_.size());
    std::set<NamedPartition> held;
    for (const Client& client : clients_) {
      ASSERT_EQ(client.epoch, group_.epoch());
      held.insert(client.held.begin(), client.held.end());
      for (const NamedPartition& where : client.held) {
        for (const Client& other : clients_) {
          if (subscribes(other, where.topic)) ASSERT_LE(client.held.size(), other.held.size() + 1) << "out of balance";
        }
      }
    }
    std::set<NamedPartition> wanted;
    for (const std::string& topic : live_topics_) {
      const auto wants = [&](const Client& client) { return subscribes(client, topic); };
      if (std::ranges::none_of(clients_, wants)) continue;
      for (std::int32_t p = 0; p < topics_.table().find(topic)->partitions; ++p) wanted.insert({topic, p});
    }
    ASSERT_EQ(held, wanted);
  }
  static bool subscribes(const Client& client, const std::string& topic) {
    return !client.subscription.regex.empty() || std::ranges::find(client.subscription.topics, topic) != client.subscription.topics.end();
  }

  Random random_;
  TopicBook topics_;
  std::vector<std::string> live_topics_;
  NativeMembership group_;
  std::list<Client> clients_;
  std::vector<std::string> records_;
  SteadyTime now_{std::chrono::hours(1)};
  std::int32_t epoch_seen_ = 0;
  std::size_t programs_ = 0, topics_made_ = 0;
  std::size_t heartbeats_ = 0, hand_overs_ = 0, commits_ = 0, commits_refused_ = 0, expired_ = 0, restarts_ = 0;
};

TEST(NativeMembershipModel, no_history_lets_two_hold_a_partition_and_every_one_settles) {
  const char* const given = std::getenv("TIDEMARK_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  std::cout << "seed " << seed << '\n';
  Model model(seed);
  for (int i = 1; i <= kOperations; ++i) {
    SCOPED_TRACE("operation " + std::to_string(i) + ", seed " + std::to_string(seed));
    model.step();
    model.check();
    if (i % kOperationsBetweenCalms == 0) {
      model.calm();
      model.check();
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  std::cout << model.figures() << '\n';
  EXPECT_TRUE(model.saw_everything());
}

}  // namespace
}  // namespace tidemark::broker
