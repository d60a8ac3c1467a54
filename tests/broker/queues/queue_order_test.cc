#include "tests/broker/queues/queue_window_fixture.h"

namespace tidemark::broker {
namespace {

using testing::IsEmpty;

/// Order by key, order of a partition, and priority.
class QueueOrder : public QueueWindowTest {
 protected:
  void order(Ordering ordering, OnDead on_dead = OnDead::go_on) {
    settings_.ordering = ordering;
    settings_.on_dead = on_dead;
    make();
  }
  void keys(std::initializer_list<std::uint64_t> all) {
    for (const std::uint64_t key : all) grow(key, 0);
  }
  /// Tells the keys of offsets from 0 on anew.
  void look_again(std::initializer_list<std::uint64_t> all) {
    std::vector<LookedAt> told;
    for (const std::uint64_t key : all) told.push_back({.offset = {static_cast<std::int64_t>(told.size())}, .key = key});
    window().look_again(told);
    window().looked_again();
  }
};

TEST_F(QueueOrder, one_record_of_a_key_at_a_time_and_in_order) {
  order(Ordering::key);
  keys({7, 7, 8, 7, 8});
  EXPECT_EQ(receive("a"), offsets({0, 2}));
  EXPECT_THAT(receive("b"), IsEmpty());
  ack(0);
  EXPECT_EQ(receive("b"), offsets({1}));
  ack(2);
  ack(1);
  EXPECT_EQ(receive("a"), offsets({3, 4}));
}

TEST_F(QueueOrder, records_without_a_key_are_free) {
  order(Ordering::key);
  keys({0, 0, 7, 0, 7});
  EXPECT_EQ(receive("a"), offsets({0, 1, 2, 3}));
}

TEST_F(QueueOrder, a_failed_record_blocks_its_key_until_it_is_done) {
  order(Ordering::key);
  keys({7, 7});
  receive("a");
  fail(0, 10s);
  EXPECT_THAT(receive("b"), IsEmpty());
  pass(10s);
  EXPECT_EQ(receive("b"), offsets({0}));
}

TEST_F(QueueOrder, a_dead_record_steps_aside_or_stops_its_key) {
  order(Ordering::key);
  keys({7, 7});
  receive("a");
  reject(0);
  EXPECT_EQ(receive("a"), offsets({1}));

  order(Ordering::key, OnDead::stop);
  keys({7, 7, 8});
  EXPECT_EQ(receive("a"), offsets({0, 2}));
  reject(0);
  EXPECT_THAT(receive("a"), IsEmpty());
  const auto blocked = window().blocked_keys(5);
  ASSERT_EQ(blocked.size(), 1U);
  EXPECT_EQ(blocked[0].key, 7U);
  EXPECT_EQ(blocked[0].by, Offset{0});
  EXPECT_EQ(blocked[0].state, EntryState::parked);
  EXPECT_EQ(blocked[0].waiting, 1U);
  EXPECT_TRUE(window().kick({0}, now_));
  EXPECT_EQ(receive("a"), offsets({0}));
}

TEST_F(QueueOrder, nothing_is_taken_out_of_turn) {
  order(Ordering::key);
  keys({7, 7});
  EXPECT_THAT(take("a", offsets({1})), IsEmpty());
  EXPECT_EQ(receive("a"), offsets({0}));
  EXPECT_THAT(take("b", offsets({1})), IsEmpty());
}

TEST_F(QueueOrder, a_kicked_record_takes_its_old_place) {
  order(Ordering::key);
  keys({7, 7, 7});
  receive("a");
  reject(0);
  EXPECT_EQ(receive("a"), offsets({1}));
  EXPECT_TRUE(window().kick({0}, now_));
  EXPECT_THAT(receive("b"), IsEmpty());
  ack(1);
  EXPECT_EQ(receive("b"), offsets({0}));
}

TEST_F(QueueOrder, single_hands_out_one_record_of_the_partition) {
  order(Ordering::single);
  keys({7, 8, 0});
  EXPECT_EQ(receive("a"), offsets({0}));
  EXPECT_THAT(receive("b"), IsEmpty());
  ack(0);
  EXPECT_EQ(receive("b"), offsets({1}));
}

TEST_F(QueueOrder, higher_priority_first_then_by_offset) {
  grow(7, 0);
  grow(7, 3);
  grow(7, 9);
  grow(7, 3);
  grow(7, 0);
  EXPECT_EQ(receive("a"), offsets({2, 1, 3, 0, 4}));
}

TEST_F(QueueOrder, priority_chooses_among_the_first_of_each_key) {
  order(Ordering::key);
  grow(7, 0);
  grow(8, 1);
  grow(7, 9);  // Behind another of its key all the same.
  EXPECT_EQ(receive("a", 1), offsets({1}));
  EXPECT_EQ(receive("a"), offsets({0}));
}

TEST_F(QueueOrder, keys_are_unknown_after_a_restart_until_they_are_told) {
  order(Ordering::key);
  keys({7, 7, 8});
  receive("a", 1);
  flush();
  restart();
  EXPECT_TRUE(window().needs_look());
  EXPECT_FALSE(window().has_work());
  EXPECT_THAT(receive("b"), IsEmpty());
  look_again({7, 7, 8});
  EXPECT_FALSE(window().needs_look());
  EXPECT_EQ(receive("b"), offsets({2}));
}

TEST_F(QueueOrder, what_was_revived_must_be_looked_at_first) {
  order(Ordering::key);
  keys({7, 7});
  receive("a");
  ack(0);
  EXPECT_TRUE(window().revive({0}, now_));
  EXPECT_TRUE(window().needs_look());
  look_again({7, 7});
  EXPECT_EQ(receive("a"), offsets({0}));
}

TEST_F(QueueOrder, order_can_be_asked_for_while_the_group_works) {
  grow(3);
  EXPECT_EQ(receive("a", 1), offsets({0}));
  settings_.ordering = Ordering::key;
  configure();
  EXPECT_TRUE(window().needs_look());
  look_again({7, 7, 8});
  EXPECT_EQ(receive("a"), offsets({2}));
  settings_.ordering = Ordering::none;
  configure();
  EXPECT_EQ(receive("a"), offsets({1}));
}

TEST_F(QueueOrder, the_look_ahead_is_bounded) {
  settings_.lookahead = 16;
  order(Ordering::key);
  for (int i = 0; i < 15; ++i) grow(7, 0);
  EXPECT_FALSE(window().lookahead_full());
  grow(7, 0);
  EXPECT_TRUE(window().lookahead_full());
  receive("a");
  reject(0);  // It is parked, and steps aside.
  EXPECT_FALSE(window().lookahead_full());
}

}  // namespace
}  // namespace tidemark::broker
