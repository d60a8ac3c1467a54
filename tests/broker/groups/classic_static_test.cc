#include "tests/broker/groups/classic_membership_fixture.h"

namespace tidemark::broker {
namespace {

using ClassicStaticTest = ClassicMembershipTest;

TEST_F(ClassicStaticTest, a_static_member_that_comes_back_takes_its_place_without_a_rebalance) {
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

TEST_F(ClassicStaticTest, the_old_member_of_a_static_identity_is_fenced_in_every_call) {
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

TEST_F(ClassicStaticTest, a_parked_join_of_the_old_member_is_fenced_when_the_new_one_comes) {
  stable_static_pair();
  driver_.join(request("c"));
  const JoinAnswer old = driver_.join(static_request("y", "y-2"));
  const JoinAnswer back = driver_.join(static_request("y"));
  EXPECT_EQ(code_of(old), Errc::fenced_instance_id);
  EXPECT_TRUE(back->waits());
  driver_.join(static_request("x", "x-1"));
  EXPECT_EQ(code_of(back), kOk);
}

TEST_F(ClassicStaticTest, the_parked_join_of_a_returning_member_is_given_up_after_five_minutes) {
  ClassicJoin patient = static_request("x");
  patient.rebalance_timeout = 20min;
  patient.session_timeout = 30min;
  driver_.join(patient);
  driver_.join(static_request("y"));
  const JoinAnswer back = driver_.join(static_request("y"));
  driver_.advance(5min - 1ms);
  EXPECT_TRUE(back->waits());
  driver_.advance(1ms);
  EXPECT_EQ(code_of(back), Errc::unknown_member);
  EXPECT_THAT(members(), ElementsAre("x-1"));
}

TEST_F(ClassicStaticTest, a_static_member_that_comes_back_while_the_assignment_is_awaited_starts_over) {
  stable_static_pair();
  driver_.join(static_request("x", "x-1"));
  driver_.join(static_request("y", "y-2"));
  const SyncAnswer old = sync("y-2");
  const JoinAnswer back = driver_.join(static_request("y"));
  EXPECT_EQ(code_of(old), Errc::fenced_instance_id);
  EXPECT_TRUE(back->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

TEST_F(ClassicStaticTest, a_returning_static_leader_is_told_to_skip_the_assignment) {
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

TEST_F(ClassicStaticTest, a_returning_static_leader_that_cannot_skip_is_not_told_that_it_leads) {
  stable_static_pair();
  const JoinAnswer x = driver_.join(static_request("x"));
  ASSERT_EQ(code_of(x), kOk);
  EXPECT_EQ(x->reply->member_id, "x-3");
  EXPECT_EQ(x->reply->leader, "x-1");
  EXPECT_THAT(ids_in(x), IsEmpty());
  EXPECT_EQ(group().describe().leader, "x-3");
}

TEST_F(ClassicStaticTest, a_static_member_that_changes_the_selected_protocol_starts_a_rebalance) {
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

TEST_F(ClassicStaticTest, a_changed_subscription_starts_a_rebalance_where_the_owner_can_tell) {
  ClassicJoin changed = static_request("y");
  changed.protocols[0].metadata = bytes_of("y reads u");
  stable_static_pair();
  EXPECT_EQ(code_of(driver_.join(changed)), kOk);  // As in Kafka, which does not look into metadata.

  driver_.compare_subscriptions();
  EXPECT_EQ(code_of(driver_.join(changed)), kOk);  // The same as before.
  EXPECT_TRUE(driver_.join(static_request("y"))->waits());
  EXPECT_EQ(group().state(), State::preparing_rebalance);
}

}  // namespace
}  // namespace tidemark::broker
