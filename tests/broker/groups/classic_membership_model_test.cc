#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "storage/base/random.h"
#include "tests/broker/groups/classic_group_driver.h"

namespace tidemark::broker {
namespace {

using namespace std::chrono_literals;
using State = ClassicMembership::State;

constexpr int kOperations = 100'000;
constexpr int kOperationsBetweenCalms = 200;
constexpr std::size_t kMembersMax = 8;

/// One client program: it does what the answers ask for, as far as the test lets it.
struct Client {
  std::string name;
  std::optional<std::string> instance_id;
  std::string member_id;
  std::int32_t generation = -1;
  std::vector<std::string> to_assign;  // As the leader.
  std::string metadata = "v0";
  enum class Next { join, sync, heartbeat, fenced } next = Next::join;
  JoinAnswer joining;
  SyncAnswer syncing;

  ClassicIdentity identity() const { return {.member_id = member_id, .instance_id = instance_id}; }
  bool waits() const { return (joining && joining->waits()) || (syncing && syncing->waits()); }
  void start_over(Next what = Next::join) {
    member_id.clear();
    generation = -1;
    next = what;
  }
};

/// Random clients, time, lost power and full disks against one group, and what must hold all the while.
class ClassicModel {
 public:
  explicit ClassicModel(std::uint64_t seed) : random_(seed), driver_({.initial_rebalance_delay = 3s, .members_max = kMembersMax}) {
    driver_.hold_records();
    for (const char* const name : {"c1", "c2", "c3", "c4"}) add_client(name, {});
    for (const char* const name : {"s1", "s2", "s3"}) add_client(name, name);
    add_client("s3 again", "s3");  // Two programs that claim one identity.
  }

  void step() {
    Client& client = clients_[below(clients_.size())];
    switch (below(32)) {
      case 0:
        join(client, below(2) == 0);  // Whatever it is waiting for: its connection broke, say.
        break;
      case 1:
        sync(client, client.generation - static_cast<std::int32_t>(below(2)));
        break;
      case 2:
        heartbeat(client, client.generation - static_cast<std::int32_t>(below(2)));
        break;
      case 3:
        commit(client, client.generation - static_cast<std::int32_t>(below(2)));
        break;
      case 4:
        if (below(3) == 0) leave(client);
        break;
      case 5:
        driver_.advance(std::chrono::milliseconds(below(below(10) == 0 ? 30'000 : 1'000)));
        break;
      case 6:
        if (below(4) == 0) lose_power();
        break;
      case 7:
        if (below(3) == 0) restart_program(client);
        break;
      case 8:
        driver_.write_snapshot();
        break;
      case 9:
      case 10:
      case 11:
      case 12:
      case 13:
        if (driver_.records_under_way() > 0) record(below(6) == 0);
        break;
      default:
        act(client);
        break;
    }
    look_at_answers();
  }

  /// All programs live and act, and the disk works: the group must come to rest, with everybody in it.
  void calm() {
    for (Client& client : clients_) {
      // Of two programs with one identity only one goes on, as it is with programs that are fenced.
      if (client.name == "s3 again") client.start_over(Client::Next::fenced);
    }
    calm_ = true;
    for (int second = 0; second < 600; ++second) {
      driver_.record();
      look_at_answers();
      for (Client& client : clients_) act(client);
      driver_.record();
      look_at_answers();
      if (is_at_rest()) {
        calm_ = false;
        return check_rest();
      }
      driver_.advance(1s);
      look_at_answers();
    }
    FAIL() << "the group did not come to rest: state " << static_cast<int>(driver_.group().state()) << ", "
           << driver_.group().describe().rebalance_reason;
  }

  /// Programs come back into a group at rest, one after the other, before anything else disturbs it.
  void roll_static_members() {
    for (Client& client : clients_)
      if (client.name == "s1" || client.name == "s2") restart_program(client);
    while (driver_.records_under_way() > 0) record(below(6) == 0);
    look_at_answers();
  }

  void revive_the_fenced() {
    for (Client& client : clients_)
      if (client.next == Client::Next::fenced) client.start_over();
  }

  const std::map<std::string, int>& counts() const { return counts_; }

 private:
  template <class Call>
  struct Outstanding {
    Call answer;
    std::string member_id;
    std::int32_t generation = -1;
    std::optional<std::string> instance_id;
  };

  void add_client(std::string name, std::optional<std::string> instance_id) {
    Client client;
    client.name = std::move(name);
    client.instance_id = std::move(instance_id);
    clients_.push_back(std::move(client));
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  void count(const std::string& what) { ++counts_[what]; }

  /// The ids of a static member change; who it is does not.
  static std::string person(const std::string& member_id) {
    return member_id.starts_with('s') ? member_id.substr(0, member_id.rfind('-')) : member_id;
  }

  void join(Client& client, bool with_changes) {
    if (with_changes) client.metadata = "v" + std::to_string(below(3));
    ClassicJoin request;
    request.identity = client.identity();
    request.client_id = client.name;
    request.session_timeout = std::chrono::milliseconds(6'000 + below(14'000));
    request.rebalance_timeout = std::chrono::milliseconds(calm_ ? 20'000 : below(30'000));
    request.protocol_type = "consumer";
    request.protocols = {{.name = "range", .metadata = bytes_of(client.metadata)}};
    if (below(2) == 0) request.protocols.insert(request.protocols.begin(), {.name = "sticky", .metadata = bytes_of(client.metadata)});
    request.require_known_member_id = below(2) == 0;
    request.can_skip_assignment = below(2) == 0;
    client.joining = driver_.join(std::move(request));
    joins_.push_back({.answer = client.joining, .member_id = client.member_id, .generation = -1, .instance_id = client.instance_id});
  }

