#include "tests/broker/queues/queue_window_fixture.h"

namespace tidemark::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(QueueWindowTest, hands_out_each_record_once) {
  grow(10);
  EXPECT_EQ(receive("a", 4), offsets({0, 1, 2, 3}));
  EXPECT_EQ(receive("b", 4), offsets({4, 5, 6, 7}));
  EXPECT_EQ(receive("a"), offsets({8, 9}));
  EXPECT_THAT(receive("b"), IsEmpty());
  EXPECT_EQ(window().counts().in_flight, 10U);
}

TEST_F(QueueWindowTest, tells_runs_with_equal_counters) {
  grow(6);
  take("a", offsets({2}));
  window().release({2}, "a", 1, false, now_);
  EXPECT_THAT(take("a", range(0, 6)),
              ElementsAre(TakenRun{{Offset{0}, 2}, 1, 0}, TakenRun{{Offset{2}, 1}, 2, 0}, TakenRun{{Offset{3}, 3}, 1, 0}));
}

TEST_F(QueueWindowTest, floor_follows_the_oldest_unfinished_record) {
  grow(3000);
  take("a", range(0, 3000));
  for (std::int64_t i = 1; i < 2500; ++i) ack(i);
  EXPECT_EQ(window().floor(), Offset{0});
  ack(0);
  EXPECT_EQ(window().floor(), Offset{2500});
  for (std::int64_t i = 2500; i < 3000; ++i) ack(i);
  EXPECT_EQ(window().floor(), window().cursor());
  EXPECT_TRUE(window().revive({17}, now_));
  EXPECT_EQ(window().floor(), Offset{17});
  EXPECT_EQ(receive("b"), offsets({17}));
}

TEST_F(QueueWindowTest, parked_records_do_not_hold_the_floor_dying_ones_do) {
  grow(3);
  take("a", range(0, 3));
  reject(0);
  EXPECT_EQ(state(0), EntryState::parked);
  EXPECT_EQ(window().floor(), Offset{1});
  settings_.dead_letter_topic = "orders.dlq";
  configure();
  ack(1);
  reject(2);
  EXPECT_EQ(state(2), EntryState::dying);
  EXPECT_EQ(window().floor(), Offset{2});
}

// --- Who may settle.

TEST_F(QueueWindowTest, settles_for_the_owner_and_only_once) {
  grow(1);
  EXPECT_EQ(ack(0), Settled::not_delivered);
  EXPECT_EQ(ack(5), Settled::not_delivered);
  take("a", range(0, 1));
  EXPECT_EQ(ack(0, "b", 1), Settled::not_owner);
  EXPECT_EQ(ack(0, "a", 1), Settled::ok);
  EXPECT_EQ(ack(0, "a", 1), Settled::already_settled);
  EXPECT_EQ(window().counts().done, 1U);
}

TEST_F(QueueWindowTest, refuses_an_ack_after_the_lease_was_lost) {
  grow(1);
  take("a", range(0, 1));
  pass(30s);
  EXPECT_EQ(ack(0, "a", 1), Settled::lease_lost);
  take("b", range(0, 1));
  EXPECT_EQ(ack(0, "a", 1), Settled::lease_lost);
  EXPECT_EQ(ack(0, "b", 2), Settled::ok);
}

TEST_F(QueueWindowTest, takes_late_acks_where_they_are_accepted) {
  settings_.fence_late_acks = false;
  make();
  grow(2);
  take("a", range(0, 2));
  pass(30s);
  EXPECT_EQ(ack(0, "a", 1), Settled::ok);
  take("b", offsets({1}));
  EXPECT_EQ(ack(1, "a", 1), Settled::ok);
}

// --- Time.

