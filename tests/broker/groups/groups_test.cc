#include "broker/groups/groups.h"

#include <algorithm>

#include "tests/broker/groups/groups_fixture.h"

/// The life of groups: making, changing, removing, restarts, full disks.
namespace tidemark::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Offsets = GroupCalls::Offsets;

TEST_F(GroupsTest, names_are_any_bytes_up_to_a_length) {
  const std::string odd("\0\n\xff/..", 6);
  ASSERT_TRUE(groups().commit_one(odd, at("t", 0, 0)));
  ASSERT_TRUE(groups().commit_one(std::string(249, 'n'), at("t", 1, 0)));
  EXPECT_EQ(code_of(groups().commit_one("", at("t", 0, 0))), Errc::invalid_argument);
  EXPECT_EQ(code_of(groups().commit_one(std::string(250, 'n'), at("t", 0, 0))), Errc::invalid_argument);
  power_fails();
  EXPECT_EQ(groups().committed(odd), (Offsets{{"t:0", 0}}));
  EXPECT_THAT(groups().names(), ElementsAre(odd, std::string(249, 'n')));
}

TEST_F(GroupsTest, create_checks_everything_first_and_makes_a_group_that_lasts) {
  const auto make = [&](const std::string& name, const std::vector<std::string>& topics,
                        const std::map<std::string, std::string>& settings) {
    return code_of(groups().create({.name = name, .topics = topics, .start = {}, .settings = settings}));
  };
  EXPECT_EQ(make("g", {"nowhere"}, {}), Errc::unknown_topic);
  EXPECT_EQ(make("g", {"t"}, {{"on.gone", "sometimes"}}), Errc::invalid_config);
  EXPECT_THAT(groups().names(), IsEmpty());
  EXPECT_EQ(make("g", {"t"}, {{"on.gone", "fail"}}), kDone);
  EXPECT_EQ(make("g", {"t"}, {}), Errc::conflict);
  power_fails();
  const auto info = groups().describe("g");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->effective.when_gone, WhenGone::fail);
  EXPECT_THAT(info->topics, ElementsAre("t"));
  EXPECT_EQ(info->state, "empty");
}

TEST_F(GroupsTest, settings_change_live_and_bad_ones_change_nothing) {
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 0)));
  ASSERT_TRUE(groups().alter("g", {{"offsets.retention", "7d"}, {"on.gone", "latest"}}));
  const auto refused = groups().alter("g", {{"on.gone", "fail"}, {"offset.retention", "1d"}});
  EXPECT_EQ(code_of(refused), Errc::invalid_config);
  EXPECT_THAT(refused.error().detail, HasSubstr("did you mean 'offsets.retention'?"));
  EXPECT_EQ(code_of(groups().alter("g", {{"lag.objective", "-5s"}})), Errc::invalid_config);
  EXPECT_EQ(code_of(groups().alter("nobody", {})), Errc::unknown_group);
  ASSERT_TRUE(groups().alter("g", {{"offsets.retention", ""}}));
  power_fails();
  const auto info = groups().describe("g");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->settings, (std::map<std::string, std::string>{{"on.gone", "latest"}}));
  EXPECT_EQ(info->effective.offsets_retention, std::nullopt);
  EXPECT_EQ(info->effective.when_gone, WhenGone::latest);
}

TEST_F(GroupsTest, a_group_with_members_is_not_removed) {
  ASSERT_TRUE(groups().heartbeat(GroupCalls::joining("g", "a", {"t"})));
  EXPECT_EQ(code_of(groups().remove("g")), Errc::conflict);
  ASSERT_TRUE(groups().leave("g", "a"));
  ASSERT_TRUE(groups().remove("g"));
  EXPECT_EQ(code_of(groups().remove("g")), Errc::unknown_group);
  power_fails();
  EXPECT_THAT(groups().names(), IsEmpty());
}

