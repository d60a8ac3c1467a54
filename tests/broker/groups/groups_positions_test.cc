#include "tests/broker/groups/groups_fixture.h"

/// What is committed, and where members read on.
namespace tidemark::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Offsets = GroupCalls::Offsets;
using Source = GroupPosition::Source;

// --- Commits.

TEST_F(GroupsTest, a_committed_offset_survives_power_loss_with_all_that_came_with_it) {
  append("t", 0, 3);
  const Timestamp when = engine_->runtime().clock().now();
  CommitRequest::Entry entry = at("t", 0, 2, std::string("any\0bytes\xff", 10));
  entry.leader_epoch = 7;
  ASSERT_TRUE(groups().commit_one("g", entry));
  power_fails();
  const auto all = groups().committed_in("g");
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ(all->front().where, (NamedPartition{"t", 0}));
  EXPECT_EQ(all->front().committed, (CommittedOffset{Offset{2}, 7, std::string("any\0bytes\xff", 10), when}));
}

TEST_F(GroupsTest, each_entry_of_a_commit_is_judged_for_itself) {
  append("t", 0, 3);
  append("t", 1, 3);
  const auto reply = groups().commit("g", {at("t", 0, 3), at("t", 1, 4), at("t", 1, -1), at("t", 2, 0), at("nowhere", 0, 0),
                                           at("t", 1, 1, std::string(kCommitMetadataBytesMax + 1, 'm'))});
  ASSERT_TRUE(reply);
  std::vector<Errc> codes;
  for (const Status& status : *reply) codes.push_back(code_of(status));
  EXPECT_THAT(codes, ElementsAre(kDone, Errc::offset_out_of_range, Errc::offset_out_of_range, Errc::unknown_partition, Errc::unknown_topic,
                                 Errc::invalid_argument));
  EXPECT_THAT(reply->at(1).error().detail, HasSubstr("t:1 ends at 3: cannot commit 4"));
  EXPECT_EQ(groups().committed("g"), (Offsets{{"t:0", 3}}));
}

TEST_F(GroupsTest, metadata_up_to_the_bound_is_kept) {
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 0, std::string(kCommitMetadataBytesMax, 'm'))));
  EXPECT_EQ(groups().committed_in("g")->at(0).committed->metadata.size(), kCommitMetadataBytesMax);
}

TEST_F(GroupsTest, a_commit_below_the_log_start_is_taken) {
  append("t", 0, 5);
  ASSERT_TRUE(engine_->trim("t", 0, Offset{4}));
  EXPECT_TRUE(groups().commit_one("g", at("t", 0, 1)));
}

TEST_F(GroupsTest, a_commit_in_which_nothing_is_valid_makes_no_group) {
  const auto reply = groups().commit("g", {at("nowhere", 0, 0)});
  ASSERT_TRUE(reply);
  EXPECT_EQ(code_of(reply->at(0)), Errc::unknown_topic);
  EXPECT_THAT(groups().names(), IsEmpty());
  EXPECT_EQ(code_of(groups().describe("g")), Errc::unknown_group);
}

TEST_F(GroupsTest, of_two_pipelined_commits_the_later_one_stays) {
  append("t", 0, 9);
  for (std::int64_t round = 0; round < 20; ++round) {
    std::vector<std::shared_ptr<std::optional<Result<CommitReply>>>> answers;
    for (const std::int64_t offset : {std::int64_t{8}, round % 8}) {
      const CommitRequest request{.group = "g", .member = {}, .epoch = 0, .instance = {}, .entries = {at("t", 0, offset)}};
      answers.push_back(
          groups().start<CommitReply>([request](Groups& all, Done<CommitReply> done) { all.commit({}, request, std::move(done)); }));
    }
    engine_->runtime().run();
    for (const auto& answer : answers) ASSERT_TRUE(*answer && **answer && (**answer)->at(0));
    EXPECT_EQ(groups().committed("g"), (Offsets{{"t:0", round % 8}}));
  }
}

