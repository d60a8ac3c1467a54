#include <limits>

#include "tests/broker/groups/groups_fixture.h"

/// Moving a group, and taking it back.
namespace tidemark::broker {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = SeekTarget::Kind;
using Offsets = GroupCalls::Offsets;

/// Partition 0 has records 2 to 9, one every ten milliseconds of record time from 1000 on; the group stands at 5.
class GroupSeek : public GroupsTest {
 protected:
  void SetUp() override {
    GroupsTest::SetUp();
    for (std::int64_t i = 0; i < 10; ++i) ASSERT_TRUE(engine_->append_batch("t", 0, batch_of({"x"}, 1'000 + 10 * i)));
    ASSERT_TRUE(engine_->trim("t", 0, Offset{2}));
    ASSERT_TRUE(groups().commit_one("g", at("t", 0, 5)));
  }
  SeekRequest request(Kind kind, std::int64_t value = 0) {
    SeekRequest request = GroupCalls::seek_request("g", kind, value);
    request.topic = "t";
    request.partition = 0;
    return request;
  }
  std::int64_t position() { return groups().committed("g")["t:0"]; }
};

struct Move {
  const char* name;
  Kind kind;
  std::int64_t value;
  std::int64_t to;
  bool clamped;
};
void PrintTo(const Move& move, std::ostream* out) { *out << move.name; }

class GroupSeekTo : public GroupSeek, public testing::WithParamInterface<Move> {};

TEST_P(GroupSeekTo, plans_first_and_then_moves) {
  SeekRequest asked = request(GetParam().kind, GetParam().value);
  asked.execute = false;
  const auto plan = groups().seek(asked);
  ASSERT_TRUE(plan) << plan.error().to_string();
  ASSERT_THAT(plan->rows, SizeIs(1));
  const SeekRow& row = plan->rows[0];
  EXPECT_EQ(row.from, Offset{5});
  EXPECT_EQ(row.to, Offset{GetParam().to});
  EXPECT_EQ(row.records, GetParam().to - 5);
  EXPECT_EQ(row.clamped, GetParam().clamped);
  EXPECT_FALSE(plan->executed);
  EXPECT_EQ(position(), 5);
  EXPECT_THAT(groups().history("g"), IsEmpty());

  asked.execute = true;
  const auto moved = groups().seek(asked);
  ASSERT_TRUE(moved);
  EXPECT_TRUE(moved->executed);
  power_fails();
  EXPECT_EQ(position(), GetParam().to);
}

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(), kLeast = std::numeric_limits<std::int64_t>::min();
INSTANTIATE_TEST_SUITE_P(
    , GroupSeekTo,
    testing::Values(Move{"earliest", Kind::earliest, 0, 2, false}, Move{"latest", Kind::latest, 0, 10, false},
                    Move{"offset", Kind::offset, 7, 7, false}, Move{"offset_gone", Kind::offset, 1, 2, true},
                    Move{"offset_beyond", Kind::offset, 11, 10, true}, Move{"offset_negative", Kind::offset, -1, 2, true},
                    Move{"ahead", Kind::relative, 3, 8, false}, Move{"back", Kind::relative, -2, 3, false},
                    Move{"nowhere", Kind::relative, 0, 5, false}, Move{"far_ahead", Kind::relative, kMost, 10, true},
                    Move{"far_back", Kind::relative, kLeast, 2, true}, Move{"time", Kind::time, 1'034, 4, false},
                    Move{"time_later", Kind::time, 9'999, 10, false}, Move{"time_before", Kind::time, 0, 2, false},
                    Move{"after_start", Kind::after_start, 1, 3, false}, Move{"far_after_start", Kind::after_start, kMost, 10, true},
                    Move{"before_end", Kind::before_end, 1, 9, false}, Move{"far_before_end", Kind::before_end, kMost, 2, true},
                    Move{"far_beyond_end", Kind::before_end, kLeast, 10, true}),
    [](const auto& move) { return std::string(move.param.name); });

TEST_F(GroupSeek, says_how_much_of_the_log_it_jumps_over) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(engine_->append("t", 1, {std::string(20'000, 'x')}));
  ASSERT_TRUE(groups().commit_one("g", at("t", 1, 2)));
  SeekRequest asked = request(Kind::offset, 17);
  asked.partition = 1;
  const auto moved = groups().seek(asked);
  ASSERT_TRUE(moved);
  EXPECT_NEAR(static_cast<double>(moved->rows[0].bytes), 15 * 20'000.0, 70'000.0) << "as exact as the index, at both ends";
}

TEST_F(GroupSeek, to_where_another_group_is) {
  ASSERT_TRUE(groups().commit_one("other", at("t", 0, 8)));
  SeekRequest asked = GroupCalls::seek_request("g", Kind::group);
  asked.target.group = "other";
  const auto moved = groups().seek(asked);
  ASSERT_TRUE(moved);
  EXPECT_THAT(moved->rows, SizeIs(1)) << "the other has no position in partition 1";
  EXPECT_EQ(position(), 8);
  asked.target.group = "nobody";
  EXPECT_EQ(code_of(groups().seek(asked)), Errc::unknown_group);
}

TEST_F(GroupSeek, names_what_is_not_there) {
  EXPECT_EQ(code_of(groups().seek(GroupCalls::seek_request("nobody", Kind::earliest))), Errc::unknown_group);
  SeekRequest asked = request(Kind::earliest);
  asked.topic = "nowhere";
  EXPECT_EQ(code_of(groups().seek(asked)), Errc::unknown_topic);
  asked = request(Kind::earliest);
  asked.partition = 9;
  EXPECT_EQ(code_of(groups().seek(asked)), Errc::unknown_partition);
  EXPECT_EQ(code_of(groups().seek(request(Kind::committed))), Errc::invalid_argument);
  EXPECT_EQ(position(), 5);
}

TEST_F(GroupSeek, moves_everything_the_group_has_to_do_with_unless_told) {
  append("t", 1, 4);
  ASSERT_TRUE(groups().seek(GroupCalls::seek_request("g", Kind::latest)));
  EXPECT_EQ(groups().committed("g"), (Offsets{{"t:0", 10}, {"t:1", 4}}));
}

TEST_F(GroupSeek, is_refused_while_members_live_and_names_them) {
  const auto joined = groups().heartbeat(GroupCalls::joining("g", "worker-1", {"t"}));
  ASSERT_TRUE(joined);
  const auto refused = groups().seek(request(Kind::earliest));
  EXPECT_EQ(code_of(refused), Errc::conflict);
  EXPECT_THAT(refused.error().detail, HasSubstr("worker-1"));
  EXPECT_EQ(position(), 5);
  EXPECT_TRUE(groups().heartbeat(GroupCalls::renewal("g", "worker-1", joined->epoch))) << "it goes on undisturbed";
}

TEST_F(GroupSeek, when_forced_fences_the_members_and_they_come_back_at_the_new_position) {
  int news = 0;
  const auto joined = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}), &news);
  ASSERT_TRUE(joined);
  SeekRequest asked = request(Kind::earliest);
  asked.force = true;
  ASSERT_TRUE(groups().seek(asked));
  engine_->runtime().run();
  EXPECT_EQ(news, 1) << "they should hear of it at once";
  EXPECT_EQ(position(), 2);
  EXPECT_EQ(code_of(groups().heartbeat(GroupCalls::renewal("g", "a", joined->epoch))), Errc::unknown_member);
  const auto late = groups().commit({.group = "g", .member = "a", .epoch = joined->epoch, .instance = {}, .entries = {at("t", 0, 9)}});
  EXPECT_FALSE(late && late->at(0)) << "a commit from before would undo the seek";
  const auto again = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}));
  ASSERT_TRUE(again);
  EXPECT_GT(again->epoch, joined->epoch);
  EXPECT_EQ(groups().position("g", "t", 0, {}, "a", again->epoch)->offset, Offset{2});
  EXPECT_TRUE(groups().history("g").at(0).forced);
}

TEST_F(GroupSeek, beats_a_commit_that_was_on_its_way) {
  const CommitRequest commit{.group = "g", .member = {}, .epoch = 0, .instance = {}, .entries = {at("t", 0, 9)}};
  for (int round = 0; round < 20; ++round) {
    const auto committing =
        groups().start<CommitReply>([&](Groups& all, Done<CommitReply> done) { all.commit({}, commit, std::move(done)); });
    const auto seeking = groups().start<SeekReply>(
        [asked = request(Kind::offset, 3)](Groups& all, Done<SeekReply> done) { all.seek({}, asked, std::move(done)); });
    engine_->runtime().run();
    ASSERT_TRUE(*committing && *seeking);
    EXPECT_EQ(position(), 3);
  }
}

// --- History and undo.

TEST_F(GroupSeek, is_remembered_with_who_what_and_when) {
  const Timestamp when = engine_->runtime().clock().now();
  const auto moved = groups().seek(request(Kind::offset, 7));
  ASSERT_TRUE(moved);
  power_fails();
  const std::vector<SeekRecord> history = groups().history("g");
  ASSERT_THAT(history, SizeIs(1));
  EXPECT_EQ(history[0].id, moved->id);
  EXPECT_EQ(history[0].time, when);
  EXPECT_EQ(history[0].target, "as asked");
  EXPECT_FALSE(history[0].forced);
  EXPECT_EQ(history[0].undone, std::nullopt);
  ASSERT_THAT(history[0].rows, SizeIs(1));
  EXPECT_EQ(history[0].rows[0].from, Offset{5});
  EXPECT_EQ(history[0].rows[0].to, Offset{7});
}

TEST_F(GroupSeek, can_be_taken_back_one_after_another) {
  ASSERT_TRUE(groups().seek(request(Kind::offset, 7)));
  ASSERT_TRUE(groups().seek(request(Kind::latest)));
  const auto plan = groups().undo("g", false);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->executed);
  EXPECT_EQ(position(), 10);
  ASSERT_TRUE(groups().undo("g"));
  EXPECT_EQ(position(), 7);
  power_fails();
  ASSERT_TRUE(groups().undo("g"));
  EXPECT_EQ(position(), 5);
  EXPECT_EQ(code_of(groups().undo("g")), Errc::not_found);
  const std::vector<SeekRecord> history = groups().history("g");
  ASSERT_THAT(history, SizeIs(4));
  EXPECT_EQ(history[0].undone, history[3].id);
  EXPECT_EQ(history[1].undone, history[2].id);
  EXPECT_EQ(history[2].undid, history[1].id);
  EXPECT_EQ(history[2].target, "undo " + std::to_string(history[1].id));
}

TEST_F(GroupSeek, taken_back_leaves_no_position_where_there_was_none) {
  append("t", 1, 4);
  SeekRequest asked = request(Kind::latest);
  asked.partition = 1;
  const auto moved = groups().seek(asked);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->rows[0].from, std::nullopt);
  ASSERT_TRUE(groups().undo("g"));
  power_fails();
  EXPECT_EQ(groups().committed("g"), (Offsets{{"t:0", 5}}));
}

TEST_F(GroupSeek, taken_back_is_refused_while_members_live_unless_forced) {
  ASSERT_TRUE(groups().seek(request(Kind::latest)));
  ASSERT_TRUE(groups().heartbeat(GroupCalls::joining("g", "a", {"t"})));
  EXPECT_EQ(code_of(groups().undo("g")), Errc::conflict);
  EXPECT_EQ(position(), 10);
  ASSERT_TRUE(groups().undo("g", true, true));
  EXPECT_EQ(position(), 5);
}

TEST_F(GroupSeek, history_keeps_the_latest) {
  for (std::size_t i = 0; i < kSeekHistoryMax + 5; ++i)
    ASSERT_TRUE(groups().seek(request(Kind::offset, static_cast<std::int64_t>(2 + i % 5))));
  power_fails();
  const std::vector<SeekRecord> history = groups().history("g");
  ASSERT_THAT(history, SizeIs(kSeekHistoryMax));
  EXPECT_EQ(history.front().id, 6u);
  EXPECT_EQ(history.back().id, kSeekHistoryMax + 5);
}

}  // namespace
}  // namespace tidemark::broker