TEST_F(GroupsTest, a_group_made_again_under_a_name_knows_nothing_of_the_former_one) {
  append("t", 0, 3);
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 2)));
  ASSERT_TRUE(groups().remove("g"));
  ASSERT_TRUE(groups().commit_one("g", at("t", 1, 0)));
  power_fails();
  EXPECT_EQ(groups().committed("g"), (Offsets{{"t:1", 0}}));
}

TEST_F(GroupsTest, a_commit_that_meets_a_removal_is_answered_as_what_became_of_it) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(groups().commit_one("g", at("t", 0, 0)));
    const CommitRequest request{.group = "g", .member = {}, .epoch = 0, .instance = {}, .entries = {at("t", 1, 0)}};
    const auto committing =
        groups().start<CommitReply>([&](Groups& all, Done<CommitReply> done) { all.commit({}, request, std::move(done)); });
    const auto removing = groups().start<void>([](Groups& all, Done<void> done) { all.remove({}, "g", std::move(done)); });
    engine_->runtime().run();
    ASSERT_TRUE(*committing && *removing && **removing);
    EXPECT_EQ(code_of(**committing), Errc::conflict);
    EXPECT_THAT(groups().names(), IsEmpty());
  }
}

TEST_F(GroupsTest, a_heartbeat_of_an_unknown_group_makes_none) {
  EXPECT_EQ(code_of(groups().heartbeat(GroupCalls::renewal("g", "a", 3))), Errc::unknown_group);
  HeartbeatRequest bad = GroupCalls::joining("g", "a", {});
  bad.subscription->regex = "([";
  EXPECT_EQ(code_of(groups().heartbeat(bad)), Errc::invalid_argument);
  EXPECT_THAT(groups().names(), IsEmpty());
}

// --- Retention of progress.

TEST_F(GroupsTest, progress_does_not_expire_unless_configured) {
  ASSERT_TRUE(groups().commit_one("kept", at("t", 0, 0)));
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 0)));
  ASSERT_TRUE(groups().alter("g", {{"offsets.retention", "10m"}}));
  engine_->runtime().advance(9min);
  ASSERT_TRUE(groups().commit_one("g", at("t", 1, 0)));
  engine_->runtime().advance(9min);
  EXPECT_THAT(groups().names(), ElementsAre("g", "kept")) << "it was used";
  engine_->runtime().advance(3min);
  EXPECT_THAT(groups().names(), ElementsAre("kept"));
  power_fails();
  EXPECT_THAT(groups().names(), ElementsAre("kept"));
}

TEST_F(GroupsTest, progress_does_not_expire_under_a_member) {
  const auto joined = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}));
  ASSERT_TRUE(joined);
  ASSERT_TRUE(groups().alter("g", {{"offsets.retention", "1m"}}));
  for (int i = 0; i < 30; ++i) {
    engine_->runtime().advance(10s);
    ASSERT_TRUE(groups().heartbeat(GroupCalls::renewal("g", "a", joined->epoch)));
  }
  EXPECT_THAT(groups().names(), ElementsAre("g"));
  engine_->runtime().advance(4min);  // Its session ends, and then the time of the group.
  EXPECT_THAT(groups().names(), IsEmpty());
}

// --- Topics under a group.

TEST_F(GroupsTest, positions_go_with_their_topic_and_a_new_one_of_the_name_starts_anew) {
  append("t", 0, 5);
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 5)));
  ASSERT_TRUE(engine_->remove("t"));
  engine_->runtime().run();
  EXPECT_EQ(groups().committed("g"), Offsets{});
  EXPECT_EQ(code_of(groups().commit_one("g", at("t", 0, 0))), Errc::unknown_topic);
  ASSERT_TRUE(engine_->create("t", 2));
  EXPECT_EQ(groups().committed("g"), Offsets{});
  power_fails();
  EXPECT_EQ(groups().committed("g"), Offsets{});
  EXPECT_EQ(groups().position("g", "t", 0)->offset, Offset{0});
}