TEST_F(GroupsTest, while_there_are_members_only_they_commit) {
  append("t", 0, 5);
  const auto joined = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}));
  ASSERT_TRUE(joined);
  EXPECT_EQ(code_of(groups().commit_one("g", at("t", 0, 1))), Errc::conflict);
  const auto as = [&](const std::string& member, std::int32_t epoch) {
    const auto reply = groups().commit({.group = "g", .member = member, .epoch = epoch, .instance = {}, .entries = {at("t", 0, 2)}});
    return reply ? code_of(reply->at(0)) : code_of(reply);
  };
  EXPECT_EQ(as("b", joined->epoch), Errc::unknown_member);
  EXPECT_EQ(as("a", joined->epoch + 1), Errc::stale_member_epoch);
  EXPECT_EQ(as("a", joined->epoch - 1), Errc::stale_member_epoch);
  EXPECT_EQ(as("a", joined->epoch), kDone);
  ASSERT_TRUE(groups().leave("g", "a"));
  EXPECT_EQ(as("a", joined->epoch), Errc::unknown_member);
  EXPECT_TRUE(groups().commit_one("g", at("t", 0, 3)));
}

TEST_F(GroupsTest, a_member_that_gives_up_may_commit_until_it_has) {
  append("t", 1, 5);
  const auto a = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}));
  ASSERT_TRUE(a);
  const auto b = groups().heartbeat(GroupCalls::joining("g", "b", {"t"}));
  ASSERT_TRUE(b);
  EXPECT_THAT(*b->assignment, IsEmpty());
  const auto told = groups().heartbeat(GroupCalls::renewal("g", "a", a->epoch));
  ASSERT_TRUE(told && told->assignment);
  ASSERT_EQ(told->assignment->size(), 1u);
  const std::int32_t moving = 1 - told->assignment->at(0).partition;
  append("t", moving, 5);
  const CommitRequest last{.group = "g", .member = "a", .epoch = a->epoch, .instance = {}, .entries = {at("t", moving, 5)}};
  ASSERT_TRUE(groups().commit(last));
  EXPECT_TRUE(groups().commit(last)->at(0));
  HeartbeatRequest given_up = GroupCalls::renewal("g", "a", told->epoch);
  given_up.owned = told->assignment;
  ASSERT_TRUE(groups().heartbeat(given_up));
  EXPECT_EQ(code_of(groups().commit(last)->at(0)), Errc::not_owner);
  const auto got = groups().heartbeat(GroupCalls::renewal("g", "b", b->epoch));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->assignment, (std::vector<NamedPartition>{{"t", moving}}));
  EXPECT_EQ(groups().position("g", "t", moving, {}, "b", got->epoch)->offset, Offset{5});
  EXPECT_EQ(code_of(groups().position("g", "t", moving, {}, "a", told->epoch)), Errc::not_owner);
}

TEST_F(GroupsTest, positions_can_be_forgotten_where_nobody_reads) {
  ASSERT_TRUE(groups().commit("g", {at("t", 0, 0), at("t", 1, 0)}));
  const auto forget = [&](const std::string& topic, std::int32_t partition) {
    const auto reply = groups().ask<std::vector<Status>>([&](Groups& all, auto done) {
      all.forget({}, "g", {{topic, partition}}, std::move(done));
    });
    return reply ? code_of(reply->at(0)) : code_of(reply);
  };
  EXPECT_EQ(forget("t", 0), kDone);
  EXPECT_EQ(forget("nowhere", 0), Errc::unknown_topic);
  power_fails();
  EXPECT_EQ(groups().committed("g"), (Offsets{{"t:1", 0}}));
  ASSERT_TRUE(groups().heartbeat(GroupCalls::joining("g", "a", {"t"})));
  EXPECT_EQ(forget("t", 1), Errc::conflict);
  EXPECT_EQ(groups().committed("g"), (Offsets{{"t:1", 0}}));
}

