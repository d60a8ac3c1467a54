#include "tests/broker/groups/classic_membership_fixture.h"

namespace tidemark::broker {
namespace {

using ClassicJoinTest = ClassicMembershipTest;

TEST_F(ClassicJoinTest, the_first_member_leads_generation_one) {
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

TEST_F(ClassicJoinTest, a_join_waits_until_every_member_has_come_back_and_only_the_leader_hears_of_all) {
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

TEST_F(ClassicJoinTest, an_empty_group_waits_the_initial_delay_for_more_members) {
  start_with({.initial_rebalance_delay = 3s});
  const JoinAnswer a = driver_.join(request("a"));
  driver_.advance(2999ms);
  EXPECT_TRUE(a->waits());
  driver_.advance(1ms);
  EXPECT_EQ(code_of(a), kOk);
}

TEST_F(ClassicJoinTest, each_further_member_of_a_new_group_prolongs_the_delay_up_to_the_rebalance_timeout) {
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

TEST_F(ClassicJoinTest, the_initial_delay_ends_when_nobody_came_in_its_last_round) {
  start_with({.initial_rebalance_delay = 3s});
  const JoinAnswer a = driver_.join(request("a"));
  driver_.advance(1s);
  driver_.join(request("b"));
  driver_.advance(5s - 1ms);
  EXPECT_TRUE(a->waits());
  driver_.advance(1ms);
  EXPECT_EQ(code_of(a), kOk);
}

TEST_F(ClassicJoinTest, an_emptied_group_waits_the_initial_delay_once) {
  start_with({.initial_rebalance_delay = 3s});
  driver_.join(request("a"));
  driver_.advance(3s);
  driver_.leave({dynamic("a-1")});
  const JoinAnswer b = driver_.join(request("b"));
  driver_.advance(1s);
  const JoinAnswer c = driver_.join(request("c"));
  driver_.advance(2s - 1ms);
  EXPECT_TRUE(b->waits());
  driver_.advance(1ms);
  EXPECT_EQ(code_of(b), kOk);
  EXPECT_EQ(code_of(c), kOk);
}

TEST_F(ClassicJoinTest, the_barrier_waits_for_the_longest_rebalance_timeout_of_any_member) {
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

TEST_F(ClassicJoinTest, a_dynamic_member_that_does_not_rejoin_in_time_is_removed_though_it_heartbeats) {
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

TEST_F(ClassicJoinTest, the_longest_member_at_the_barrier_leads_when_the_leader_does_not_come_back) {
  stable_pair();
  const JoinAnswer c = driver_.join(request("c"));
  driver_.join(request("b", "b-2"));
  pass_with_heartbeats(60s, {});
  ASSERT_EQ(code_of(c), kOk);
  EXPECT_EQ(c->reply->leader, "b-2");
}

TEST_F(ClassicJoinTest, a_static_member_that_does_not_rejoin_keeps_its_place_at_the_barrier) {
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

TEST_F(ClassicJoinTest, a_static_member_that_stays_away_goes_with_its_session) {
  stable_static_pair();
  const JoinAnswer x = driver_.join(static_request("x", "x-1"));
  driver_.advance(10s - 1ms);
  EXPECT_TRUE(x->waits());
  driver_.advance(1ms);
  ASSERT_EQ(code_of(x), kOk);
  EXPECT_THAT(members(), ElementsAre("x-1"));
}

TEST_F(ClassicJoinTest, a_static_member_that_does_not_sync_in_time_is_removed_too) {
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

TEST_F(ClassicJoinTest, a_barrier_to_which_no_static_member_came_waits_until_their_sessions_end) {
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

TEST_F(ClassicJoinTest, a_new_dynamic_member_is_given_an_id_and_joins_with_it) {
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

TEST_F(ClassicJoinTest, a_static_member_is_not_asked_to_join_twice) {
  ClassicJoin join = static_request("x");
  join.require_known_member_id = true;
  EXPECT_EQ(code_of(driver_.join(join)), kOk);
}

TEST_F(ClassicJoinTest, the_barrier_waits_for_who_was_given_an_id_until_the_id_lapses) {
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

TEST_F(ClassicJoinTest, a_member_id_that_nobody_gave_out_is_unknown) {
  EXPECT_EQ(code_of(driver_.join(request("a", "made-up"))), Errc::unknown_member);
  stable_pair();
  EXPECT_EQ(code_of(driver_.join(request("a", "made-up"))), Errc::unknown_member);
}

TEST_F(ClassicJoinTest, a_static_identity_cannot_take_an_id_given_to_a_dynamic_member) {
  ClassicJoin first = request("a");
  first.require_known_member_id = true;
  driver_.join(first);
  EXPECT_EQ(code_of(driver_.join(static_request("x", "a-1"))), Errc::unknown_member);
}

TEST_F(ClassicJoinTest, session_timeouts_outside_the_bounds_are_refused) {
  for (const auto timeout : {-1ms, 0ms, 5999ms, 30min + 1ms}) {
    ClassicJoin join = request("a");
    join.session_timeout = timeout;
    EXPECT_EQ(code_of(driver_.join(join)), Errc::invalid_session_timeout) << timeout.count();
  }
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicJoinTest, a_rebalance_timeout_may_be_any_number) {
  for (const auto timeout : {std::chrono::milliseconds::min(), -1ms, std::chrono::milliseconds::max()}) {
    ClassicJoin join = request("a");
    join.rebalance_timeout = timeout;
    const JoinAnswer answer = driver_.join(join);
    driver_.advance(0ms);
    ASSERT_EQ(code_of(answer), kOk);
    driver_.leave({dynamic(answer->reply->member_id)});
  }
}

TEST_F(ClassicJoinTest, a_newer_join_of_a_member_takes_the_place_of_its_parked_one) {
  stable_pair();
  const JoinAnswer lost = driver_.join(request("a", "a-1"));
  const JoinAnswer again = driver_.join(request("a", "a-1"));
  EXPECT_EQ(code_of(lost), Errc::rebalance_in_progress);
  EXPECT_TRUE(again->waits());
  driver_.join(request("b", "b-2"));
  EXPECT_EQ(code_of(again), kOk);
}

TEST_F(ClassicJoinTest, a_member_whose_join_is_parked_is_alive_without_heartbeats) {
  stable_pair();
  const JoinAnswer a = driver_.join(request("a", "a-1"));
  pass_with_heartbeats(59s, {"b-2"});
  EXPECT_TRUE(a->waits());
  EXPECT_THAT(members(), ElementsAre("a-1", "b-2"));
}

TEST_F(ClassicJoinTest, the_parked_join_of_a_new_member_is_given_up_after_five_minutes) {
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

TEST_F(ClassicJoinTest, a_follower_that_joins_a_stable_group_again_gets_the_generation_as_it_is) {
  stable_pair();
  const JoinAnswer b = driver_.join(request("b", "b-2"));
  ASSERT_EQ(code_of(b), kOk);
  EXPECT_EQ(b->reply->generation, 2);
  EXPECT_EQ(b->reply->leader, "a-1");
  EXPECT_EQ(group().state(), State::stable);
  EXPECT_EQ(assignment_of(sync("b-2")), "t:1");
}

TEST_F(ClassicJoinTest, a_follower_with_other_metadata_starts_a_rebalance) {
  stable_pair();
  ClassicJoin changed = request("b", "b-2");
  changed.protocols[0].metadata = bytes_of("b reads u");
  EXPECT_TRUE(driver_.join(changed)->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

TEST_F(ClassicJoinTest, the_leader_of_a_stable_group_starts_a_rebalance_by_joining) {
  stable_pair();
  EXPECT_TRUE(driver_.join(request("a", "a-1"))->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

TEST_F(ClassicJoinTest, a_member_that_missed_the_answer_to_its_join_gets_it_again) {
  const JoinAnswer first = driver_.join(request("a"));
  const JoinAnswer again = driver_.join(request("a", "a-1"));
  ASSERT_EQ(code_of(again), kOk);
  EXPECT_EQ(again->reply->generation, first->reply->generation);
  EXPECT_EQ(again->reply->members.size(), 1u);
  EXPECT_EQ(group().state(), State::completing_rebalance);
}

TEST_F(ClassicJoinTest, other_metadata_while_the_assignment_is_awaited_starts_over) {
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

TEST_F(ClassicJoinTest, what_a_member_says_does_not_keep_its_request_alive) {
  ClassicJoin join = request("a");
  const Slice frame = bytes_of("a frame with a small part");
  join.protocols[0].metadata = frame.subslice(2, 5);
  const JoinAnswer a = driver_.join(join);
  EXPECT_EQ(as_text(a->reply->members[0].metadata.view()), "frame");
  EXPECT_NE(a->reply->members[0].metadata.data(), frame.data() + 2);
}

}  // namespace
}  // namespace tidemark::broker
