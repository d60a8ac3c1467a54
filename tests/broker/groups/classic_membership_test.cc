#include "broker/groups/classic_membership.h"

#include "tests/broker/groups/classic_membership_fixture.h"

namespace tidemark::broker {
namespace {

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

}  // namespace
}  // namespace tidemark::broker
