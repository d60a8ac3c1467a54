#include "broker/schedule/schedule_index.h"

#include <cstdio>
#include <set>

#include <gtest/gtest.h>

#include "broker/schedule/offset_set.h"
#include "storage/base/random.h"

namespace tidemark::broker {
namespace {

WaitingRecord waiting(std::int64_t due_ms, std::int64_t offset) {
  WaitingRecord record;
  record.due_ms = due_ms;
  record.offset = offset;
  record.number = offset;
  return record;
}

std::vector<std::int64_t> offsets_from(const ScheduleIndex& index, std::pair<std::int64_t, std::int64_t> from) {
  std::vector<std::int64_t> offsets;
  for (ScheduleIndex::Cursor cursor(index, from); cursor.get() != nullptr; cursor.next()) offsets.push_back(cursor.get()->offset);
  return offsets;
}

TEST(ScheduleIndex, keeps_the_order_of_due_times_then_offsets) {
  ScheduleIndex index;
  for (const auto& [due, offset] : {std::pair(30, 1), std::pair(10, 2), std::pair(20, 4), std::pair(20, 3)})
    EXPECT_TRUE(index.insert(waiting(due, offset)));
  EXPECT_EQ(offsets_from(index, {0, 0}), (std::vector<std::int64_t>{2, 3, 4, 1}));
  EXPECT_EQ(offsets_from(index, {20, 4}), (std::vector<std::int64_t>{4, 1}));
  EXPECT_EQ(index.first()->offset, 2);
}

TEST(ScheduleIndex, takes_a_record_once) {
  ScheduleIndex index;
  EXPECT_TRUE(index.insert(waiting(10, 1)));
  EXPECT_FALSE(index.insert(waiting(10, 1)));
  EXPECT_TRUE(index.erase({10, 1}));
  EXPECT_FALSE(index.erase({10, 1}));
  EXPECT_EQ(index.first(), nullptr);
}

TEST(ScheduleIndex, behaves_like_a_sorted_set) {
  constexpr std::uint64_t kSeed = 20261121;
  Random random(kSeed);
  ScheduleIndex index;
  std::set<std::pair<std::int64_t, std::int64_t>> model;
  for (int step = 0; step < 200'000; ++step) {
    const std::pair<std::int64_t, std::int64_t> key(static_cast<std::int64_t>(random() % 500), static_cast<std::int64_t>(random() % 40));
    switch (random() % 8) {
      case 0:
        ASSERT_EQ(index.erase(key).has_value(), model.erase(key) == 1) << "step " << step;
        break;
      case 1:
        if (model.empty()) break;
        ASSERT_EQ(index.first()->key(), *model.begin()) << "step " << step;
        ASSERT_TRUE(index.erase(*model.begin()));
        model.erase(model.begin());
        break;
      case 2:
        ASSERT_EQ(index.find(key) != nullptr, model.contains(key)) << "step " << step;
        break;
      default:
        ASSERT_EQ(index.insert(waiting(key.first, key.second)), model.insert(key).second) << "step " << step;
    }
    ASSERT_EQ(index.size(), model.size());
  }
  auto expected = model.lower_bound({250, 20});
  for (ScheduleIndex::Cursor cursor(index, {250, 20}); cursor.get() != nullptr; cursor.next(), ++expected) {
    ASSERT_NE(expected, model.end());
    ASSERT_EQ(cursor.get()->key(), *expected);
  }
  EXPECT_EQ(expected, model.end());
}

TEST(ScheduleIndex, a_million_records_take_at_most_64_bytes_each) {
  for (const bool random_times : {false, true}) {
    Random random(7);
    ScheduleIndex index;
    constexpr std::int64_t kRecords = 1'000'000;
    for (std::int64_t i = 0; i < kRecords; ++i) {
      const std::int64_t due = random_times ? static_cast<std::int64_t>(random() % 86'400'000) : i;
      ASSERT_TRUE(index.insert(waiting(due, i)));
    }
    const double each = static_cast<double>(index.memory_bytes()) / kRecords;
    std::printf("%s times: %.1f bytes a record\n", random_times ? "random" : "rising", each);
    EXPECT_LE(each, 64);
  }
}

TEST(OffsetSet, behaves_like_a_set) {
  Random random(3);
  OffsetSet set;
  std::set<std::int64_t> model;
  std::int64_t below = 0;
  for (int step = 0; step < 50'000; ++step) {
    const auto offset = below + static_cast<std::int64_t>(random() % 2000);
    if (random() % 3 == 0) {
      ASSERT_EQ(set.erase({offset}), model.erase(offset) == 1);
    } else {
      ASSERT_EQ(set.insert({offset}), model.insert(offset).second);
    }
    if (random() % 100 == 0) {
      below += static_cast<std::int64_t>(random() % 300);
      set.forget_below({below});
      below = below / 64 * 64;  // It forgets whole words.
      model.erase(model.begin(), model.lower_bound(below));
    }
    ASSERT_EQ(set.size(), model.size()) << "step " << step;
    const auto first = set.first({below + 100});
    const auto expected = model.lower_bound(below + 100);
    ASSERT_EQ(first.has_value(), expected != model.end());
    if (first) ASSERT_EQ(first->value, *expected);
  }
}

TEST(OffsetSet, comes_back_from_its_bits) {
  OffsetSet set;
  for (const std::int64_t offset : {1000, 1001, 1064, 5000}) set.insert({offset});
  OffsetSet copy;
  for (Offset from = set.base(); from < set.limit(); from = from + 64 * 8) copy.insert_bits(from, set.bits(from, 64));
  EXPECT_EQ(copy.size(), 4u);
  for (const std::int64_t offset : {1000, 1001, 1064, 5000}) EXPECT_TRUE(copy.contains({offset}));
}

}  // namespace
}  // namespace tidemark::broker
