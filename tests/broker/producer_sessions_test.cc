#include "broker/producer_sessions.h"

#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

constexpr std::int32_t kSequenceMax = 2147483647;

BatchHeader batch(std::int32_t first_sequence, std::int32_t records = 1, std::int16_t epoch = 0, std::int64_t producer = 7) {
  BatchHeader header;
  header.producer_id = producer;
  header.producer_epoch = epoch;
  header.base_sequence = first_sequence;
  header.last_offset_delta = records - 1;
  header.record_count = records;
  return header;
}

class ProducerSessionsTest : public testing::Test {
 protected:
  void append(const BatchHeader& header) {
    sessions_.appended(header, end_, now_);
    end_ = end_ + header.last_offset_delta + 1;
  }
  bool accepts(const BatchHeader& header) {
    const auto checked = sessions_.check(header);
    return checked && !checked->has_value();
  }
  Errc refusal(const BatchHeader& header) {
    const auto checked = sessions_.check(header);
    EXPECT_FALSE(checked.has_value());
    return checked ? Errc::internal : checked.error().code;
  }

  ProducerSessions sessions_;
  Offset end_{100};
  Timestamp now_{std::chrono::milliseconds(1'000'000)};
};

TEST_F(ProducerSessionsTest, an_unknown_producer_may_start_anywhere) { EXPECT_TRUE(accepts(batch(41))); }

TEST_F(ProducerSessionsTest, the_next_batch_continues_the_sequence) {
  append(batch(0, 3));
  EXPECT_TRUE(accepts(batch(3)));
  EXPECT_EQ(refusal(batch(4)), Errc::out_of_order_sequence);
}

TEST_F(ProducerSessionsTest, sequences_wrap_to_zero) {
  append(batch(kSequenceMax - 1, 2));
  EXPECT_TRUE(accepts(batch(0)));
  append(batch(0, 2));
  EXPECT_TRUE(accepts(batch(2)));
}

TEST_F(ProducerSessionsTest, a_batch_may_wrap_inside) {
  append(batch(kSequenceMax, 3));  // Sequences 2147483647, 0, 1.
  EXPECT_TRUE(accepts(batch(2)));
}

TEST_F(ProducerSessionsTest, each_of_the_last_five_batches_is_a_known_duplicate) {
  for (std::int32_t i = 0; i < 5; ++i) append(batch(i * 10, 10));
  for (std::int32_t i = 0; i < 5; ++i) {
    const auto checked = sessions_.check(batch(i * 10, 10));
    ASSERT_TRUE(checked && checked->has_value()) << i;
    EXPECT_EQ((*checked)->base_offset, Offset{100 + i * 10});
  }
}

TEST_F(ProducerSessionsTest, an_older_repeat_is_told_apart_from_a_gap) {
  for (std::int32_t i = 0; i < 6; ++i) append(batch(i));
  EXPECT_EQ(refusal(batch(0)), Errc::duplicate_sequence);
  EXPECT_EQ(refusal(batch(9)), Errc::out_of_order_sequence);
}

TEST_F(ProducerSessionsTest, a_batch_that_overlaps_a_known_one_is_out_of_order) {
  append(batch(0, 5));
  EXPECT_EQ(refusal(batch(0, 3)), Errc::out_of_order_sequence);
}

TEST_F(ProducerSessionsTest, a_new_epoch_starts_at_zero_and_fences_the_old_one) {
  append(batch(0, 1, 3));
  EXPECT_EQ(refusal(batch(1, 1, 4)), Errc::out_of_order_sequence);
  EXPECT_TRUE(accepts(batch(0, 1, 4)));
  append(batch(0, 1, 4));
  EXPECT_EQ(refusal(batch(1, 1, 3)), Errc::stale_producer_epoch);
}

TEST_F(ProducerSessionsTest, what_is_reported_stops_at_the_flushed_offset_and_the_rest_follows_later) {
  append(batch(0, 10));   // 100..110
  append(batch(10, 10));  // 110..120
  const auto first = sessions_.take_changed(Offset{110});
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].batches.size(), 1u);
  const auto second = sessions_.take_changed(Offset{120});
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].batches.size(), 2u);
  EXPECT_TRUE(sessions_.take_changed(Offset{120}).empty());
}

TEST_F(ProducerSessionsTest, recovery_passes_over_batches_it_knows_already) {
  append(batch(0, 10));
  append(batch(10, 10));
  ProducerSessions after;
  after.restore(sessions_.all(Offset{110})[0]);
  BatchHeader again = batch(0, 10);
  again.base_offset = Offset{100};
  after.recovered(again, now_);
  BatchHeader next = batch(10, 10);
  next.base_offset = Offset{110};
  after.recovered(next, now_);
  EXPECT_EQ(after.find(7)->batches, sessions_.find(7)->batches);
}

TEST_F(ProducerSessionsTest, batches_that_did_not_survive_are_forgotten) {
  append(batch(0, 10));
  append(batch(10, 10));
  sessions_.cut(Offset{110});
  EXPECT_TRUE(accepts(batch(10, 10)));
}

TEST_F(ProducerSessionsTest, sessions_expire_a_day_after_their_last_append) {
  append(batch(0));
  sessions_.expire(now_ + std::chrono::hours(24));
  EXPECT_EQ(sessions_.size(), 1u);
  sessions_.expire(now_ + std::chrono::hours(25));
  EXPECT_EQ(sessions_.size(), 0u);
}

TEST_F(ProducerSessionsTest, the_number_of_sessions_is_bounded_and_the_oldest_go_first) {
  for (std::size_t i = 0; i < ProducerSessions::kSessionsMax; ++i) {
    now_ += std::chrono::milliseconds(1);
    append(batch(0, 1, 0, static_cast<std::int64_t>(i)));
  }
  now_ += std::chrono::milliseconds(1);
  append(batch(0, 1, 0, 1'000'000));
  EXPECT_LE(sessions_.size(), ProducerSessions::kSessionsMax);
  EXPECT_EQ(sessions_.find(0), nullptr);
  EXPECT_NE(sessions_.find(1'000'000), nullptr);
  EXPECT_NE(sessions_.find(static_cast<std::int64_t>(ProducerSessions::kSessionsMax) - 1), nullptr);
}

TEST(HeldProducers, neither_expire_nor_make_room) {
  ProducerHolds holds;
  holds.hold(7);
  ProducerSessions sessions(&holds);
  const Timestamp long_ago{};
  sessions.appended(batch(0, 1, 0, 7), Offset{0}, long_ago);
  sessions.appended(batch(0, 1, 0, 8), Offset{1}, long_ago);
  const Timestamp now = long_ago + ProducerSessions::kExpiry + std::chrono::hours(1);
  sessions.expire(now);
  EXPECT_NE(sessions.find(7), nullptr);
  EXPECT_EQ(sessions.find(8), nullptr);

  for (std::int64_t id = 1000; sessions.size() < ProducerSessions::kSessionsMax; ++id)
    sessions.appended(batch(0, 1, 0, id), Offset{2}, now);
  sessions.appended(batch(0, 1, 0, 9), Offset{3}, now);
  EXPECT_LT(sessions.size(), ProducerSessions::kSessionsMax) << "somebody had to go";
  EXPECT_NE(sessions.find(7), nullptr);

  holds.release(7);
  sessions.expire(now);
  EXPECT_EQ(sessions.find(7), nullptr);
}

}  // namespace
}  // namespace tidemark::broker
