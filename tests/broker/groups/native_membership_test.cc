#include "broker/groups/native_membership.h"

#include "tests/broker/groups/native_membership_fixture.h"

namespace tidemark::broker {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::SizeIs;

// --- Joining.

TEST_F(NativeMembershipTest, the_first_member_gets_everything_at_once) {
  const Client& a = join("a");
  EXPECT_EQ(a.held, partitions_of("t", {0, 1, 2, 3}));
  EXPECT_EQ(a.epoch, 1);
  EXPECT_EQ(group_.state(), "stable");
}

TEST_F(NativeMembershipTest, a_member_comes_three_times_in_its_session_and_every_five_seconds) {
  session_timeout_ = 3s;
  EXPECT_EQ(join("a").interval, 1s);
  session_timeout_ = 60s;
  EXPECT_EQ(join("b").interval, 5s);
}

TEST_F(NativeMembershipTest, who_joins_says_what_it_subscribes_to) {
  HeartbeatRequest asked = request(stranger("a"));
  asked.subscription.reset();
  EXPECT_EQ(refusal(send(asked)), Errc::invalid_argument);
  EXPECT_TRUE(group_.empty());
}

TEST_F(NativeMembershipTest, a_regex_that_does_not_parse_is_named_and_changes_nothing) {
  Client& a = join("a");
  const std::int32_t epoch = group_.epoch();
  HeartbeatRequest joining = request(stranger("b"));
  joining.subscription = Subscription{.topics = {}, .regex = "orders.(["};
  const Result<HeartbeatReply> refused = send(joining);
  EXPECT_EQ(refusal(refused), Errc::invalid_argument);
  EXPECT_THAT(refused.error().detail, HasSubstr("orders.(["));
  HeartbeatRequest changing = request(a);
  changing.subscription = joining.subscription;
  EXPECT_EQ(refusal(send(changing)), Errc::invalid_argument);
  EXPECT_EQ(group_.size(), 1u);
  EXPECT_EQ(group_.epoch(), epoch);
  EXPECT_EQ(beat(a), std::nullopt);
}

TEST_F(NativeMembershipTest, times_out_of_bounds_are_refused) {
  session_timeout_ = 99ms;
  EXPECT_EQ(refusal(send(request(stranger("a")))), Errc::invalid_argument);
  session_timeout_ = 31min;
  EXPECT_EQ(refusal(send(request(stranger("a")))), Errc::invalid_argument);
  session_timeout_ = 10s;
  rebalance_timeout_ = 61min;
  EXPECT_EQ(refusal(send(request(stranger("a")))), Errc::invalid_argument);
  rebalance_timeout_ = -1ms;
  EXPECT_EQ(refusal(send(request(stranger("a")))), Errc::invalid_argument);
  EXPECT_TRUE(group_.empty());
}

TEST_F(NativeMembershipTest, a_member_that_joins_again_has_everything_anew) {
  Client& a = join("a");
  const Named before = a.held;
  const std::int32_t epoch = a.epoch;
  EXPECT_EQ(join("a").held, before);
  EXPECT_GT(a.epoch, epoch);
  EXPECT_EQ(group_.size(), 1u);
}

// --- Handing over.

TEST_F(NativeMembershipTest, a_newcomer_waits_for_what_another_still_holds) {
  Client& a = join("a");
  Client& b = join("b");
  EXPECT_THAT(b.held, IsEmpty());
  EXPECT_EQ(a.news, 1) << "it should come at once";
  EXPECT_EQ(group_.state(), "reconciling");

  const Told told = beat(a);
  ASSERT_THAT(told, Optional(SizeIs(2)));
  const Named kept = *told;
  EXPECT_EQ(beat(b), std::nullopt) << "nothing was given up yet";
  EXPECT_EQ(give_up_but(a, kept), kept);
  EXPECT_EQ(b.news, 1);
  EXPECT_THAT(beat(b), Optional(SizeIs(2)));
  EXPECT_EQ(group_.state(), "stable");
  EXPECT_EQ(a.epoch, b.epoch);
}

TEST_F(NativeMembershipTest, partitions_that_stay_are_never_taken_away_meanwhile) {
  Client& a = join("a");
  join("b");
  const Named kept = beat(a).value();
  join("c");  // While the first hand-over is under way.
  for (const NamedPartition& where : kept) EXPECT_EQ(group_.owner(topics_.key(where)), "a");
  EXPECT_THAT(group_.may_commit("a", a.epoch, topics_.key(kept[0])), testing::Truly([](const Status& s) { return s.has_value(); }));
}

TEST_F(NativeMembershipTest, a_partition_that_comes_back_to_the_one_giving_it_up_goes_the_whole_way) {
  Client& a = join("a");
  Client& b = join("b");
  const Named kept = beat(a).value();
  ASSERT_TRUE(group_.leave(b.id, true, topics_.table()));
  settle();
  EXPECT_EQ(beat(a), std::nullopt) << "it was told to give up two, and has not said so";
  EXPECT_EQ(give_up_but(a, kept), partitions_of("t", {0, 1, 2, 3}));
}

TEST_F(NativeMembershipTest, who_does_not_give_up_in_time_is_removed) {
  session_timeout_ = 5min;
  Client& a = join("a");
  Client& b = join("b");
  beat(a);
  EXPECT_THAT(expire_after(59'999ms), IsEmpty());
  EXPECT_EQ(beat(a), std::nullopt);  // It lives, and yet does not give up.
  EXPECT_THAT(expire_after(1ms), ElementsAre(HasSubstr("'a' did not give up its partitions in 60000 ms")));
  EXPECT_EQ(refusal(send(request(a))), Errc::unknown_member);
  EXPECT_EQ(beat(b), partitions_of("t", {0, 1, 2, 3}));
}

TEST_F(NativeMembershipTest, a_lost_answer_does_not_lengthen_the_time_for_giving_up) {
  session_timeout_ = 5min;
  Client& a = join("a");
  const std::int32_t told_last = a.epoch;
  topics_.put("t", 5);
  topics_change();
  take(a, send(request(a)));  // The answer is lost: it goes on in the epoch before.
  a.epoch = told_last;
  join("b");
  EXPECT_TRUE(send(request(a)));
  EXPECT_THAT(expire_after(30s), IsEmpty());
  EXPECT_TRUE(send(request(a)));
  EXPECT_THAT(expire_after(30s), SizeIs(1));
}

TEST_F(NativeMembershipTest, who_gives_up_in_time_has_no_deadline_any_more) {
  session_timeout_ = 5min;
  Client& a = join("a");
  join("b");
  give_up_but(a, beat(a).value());
  EXPECT_THAT(expire_after(61s), IsEmpty());
}

// --- Sessions.

TEST_F(NativeMembershipTest, a_silent_member_is_removed_and_the_others_get_what_it_had) {
  Client& a = join("a");
  now_ += 6s;
  Client& b = join("b");
  give_up_but(a, beat(a).value());
  beat(b);
  EXPECT_EQ(group_.next_deadline(), now_ + 10s);
  now_ += 6s;
  EXPECT_EQ(beat(b), std::nullopt);
  const int before = b.news;
  EXPECT_THAT(expire_after(4s), ElementsAre(HasSubstr("'a' was not heard of for 10000 ms")));
  EXPECT_EQ(b.news, before + 1);
  EXPECT_EQ(beat(b), partitions_of("t", {0, 1, 2, 3}));
  EXPECT_EQ(refusal(send(request(a))), Errc::unknown_member);
}

TEST_F(NativeMembershipTest, each_heartbeat_begins_the_session_anew) {
  Client& a = join("a");
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(expire_after(9'999ms), IsEmpty());
    beat(a);
  }
  EXPECT_THAT(expire_after(10s), SizeIs(1));
  EXPECT_EQ(group_.state(), "empty");
  EXPECT_EQ(group_.next_deadline(), std::nullopt);
}

TEST_F(NativeMembershipTest, leaving_gives_everything_up_at_once) {
  Client& a = join("a");
  Client& b = join("b");
  ASSERT_TRUE(group_.leave("a", true, topics_.table()));
  settle();
  EXPECT_EQ(b.news, 1);
  EXPECT_EQ(beat(b), partitions_of("t", {0, 1, 2, 3}));
  EXPECT_EQ(group_.leave(a.id, true, topics_.table()).error().code, Errc::unknown_member);
}

// --- Static members.

TEST_F(NativeMembershipTest, a_static_member_that_restarts_keeps_its_share_and_nobody_else_notices) {
  Client& a = join("a1", "host-a");
  Client& b = join("b1", "host-b");
  give_up_but(a, beat(a).value());
  beat(b);
  const Named had = a.held;
  ASSERT_TRUE(group_.leave("a1", false, topics_.table()));
  settle();
  EXPECT_EQ(beat(b), std::nullopt);
  EXPECT_EQ(group_.owner(topics_.key(had[0])), "a1") << "kept for it while it is away";
  EXPECT_EQ(join("a2", "host-a").held, had);
  EXPECT_EQ(beat(b), std::nullopt);
  EXPECT_EQ(b.news, 1) << "only for its first share";
}

TEST_F(NativeMembershipTest, a_static_member_that_stays_away_is_removed_when_its_session_ends) {
  join("a1", "host-a");
  ASSERT_TRUE(group_.leave("a1", false, topics_.table()));
  EXPECT_THAT(expire_after(9'999ms), IsEmpty());
  EXPECT_THAT(expire_after(1ms), SizeIs(1));
  EXPECT_TRUE(group_.empty());
}

TEST_F(NativeMembershipTest, a_static_member_that_leaves_for_good_is_gone_at_once) {
  join("a1", "host-a");
  ASSERT_TRUE(group_.leave("a1", true, topics_.table()));
  EXPECT_TRUE(group_.empty());
}

TEST_F(NativeMembershipTest, a_second_process_with_the_instance_takes_over_and_the_first_is_unknown) {
  Client& first = join("a1", "host-a");
  Client& second = join("a2", "host-a");
  EXPECT_EQ(second.held, partitions_of("t", {0, 1, 2, 3}));
  EXPECT_EQ(refusal(send(request(first))), Errc::unknown_member);
  EXPECT_EQ(group_.may_commit("a1", first.epoch, topics_.key({"t", 0})).error().code, Errc::unknown_member);
  EXPECT_EQ(group_.size(), 1u);
}

TEST_F(NativeMembershipTest, a_member_id_belongs_to_one_instance) {
  join("a", "host-a");
  EXPECT_EQ(refusal(send(request(stranger("a", "host-b")))), Errc::conflict);
  EXPECT_EQ(refusal(send(request(stranger("a")))), Errc::conflict);
  EXPECT_EQ(group_.size(), 1u);
}

// --- Epochs.

TEST_F(NativeMembershipTest, after_a_lost_answer_the_previous_epoch_is_good_and_all_is_told_again) {
  Client& a = join("a");
  const std::int32_t before = a.epoch;
  topics_.put("t", 6);
  topics_change();
  ASSERT_TRUE(send(request(a)));  // Nobody hears the answer.
  ASSERT_EQ(a.epoch, before);
  EXPECT_EQ(beat(a), partitions_of("t", {0, 1, 2, 3, 4, 5}));
  EXPECT_GT(a.epoch, before);
}

TEST_F(NativeMembershipTest, other_epochs_are_refused) {
  Client& a = join("a");
  for (int partitions = 5; partitions < 8; ++partitions) {
    topics_.put("t", partitions);
    topics_change();
    beat(a);
  }
  Client late = a;
  late.epoch = a.epoch - 2;
  EXPECT_EQ(refusal(send(request(late))), Errc::stale_member_epoch);
  late.epoch = a.epoch + 1;
  EXPECT_EQ(refusal(send(request(late))), Errc::stale_member_epoch);
  late.epoch = -1;
  EXPECT_EQ(refusal(send(request(late))), Errc::stale_member_epoch);
  EXPECT_EQ(beat(a), std::nullopt) << "it goes on undisturbed";
  EXPECT_TRUE(group_.check_member("a", a.epoch));
  EXPECT_TRUE(group_.check_member("a", a.epoch - 1)) << "its answer may have been lost";
  EXPECT_EQ(group_.check_member("a", a.epoch - 2).error().code, Errc::stale_member_epoch);
  EXPECT_EQ(group_.check_member("x", a.epoch).error().code, Errc::unknown_member);
}

TEST_F(NativeMembershipTest, a_member_that_is_giving_up_stays_in_its_epoch) {
  Client& a = join("a");
  const std::int32_t before = a.epoch;
  join("b");
  const Named kept = beat(a).value();
  EXPECT_EQ(a.epoch, before);
  give_up_but(a, kept);
  EXPECT_EQ(a.epoch, group_.epoch());
}

TEST_F(NativeMembershipTest, unknown_members_are_told_to_join) {
  EXPECT_EQ(refusal(send(request(stranger("a", "", 3)))), Errc::unknown_member);
  EXPECT_TRUE(group_.empty());
}

TEST_F(NativeMembershipTest, fencing_removes_everybody) {
  Client& a = join("a");
  Client& b = join("b");
  const std::int32_t before = group_.epoch();
  group_.fence_all();
  EXPECT_GT(group_.epoch(), before);
  EXPECT_EQ(refusal(send(request(a))), Errc::unknown_member);
  EXPECT_EQ(refusal(send(request(b))), Errc::unknown_member);
  EXPECT_THAT(join("a").held, SizeIs(4));
}

TEST_F(NativeMembershipTest, who_is_fenced_should_come_at_once) {
  Client& a = join("a");
  group_.fence_all();
  settle();
  EXPECT_EQ(a.news, 1);
}

// --- Commits.

TEST_F(NativeMembershipTest, who_holds_a_partition_may_commit_until_it_has_given_it_up) {
  Client& a = join("a");
  Client& b = join("b");
  const Named kept = beat(a).value();
  const PartitionKey moving = topics_.key(kept == partitions_of("t", {0, 1}) ? NamedPartition{"t", 3} : NamedPartition{"t", 0});
  EXPECT_TRUE(group_.may_commit("a", a.epoch, moving)) << "while it gives it up";
  EXPECT_EQ(group_.may_commit("b", b.epoch, moving).error().code, Errc::not_owner);
  give_up_but(a, kept);
  EXPECT_EQ(group_.may_commit("a", a.epoch, moving).error().code, Errc::not_owner);
  EXPECT_EQ(group_.may_commit("b", b.epoch, moving).error().code, Errc::not_owner) << "it was not told yet";
  beat(b);
  EXPECT_TRUE(group_.may_commit("b", b.epoch, moving));
}

TEST_F(NativeMembershipTest, commits_are_good_in_every_epoch_since_the_partition_came) {
  Client& a = join("a");
  const std::int32_t since = a.epoch;
  topics_.put("t", 5);
  topics_change();
  beat(a);
  ASSERT_GT(a.epoch, since);
  EXPECT_TRUE(group_.may_commit("a", since, topics_.key({"t", 0})));
  EXPECT_EQ(group_.may_commit("a", since, topics_.key({"t", 4})).error().code, Errc::stale_member_epoch);
  EXPECT_TRUE(group_.may_commit("a", a.epoch, topics_.key({"t", 4})));
  EXPECT_EQ(group_.may_commit("a", a.epoch + 1, topics_.key({"t", 0})).error().code, Errc::stale_member_epoch);
  EXPECT_EQ(group_.may_commit("x", a.epoch, topics_.key({"t", 0})).error().code, Errc::unknown_member);
}

TEST_F(NativeMembershipTest, a_commit_from_before_joining_again_is_late) {
  Client& a = join("a");
  const std::int32_t before = a.epoch;
  join("a");
  EXPECT_EQ(group_.may_commit("a", before, topics_.key({"t", 0})).error().code, Errc::stale_member_epoch);
}

// --- Topics.

TEST_F(NativeMembershipTest, new_partitions_are_assigned_and_told_at_once) {
  Client& a = join("a");
  topics_.put("t", 6);
  topics_change();
  EXPECT_EQ(a.news, 1);
  EXPECT_EQ(beat(a), partitions_of("t", {0, 1, 2, 3, 4, 5}));
}

TEST_F(NativeMembershipTest, topics_that_do_not_matter_change_nothing) {
  Client& a = join("a");
  const std::int32_t before = group_.epoch();
  topics_.put("other", 3);
  topics_change();
  EXPECT_EQ(group_.epoch(), before);
  EXPECT_EQ(a.news, 0);
  EXPECT_EQ(beat(a), std::nullopt);
}

TEST_F(NativeMembershipTest, a_deleted_topic_is_given_up) {
  topics_.put("u", 2);
  Client& a = join("a", "", Subscription{.topics = {"t", "u"}, .regex = {}});
  EXPECT_THAT(a.held, SizeIs(6));
  topics_.remove("u");
  topics_change();
  EXPECT_EQ(a.news, 1);
  EXPECT_EQ(beat(a), partitions_of("t", {0, 1, 2, 3}));
  give_up_but(a, partitions_of("t", {0, 1, 2, 3}));
  EXPECT_EQ(group_.state(), "stable");
  EXPECT_THAT(expire_after(9s), IsEmpty());
}

TEST_F(NativeMembershipTest, a_topic_made_again_under_its_name_is_another_one) {
  Client& a = join("a");
  topics_.remove("t");
  topics_.put("t", 2);
  topics_change();
  EXPECT_EQ(beat(a), Named{}) << "first it gives the old ones up";
  EXPECT_EQ(give_up_but(a, {}), partitions_of("t", {0, 1}));
}

TEST_F(NativeMembershipTest, a_listed_topic_need_not_exist_yet) {
  Client& a = join("a", "", Subscription{.topics = {"later"}, .regex = {}});
  EXPECT_THAT(a.held, IsEmpty());
  topics_.put("later", 2);
  topics_change();
  EXPECT_EQ(beat(a), partitions_of("later", {0, 1}));
}

TEST_F(NativeMembershipTest, a_regex_matches_whole_names_now_and_later_and_never_internal_ones) {
  topics_.put("orders.eu", 1);
  topics_.put("old.orders.eu", 1);
  topics_.put("__tidemark_audit", 1);
  Client& a = join("a", "", Subscription{.topics = {}, .regex = "orders\\..*|__.*"});
  EXPECT_EQ(a.held, partitions_of("orders.eu", {0}));
  topics_.put("orders.us", 1);
  topics_change();
  EXPECT_EQ(beat(a), (Named{{"orders.eu", 0}, {"orders.us", 0}}));
}

TEST_F(NativeMembershipTest, a_subscription_can_change_without_joining_again) {
  topics_.put("u", 2);
  Client& a = join("a");
  HeartbeatRequest asked = request(a);
  asked.subscription = Subscription{.topics = {"u"}, .regex = {}};
  EXPECT_EQ(take(a, send(asked)), Named{}) << "the old ones first";
  EXPECT_EQ(give_up_but(a, {}), partitions_of("u", {0, 1}));
}

// --- News.

TEST_F(NativeMembershipTest, news_come_once_and_only_where_there_are_some) {
  Client& a = join("a");
  Client& b = join("b");
  EXPECT_EQ(a.news, 1);
  EXPECT_EQ(b.news, 0);
  join("c");
  topics_.put("t", 8);
  topics_change();
  EXPECT_EQ(a.news, 1) << "it has not come since";
  beat(a);
  settle();
  EXPECT_EQ(a.news, 1) << "it knows";
}

// --- What is shown.

TEST_F(NativeMembershipTest, members_are_described_with_what_they_hold_and_give_up) {
  Client& a = join("a", "host-a");
  join("b");
  const Named kept = beat(a).value();
  const std::vector<MemberInfo> infos = group_.describe(topics_.table());
  ASSERT_THAT(infos, SizeIs(2));
  EXPECT_THAT(infos[0],
              AllOf(Field(&MemberInfo::member, "a"), Field(&MemberInfo::instance, "host-a"), Field(&MemberInfo::client_id, "client of a"),
                    Field(&MemberInfo::epoch, a.epoch), Field(&MemberInfo::partitions, kept), Field(&MemberInfo::revoking, SizeIs(2)),
                    Field(&MemberInfo::last_seen, wall())));
  EXPECT_THAT(infos[1].partitions, IsEmpty());
  EXPECT_EQ(group_.subscribed(), std::set<Uuid>{topics_.table().find("t")->id});
}

// --- Restarts.

TEST_F(NativeMembershipTest, after_a_restart_everybody_goes_on_in_the_same_epoch) {
  Client& a = join("a");
  Client& b = join("b", "", Subscription{.topics = {}, .regex = "t|u"});
  give_up_but(a, beat(a).value());
  beat(b);
  const std::pair epochs(a.epoch, b.epoch);
  const std::pair shares(a.held, b.held);
  restart();
  EXPECT_EQ(beat(a), shares.first) << "told again, for the last answer may have been lost";
  EXPECT_EQ(beat(b), shares.second);
  EXPECT_EQ(std::pair(a.epoch, b.epoch), epochs);
  topics_.put("u", 2);
  topics_change();
  EXPECT_THAT(give_up_but(b, beat(b).value()), Optional(testing::Contains(NamedPartition{"u", 0}))) << "the regex is still there";
}

TEST_F(NativeMembershipTest, after_a_restart_sessions_and_hand_overs_begin_anew) {
  Client& a = join("a");
  Client& b = join("b");
  const Named kept = beat(a).value();
  now_ += 9'999ms;
  restart();
  EXPECT_THAT(expire_after(9'999ms), IsEmpty());
  EXPECT_TRUE(group_.may_commit("a", a.epoch, topics_.key({"t", 0})));
  EXPECT_TRUE(group_.may_commit("a", a.epoch, topics_.key({"t", 3})));
  EXPECT_EQ(give_up_but(a, kept), kept);
  EXPECT_THAT(beat(b), Optional(SizeIs(2)));
  restart();
  EXPECT_THAT(expire_after(10s), SizeIs(2));
}

TEST_F(NativeMembershipTest, changes_of_topics_while_the_broker_was_down_are_seen) {
  Client& a = join("a");
  topics_.put("t", 6);
  restart();
  EXPECT_EQ(beat(a), partitions_of("t", {0, 1, 2, 3, 4, 5}));
  topics_.remove("t");
  restart();
  EXPECT_EQ(beat(a), Named{});
}

TEST_F(NativeMembershipTest, a_subscription_that_moves_no_partition_is_recorded_too) {
  Client& a = join("a");
  state::GroupChange change;
  group_.take_change(change);
  HeartbeatRequest asked = request(a);
  asked.subscription = Subscription{.topics = {"t", "not there yet"}, .regex = {}};
  take(a, send(asked));
  change.Clear();
  ASSERT_TRUE(group_.take_change(change));
  ASSERT_EQ(change.members_size(), 1);
  EXPECT_THAT(change.members(0).topics(), ElementsAre("t", "not there yet"));
}

TEST_F(NativeMembershipTest, records_of_changes_add_up_to_the_whole) {
  NativeMembership copy;
  const auto record = [&] {
    state::GroupChange change;
    if (group_.take_change(change)) copy.apply(change);
    EXPECT_FALSE(group_.take_change(change)) << "it was taken";
  };
  Client& a = join("a1", "host-a");
  record();
  Client& b = join("b");
  record();
  give_up_but(a, beat(a).value());
  record();
  beat(b);
  join("a2", "host-a");
  ASSERT_TRUE(group_.leave("b", true, topics_.table()));
  record();
  state::GroupChange live, copied;
  group_.write_all(live);
  copy.write_all(copied);
  EXPECT_EQ(live.SerializeAsString(), copied.SerializeAsString());
}

}  // namespace
}  // namespace tidemark::broker