TEST_F(GroupsTest, what_is_asked_for_is_answered_in_its_order_with_or_without_a_commit) {
  ASSERT_TRUE(groups().commit_one("g", at("t", 1, 0)));
  const auto some = groups().committed_in("g", {{"nowhere", 0}, {"t", 1}, {"t", 0}});
  ASSERT_TRUE(some);
  EXPECT_EQ(some->at(0).committed, std::nullopt);
  EXPECT_EQ(some->at(1).committed->offset, Offset{0});
  EXPECT_EQ(some->at(2).committed, std::nullopt);
  EXPECT_EQ(code_of(groups().committed_in("nobody")), Errc::unknown_group);
}

// --- Where a group starts.

struct Start {
  const char* name;
  StartAt start;
  std::int64_t position;
};
void PrintTo(const Start& start, std::ostream* out) { *out << start.name; }

class GroupStart : public GroupsTest, public testing::WithParamInterface<Start> {};

TEST_P(GroupStart, is_resolved_once_and_stays_over_a_restart) {
  for (std::int64_t i = 0; i < 10; ++i) ASSERT_TRUE(engine_->append_batch("t", 0, batch_of({"x"}, 1'000 + 10 * i)));
  ASSERT_TRUE(engine_->trim("t", 0, Offset{2}));
  const auto joined = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}, GetParam().start));
  ASSERT_TRUE(joined);
  const auto position = groups().position("g", "t", 0, {}, "a", joined->epoch);
  ASSERT_TRUE(position) << position.error().to_string();
  EXPECT_EQ(position->offset, Offset{GetParam().position});
  EXPECT_EQ(position->source, Source::start);
  append("t", 0, 5);
  power_fails();
  EXPECT_EQ(groups().position("g", "t", 0)->offset, Offset{GetParam().position});
  EXPECT_EQ(groups().committed("g"), Offsets{}) << "a start is no commit";
}

INSTANTIATE_TEST_SUITE_P(, GroupStart,
                         testing::Values(Start{"earliest", {StartAt::Kind::earliest, 0}, 2},
                                         Start{"latest", {StartAt::Kind::latest, 0}, 10}, Start{"offset", {StartAt::Kind::offset, 7}, 7},
                                         Start{"offset_before", {StartAt::Kind::offset, 1}, 2},
                                         Start{"offset_beyond", {StartAt::Kind::offset, 99}, 10},
                                         Start{"time", {StartAt::Kind::time, 1'055}, 6},
                                         Start{"time_later", {StartAt::Kind::time, 9'999}, 10}),
                         [](const auto& start) { return std::string(start.param.name); });

TEST_F(GroupsTest, partitions_that_came_later_are_read_from_their_beginning) {
  append("t", 0, 4);
  ASSERT_TRUE(groups().heartbeat(GroupCalls::joining("g", "a", {"t"}, {StartAt::Kind::latest, 0})));
  EXPECT_EQ(groups().position("g", "t", 0)->offset, Offset{4});
  add_partitions("t", 3);
  append("t", 2, 6);
  EXPECT_EQ(groups().position("g", "t", 2)->offset, Offset{0}) << "nothing between its making and its assignment is missed";
}

TEST_F(GroupsTest, a_created_group_knows_its_start_before_anybody_reads) {
  append("t", 0, 4);
  ASSERT_TRUE(groups().create({.name = "g", .topics = {"t"}, .start = {StartAt::Kind::latest, 0}, .settings = {}}));
  append("t", 0, 4);
  power_fails();
  EXPECT_EQ(groups().position("g", "t", 0)->offset, Offset{4});
}

// --- Positions that are gone.

TEST_F(GroupsTest, a_position_that_retention_removed_moves_to_the_log_start_and_is_counted) {
  append("t", 0, 10);
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 2)));
  ASSERT_TRUE(engine_->trim("t", 0, Offset{6}));
  const auto position = groups().position("g", "t", 0);
  ASSERT_TRUE(position);
  EXPECT_EQ(position->offset, Offset{6});
  EXPECT_EQ(position->source, Source::moved);
  EXPECT_EQ(position->skipped, 4);
  power_fails();
  EXPECT_EQ(groups().describe("g")->skipped_records, 4u);
  EXPECT_EQ(groups().position("g", "t", 0)->source, Source::committed) << "it is moved once";
  EXPECT_EQ(groups().describe("g")->skipped_records, 4u);
}

TEST_F(GroupsTest, the_policy_latest_goes_on_at_the_end) {
  append("t", 0, 10);
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 2)));
  ASSERT_TRUE(groups().alter("g", {{"on.gone", "latest"}}));
  ASSERT_TRUE(engine_->trim("t", 0, Offset{6}));
  const auto position = groups().position("g", "t", 0);
  ASSERT_TRUE(position);
  EXPECT_EQ(position->offset, Offset{10});
  EXPECT_EQ(position->skipped, 8);
}