  void sync(Client& client, std::int32_t generation) {
    ClassicSync request;
    request.identity = client.identity();
    request.generation = generation;
    ++assignments_made_;
    for (const std::string& id : client.to_assign)
      request.assignments.emplace_back(id,
                                       bytes_of(std::to_string(generation) + " " + person(id) + " " + std::to_string(assignments_made_)));
    client.syncing = driver_.sync(std::move(request));
    syncs_.push_back(
        {.answer = client.syncing, .member_id = client.member_id, .generation = generation, .instance_id = client.instance_id});
  }

  void restart_program(Client& client) {
    client.start_over();
    join(client, false);
  }

  void heartbeat(Client& client, std::int32_t generation) {
    const Status status = driver_.heartbeat(client.identity(), generation);
    if (status) return expect_member(client, generation);
    react(client, status.error().code);
    if (status.error().code == Errc::rebalance_in_progress) expect_member(client, generation);
  }

  void commit(const Client& client, std::int32_t generation) {
    const bool allowed = driver_.group().may_commit(client.identity(), generation).has_value();
    if (!allowed) return;
    if (generation < 0) {
      EXPECT_EQ(driver_.group().state(), State::empty);
      return;
    }
    expect_member(client, generation);
    EXPECT_NE(driver_.group().state(), State::completing_rebalance);
    driver_.group().touch(client.member_id, driver_.now());
    count("commits");
  }

  void leave(Client& client) {
    std::vector<ClassicIdentity> who{client.identity()};
    if (below(4) == 0) who.push_back(clients_[below(clients_.size())].identity());
    for (const Status& status : driver_.leave(who))
      if (status) count("leaves");
    client.start_over();
  }

  void record(bool disk_is_full) {
    driver_.record_next(disk_is_full ? Status(Error{Errc::disk_full, ""}) : Status());
    count(disk_is_full ? "failed records" : "records");
  }

  void lose_power() {
    look_at_answers();
    driver_.restart();
    count("restarts");
    for (const auto& call : joins_) EXPECT_TRUE(call.answer->waits());
    for (const auto& call : syncs_) EXPECT_TRUE(call.answer->waits());
    joins_.clear();
    syncs_.clear();
    for (Client& client : clients_) {
      if (client.waits() && client.next != Client::Next::fenced) client.next = Client::Next::join;
      client.joining.reset();
      client.syncing.reset();
    }
  }

  void expect_member(const Client& client, std::int32_t generation) {
    EXPECT_EQ(generation, driver_.group().generation());
    const auto members = driver_.group().snapshot().members;
    EXPECT_TRUE(std::ranges::any_of(members, [&](const auto& member) { return member.member_id == client.member_id; }));
  }

  void react(Client& client, Errc error) {
    switch (error) {
      case Errc::unknown_member:
      case Errc::group_full:
        return client.start_over();
      case Errc::fenced_instance_id:
        count("fenced");
        return client.start_over(Client::Next::fenced);
      case Errc::illegal_generation:
      case Errc::rebalance_in_progress:
      case Errc::disk_full:
      case Errc::inconsistent_group_protocol:
        client.next = Client::Next::join;
        return;
      default:
        ADD_FAILURE() << "unexpected " << to_string(error);
    }
  }

  void look_at_answers() {
    take_answered(joins_, [&](const auto& call) { check_join(*call.answer->reply); });
    take_answered(syncs_, [&](const auto& call) { check_sync(call); });
    for (Client& client : clients_) {
      if (client.joining && !client.joining->waits()) joined(client, *std::exchange(client.joining, nullptr)->reply);
      if (client.syncing && !client.syncing->waits()) synced(client, *std::exchange(client.syncing, nullptr)->reply);
    }
  }

  template <class Calls, class Check>
  void take_answered(Calls& calls, Check check) {
    for (const auto& call : calls) {
      ASSERT_LE(call.answer->times, 1);
      if (!call.answer->waits()) check(call);
    }
    std::erase_if(calls, [](const auto& call) { return !call.answer->waits(); });
  }

  void check_join(const ClassicJoinReply& reply) {
    if (!reply.status) return count("joins: " + std::string(to_string(reply.status.error().code)));
    count(reply.skip_assignment ? "joins that skip" : "joins");
    EXPECT_GE(reply.generation, newest_generation_told_);
    newest_generation_told_ = reply.generation;
    EXPECT_GE(driver_.disk().generation, reply.generation) << "a crash could take it back";
    const std::string leader = person(reply.leader);
    EXPECT_EQ(leaders_.try_emplace(reply.generation, leader).first->second, leader) << "generation " << reply.generation;
    EXPECT_EQ(protocols_.try_emplace(reply.generation, reply.protocol_name).first->second, reply.protocol_name);
    EXPECT_EQ(!reply.members.empty(), reply.member_id == reply.leader);
  }

