#include "broker/groups/classic_membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/broker/groups/classic_group_driver.h"

namespace tidemark::broker {
namespace {

using namespace std::chrono_literals;
using State = ClassicMembership::State;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

ClassicMembership::Options without_initial_delay() {
  ClassicMembership::Options options;
  options.initial_rebalance_delay = 0ms;
  return options;
}

Errc code_of(const Status& status) { return status ? Errc{} : status.error().code; }
constexpr Errc kOk{};

Errc code_of(const JoinAnswer& answer) {
  EXPECT_EQ(answer->times, 1);
  return answer->reply ? code_of(answer->reply->status) : Errc::internal;
}
Errc code_of(const SyncAnswer& answer) {
  EXPECT_EQ(answer->times, 1);
  if (!answer->reply) return Errc::internal;
  return *answer->reply ? kOk : answer->reply->error().code;
}
std::string assignment_of(const SyncAnswer& answer) {
  EXPECT_EQ(code_of(answer), kOk);
  return answer->reply && *answer->reply ? to_string((*answer->reply)->assignment.view()) : "none";
}

/// Members "a", "b".. are clients of that name; the driver makes ids "a-1", "b-2"..
class ClassicMembershipTest : public testing::Test {
 protected:
  ClassicMembershipTest() : driver_(without_initial_delay()) {}

  static ClassicJoin request(const std::string& client, const std::string& member_id = "") {
    ClassicJoin join;
    join.identity.member_id = member_id;
    join.client_id = client;
    join.client_host = "10.0.0.1";
    join.session_timeout = 10s;
    join.rebalance_timeout = 60s;
    join.protocol_type = "consumer";
    join.protocols = {{.name = "range", .metadata = bytes_of(client + " reads t")}};
    return join;
  }
  static ClassicJoin static_request(const std::string& instance, const std::string& member_id = "") {
    ClassicJoin join = request("client of " + instance, member_id);
    join.identity.instance_id = instance;
    return join;
  }
  static ClassicIdentity dynamic(std::string member_id) { return {.member_id = std::move(member_id), .instance_id = {}}; }
  static ClassicIdentity fixed(std::string instance, std::string member_id) {
    return {.member_id = std::move(member_id), .instance_id = std::move(instance)};
  }

  void start_with(ClassicMembership::Options options) { driver_.start_with(options); }

  SyncAnswer sync(const std::string& member_id, std::vector<std::pair<std::string, std::string>> assignments = {}) {
    ClassicSync request;
    request.identity.member_id = member_id;
    request.generation = group().generation();
    for (const auto& [id, assignment] : assignments) request.assignments.emplace_back(id, bytes_of(assignment));
    return driver_.sync(std::move(request));
  }
  Errc heartbeat(const std::string& member_id) { return code_of(driver_.heartbeat(dynamic(member_id), group().generation())); }
  Errc commit(const ClassicIdentity& identity, std::int32_t generation) const { return code_of(group().may_commit(identity, generation)); }
  /// Time in which everybody named heartbeats often enough.
  void pass_with_heartbeats(std::chrono::milliseconds time, const std::vector<std::string>& member_ids) {
    for (auto passed = 0ms; passed < time; passed += 1s) {
      driver_.advance(1s);
      for (const std::string& id : member_ids) EXPECT_NE(heartbeat(id), Errc::unknown_member);
    }
  }

  /// A stable group with dynamic members "a-1" (the leader) and "b-2".
  void stable_pair() {
    driver_.join(request("a"));
    driver_.join(request("b"));
    driver_.join(request("a", "a-1"));
    sync("a-1", {{"a-1", "t:0"}, {"b-2", "t:1"}});
    sync("b-2");
    ASSERT_EQ(group().state(), State::stable);
    ASSERT_EQ(group().generation(), 2);
  }
  /// A stable group with static members "x" (id "x-1", the leader) and "y" (id "y-2").
  void stable_static_pair() {
    driver_.join(static_request("x"));
    driver_.join(static_request("y"));
    driver_.join(static_request("x", "x-1"));
    sync("x-1", {{"x-1", "t:0"}, {"y-2", "t:1"}});
    sync("y-2");
    ASSERT_EQ(group().state(), State::stable);
    ASSERT_EQ(group().generation(), 2);
  }
  std::vector<std::string> members() const {
    std::vector<std::string> ids;
    for (const auto& member : group().describe().members) ids.push_back(member.member_id);
    return ids;
  }
  ClassicMembership& group() { return driver_.group(); }
  const ClassicMembership& group() const { return driver_.group(); }