TEST_F(GroupsTest, the_policy_fail_waits_for_a_seek) {
  append("t", 0, 10);
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 2)));
  ASSERT_TRUE(groups().alter("g", {{"on.gone", "fail"}}));
  ASSERT_TRUE(engine_->trim("t", 0, Offset{6}));
  const auto refused = groups().position("g", "t", 0);
  EXPECT_EQ(code_of(refused), Errc::offset_out_of_range);
  EXPECT_THAT(refused.error().detail, HasSubstr("the log starts at 6"));
  EXPECT_EQ(groups().committed("g"), (Offsets{{"t:0", 2}}));
  EXPECT_EQ(groups().describe("g")->skipped_records, 0u);
  SeekRequest seek = GroupCalls::seek_request("g", SeekTarget::Kind::earliest);
  ASSERT_TRUE(groups().seek(seek));
  EXPECT_EQ(groups().position("g", "t", 0)->offset, Offset{6});
}

TEST_F(GroupsTest, where_the_reader_is_counts_if_it_says_so) {
  append("t", 0, 10);
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 2)));
  ASSERT_TRUE(engine_->trim("t", 0, Offset{6}));
  const auto position = groups().position("g", "t", 0, 5);
  ASSERT_TRUE(position);
  EXPECT_EQ(position->offset, Offset{6});
  EXPECT_EQ(position->skipped, 1);
  EXPECT_EQ(groups().position("g", "t", 0, 8)->offset, Offset{8});
}

TEST_F(GroupsTest, a_position_beyond_what_weak_durability_kept_is_clamped_and_counted) {
  ASSERT_TRUE(engine_->create("weak", 1, {{"durability", "os"}}));
  append("weak", 0, 5);
  ASSERT_TRUE(groups().commit_one("g", at("weak", 0, 5)));
  power_fails();
  const auto end = engine_->find("weak", 0, OffsetQuery::latest);
  ASSERT_TRUE(end);
  ASSERT_LT(end->offset, Offset{5}) << "the records were flushed, so that there is nothing to test";
  const auto lag = groups().lag("g");
  ASSERT_TRUE(lag);
  EXPECT_EQ(lag->at(0).lag, 0) << "never negative";
  const auto position = groups().position("g", "weak", 0);
  ASSERT_TRUE(position) << position.error().to_string();
  EXPECT_EQ(position->offset, end->offset);
  EXPECT_EQ(position->source, Source::moved);
  EXPECT_EQ(groups().describe("g")->clamped_positions, 1u);
  append("weak", 0, 1);
  power_fails();
  EXPECT_EQ(groups().describe("g")->clamped_positions, 1u);
}

TEST_F(GroupsTest, positions_name_what_is_wrong) {
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 0)));
  EXPECT_EQ(code_of(groups().position("g", "nowhere", 0)), Errc::unknown_topic);
  EXPECT_EQ(code_of(groups().position("g", "t", 2)), Errc::unknown_partition);
  EXPECT_EQ(code_of(groups().position("nobody", "t", 0)), Errc::unknown_group);
  EXPECT_EQ(code_of(groups().position("g", "t", 0, {}, "a", 1)), Errc::unknown_member);
}

}  // namespace
}  // namespace tidemark::broker
