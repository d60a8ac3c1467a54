#include "tests/broker/groups/classic_membership_fixture.h"

namespace tidemark::broker {
namespace {

using ClassicSyncTest = ClassicMembershipTest;

TEST_F(ClassicSyncTest, followers_wait_for_the_leader_and_each_gets_its_assignment) {
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

TEST_F(ClassicSyncTest, a_member_that_the_leader_passed_over_gets_nothing) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  sync("a-1", {{"a-1", "t:0"}, {"stranger", "t:1"}});
  EXPECT_EQ(assignment_of(sync("b-2")), "");
}

TEST_F(ClassicSyncTest, a_sync_is_refused_by_what_is_wrong_with_it) {
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

TEST_F(ClassicSyncTest, a_parked_sync_is_refused_when_a_rebalance_begins) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  const SyncAnswer b = sync("b-2");
  driver_.join(request("c"));
  EXPECT_EQ(code_of(b), Errc::rebalance_in_progress);
}

TEST_F(ClassicSyncTest, a_newer_sync_of_a_member_takes_the_place_of_its_parked_one) {
  stable_pair();
  driver_.join(request("a", "a-1"));
  driver_.join(request("b", "b-2"));
  const SyncAnswer lost = sync("b-2");
  const SyncAnswer again = sync("b-2");
  EXPECT_EQ(code_of(lost), Errc::rebalance_in_progress);
  sync("a-1", {{"b-2", "t:1"}});
  EXPECT_EQ(assignment_of(again), "t:1");
}

TEST_F(ClassicSyncTest, members_that_do_not_sync_in_time_are_removed_though_they_heartbeat) {
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

TEST_F(ClassicSyncTest, a_follower_that_never_asks_for_its_assignment_is_removed_from_a_stable_group) {
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

}  // namespace
}  // namespace tidemark::broker