  void check_sync(const Outstanding<SyncAnswer>& call) {
    const Result<ClassicSynced>& reply = *call.answer->reply;
    if (!reply) return count("syncs: " + std::string(to_string(reply.error().code)));
    count("syncs");
    EXPECT_GE(driver_.disk().generation, call.generation) << "a crash could take it back";
    const std::string assignment = to_string(reply->assignment.view());
    const std::string who = person(call.member_id);
    EXPECT_EQ(assignments_.try_emplace({call.generation, who}, assignment).first->second, assignment);
    if (!assignment.empty()) EXPECT_TRUE(assignment.starts_with(std::to_string(call.generation) + " " + who + " ")) << assignment;
    EXPECT_EQ(reply->protocol_name, protocols_[call.generation]);
  }

  void joined(Client& client, const ClassicJoinReply& reply) {
    if (client.next == Client::Next::fenced) return;
    if (!reply.status) {
      if (reply.status.error().code == Errc::member_id_required) {
        client.member_id = reply.member_id;
        client.next = Client::Next::join;
        return;
      }
      return react(client, reply.status.error().code);
    }
    client.member_id = reply.member_id;
    client.generation = reply.generation;
    client.to_assign.clear();
    for (const auto& member : reply.members)
      if (!reply.skip_assignment) client.to_assign.push_back(member.member_id);
    client.next = Client::Next::sync;
  }

  void synced(Client& client, const Result<ClassicSynced>& reply) {
    if (client.next == Client::Next::fenced) return;
    if (!reply) return react(client, reply.error().code);
    client.next = Client::Next::heartbeat;
  }

  void act(Client& client) {
    if (client.waits()) return;
    switch (client.next) {
      case Client::Next::join:
        join(client, false);
        break;
      case Client::Next::sync:
        sync(client, client.generation);
        break;
      case Client::Next::heartbeat:
        heartbeat(client, client.generation);
        break;
      case Client::Next::fenced:
        break;
    }
  }

  bool is_at_rest() const {
    const bool all_in = std::ranges::all_of(clients_, [&](const Client& client) {
      return client.next == Client::Next::fenced ||
             (client.next == Client::Next::heartbeat && client.generation == driver_.group().generation());
    });
    // Members of programs that were restarted are still there for a while.
    return all_in && driver_.group().state() == State::stable && driver_.group().size() == members_alive();
  }
  std::size_t members_alive() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(clients_, [](const Client& client) { return client.next != Client::Next::fenced; }));
  }

  void check_rest() {
    count("rests");
    EXPECT_TRUE(joins_.empty()) << "a join was never answered";
    EXPECT_TRUE(syncs_.empty()) << "a sync was never answered";
    for (const auto& member : driver_.group().describe().members)
      EXPECT_EQ(to_string(member.assignment.view()), (assignments_[{driver_.group().generation(), person(member.member_id)}]));
  }

  Random random_;
  ClassicGroupDriver driver_;
  std::vector<Client> clients_;
  std::vector<Outstanding<JoinAnswer>> joins_;
  std::vector<Outstanding<SyncAnswer>> syncs_;
  std::map<std::string, int> counts_;
  bool calm_ = false;
  int assignments_made_ = 0;

  // What was told, over all restarts.
  std::int32_t newest_generation_told_ = 0;
  std::map<std::int32_t, std::string> leaders_;
  std::map<std::int32_t, std::string> protocols_;
  std::map<std::pair<std::int32_t, std::string>, std::string> assignments_;
};

TEST(ClassicMembershipModel, holds_its_promises_over_random_histories) {
  const char* const given = std::getenv("TIDEMARK_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "TIDEMARK_SEED=" << seed << '\n';
  ClassicModel model(seed);
  for (int operation = 0; operation < kOperations; ++operation) {
    model.step();
    if (operation % kOperationsBetweenCalms == kOperationsBetweenCalms - 1) {
      model.calm();
      model.roll_static_members();
      model.revive_the_fenced();
    }
    ASSERT_FALSE(testing::Test::HasFailure()) << "operation " << operation << ", TIDEMARK_SEED=" << seed;
  }
  for (const auto& [what, times] : model.counts()) std::cout << what << ": " << times << '\n';
  // A history in which these do not happen proves little.
  for (const char* const what :
       {"rests", "restarts", "records", "failed records", "joins", "joins that skip", "joins: member_id_required", "joins: group_full",
        "joins: fenced_instance_id", "joins: rebalance_in_progress", "joins: disk_full", "joins: unknown_member", "syncs",
        "syncs: rebalance_in_progress", "syncs: illegal_generation", "syncs: disk_full", "commits", "leaves", "fenced"})
    EXPECT_GT(model.counts().contains(what) ? model.counts().at(what) : 0, 0) << what;
}

}  // namespace
}  // namespace tidemark::broker
