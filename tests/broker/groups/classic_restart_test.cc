#include "tests/broker/groups/classic_membership_fixture.h"

namespace tidemark::broker {
namespace {

using ClassicRestartTest = ClassicMembershipTest;

// Durability.

TEST_F(ClassicRestartTest, a_join_is_answered_when_its_generation_is_recorded) {
  driver_.hold_records();
  const JoinAnswer a = driver_.join(request("a"));
  EXPECT_TRUE(a->waits());
  driver_.record();
  EXPECT_EQ(code_of(a), kOk);
  EXPECT_EQ(driver_.disk().generation, a->reply->generation);
}

TEST_F(ClassicRestartTest, the_time_for_the_sync_runs_from_the_answer_to_the_join) {
  driver_.hold_records();
  driver_.join(request("a"));
  driver_.advance(59s);
  driver_.record();
  pass_with_heartbeats(59s, {"a-1"});
  EXPECT_THAT(members(), ElementsAre("a-1"));
  pass_with_heartbeats(1s, {});
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicRestartTest, syncs_are_answered_when_the_assignment_is_recorded) {
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

TEST_F(ClassicRestartTest, the_first_assignment_of_a_generation_is_the_one) {
  driver_.join(request("a"));
  driver_.hold_records();
  const SyncAnswer first = sync("a-1", {{"a-1", "t:0"}});
  const SyncAnswer second = sync("a-1", {{"a-1", "t:1"}});
  driver_.record();
  EXPECT_EQ(code_of(first), Errc::rebalance_in_progress);
  EXPECT_EQ(assignment_of(second), "t:0");
}

TEST_F(ClassicRestartTest, an_assignment_recorded_after_a_new_rebalance_began_is_given_to_nobody) {
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

TEST_F(ClassicRestartTest, a_returning_static_member_is_answered_when_its_new_id_is_recorded) {
  stable_static_pair();
  driver_.hold_records();
  const JoinAnswer y = driver_.join(static_request("y"));
  EXPECT_TRUE(y->waits());
  driver_.record();
  EXPECT_EQ(code_of(y), kOk);
  driver_.restart();
  EXPECT_THAT(members(), ElementsAre("x-1", "y-3"));
}

TEST_F(ClassicRestartTest, members_that_joined_stay_at_the_barrier_when_another_comes_before_the_record) {
  driver_.hold_records();
  const JoinAnswer a = driver_.join(request("a"));
  const JoinAnswer b = driver_.join(request("b"));
  driver_.record();
  ASSERT_EQ(code_of(a), kOk);
  EXPECT_EQ(a->reply->generation, 2);
  EXPECT_EQ(b->reply->generation, 2);
}

TEST_F(ClassicRestartTest, a_generation_that_cannot_be_recorded_is_given_to_nobody) {
  driver_.hold_records();
  const JoinAnswer a = driver_.join(request("a"));
  driver_.record_next(Error{Errc::disk_full, ""});
  EXPECT_EQ(code_of(a), Errc::disk_full);
  const JoinAnswer again = driver_.join(request("a", "a-1"));
  driver_.record();
  ASSERT_EQ(code_of(again), kOk);
  EXPECT_EQ(again->reply->generation, 2);
}

TEST_F(ClassicRestartTest, an_assignment_that_cannot_be_recorded_starts_a_rebalance) {
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

TEST_F(ClassicRestartTest, a_static_member_whose_return_cannot_be_recorded_tries_again) {
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

TEST_F(ClassicRestartTest, a_newer_record_carries_what_an_older_one_could_not) {
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

TEST_F(ClassicRestartTest, each_returning_member_waits_for_its_own_record) {
  stable_static_pair();
  driver_.hold_records();
  const JoinAnswer x = driver_.join(static_request("x"));
  const JoinAnswer y = driver_.join(static_request("y"));
  driver_.record_next();
  EXPECT_EQ(code_of(x), kOk);
  EXPECT_TRUE(y->waits());
  driver_.record_next();
  EXPECT_EQ(code_of(y), kOk);
}

TEST_F(ClassicRestartTest, an_assignment_for_a_guessed_generation_waits_for_its_own_record) {
  driver_.hold_records();
  driver_.join(request("a"));
  const SyncAnswer guessed = sync("a-1", {{"a-1", "t:0"}});
  driver_.record_next();
  EXPECT_TRUE(guessed->waits());
  EXPECT_EQ(group().state(), State::completing_rebalance);
  driver_.record_next();
  EXPECT_EQ(assignment_of(guessed), "t:0");
}

TEST_F(ClassicRestartTest, an_error_for_what_a_newer_record_carried_changes_nothing) {
  stable_static_pair();
  driver_.hold_records();
  driver_.join(static_request("x"));
  const JoinAnswer y = driver_.join(static_request("y"));
  const auto newest = driver_.newest_version();
  group().recorded(newest, {}, driver_.now());
  EXPECT_EQ(code_of(y), kOk);
  driver_.record_next(Error{Errc::disk_full, ""});
  driver_.record_next();
  EXPECT_EQ(group().state(), State::stable);
  EXPECT_EQ(y->times, 1);
}

// Restarts.

TEST_F(ClassicRestartTest, a_stable_group_goes_on_after_a_restart_with_fresh_sessions) {
  stable_pair();
  driver_.advance(9s);
  driver_.restart();
  driver_.advance(9s);
  EXPECT_EQ(heartbeat("a-1"), kOk);
  EXPECT_EQ(heartbeat("b-2"), kOk);
  EXPECT_EQ(assignment_of(sync("b-2")), "t:1");
  EXPECT_EQ(commit(dynamic("a-1"), 2), kOk);
}

TEST_F(ClassicRestartTest, members_that_do_not_come_back_after_a_restart_go_with_their_sessions) {
  stable_pair();
  driver_.restart();
  driver_.advance(10s);
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicRestartTest, a_restart_before_the_record_takes_back_only_what_nobody_was_told) {
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

TEST_F(ClassicRestartTest, after_a_restart_the_leader_may_still_bring_the_assignment) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  driver_.restart();
  EXPECT_EQ(group().state(), State::completing_rebalance);
  const SyncAnswer b = sync("b-2");
  EXPECT_EQ(assignment_of(sync("a-1", {{"a-1", "t:1"}, {"b-2", "t:0"}})), "t:1");
  EXPECT_EQ(assignment_of(b), "t:0");
}

TEST_F(ClassicRestartTest, after_a_restart_members_that_owe_a_sync_have_the_whole_time_for_it) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  driver_.restart();
  pass_with_heartbeats(59s, {"a-1", "b-2"});
  EXPECT_EQ(group().state(), State::completing_rebalance);
  pass_with_heartbeats(1s, {});
  EXPECT_EQ(group().state(), State::empty);
}

TEST_F(ClassicRestartTest, a_rebalance_in_the_snapshot_goes_on_after_a_restart) {
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

TEST_F(ClassicRestartTest, the_leader_stays_the_leader_over_a_restart_though_another_is_longer_in_the_group) {
  ClassicJoin x = static_request("x");
  x.rebalance_timeout = 5s;
  driver_.join(x);
  sync("x-1");
  ClassicJoin y = static_request("y");
  y.rebalance_timeout = 5s;
  driver_.join(y);
  driver_.advance(5s);  // x is not back, y leads.
  ASSERT_EQ(group().describe().leader, "y-2");
  ASSERT_THAT(members(), ElementsAre("x-1", "y-2"));
  driver_.restart();
  EXPECT_EQ(group().describe().leader, "y-2");
  EXPECT_THAT(members(), ElementsAre("x-1", "y-2"));
}

TEST_F(ClassicRestartTest, an_empty_group_keeps_its_generation_over_a_restart) {
  stable_pair();
  driver_.leave({dynamic("a-1"), dynamic("b-2")});
  driver_.restart();
  EXPECT_EQ(group().state(), State::empty);
  EXPECT_EQ(driver_.join(request("c"))->reply->generation, 4);
}

TEST_F(ClassicRestartTest, a_group_larger_than_it_may_be_now_rebalances_after_a_restart) {
  stable_pair();
  const ClassicSnapshot pair = group().snapshot();
  ClassicMembership small({.members_max = 1}, {});
  ASSERT_TRUE(small.restore(pair, driver_.now()));
  EXPECT_EQ(small.state(), State::preparing_rebalance);
  small.check_invariants();
}

TEST_F(ClassicRestartTest, a_generation_after_the_last_number_starts_at_one) {
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