TEST_F(QueueWindowTest, leases_end_and_count_as_failures) {
  grow(2);
  take("a", range(0, 2));
  EXPECT_EQ(window().next_deadline(), now_ + 30s);
  pass(29'999ms);
  EXPECT_EQ(window().counts().in_flight, 2U);
  pass(1ms);
  EXPECT_EQ(window().counts().retrying, 2U);
  EXPECT_EQ(window().counts().timed_out, 2U);
  EXPECT_EQ(window().entry({0})->failures, 1U);
  EXPECT_EQ(window().entry({0})->reason, "ack timeout");
  EXPECT_EQ(window().next_deadline(), std::nullopt);
}

TEST_F(QueueWindowTest, renewed_leases_run_from_now) {
  grow(3);
  take("a", range(0, 3));
  pass(20s);
  EXPECT_EQ(window().extend_lease({0}, "a", 1, {}, now_), Settled::ok);
  EXPECT_EQ(window().extend_lease({1}, "a", 1, 12s, now_), Settled::ok);
  EXPECT_EQ(window().extend_lease({2}, "b", 1, {}, now_), Settled::not_owner);
  pass(10s);
  EXPECT_EQ(state(2), EntryState::available);
  window().extend_all("a", now_);
  pass(25s);
  EXPECT_EQ(window().counts().in_flight, 2U);
  pass(5s);
  EXPECT_EQ(window().counts().in_flight, 0U);
}

TEST_F(QueueWindowTest, a_lease_can_be_made_shorter) {
  grow(1);
  take("a", range(0, 1));
  window().extend_all("a", now_);
  EXPECT_EQ(window().extend_lease({0}, "a", 1, 1s, now_), Settled::ok);
  pass(1s);
  EXPECT_EQ(state(0), EntryState::available);
}

TEST_F(QueueWindowTest, failed_records_come_back_after_their_delay) {
  settings_.backoff.steps = {1s, 10s};
  settings_.delivery_limit = 0;
  make();
  grow(1);
  for (const auto wait : {1s, 10s, 10s}) {
    take("a", range(0, 1));
    fail(0);
    EXPECT_EQ(state(0), EntryState::delayed);
    EXPECT_EQ(window().entry({0})->due, now_ + wait);
    EXPECT_FALSE(window().has_work());
    pass(wait);
    EXPECT_EQ(state(0), EntryState::available);
  }
  take("a", range(0, 1));
  fail(0, 0ms);
  EXPECT_EQ(state(0), EntryState::available);
}

TEST_F(QueueWindowTest, expires_no_more_than_asked_for) {
  grow(5000);
  take("a", range(0, 5000));
  now_ += 1h;
  window().expire(now_, 10);
  EXPECT_EQ(window().counts().timed_out, 10U);
  EXPECT_LE(window().next_deadline(), now_);
  window().expire(now_, 10'000);
  EXPECT_EQ(window().counts().timed_out, 5000U);
}

// --- Limits and dead letters.

TEST_F(QueueWindowTest, parks_what_failed_too_often) {
  settings_.delivery_limit = 3;
  make();
  grow(1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(receive("a"), offsets({0}));
    fail(0);
  }
  EXPECT_EQ(state(0), EntryState::parked);
  EXPECT_EQ(window().entry({0})->reason, "boom");
  EXPECT_TRUE(window().kick({0}, now_));
  EXPECT_EQ(window().entry({0})->failures, 0U);
  EXPECT_EQ(receive("a"), offsets({0}));
}

TEST_F(QueueWindowTest, releases_count_only_where_hand_outs_do) {
  settings_.delivery_limit = 2;
  make();
  grow(1);
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(receive("a"), offsets({0}));
    window().release({0}, "a", 0, false, now_);
  }
  settings_.count_deliveries = true;
  configure();
  EXPECT_EQ(receive("a"), offsets({0}));
  window().release({0}, "a", 0, false, now_);
  EXPECT_EQ(state(0), EntryState::parked);
}

TEST_F(QueueWindowTest, a_forgotten_hand_out_does_not_count) {
  grow(1);
  take("a", range(0, 1));
  window().release({0}, "a", 1, true, now_);
  EXPECT_EQ(window().entry({0})->deliveries, 0U);
}

TEST_F(QueueWindowTest, dead_letters_are_finished_when_their_copies_are_there) {
  settings_.dead_letter_topic = "dead";
  make();
  grow(4);
  take("a", range(0, 4));
  for (std::int64_t i = 0; i < 4; ++i) reject(i);
  EXPECT_EQ(window().dying(3), offsets({0, 1, 2}));
  window().set_producer(77, 2);
  window().begin_move({.offsets = offsets({0, 1, 2}), .first_sequence = window().next_sequence()});
  EXPECT_EQ(window().dying(10), offsets({3}));
  EXPECT_EQ(ack(1), Settled::already_settled);
  flush();
  restart();
  ASSERT_TRUE(window().move().has_value());
  EXPECT_EQ(window().move()->offsets, offsets({0, 1, 2}));
  EXPECT_EQ(window().producer_id(), 77);
  EXPECT_EQ(window().next_sequence(), 3);
  window().end_move(offsets({2}));
  EXPECT_EQ(window().counts().dead, 2U);
  EXPECT_EQ(window().counts().gone, 1U);
  EXPECT_EQ(window().counts().dying, 1U);
  EXPECT_EQ(window().floor(), Offset{3});
  window().park({3}, "no such topic");
  EXPECT_EQ(state(3), EntryState::parked);
}

TEST_F(QueueWindowTest, dying_records_are_parked_when_there_are_no_dead_letters_any_more) {
  settings_.dead_letter_topic = "dead";
  make();
  grow(1);
  take("a", range(0, 1));
  reject(0);
  settings_.dead_letter_topic.clear();
  configure();
  EXPECT_EQ(state(0), EntryState::parked);
}

TEST_F(QueueWindowTest, suspects_come_alone_and_to_idle_members) {
  settings_.delivery_limit = 4;
  make();
  grow(5);
  for (int i = 0; i < 2; ++i) {
    take("a", offsets({1}));
    fail(1);
  }
  EXPECT_EQ(receive("b", 1), offsets({0}));
  EXPECT_EQ(receive("b"), offsets({2, 3, 4}));
  EXPECT_EQ(receive("a"), offsets({1}));
  fail(1, 0ms);
  EXPECT_TRUE(window().must_record(take("a", offsets({1}))));
  EXPECT_FALSE(window().must_record(std::vector<TakenRun>{{{Offset{2}, 1}, 5, 1}}));
}

// --- Members.

TEST_F(QueueWindowTest, caps_bound_what_is_in_flight) {
  settings_.max_pending = 5;
  settings_.max_pending_member = 3;
  make();
  grow(20);
  EXPECT_THAT(receive("a"), SizeIs(3));
  EXPECT_THAT(receive("b"), SizeIs(2));
  EXPECT_EQ(window().room("c"), 0U);
  ack(0);
  EXPECT_EQ(receive("a"), offsets({5}));
}

TEST_F(QueueWindowTest, a_removed_member_leaves_or_drops_its_records) {
  grow(4);
  take("a", range(0, 2));
  take("b", range(2, 4));
  EXPECT_EQ(window().remove_member("a", false, now_), 2U);
  EXPECT_EQ(window().counts().retrying, 2U);
  EXPECT_EQ(window().entry({0})->failures, 0U);
  EXPECT_EQ(window().remove_member("b", true, now_), 2U);
  EXPECT_EQ(state(2), EntryState::done);
  EXPECT_THAT(window().members(), IsEmpty());
  EXPECT_EQ(window().remove_member("b", true, now_), 0U);
}

TEST_F(QueueWindowTest, records_of_a_lost_member_fail_or_come_back) {
  grow(2);
  take("a", offsets({0}));
  EXPECT_EQ(window().release_all("a", true, "connection lost", now_), 1U);
  EXPECT_EQ(window().entry({0})->failures, 1U);
  take("a", offsets({1}));
  EXPECT_EQ(window().release_all("a", false, "", now_), 1U);
  EXPECT_EQ(window().entry({1})->failures, 0U);
  EXPECT_EQ(window().member("a")->in_flight, 0U);
}

TEST_F(QueueWindowTest, knows_when_a_member_was_seen_and_active) {
  EXPECT_TRUE(window().add_member("a", now_));
  EXPECT_FALSE(window().add_member("a", now_));
  EXPECT_EQ(window().member("a")->active, Timestamp{});
  grow(1);
  now_ += 5s;
  take("a", range(0, 1));
  now_ += 5s;
  window().touch("a", now_);
  EXPECT_EQ(window().member("a")->created, at(0s));
  EXPECT_EQ(window().member("a")->active, at(5s));
  EXPECT_EQ(window().member("a")->seen, at(10s));
}

// --- Claims.

TEST_F(QueueWindowTest, claims_what_is_idle_long_enough) {
  grow(2);
  take("a", range(0, 2));
  now_ += 10s;
  EXPECT_FALSE(window().claim("b", {.offset = {0}, .min_idle = 11s, .delivered = {}, .deliveries = {}, .id = {}}, now_));
  EXPECT_TRUE(window().claim("b", {.offset = {0}, .min_idle = 10s, .delivered = {}, .deliveries = {}, .id = {}}, now_));
  EXPECT_EQ(window().entry({0})->member, "b");
  EXPECT_EQ(window().entry({0})->deliveries, 2U);
  EXPECT_TRUE(window().claim("b", {.offset = {1}, .delivered = {}, .deliveries = {}, .just_id = true, .id = {}}, now_));
  EXPECT_EQ(window().entry({1})->deliveries, 1U);
}

TEST_F(QueueWindowTest, claims_released_records_but_not_new_or_finished_ones) {
  grow(3);
  take("a", range(0, 2));
  window().release({0}, "a", 1, false, now_);
  ack(1);
  EntryClaim claim;
  claim.min_idle = 1h;
  EXPECT_TRUE(window().claim("b", claim, now_));
  claim.min_idle = 0h;
  for (const std::int64_t offset : {1, 2}) {
    claim.offset = {offset};
    EXPECT_FALSE(window().claim("b", claim, now_)) << offset;
  }
  claim.force = true;
  claim.offset = {1};
  EXPECT_TRUE(window().claim("b", claim, now_));
  EXPECT_EQ(window().entry({1})->deliveries, 2U);
  claim.offset = {50};
  claim.deliveries = 9;
  EXPECT_TRUE(window().claim("b", claim, now_));
  EXPECT_EQ(window().entry({50})->deliveries, 9U);
}

// --- Redis.

TEST_F(QueueWindowTest, without_redelivery_only_a_claim_brings_records_back) {
  settings_.redelivers = false;
  settings_.ack_timeout = 0ms;
  make();
  grow(2);
  take("a", offsets({0}));
  EXPECT_EQ(window().next_deadline(), std::nullopt);
  window().release({0}, {}, 0, false, now_);
  EXPECT_EQ(receive("b"), offsets({1}));
  EXPECT_FALSE(window().has_work());
  settings_.redelivers = true;
  configure();
  EXPECT_EQ(receive("b"), offsets({0}));
}

TEST_F(QueueWindowTest, a_read_after_going_back_hands_out_anew) {
  settings_.keeps_ids = true;
  make();
  const auto read = [&](std::int64_t from, std::int64_t count) {
    return window().take_new("a", {Offset{from}, count}, ids_of(range(from, from + count)), now_);
  };
  read(0, 5);
  ack(1);
  window().set_cursor({0});
  EXPECT_EQ(window().counts().in_flight, 4U);
  EXPECT_EQ(window().floor(), Offset{0});
  EXPECT_THAT(read(0, 2), ElementsAre(TakenRun{{Offset{0}, 2}, 1, 0}));
  EXPECT_EQ(window().cursor(), Offset{2});
  EXPECT_EQ(window().counts().in_flight, 5U);
}

TEST_F(QueueWindowTest, finds_records_by_id) {
  settings_.keeps_ids = true;
  make();
  grow(5000);
  take("a", range(0, 5000));
  EXPECT_EQ(window().find_id(id_of({4321})), Offset{4321});
  for (std::int64_t i = 1000; i < 3000; ++i) ack(i);
  EXPECT_EQ(window().find_id(id_of({1500})), Offset{3000});
  EXPECT_EQ(window().find_id(EntryId::min()), Offset{0});
  EXPECT_EQ(window().find_id(EntryId::max()), std::nullopt);
  flush();
  restart();
  EXPECT_EQ(window().find_id(id_of({1500})), Offset{3000});
  EXPECT_EQ(window().entry({4000})->id, id_of({4000}));
}

// --- Looking and moving.

TEST_F(QueueWindowTest, passes_over_what_is_filtered_or_gone) {
  settings_.dead_letter_topic = "dead";
  make();
  using What = LookedAt::What;
  const std::vector<LookedAt> looked = {
      {.offset = {1}, .what = What::filtered}, {.offset = {2}, .what = What::gone}, {.offset = {4}, .what = What::expired}};
  window().extend({6}, looked);
  EXPECT_EQ(receive("a"), offsets({0, 3, 5}));
  EXPECT_EQ(window().counts().filtered, 1U);
  EXPECT_EQ(window().counts().gone, 1U);
  EXPECT_EQ(window().dying(10), offsets({4}));
}

TEST_F(QueueWindowTest, a_pause_ends_by_itself_or_not_at_all) {
  settings_.paused = true;
  settings_.paused_until = at(1min);
  make();
  grow(1);
  EXPECT_THAT(receive("a"), IsEmpty());
  EXPECT_THAT(window().choose("a", 9, at(1min)), SizeIs(1));
  settings_.paused_until.reset();
  configure();
  EXPECT_THAT(window().choose("a", 9, at(99h)), IsEmpty());
}

TEST_F(QueueWindowTest, reset_forgets_everything_and_goes_on_elsewhere) {
  grow(2000);
  take("a", range(0, 1500));
  flush();
  window().reset({70'000});
  EXPECT_EQ(window().counts().unfinished(), 0U);
  EXPECT_EQ(window().start(), Offset{70'000});
  EXPECT_EQ(window().member("a")->in_flight, 0U);
  grow(70'010);
  EXPECT_THAT(receive("a"), SizeIs(10));
  flush();
  restart();
  EXPECT_EQ(window().counts().in_flight, 10U);
  EXPECT_EQ(window().floor(), Offset{70'000});
}

TEST_F(QueueWindowTest, purge_leaves_what_somebody_has) {
  grow(10);
  take("a", offsets({3}));
  EXPECT_EQ(window().purge({15}), 14U);
  EXPECT_EQ(window().cursor(), Offset{15});
  EXPECT_EQ(window().counts().in_flight, 1U);
  EXPECT_EQ(window().counts().unfinished(), 1U);
}

TEST_F(QueueWindowTest, trimming_settles_what_is_gone) {
  grow(10);
  take("a", range(0, 5));
  window().trimmed({12});
  EXPECT_EQ(window().counts().gone, 12U);
  EXPECT_EQ(window().cursor(), Offset{12});
  EXPECT_EQ(window().counts().unfinished(), 0U);
  settings_.keeps_ids = true;
  configure();
  grow(20);
  take("a", range(12, 14));
  window().trimmed({15});
  EXPECT_EQ(window().counts().in_flight, 2U);
  EXPECT_TRUE(window().gone({12}));
  EXPECT_FALSE(window().gone({12}));
}

TEST_F(QueueWindowTest, begins_nowhere_behind_the_end_of_a_shorter_log) {
  window().reset(Offset{20});
  window().set_cursor(Offset{5});
  EXPECT_FALSE(window().clamp({10})) << "nothing was lost";
  EXPECT_EQ(window().start(), Offset{10});
  EXPECT_EQ(window().cursor(), Offset{5});
}

TEST_F(QueueWindowTest, is_clamped_to_a_shorter_log) {
  grow(10);
  take("a", range(0, 10));
  EXPECT_FALSE(window().clamp({10}));
  EXPECT_TRUE(window().clamp({4}));
  EXPECT_EQ(window().cursor(), Offset{4});
  EXPECT_EQ(window().counts().in_flight, 4U);
}

TEST_F(QueueWindowTest, visits_by_state_range_and_member) {
  grow(3000);
  take("a", range(0, 3000));
  for (std::int64_t i = 0; i < 3000; ++i) {
    if (i % 1000 != 7) ack(i);
  }
  window().release({1007}, "a", 1, false, now_);
  const auto seen = [&](unsigned states, std::optional<std::string_view> member, std::int64_t from, std::int64_t to) {
    std::vector<Offset> found;
    window().visit({from}, {to}, states, member, [&](const PendingEntry& entry) {
      found.push_back(entry.offset);
      return true;
    });
    return found;
  };
  EXPECT_EQ(seen(~0U, {}, 0, 3000), offsets({7, 1007, 2007}));
  EXPECT_EQ(seen(~0U, "a", 0, 3000), offsets({7, 2007}));
  EXPECT_EQ(seen(1U << 1, {}, 0, 3000), offsets({1007}));
  EXPECT_EQ(seen(~0U, {}, 8, 2007), offsets({1007}));
  EXPECT_THAT(seen(~0U, "b", 0, 3000), IsEmpty());
}

}  // namespace
}  // namespace tidemark::broker