TEST_F(GroupsTest, members_get_a_grown_topic_and_are_told) {
  int news = 0;
  const auto joined = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}), &news);
  ASSERT_TRUE(joined);
  EXPECT_THAT(*joined->assignment, SizeIs(2));
  add_partitions("t", 5);
  EXPECT_EQ(news, 1);
  EXPECT_THAT(*groups().heartbeat(GroupCalls::renewal("g", "a", joined->epoch))->assignment, SizeIs(5));
}

// --- Members over time and restarts.

TEST_F(GroupsTest, a_silent_member_is_removed_by_the_clock_and_another_is_told) {
  const auto a = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}));
  ASSERT_TRUE(a);
  engine_->runtime().advance(30s);
  int news = 0;
  const auto b = groups().heartbeat(GroupCalls::joining("g", "b", {"t"}), &news);
  ASSERT_TRUE(b);
  EXPECT_THAT(*b->assignment, IsEmpty());
  engine_->runtime().advance(15s);
  EXPECT_EQ(news, 1);
  EXPECT_THAT(*groups().heartbeat(GroupCalls::renewal("g", "b", b->epoch))->assignment, SizeIs(2));
  EXPECT_EQ(code_of(groups().heartbeat(GroupCalls::renewal("g", "a", a->epoch))), Errc::unknown_member);
}

TEST_F(GroupsTest, over_a_restart_members_keep_their_epochs_and_partitions) {
  const auto a = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}));
  ASSERT_TRUE(a);
  for (int i = 0; i < 3; ++i) {
    if (i == 0)
      restart();
    else
      power_fails();
    const auto back = groups().heartbeat(GroupCalls::renewal("g", "a", a->epoch));
    ASSERT_TRUE(back) << back.error().to_string();
    EXPECT_EQ(back->epoch, a->epoch);
    EXPECT_EQ(back->assignment, a->assignment);
    const auto reply = groups().commit({.group = "g", .member = "a", .epoch = a->epoch, .instance = {}, .entries = {at("t", 0, 0)}});
    ASSERT_TRUE(reply);
    EXPECT_TRUE(reply->at(0));
  }
  engine_->runtime().advance(46s);
  EXPECT_EQ(groups().describe("g")->state, "empty") << "sessions run on after a restart";
}

TEST_F(GroupsTest, a_stop_does_not_wait_for_members) {
  ASSERT_TRUE(groups().heartbeat(GroupCalls::joining("g", "a", {"t"})));
  EXPECT_TRUE(engine_->stop());
}

// --- Large groups and the state log.

class LargeGroups : public GroupsTest {
 protected:
  void SetUp() override {
    GroupsTest::SetUp();
    ASSERT_TRUE(engine_->create(kTopic, kPartitions));
  }
  std::vector<CommitRequest::Entry> everywhere(char mark) const {
    std::vector<CommitRequest::Entry> entries;
    for (std::int32_t p = 0; p < kPartitions; ++p) entries.push_back(at(kTopic, p, 0, std::string(kCommitMetadataBytesMax, mark)));
    return entries;
  }
  /// The mark of all of it; '?' when they differ.
  char mark_of(const std::string& group) {
    const auto all = groups().committed_in(group);
    if (!all || all->size() != static_cast<std::size_t>(kPartitions)) return '?';
    const char mark = all->front().committed->metadata.front();
    const auto same = [&](const Groups::Committed& one) { return one.committed->metadata == std::string(kCommitMetadataBytesMax, mark); };
    return std::ranges::all_of(*all, same) ? mark : '?';
  }
  std::vector<std::string> state_files() const {
    std::vector<std::string> files;
    for (const std::string& path : disk_->tree()) {
      if (path.find("/state/") != std::string::npos && path.ends_with(".state")) files.push_back(path);
    }
    return files;
  }

  static constexpr std::int32_t kPartitions = 400;
  const std::string kTopic = std::string(200, 'l');
};