  ClassicGroupDriver driver_;
};

std::vector<std::string> ids_in(const JoinAnswer& answer) {
  std::vector<std::string> ids;
  for (const auto& member : answer->reply->members) ids.push_back(member.member_id);
  return ids;
}

// Joining.

TEST_F(ClassicMembershipTest, the_first_member_leads_generation_one) {
  const JoinAnswer a = driver_.join(request("a"));
  ASSERT_EQ(code_of(a), kOk);
  EXPECT_EQ(a->reply->generation, 1);
  EXPECT_EQ(a->reply->member_id, "a-1");
  EXPECT_EQ(a->reply->leader, "a-1");
  EXPECT_EQ(a->reply->protocol_type, "consumer");
  EXPECT_EQ(a->reply->protocol_name, "range");
  ASSERT_EQ(a->reply->members.size(), 1u);
  EXPECT_EQ(as_text(a->reply->members[0].metadata.view()), "a reads t");
}

TEST_F(ClassicMembershipTest, a_join_waits_until_every_member_has_come_back_and_only_the_leader_hears_of_all) {
  driver_.join(request("a"));
  const JoinAnswer b = driver_.join(request("b"));
  EXPECT_TRUE(b->waits());
  const JoinAnswer a = driver_.join(request("a", "a-1"));
  ASSERT_EQ(code_of(a), kOk);
  ASSERT_EQ(code_of(b), kOk);
  EXPECT_EQ(a->reply->generation, 2);
  EXPECT_EQ(b->reply->generation, 2);
  EXPECT_EQ(b->reply->leader, "a-1");
  EXPECT_THAT(ids_in(a), UnorderedElementsAre("a-1", "b-2"));
  EXPECT_THAT(ids_in(b), IsEmpty());
}

TEST_F(ClassicMembershipTest, an_empty_group_waits_the_initial_delay_for_more_members) {
  start_with({.initial_rebalance_delay = 3s});
  const JoinAnswer a = driver_.join(request("a"));
  driver_.advance(2999ms);
  EXPECT_TRUE(a->waits());
  driver_.advance(1ms);
  EXPECT_EQ(code_of(a), kOk);
}

TEST_F(ClassicMembershipTest, each_further_member_of_a_new_group_prolongs_the_delay_up_to_the_rebalance_timeout) {
  start_with({.initial_rebalance_delay = 3s});
  ClassicJoin first = request("a");
  first.rebalance_timeout = 7s;
  const JoinAnswer a = driver_.join(first);
  for (int i = 0; i < 6; ++i) {
    driver_.advance(1s);
    driver_.join(request("b"));
  }
  EXPECT_TRUE(a->waits());
  driver_.advance(1s);
  ASSERT_EQ(code_of(a), kOk);
  EXPECT_EQ(a->reply->members.size(), 7u);
}

TEST_F(ClassicMembershipTest, the_barrier_waits_for_the_longest_rebalance_timeout_of_any_member) {
  ClassicJoin slow = request("a");
  slow.rebalance_timeout = 90s;
  slow.session_timeout = 200s;
  driver_.join(slow);
  const JoinAnswer b = driver_.join(request("b"));
  driver_.advance(89'999ms);
  EXPECT_TRUE(b->waits());
  driver_.advance(1ms);
  EXPECT_EQ(code_of(b), kOk);
}

TEST_F(ClassicMembershipTest, a_dynamic_member_that_does_not_rejoin_in_time_is_removed_though_it_heartbeats) {
  stable_pair();
  const JoinAnswer c = driver_.join(request("c"));
  driver_.join(request("b", "b-2"));
  pass_with_heartbeats(59s, {"a-1"});
  EXPECT_TRUE(c->waits());
  driver_.advance(1s);
  ASSERT_EQ(code_of(c), kOk);
  EXPECT_THAT(members(), ElementsAre("b-2", "c-3"));
  EXPECT_EQ(heartbeat("a-1"), Errc::unknown_member);
}

TEST_F(ClassicMembershipTest, the_longest_member_at_the_barrier_leads_when_the_leader_does_not_come_back) {
  stable_pair();
  const JoinAnswer c = driver_.join(request("c"));
  driver_.join(request("b", "b-2"));
  pass_with_heartbeats(60s, {});
  ASSERT_EQ(code_of(c), kOk);
  EXPECT_EQ(c->reply->leader, "b-2");
}

TEST_F(ClassicMembershipTest, a_static_member_that_does_not_rejoin_keeps_its_place_at_the_barrier) {
  stable_static_pair();
  ClassicJoin changed = static_request("x", "x-1");
  changed.rebalance_timeout = 8s;
  changed.protocols[0].metadata = bytes_of("x reads u");
  ClassicJoin patient = static_request("y");
  patient.rebalance_timeout = 8s;
  driver_.join(patient);  // y-3, without a rebalance.
  const JoinAnswer x = driver_.join(changed);
  driver_.advance(8s);
  ASSERT_EQ(code_of(x), kOk);
  EXPECT_EQ(x->reply->generation, 3);
  EXPECT_THAT(ids_in(x), UnorderedElementsAre("x-1", "y-3"));
}

TEST_F(ClassicMembershipTest, a_static_member_that_stays_away_goes_with_its_session) {
  stable_static_pair();
  const JoinAnswer x = driver_.join(static_request("x", "x-1"));
  driver_.advance(10s - 1ms);
  EXPECT_TRUE(x->waits());
  driver_.advance(1ms);
  ASSERT_EQ(code_of(x), kOk);
  EXPECT_THAT(members(), ElementsAre("x-1"));
}

TEST_F(ClassicMembershipTest, a_static_member_that_does_not_sync_in_time_is_removed_too) {
  stable_static_pair();
  driver_.join(static_request("x", "x-1"));
  driver_.join(static_request("y", "y-2"));
  const SyncAnswer x = sync("x-1");
  EXPECT_EQ(assignment_of(x), "");
  pass_with_heartbeats(59s, {"x-1", "y-2"});
  EXPECT_THAT(members(), ElementsAre("x-1", "y-2"));
  pass_with_heartbeats(1s, {"x-1"});
  EXPECT_THAT(members(), ElementsAre("x-1"));
}

TEST_F(ClassicMembershipTest, a_barrier_to_which_no_static_member_came_waits_until_their_sessions_end) {
  for (const char* instance : {"x", "y"}) {
    ClassicJoin join = static_request(instance);
    join.session_timeout = 100s;
    join.rebalance_timeout = 0s;
    driver_.join(join);
  }
  driver_.leave({fixed("y", "y-2")});
  EXPECT_EQ(group().state(), State::preparing_rebalance);
  driver_.advance(50s);
  EXPECT_EQ(group().state(), State::preparing_rebalance);
  EXPECT_THAT(members(), ElementsAre("x-1"));
  driver_.advance(51s);
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicMembershipTest, a_new_dynamic_member_is_given_an_id_and_joins_with_it) {
  ClassicJoin first = request("a");
  first.require_known_member_id = true;
  const JoinAnswer told = driver_.join(first);
  EXPECT_EQ(code_of(told), Errc::member_id_required);
  EXPECT_EQ(told->reply->member_id, "a-1");
  EXPECT_EQ(group().state(), State::empty);
  const JoinAnswer joined = driver_.join(request("a", "a-1"));
  ASSERT_EQ(code_of(joined), kOk);
  EXPECT_EQ(joined->reply->member_id, "a-1");
}

TEST_F(ClassicMembershipTest, a_static_member_is_not_asked_to_join_twice) {
  ClassicJoin join = static_request("x");
  join.require_known_member_id = true;
  EXPECT_EQ(code_of(driver_.join(join)), kOk);
}

TEST_F(ClassicMembershipTest, the_barrier_waits_for_who_was_given_an_id_until_the_id_lapses) {
  stable_pair();
  ClassicJoin newcomer = request("c");
  newcomer.require_known_member_id = true;
  driver_.join(newcomer);
  const JoinAnswer a = driver_.join(request("a", "a-1"));
  const JoinAnswer b = driver_.join(request("b", "b-2"));
  driver_.advance(9'999ms);
  EXPECT_TRUE(a->waits());
  driver_.advance(1ms);
  EXPECT_EQ(code_of(a), kOk);
  EXPECT_EQ(code_of(b), kOk);
  EXPECT_EQ(code_of(driver_.join(request("c", "c-3"))), Errc::unknown_member);
}

TEST_F(ClassicMembershipTest, a_member_id_that_nobody_gave_out_is_unknown) {
  EXPECT_EQ(code_of(driver_.join(request("a", "made-up"))), Errc::unknown_member);
  stable_pair();
  EXPECT_EQ(code_of(driver_.join(request("a", "made-up"))), Errc::unknown_member);
}

TEST_F(ClassicMembershipTest, a_static_identity_cannot_take_an_id_given_to_a_dynamic_member) {
  ClassicJoin first = request("a");
  first.require_known_member_id = true;
  driver_.join(first);
  EXPECT_EQ(code_of(driver_.join(static_request("x", "a-1"))), Errc::unknown_member);
}

TEST_F(ClassicMembershipTest, session_timeouts_outside_the_bounds_are_refused) {
  for (const auto timeout : {-1ms, 0ms, 5999ms, 30min + 1ms}) {
    ClassicJoin join = request("a");
    join.session_timeout = timeout;
    EXPECT_EQ(code_of(driver_.join(join)), Errc::invalid_session_timeout) << timeout.count();
  }
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicMembershipTest, a_rebalance_timeout_may_be_any_number) {
  for (const auto timeout : {std::chrono::milliseconds::min(), -1ms, std::chrono::milliseconds::max()}) {
    ClassicJoin join = request("a");
    join.rebalance_timeout = timeout;
    const JoinAnswer answer = driver_.join(join);
    driver_.advance(0ms);
    ASSERT_EQ(code_of(answer), kOk);
    driver_.leave({dynamic(answer->reply->member_id)});
  }
}

TEST_F(ClassicMembershipTest, a_newer_join_of_a_member_takes_the_place_of_its_parked_one) {
  stable_pair();
  const JoinAnswer lost = driver_.join(request("a", "a-1"));
  const JoinAnswer again = driver_.join(request("a", "a-1"));
  EXPECT_EQ(code_of(lost), Errc::rebalance_in_progress);
  EXPECT_TRUE(again->waits());
  driver_.join(request("b", "b-2"));
  EXPECT_EQ(code_of(again), kOk);
}

TEST_F(ClassicMembershipTest, a_member_whose_join_is_parked_is_alive_without_heartbeats) {
  stable_pair();
  const JoinAnswer a = driver_.join(request("a", "a-1"));
  pass_with_heartbeats(59s, {"b-2"});
  EXPECT_TRUE(a->waits());
  EXPECT_THAT(members(), ElementsAre("a-1", "b-2"));
}

TEST_F(ClassicMembershipTest, the_parked_join_of_a_new_member_is_given_up_after_five_minutes) {
  ClassicJoin patient = request("a");
  patient.rebalance_timeout = 20min;
  patient.session_timeout = 30min;
  driver_.join(patient);
  const JoinAnswer b = driver_.join(request("b"));
  driver_.advance(5min - 1ms);
  EXPECT_TRUE(b->waits());
  driver_.advance(1ms);
  EXPECT_EQ(code_of(b), Errc::unknown_member);
  EXPECT_EQ(b->reply->member_id, "");
  EXPECT_THAT(members(), ElementsAre("a-1"));
}

TEST_F(ClassicMembershipTest, a_follower_that_joins_a_stable_group_again_gets_the_generation_as_it_is) {
  stable_pair();
  const JoinAnswer b = driver_.join(request("b", "b-2"));
  ASSERT_EQ(code_of(b), kOk);
  EXPECT_EQ(b->reply->generation, 2);
  EXPECT_EQ(b->reply->leader, "a-1");
  EXPECT_EQ(group().state(), State::stable);
  EXPECT_EQ(assignment_of(sync("b-2")), "t:1");
}

TEST_F(ClassicMembershipTest, a_follower_with_other_metadata_starts_a_rebalance) {
  stable_pair();
  ClassicJoin changed = request("b", "b-2");
  changed.protocols[0].metadata = bytes_of("b reads u");
  EXPECT_TRUE(driver_.join(changed)->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

TEST_F(ClassicMembershipTest, the_leader_of_a_stable_group_starts_a_rebalance_by_joining) {
  stable_pair();
  EXPECT_TRUE(driver_.join(request("a", "a-1"))->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

TEST_F(ClassicMembershipTest, a_member_that_missed_the_answer_to_its_join_gets_it_again) {
  const JoinAnswer first = driver_.join(request("a"));
  const JoinAnswer again = driver_.join(request("a", "a-1"));
  ASSERT_EQ(code_of(again), kOk);
  EXPECT_EQ(again->reply->generation, first->reply->generation);
  EXPECT_EQ(again->reply->members.size(), 1u);
  EXPECT_EQ(group().state(), State::completing_rebalance);
}

TEST_F(ClassicMembershipTest, other_metadata_while_the_assignment_is_awaited_starts_over) {
  driver_.join(request("a"));
  ClassicJoin changed = request("a", "a-1");
  changed.protocols[0].metadata = bytes_of("a reads u");
  const JoinAnswer again = driver_.join(changed);
  ASSERT_EQ(code_of(again), kOk);
  EXPECT_EQ(again->reply->generation, 2);
  EXPECT_EQ(as_text(again->reply->members[0].metadata.view()), "a reads u");
}

// Protocols.

class ClassicProtocolTest : public ClassicMembershipTest {
 protected:
  static ClassicJoin speaking(const std::string& client, const std::vector<std::string>& protocols, const std::string& member_id = "") {
    ClassicJoin join = request(client, member_id);
    join.protocols.clear();
    for (const std::string& protocol : protocols) join.protocols.push_back({.name = protocol, .metadata = bytes_of(client + protocol)});
    return join;
  }
  std::string selected(const std::vector<std::vector<std::string>>& wishes) {
    start_with({.initial_rebalance_delay = 3s});
    JoinAnswer last;
    int client = 0;
    for (const auto& protocols : wishes) last = driver_.join(speaking("m" + std::to_string(++client), protocols));
    driver_.advance(60s);
    return code_of(last) == kOk ? last->reply->protocol_name : "";
  }
};

TEST_F(ClassicProtocolTest, the_protocol_that_most_members_want_is_selected) {
  EXPECT_EQ(selected({{"range", "sticky"}, {"sticky", "range"}, {"sticky", "range"}}), "sticky");
}

TEST_F(ClassicProtocolTest, only_a_protocol_that_all_members_speak_is_selected) {
  EXPECT_EQ(selected({{"sticky", "range"}, {"sticky", "range"}, {"range"}}), "range");
}

TEST_F(ClassicProtocolTest, a_protocol_named_twice_is_spoken_once) {
  EXPECT_EQ(selected({{"range"}, {"range", "range", "sticky"}}), "range");
  start_with(without_initial_delay());
  driver_.join(speaking("a", {"range", "range"}));
  EXPECT_EQ(code_of(driver_.join(speaking("b", {"sticky"}))), Errc::inconsistent_group_protocol);
}

TEST_F(ClassicProtocolTest, a_member_that_shares_no_protocol_is_refused) {
  driver_.join(speaking("a", {"range"}));
  EXPECT_EQ(code_of(driver_.join(speaking("b", {"sticky"}))), Errc::inconsistent_group_protocol);
  EXPECT_EQ(code_of(driver_.join(speaking("b", {}))), Errc::inconsistent_group_protocol);
  EXPECT_THAT(members(), ElementsAre("a-1"));
}

TEST_F(ClassicProtocolTest, a_member_of_another_protocol_type_is_refused_until_the_group_is_empty) {
  driver_.join(speaking("a", {"range"}));
  ClassicJoin connect = speaking("b", {"range"});
  connect.protocol_type = "connect";
  EXPECT_EQ(code_of(driver_.join(connect)), Errc::inconsistent_group_protocol);
  driver_.leave({dynamic("a-1")});
  EXPECT_EQ(code_of(driver_.join(connect)), kOk);
  EXPECT_EQ(group().describe().protocol_type, "connect");
}

TEST_F(ClassicProtocolTest, the_first_member_must_name_a_type_and_a_protocol) {
  EXPECT_EQ(code_of(driver_.join(speaking("a", {}))), Errc::inconsistent_group_protocol);
  ClassicJoin typeless = speaking("a", {"range"});
  typeless.protocol_type.clear();
  EXPECT_EQ(code_of(driver_.join(typeless)), Errc::inconsistent_group_protocol);
}

TEST_F(ClassicProtocolTest, the_number_of_protocols_is_bounded) {
  EXPECT_EQ(code_of(driver_.join(speaking("a", std::vector<std::string>(101, "range")))), Errc::invalid_argument);
}

TEST_F(ClassicProtocolTest, a_group_moves_to_another_protocol_by_two_rolling_restarts) {
  driver_.join(speaking("a", {"range"}));
  driver_.join(speaking("a", {"cooperative", "range"}, "a-1"));
  EXPECT_EQ(code_of(driver_.join(speaking("a", {"cooperative"}, "a-1"))), kOk);
  sync("a-1");
  EXPECT_EQ(group().describe().protocol_name, "cooperative");
}

// Syncing.

TEST_F(ClassicMembershipTest, followers_wait_for_the_leader_and_each_gets_its_assignment) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  const SyncAnswer b = sync("b-2", {{"b-2", "a follower does not assign"}});
  EXPECT_TRUE(b->waits());
  const SyncAnswer a = sync("a-1", {{"a-1", "t:1"}, {"b-2", "t:0"}});
  EXPECT_EQ(assignment_of(a), "t:1");
  EXPECT_EQ(assignment_of(b), "t:0");
  EXPECT_EQ((*b->reply)->protocol_type, "consumer");
  EXPECT_EQ((*b->reply)->protocol_name, "range");
}

TEST_F(ClassicMembershipTest, a_member_that_the_leader_passed_over_gets_nothing) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  sync("a-1", {{"a-1", "t:0"}, {"stranger", "t:1"}});
  EXPECT_EQ(assignment_of(sync("b-2")), "");
}

TEST_F(ClassicMembershipTest, a_sync_is_refused_by_what_is_wrong_with_it) {
  stable_pair();
  const auto refusal = [&](auto change) {
    ClassicSync request;
    request.identity.member_id = "b-2";
    request.generation = 2;
    change(request);
    return code_of(driver_.sync(std::move(request)));
  };
  EXPECT_EQ(refusal([](ClassicSync& sync) { sync.identity.member_id = "nobody"; }), Errc::unknown_member);
  EXPECT_EQ(refusal([](ClassicSync& sync) { sync.identity.instance_id = "nobody"; }), Errc::unknown_member);
  EXPECT_EQ(refusal([](ClassicSync& sync) { sync.generation = 1; }), Errc::illegal_generation);
  EXPECT_EQ(refusal([](ClassicSync& sync) { sync.generation = 3; }), Errc::illegal_generation);
  EXPECT_EQ(refusal([](ClassicSync& sync) { sync.protocol_type = "connect"; }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(refusal([](ClassicSync& sync) { sync.protocol_name = "sticky"; }), Errc::inconsistent_group_protocol);
  EXPECT_EQ(refusal([](ClassicSync& sync) { sync.protocol_type = "consumer", sync.protocol_name = "range"; }), kOk);
  driver_.join(request("c"));
  EXPECT_EQ(refusal([](ClassicSync&) {}), Errc::rebalance_in_progress);
}

TEST_F(ClassicMembershipTest, a_parked_sync_is_refused_when_a_rebalance_begins) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  const SyncAnswer b = sync("b-2");
  driver_.join(request("c"));
  EXPECT_EQ(code_of(b), Errc::rebalance_in_progress);
}

TEST_F(ClassicMembershipTest, a_newer_sync_of_a_member_takes_the_place_of_its_parked_one) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  const SyncAnswer lost = sync("b-2");
  const SyncAnswer again = sync("b-2");
  EXPECT_EQ(code_of(lost), Errc::rebalance_in_progress);
  sync("a-1", {{"b-2", "t:1"}});
  EXPECT_EQ(assignment_of(again), "t:1");
}

TEST_F(ClassicMembershipTest, members_that_do_not_sync_in_time_are_removed_though_they_heartbeat) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  const SyncAnswer b = sync("b-2");
  pass_with_heartbeats(59s, {"a-1"});
  EXPECT_TRUE(b->waits());
  driver_.advance(1s);
  EXPECT_EQ(code_of(b), Errc::rebalance_in_progress);
  EXPECT_THAT(members(), ElementsAre("b-2"));
}

TEST_F(ClassicMembershipTest, a_follower_that_never_asks_for_its_assignment_is_removed_from_a_stable_group) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  sync("a-1");
  pass_with_heartbeats(59s, {"a-1", "b-2"});
  EXPECT_EQ(group().state(), State::stable);
  pass_with_heartbeats(1s, {"a-1"});
  EXPECT_EQ(group().state(), State::preparing_rebalance);
  EXPECT_THAT(members(), ElementsAre("a-1"));
}

// Heartbeats and sessions.

TEST_F(ClassicMembershipTest, a_heartbeat_says_what_the_member_has_to_do) {
  stable_pair();
  EXPECT_EQ(heartbeat("a-1"), kOk);
  EXPECT_EQ(heartbeat("nobody"), Errc::unknown_member);
  EXPECT_EQ(code_of(driver_.heartbeat(dynamic("a-1"), 1)), Errc::illegal_generation);
  driver_.join(request("c"));
  EXPECT_EQ(heartbeat("a-1"), Errc::rebalance_in_progress);
  driver_.join(request("b", "b-2"));
  driver_.join(request("a", "a-1"));
  EXPECT_EQ(heartbeat("a-1"), kOk);  // The assignment is awaited.
}

TEST_F(ClassicMembershipTest, a_member_that_does_not_heartbeat_is_removed_and_the_others_rebalance) {
  stable_pair();
  pass_with_heartbeats(9s, {"b-2"});
  EXPECT_EQ(group().state(), State::stable);
  pass_with_heartbeats(1s, {"b-2"});
  EXPECT_EQ(group().state(), State::preparing_rebalance);
  EXPECT_THAT(members(), ElementsAre("b-2"));
  EXPECT_EQ(heartbeat("a-1"), Errc::unknown_member);
}

TEST_F(ClassicMembershipTest, a_commit_is_a_sign_of_life) {
  stable_pair();
  for (int i = 0; i < 20; ++i) {
    driver_.advance(1s);
    group().touch("a-1", driver_.now());
    group().touch("b-2", driver_.now());
  }
  EXPECT_EQ(group().state(), State::stable);
}

TEST_F(ClassicMembershipTest, heartbeats_do_not_shorten_the_time_of_a_new_member_at_the_barrier) {
  stable_pair();
  ClassicJoin newcomer = request("c");
  newcomer.require_known_member_id = true;
  driver_.join(newcomer);
  const JoinAnswer c = driver_.join(request("c", "c-3"));
  heartbeat("c-3");
  pass_with_heartbeats(30s, {"a-1", "b-2"});
  EXPECT_TRUE(c->waits());
}

TEST_F(ClassicMembershipTest, the_generation_goes_on_after_the_group_was_empty) {
  stable_pair();
  driver_.leave({dynamic("a-1"), dynamic("b-2")});
  EXPECT_EQ(group().state(), State::empty);
  EXPECT_EQ(group().generation(), 3);
  EXPECT_EQ(driver_.join(request("c"))->reply->generation, 4);
}

// Static members.

TEST_F(ClassicMembershipTest, a_static_member_that_comes_back_takes_its_place_without_a_rebalance) {
  stable_static_pair();
  const JoinAnswer y = driver_.join(static_request("y"));
  ASSERT_EQ(code_of(y), kOk);
  EXPECT_EQ(y->reply->member_id, "y-3");
  EXPECT_EQ(y->reply->generation, 2);
  EXPECT_EQ(y->reply->leader, "x-1");
  EXPECT_FALSE(y->reply->skip_assignment);
  EXPECT_THAT(ids_in(y), IsEmpty());
  EXPECT_EQ(group().state(), State::stable);
  EXPECT_EQ(assignment_of(sync("y-3")), "t:1");
}

TEST_F(ClassicMembershipTest, the_old_member_of_a_static_identity_is_fenced_in_every_call) {
  stable_static_pair();
  driver_.join(static_request("y"));
  EXPECT_EQ(code_of(driver_.heartbeat(fixed("y", "y-2"), 2)), Errc::fenced_instance_id);
  EXPECT_EQ(code_of(driver_.join(static_request("y", "y-2"))), Errc::fenced_instance_id);
  ClassicSync sync;
  sync.identity = fixed("y", "y-2");
  sync.generation = 2;
  EXPECT_EQ(code_of(driver_.sync(sync)), Errc::fenced_instance_id);
  EXPECT_EQ(commit(fixed("y", "y-2"), 2), Errc::fenced_instance_id);
  EXPECT_EQ(code_of(driver_.leave({fixed("y", "y-2")})[0]), Errc::fenced_instance_id);
  EXPECT_EQ(heartbeat("y-2"), Errc::unknown_member);
  EXPECT_EQ(code_of(driver_.heartbeat(fixed("y", "y-3"), 2)), kOk);
}

TEST_F(ClassicMembershipTest, a_parked_join_of_the_old_member_is_fenced_when_the_new_one_comes) {
  stable_static_pair();
  driver_.join(request("c"));
  const JoinAnswer old = driver_.join(static_request("y", "y-2"));
  const JoinAnswer back = driver_.join(static_request("y"));
  EXPECT_EQ(code_of(old), Errc::fenced_instance_id);
  EXPECT_TRUE(back->waits());
  driver_.join(static_request("x", "x-1"));
  EXPECT_EQ(code_of(back), kOk);
}

TEST_F(ClassicMembershipTest, a_static_member_that_comes_back_while_the_assignment_is_awaited_starts_over) {
  stable_static_pair();
  driver_.join(static_request("x", "x-1"));
  driver_.join(static_request("y", "y-2"));
  const SyncAnswer old = sync("y-2");
  const JoinAnswer back = driver_.join(static_request("y"));
  EXPECT_EQ(code_of(old), Errc::fenced_instance_id);
  EXPECT_TRUE(back->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

TEST_F(ClassicMembershipTest, a_returning_static_leader_is_told_to_skip_the_assignment) {
  stable_static_pair();
  ClassicJoin back = static_request("x");
  back.can_skip_assignment = true;
  const JoinAnswer x = driver_.join(back);
  ASSERT_EQ(code_of(x), kOk);
  EXPECT_EQ(x->reply->leader, "x-3");
  EXPECT_TRUE(x->reply->skip_assignment);
  EXPECT_THAT(ids_in(x), UnorderedElementsAre("x-3", "y-2"));
  EXPECT_EQ(assignment_of(sync("x-3")), "t:0");
}

TEST_F(ClassicMembershipTest, a_returning_static_leader_that_cannot_skip_is_not_told_that_it_leads) {
  stable_static_pair();
  const JoinAnswer x = driver_.join(static_request("x"));
  ASSERT_EQ(code_of(x), kOk);
  EXPECT_EQ(x->reply->member_id, "x-3");
  EXPECT_EQ(x->reply->leader, "x-1");
  EXPECT_THAT(ids_in(x), IsEmpty());
  EXPECT_EQ(group().describe().leader, "x-3");
}

TEST_F(ClassicMembershipTest, a_static_member_that_changes_the_selected_protocol_starts_a_rebalance) {
  for (const char* instance : {"x", "y"}) {
    ClassicJoin join = static_request(instance);
    join.protocols.push_back({.name = "sticky", .metadata = {}});
    driver_.join(join);
  }
  ClassicJoin again = static_request("x", "x-1");
  again.protocols.push_back({.name = "sticky", .metadata = {}});
  driver_.join(again);
  sync("x-1");
  ASSERT_EQ(group().describe().protocol_name, "range");
  ClassicJoin back = static_request("y");
  back.protocols = {{.name = "sticky", .metadata = {}}};
  EXPECT_TRUE(driver_.join(back)->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

TEST_F(ClassicMembershipTest, a_changed_subscription_starts_a_rebalance_where_the_owner_can_tell) {
  ClassicJoin changed = static_request("y");
  changed.protocols[0].metadata = bytes_of("y reads u");
  stable_static_pair();
  EXPECT_EQ(code_of(driver_.join(changed)), kOk);  // As in Kafka, which does not look into metadata.

  driver_.compare_subscriptions();
  EXPECT_EQ(code_of(driver_.join(changed)), kOk);  // The same as before.
  EXPECT_TRUE(driver_.join(static_request("y"))->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

// Leaving.

TEST_F(ClassicMembershipTest, several_members_leave_at_once_with_an_answer_each) {
  stable_static_pair();
  const auto answers = driver_.leave({fixed("x", "x-1"), dynamic("nobody"), fixed("y", "")});
  EXPECT_EQ(code_of(answers[0]), kOk);
  EXPECT_EQ(code_of(answers[1]), Errc::unknown_member);
  EXPECT_EQ(code_of(answers[2]), kOk);
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicMembershipTest, an_operator_removes_a_static_member_by_its_instance_id) {
  stable_static_pair();
  EXPECT_EQ(code_of(driver_.leave({fixed("z", "")})[0]), Errc::unknown_member);
  EXPECT_EQ(code_of(driver_.leave({fixed("y", "")})[0]), kOk);
  EXPECT_THAT(members(), ElementsAre("x-1"));
  EXPECT_EQ(heartbeat("x-1"), Errc::rebalance_in_progress);
}

TEST_F(ClassicMembershipTest, a_leave_without_any_name_is_unknown) {
  stable_pair();
  EXPECT_EQ(code_of(driver_.leave({dynamic("")})[0]), Errc::unknown_member);
}

TEST_F(ClassicMembershipTest, who_was_given_an_id_may_leave_and_the_barrier_stops_waiting_for_it) {
  stable_pair();
  ClassicJoin newcomer = request("c");
  newcomer.require_known_member_id = true;
  driver_.join(newcomer);
  driver_.join(request("a", "a-1"));
  const JoinAnswer b = driver_.join(request("b", "b-2"));
  EXPECT_TRUE(b->waits());
  EXPECT_EQ(code_of(driver_.leave({dynamic("c-3")})[0]), kOk);
  EXPECT_EQ(code_of(b), kOk);
}

TEST_F(ClassicMembershipTest, the_parked_calls_of_a_member_that_leaves_are_answered) {
  stable_pair();
  const JoinAnswer joining = driver_.join(request("a", "a-1"));
  driver_.leave({dynamic("a-1")});
  EXPECT_EQ(code_of(joining), Errc::unknown_member);
  driver_.join(request("b", "b-2"));
  driver_.join(request("c"));
  driver_.join(request("b", "b-2"));
  const SyncAnswer syncing = sync("c-3");
  driver_.leave({dynamic("c-3")});
  EXPECT_EQ(code_of(syncing), Errc::unknown_member);
}

TEST_F(ClassicMembershipTest, the_leave_of_the_last_missing_member_opens_the_barrier) {
  stable_pair();
  const JoinAnswer a = driver_.join(request("a", "a-1"));
  driver_.leave({dynamic("b-2")});
  ASSERT_EQ(code_of(a), kOk);
  EXPECT_EQ(a->reply->generation, 3);
}

// Commits.

TEST_F(ClassicMembershipTest, a_client_that_is_no_member_commits_only_while_the_group_is_empty) {
  EXPECT_EQ(commit(dynamic(""), -1), kOk);
  EXPECT_EQ(commit(dynamic("any"), -1), kOk);
  EXPECT_EQ(commit(dynamic("any"), 0), Errc::unknown_member);
  stable_pair();
  EXPECT_EQ(commit(dynamic(""), -1), Errc::unknown_member);
  EXPECT_EQ(commit(dynamic("a-1"), -1), Errc::illegal_generation);
}

TEST_F(ClassicMembershipTest, members_commit_in_their_generation_except_while_the_assignment_is_awaited) {
  stable_pair();
  EXPECT_EQ(commit(dynamic("b-2"), 2), kOk);
  EXPECT_EQ(commit(dynamic("b-2"), 1), Errc::illegal_generation);
  EXPECT_EQ(commit(dynamic("nobody"), 2), Errc::unknown_member);
  driver_.join(request("a", "a-1"));
  EXPECT_EQ(commit(dynamic("b-2"), 2), kOk);
  driver_.join(request("b", "b-2"));
  EXPECT_EQ(commit(dynamic("b-2"), 2), Errc::illegal_generation);
  EXPECT_EQ(commit(dynamic("b-2"), 3), Errc::rebalance_in_progress);
  sync("a-1");
  EXPECT_EQ(commit(dynamic("b-2"), 3), kOk);
}

// Bounds.

class FullGroupTest : public ClassicMembershipTest {
 protected:
  FullGroupTest() { start_with({.initial_rebalance_delay = 0ms, .members_max = 2}); }
};

TEST_F(FullGroupTest, a_full_group_takes_no_new_member_and_keeps_those_it_has) {
  stable_pair();
  const JoinAnswer c = driver_.join(request("c"));
  EXPECT_EQ(code_of(c), Errc::group_full);
  EXPECT_EQ(c->reply->member_id, "");
  EXPECT_EQ(code_of(driver_.join(request("b", "b-2"))), kOk);
  EXPECT_EQ(group().state(), State::stable);
}

TEST_F(FullGroupTest, a_static_member_comes_back_into_a_full_group) {
  stable_static_pair();
  EXPECT_EQ(code_of(driver_.join(static_request("y"))), kOk);
  EXPECT_EQ(code_of(driver_.join(static_request("z"))), Errc::group_full);
}

TEST_F(FullGroupTest, new_members_take_the_places_of_those_that_do_not_come_to_the_barrier) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  const JoinAnswer c = driver_.join(request("c"));
  const JoinAnswer b = driver_.join(request("b", "b-2"));
  EXPECT_EQ(code_of(b), Errc::group_full);
  EXPECT_EQ(code_of(c), kOk);
  EXPECT_THAT(members(), ElementsAre("a-1", "c-3"));
}

TEST_F(FullGroupTest, a_stranger_cannot_push_out_a_fenced_or_unknown_member) {
  stable_static_pair();
  driver_.join(static_request("x", "x-1"));
  driver_.join(static_request("z"));
  EXPECT_EQ(code_of(driver_.join(static_request("z", "y-2"))), Errc::group_full);
  EXPECT_THAT(members(), ElementsAre("x-1", "y-2", "z-3"));
}

TEST_F(FullGroupTest, ids_given_out_are_bounded) {
  ClassicJoin newcomer = request("c");
  newcomer.require_known_member_id = true;
  EXPECT_EQ(code_of(driver_.join(newcomer)), Errc::member_id_required);
  EXPECT_EQ(code_of(driver_.join(newcomer)), Errc::member_id_required);
  EXPECT_EQ(code_of(driver_.join(newcomer)), Errc::group_full);
  driver_.advance(10s);
  EXPECT_EQ(code_of(driver_.join(newcomer)), Errc::member_id_required);
}

TEST_F(ClassicMembershipTest, what_a_member_says_does_not_keep_its_request_alive) {
  ClassicJoin join = request("a");
  const Slice frame = bytes_of("a frame with a small part");
  join.protocols[0].metadata = frame.subslice(2, 5);
  const JoinAnswer a = driver_.join(join);
  EXPECT_EQ(as_text(a->reply->members[0].metadata.view()), "frame");
  EXPECT_NE(a->reply->members[0].metadata.data(), frame.data() + 2);
}

// What others see.

TEST_F(ClassicMembershipTest, a_stable_group_is_described_with_metadata_and_assignments) {
  stable_pair();
  const auto group_now = group().describe();
  EXPECT_EQ(group_now.protocol_name, "range");
  EXPECT_EQ(group_now.leader, "a-1");
  ASSERT_EQ(group_now.members.size(), 2u);
  EXPECT_EQ(group_now.members[1].member_id, "b-2");
  EXPECT_EQ(group_now.members[1].client_id, "b");
  EXPECT_EQ(group_now.members[1].client_host, "10.0.0.1");
  EXPECT_EQ(as_text(group_now.members[1].metadata.view()), "b reads t");
  EXPECT_EQ(as_text(group_now.members[1].assignment.view()), "t:1");
}

TEST_F(ClassicMembershipTest, a_rebalancing_group_is_described_with_the_reason_and_without_assignments) {
  stable_pair();
  ClassicJoin c = request("c");
  c.reason = "deployment";
  driver_.join(c);
  const auto group_now = group().describe();
  EXPECT_EQ(group_now.state, State::preparing_rebalance);
  EXPECT_EQ(group_now.rebalance_reason, "member 'c-3' joined: deployment");
  EXPECT_EQ(group_now.protocol_type, "consumer");
  EXPECT_EQ(group_now.protocol_name, "");
  EXPECT_TRUE(group_now.members[1].metadata.empty());
  EXPECT_TRUE(group_now.members[1].assignment.empty());
}

TEST_F(ClassicMembershipTest, closing_answers_everybody_who_waits) {
  stable_pair();
  const JoinAnswer a = driver_.join(request("a", "a-1"));
  group().close(Error{Errc::shutting_down, ""});
  EXPECT_EQ(code_of(a), Errc::shutting_down);
}

TEST_F(ClassicMembershipTest, a_callback_may_call_back) {
  SyncAnswer synced;
  group().join(request("a"), driver_.now(), [&](ClassicJoinReply reply) { synced = sync(reply.member_id, {{reply.member_id, "t:0"}}); });
  EXPECT_EQ(assignment_of(synced), "t:0");
  EXPECT_EQ(group().state(), State::stable);
}

// Durability.

TEST_F(ClassicMembershipTest, a_join_is_answered_when_its_generation_is_recorded) {
  driver_.hold_records();
  const JoinAnswer a = driver_.join(request("a"));
  EXPECT_TRUE(a->waits());
  driver_.record();
  EXPECT_EQ(code_of(a), kOk);
  EXPECT_EQ(driver_.disk().generation, a->reply->generation);
}

TEST_F(ClassicMembershipTest, the_time_for_the_sync_runs_from_the_answer_to_the_join) {
  driver_.hold_records();
  driver_.join(request("a"));
  driver_.advance(59s);
  driver_.record();
  pass_with_heartbeats(59s, {"a-1"});
  EXPECT_THAT(members(), ElementsAre("a-1"));
  pass_with_heartbeats(1s, {});
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicMembershipTest, syncs_are_answered_when_the_assignment_is_recorded) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  driver_.hold_records();
  const SyncAnswer a = sync("a-1", {{"a-1", "t:1"}});
  const SyncAnswer b = sync("b-2");
  EXPECT_TRUE(a->waits());
  EXPECT_TRUE(b->waits());
  EXPECT_EQ(group().state(), State::completing_rebalance);
  driver_.record();
  EXPECT_EQ(assignment_of(a), "t:1");
  EXPECT_EQ(assignment_of(b), "");
}

TEST_F(ClassicMembershipTest, the_first_assignment_of_a_generation_is_the_one) {
  driver_.join(request("a"));
  driver_.hold_records();
  const SyncAnswer first = sync("a-1", {{"a-1", "t:0"}});
  const SyncAnswer second = sync("a-1", {{"a-1", "t:1"}});
  driver_.record();
  EXPECT_EQ(code_of(first), Errc::rebalance_in_progress);
  EXPECT_EQ(assignment_of(second), "t:0");
}

TEST_F(ClassicMembershipTest, an_assignment_recorded_after_a_new_rebalance_began_is_given_to_nobody) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  driver_.hold_records();
  const SyncAnswer a = sync("a-1", {{"a-1", "t:1"}});
  driver_.leave({dynamic("b-2")});
  EXPECT_EQ(code_of(a), Errc::rebalance_in_progress);
  driver_.record();
  EXPECT_EQ(group().state(), State::preparing_rebalance);
  EXPECT_EQ(heartbeat("a-1"), Errc::rebalance_in_progress);
}

TEST_F(ClassicMembershipTest, a_returning_static_member_is_answered_when_its_new_id_is_recorded) {
  stable_static_pair();
  driver_.hold_records();
  const JoinAnswer y = driver_.join(static_request("y"));
  EXPECT_TRUE(y->waits());
  driver_.record();
  EXPECT_EQ(code_of(y), kOk);
  driver_.restart();
  EXPECT_THAT(members(), ElementsAre("x-1", "y-3"));
}

TEST_F(ClassicMembershipTest, members_that_joined_stay_at_the_barrier_when_another_comes_before_the_record) {
  driver_.hold_records();
  const JoinAnswer a = driver_.join(request("a"));
  const JoinAnswer b = driver_.join(request("b"));
  driver_.record();
  ASSERT_EQ(code_of(a), kOk);
  EXPECT_EQ(a->reply->generation, 2);
  EXPECT_EQ(b->reply->generation, 2);
}

TEST_F(ClassicMembershipTest, a_generation_that_cannot_be_recorded_is_given_to_nobody) {
  driver_.hold_records();
  const JoinAnswer a = driver_.join(request("a"));
  driver_.record_next(Error{Errc::disk_full, ""});
  EXPECT_EQ(code_of(a), Errc::disk_full);
  const JoinAnswer again = driver_.join(request("a", "a-1"));
  driver_.record();
  ASSERT_EQ(code_of(again), kOk);
  EXPECT_EQ(again->reply->generation, 2);
}

TEST_F(ClassicMembershipTest, an_assignment_that_cannot_be_recorded_starts_a_rebalance) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  driver_.hold_records();
  const SyncAnswer b = sync("b-2");
  const SyncAnswer a = sync("a-1", {{"a-1", "t:1"}});
  driver_.record_next(Error{Errc::disk_full, ""});
  EXPECT_EQ(code_of(a), Errc::disk_full);
  EXPECT_EQ(code_of(b), Errc::disk_full);
  EXPECT_EQ(heartbeat("a-1"), Errc::rebalance_in_progress);
}

TEST_F(ClassicMembershipTest, a_static_member_whose_return_cannot_be_recorded_tries_again) {
  stable_static_pair();
  driver_.hold_records();
  const JoinAnswer refused = driver_.join(static_request("y"));
  driver_.record_next(Error{Errc::disk_full, ""});
  EXPECT_EQ(code_of(refused), Errc::disk_full);
  EXPECT_EQ(group().state(), State::stable);
  const JoinAnswer again = driver_.join(static_request("y"));
  driver_.record();
  EXPECT_EQ(code_of(again), kOk);
  EXPECT_EQ(assignment_of(sync(again->reply->member_id)), "t:1");
}

TEST_F(ClassicMembershipTest, a_newer_record_carries_what_an_older_one_could_not) {
  stable_static_pair();
  driver_.hold_records();
  const JoinAnswer x = driver_.join(static_request("x"));
  const JoinAnswer y = driver_.join(static_request("y"));
  driver_.record_next(Error{Errc::disk_full, ""});
  EXPECT_EQ(code_of(x), Errc::disk_full);
  EXPECT_TRUE(y->waits());
  driver_.record_next();
  EXPECT_EQ(code_of(y), kOk);
  EXPECT_EQ(driver_.disk().leader, "x-3");
}

// Restarts.

TEST_F(ClassicMembershipTest, a_stable_group_goes_on_after_a_restart_with_fresh_sessions) {
  stable_pair();
  driver_.advance(9s);
  driver_.restart();
  driver_.advance(9s);
  EXPECT_EQ(heartbeat("a-1"), kOk);
  EXPECT_EQ(heartbeat("b-2"), kOk);
  EXPECT_EQ(assignment_of(sync("b-2")), "t:1");
  EXPECT_EQ(commit(dynamic("a-1"), 2), kOk);
}

TEST_F(ClassicMembershipTest, members_that_do_not_come_back_after_a_restart_go_with_their_sessions) {
  stable_pair();
  driver_.restart();
  driver_.advance(10s);
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicMembershipTest, a_restart_before_the_record_takes_back_only_what_nobody_was_told) {
  stable_pair();
  driver_.hold_records();
  const JoinAnswer a = driver_.join(request("a", "a-1"));
  const JoinAnswer b = driver_.join(request("b", "b-2"));
  driver_.restart();
  EXPECT_TRUE(a->waits());
  EXPECT_TRUE(b->waits());
  EXPECT_EQ(group().generation(), 2);
  EXPECT_EQ(heartbeat("a-1"), kOk);
}

TEST_F(ClassicMembershipTest, after_a_restart_the_leader_may_still_bring_the_assignment) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  driver_.restart();
  EXPECT_EQ(group().state(), State::completing_rebalance);
  const SyncAnswer b = sync("b-2");
  EXPECT_EQ(assignment_of(sync("a-1", {{"a-1", "t:1"}, {"b-2", "t:0"}})), "t:1");
  EXPECT_EQ(assignment_of(b), "t:0");
}

TEST_F(ClassicMembershipTest, after_a_restart_members_that_owe_a_sync_have_the_whole_time_for_it) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  driver_.restart();
  pass_with_heartbeats(59s, {"a-1", "b-2"});
  EXPECT_EQ(group().state(), State::completing_rebalance);
  pass_with_heartbeats(1s, {});
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicMembershipTest, a_rebalance_in_the_snapshot_goes_on_after_a_restart) {
  stable_pair();
  driver_.join(request("c"));
  driver_.write_snapshot();
  driver_.restart();
  EXPECT_EQ(heartbeat("a-1"), Errc::rebalance_in_progress);
  const JoinAnswer a = driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  pass_with_heartbeats(60s, {});
  ASSERT_EQ(code_of(a), kOk);
  EXPECT_EQ(a->reply->generation, 3);
  EXPECT_THAT(ids_in(a), UnorderedElementsAre("a-1", "b-2"));
}

TEST_F(ClassicMembershipTest, an_empty_group_keeps_its_generation_over_a_restart) {
  stable_pair();
  driver_.leave({dynamic("a-1"), dynamic("b-2")});
  driver_.restart();
  EXPECT_EQ(group().state(), State::empty);
  EXPECT_EQ(driver_.join(request("c"))->reply->generation, 4);
}

TEST_F(ClassicMembershipTest, a_group_larger_than_it_may_be_now_rebalances_after_a_restart) {
  stable_pair();
  const ClassicSnapshot pair = group().snapshot();
  ClassicMembership small({.members_max = 1}, {});
  ASSERT_TRUE(small.restore(pair, driver_.now()));
  EXPECT_EQ(small.state(), State::preparing_rebalance);
  small.check_invariants();
}

TEST_F(ClassicMembershipTest, a_generation_after_the_last_number_starts_at_one) {
  stable_pair();
  ClassicSnapshot snapshot = group().snapshot();
  snapshot.generation = std::numeric_limits<std::int32_t>::max();
  ClassicMembership group({}, {});
  ASSERT_TRUE(group.restore(snapshot, driver_.now()));
  group.leave(std::vector{dynamic("a-1"), dynamic("b-2")}, driver_.now());
  EXPECT_EQ(group.generation(), 1);
}

struct Contradiction {
  const char* name;
  void (*make)(ClassicSnapshot&);
};
class ClassicSnapshotTest : public ClassicMembershipTest, public testing::WithParamInterface<Contradiction> {};

TEST_P(ClassicSnapshotTest, a_snapshot_that_contradicts_itself_is_refused) {
  stable_pair();
  ClassicSnapshot snapshot = group().snapshot();
  GetParam().make(snapshot);
  ClassicMembership restored({}, {});
  EXPECT_EQ(code_of(restored.restore(snapshot, driver_.now())), Errc::corrupt_batch);
  EXPECT_EQ(restored.state(), State::empty);
  EXPECT_EQ(restored.generation(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    , ClassicSnapshotTest,
    testing::Values(Contradiction{"generation_below_zero", [](ClassicSnapshot& s) { s.generation = -1; }},
                    Contradiction{"members_of_an_empty_group", [](ClassicSnapshot& s) { s.phase = ClassicSnapshot::Phase::empty; }},
                    Contradiction{"stable_without_members", [](ClassicSnapshot& s) { s.members.clear(); }},
                    Contradiction{"leader_of_an_empty_group", [](ClassicSnapshot& s) { s.phase = {}, s.members.clear(); }},
                    Contradiction{"leader_is_no_member", [](ClassicSnapshot& s) { s.leader = "c-3"; }},
                    Contradiction{"no_protocol_type", [](ClassicSnapshot& s) { s.protocol_type.clear(); }},
                    Contradiction{"member_without_id", [](ClassicSnapshot& s) { s.members[1].member_id.clear(); }},
                    Contradiction{"member_twice", [](ClassicSnapshot& s) { s.members[1].member_id = "a-1"; }},
                    Contradiction{"instance_twice", [](ClassicSnapshot& s) { s.members[0].instance_id = s.members[1].instance_id = "x"; }},
                    Contradiction{"session_timeout_below_zero", [](ClassicSnapshot& s) { s.members[0].session_timeout = -1ms; }},
                    Contradiction{"rebalance_timeout_below_zero", [](ClassicSnapshot& s) { s.members[0].rebalance_timeout = -1ms; }},
                    Contradiction{"no_common_protocol", [](ClassicSnapshot& s) { s.members[1].protocols[0].name = "sticky"; }},
                    Contradiction{"unspoken_protocol", [](ClassicSnapshot& s) { s.protocol_name = "sticky"; }}),
    [](const auto& test_case) { return test_case.param.name; });

}  // namespace
}  // namespace tidemark::broker
