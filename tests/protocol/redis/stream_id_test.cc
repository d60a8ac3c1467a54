#include "protocol/redis/adapter/stream_id.h"

#include <gtest/gtest.h>

namespace tidemark::redis {

using broker::EntryId;

namespace {

TEST(StreamId, has_an_optional_sequence) {
  EXPECT_EQ(parse_id("5", 7), (EntryId{5, 7}));
  EXPECT_EQ(parse_id("5-6", 7), (EntryId{5, 6}));
  EXPECT_EQ(parse_id("18446744073709551615-18446744073709551615", 0), EntryId::max());
}

TEST(StreamId, takes_numbers_as_strtoull_does) {
  EXPECT_EQ(parse_id("007-+08", 0), (EntryId{7, 8}));
  EXPECT_EQ(parse_id(" 5", 0), (EntryId{5, 0}));
}

TEST(StreamId, refuses_everything_else) {
  for (const char* const text :
       {"", "-", "+", "a", "1-", "-1", "1-a", "1--1", "18446744073709551616", "1-18446744073709551616", "*", "1-*", "5 "}) {
    EXPECT_EQ(parse_id(text, 0), std::nullopt) << text;
  }
  EXPECT_EQ(parse_id(std::string(128, '1'), 0), std::nullopt);
}

TEST(StreamId, of_an_append_may_leave_the_sequence_open) {
  const std::optional<AddId> open = parse_add_id("5-*");
  ASSERT_TRUE(open);
  EXPECT_EQ(open->id.ms, 5u);
  EXPECT_FALSE(open->sequence_given);
  EXPECT_TRUE(parse_add_id("5")->sequence_given);
  EXPECT_FALSE(parse_add_id("*-*"));
}

TEST(StreamId, bounds_know_ends_and_exclusion) {
  EXPECT_EQ(parse_bound("-", 0)->id, EntryId::min());
  EXPECT_EQ(parse_bound("+", 0)->id, EntryId::max());
  EXPECT_TRUE(parse_bound("(5-1", 0)->exclusive);
  EXPECT_FALSE(parse_bound("(-", 0));
  EXPECT_FALSE(parse_bound("(", 0));
}

TEST(StreamId, neighbours_carry_between_its_halves) {
  EXPECT_EQ(after({5, kSequenceMax}), (EntryId{6, 0}));
  EXPECT_EQ(before({5, 0}), (EntryId{4, kSequenceMax}));
  EXPECT_EQ(after(EntryId::max()), std::nullopt);
  EXPECT_EQ(before(EntryId::min()), std::nullopt);
}

}  // namespace
}  // namespace tidemark::redis