TEST_F(LargeGroups, are_snapshot_in_several_parts_when_the_state_log_is_cleaned) {
  ASSERT_TRUE(groups().commit_one("small", at("t", 0, 0)));
  ASSERT_TRUE(groups().heartbeat(GroupCalls::joining("members", "a", {kTopic})));
  const std::vector<std::string> before = state_files();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(groups().commit("large", everywhere(static_cast<char>('a' + i % 26))));
  engine_->runtime().advance(5s);
  EXPECT_TRUE(std::ranges::none_of(state_files(), [&](const std::string& path) { return path == before.front(); }))
      << "the first file is still there: nothing was cleaned";
  power_fails();
  EXPECT_EQ(mark_of("large"), static_cast<char>('a' + 39 % 26));
  EXPECT_EQ(groups().committed("small"), (Offsets{{"t:0", 0}}));
  EXPECT_EQ(groups().describe("members")->members.at(0).partitions.size(), static_cast<std::size_t>(kPartitions));
}

TEST_F(LargeGroups, may_have_a_long_history_of_seeks) {
  ASSERT_TRUE(groups().create({.name = "g", .topics = {kTopic}, .start = {}, .settings = {}}));
  for (std::size_t i = 0; i < kSeekHistoryMax; ++i) ASSERT_TRUE(groups().seek(GroupCalls::seek_request("g", SeekTarget::Kind::earliest)));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(groups().commit("large", everywhere('m')));
  engine_->runtime().advance(5s);
  ASSERT_FALSE(engine_->fatal()) << engine_->fatal()->to_string();
  power_fails();
  EXPECT_THAT(groups().history("g"), SizeIs(kSeekHistoryMax));
}

TEST_F(LargeGroups, may_have_members_that_subscribe_to_a_great_deal) {
  for (int m = 0; m < 6; ++m) {
    std::vector<std::string> topics;
    for (std::size_t t = 0; t < 4'000; ++t) topics.push_back(std::to_string(t) + std::string(240, 's'));
    ASSERT_TRUE(groups().heartbeat(GroupCalls::joining("g", "m" + std::to_string(m), topics)));
  }
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(groups().commit("large", everywhere('m')));
  engine_->runtime().advance(5s);
  ASSERT_FALSE(engine_->fatal()) << engine_->fatal()->to_string();
  power_fails();
  EXPECT_THAT(groups().describe("g")->members, SizeIs(6));
}

TEST_F(LargeGroups, on_a_full_disk_get_a_typed_refusal_and_go_on_when_there_is_space) {
  ASSERT_TRUE(groups().commit("g", everywhere('a')));
  disk_->set_capacity(0);
  char last = 'a';
  bool refused = false;
  for (int i = 0; i < 200 && !refused; ++i) {
    const char next = static_cast<char>('a' + i % 26);
    const auto reply = groups().commit("g", everywhere(next));
    if (reply) {
      last = next;
    } else {
      ASSERT_EQ(reply.error().code, Errc::disk_full) << reply.error().to_string();
      refused = true;
    }
  }
  ASSERT_TRUE(refused) << "the disk was never full";
  ASSERT_FALSE(engine_->fatal()) << engine_->fatal()->to_string();
  const auto shown = groups().committed_in("g");
  if (shown) {
    EXPECT_EQ(mark_of("g"), last) << "what is shown is on the disk";
  } else {
    EXPECT_EQ(shown.error().code, Errc::disk_full);
  }
  const auto after = disk_->crash_clone(CrashPolicy::drop_all, 1);
  {
    after->set_capacity(SimulatedFileSystem::kDefaultCapacity);
    Engine other(*after);
    ASSERT_TRUE(other.open());
    const auto recovered = GroupCalls(other).committed_in("g");
    ASSERT_TRUE(recovered);
    for (const Groups::Committed& one : *recovered) ASSERT_EQ(one.committed->metadata.front(), last) << "half of a refused commit";
  }
  disk_->set_capacity(SimulatedFileSystem::kDefaultCapacity);
  ASSERT_TRUE(groups().commit("g", everywhere('z')));
  power_fails();
  EXPECT_EQ(mark_of("g"), 'z');
}

}  // namespace
}  // namespace tidemark::broker
