#include "broker/tail_cache.h"

#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

class TailCacheTest : public testing::Test {
 protected:
  /// Batches of ten records and ten bytes.
  void push(PartitionTail& tail, std::int64_t base) { tail.push(Offset{base}, Offset{base + 10}, Slice::allocate(10)); }

  TailCache cache_{35};
  PartitionTail tail_{cache_};
  PartitionTail other_{cache_};
};

TEST_F(TailCacheTest, reads_start_with_the_batch_that_contains_the_offset) {
  push(tail_, 0);
  push(tail_, 10);
  const auto found = tail_.read(Offset{15}, Offset{20}, 1000);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->batches.size(), 1u);
  EXPECT_EQ(found->next, Offset{20});
}

TEST_F(TailCacheTest, nothing_at_or_beyond_the_limit_is_read) {
  push(tail_, 0);
  push(tail_, 10);
  const auto found = tail_.read(Offset{0}, Offset{10}, 1000);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->next, Offset{10});
}

TEST_F(TailCacheTest, one_batch_comes_even_if_it_is_larger_than_asked_for) {
  push(tail_, 0);
  push(tail_, 10);
  const auto found = tail_.read(Offset{0}, Offset{20}, 1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->bytes, 10u);
}

TEST_F(TailCacheTest, the_oldest_batch_of_any_partition_goes_first) {
  push(tail_, 0);
  push(other_, 0);
  push(tail_, 10);
  push(other_, 10);  // 40 bytes: one over.
  EXPECT_FALSE(tail_.read(Offset{0}, Offset{20}, 1000));
  EXPECT_TRUE(tail_.read(Offset{10}, Offset{20}, 1000));
  EXPECT_TRUE(other_.read(Offset{0}, Offset{20}, 1000));
  EXPECT_EQ(cache_.bytes(), 30u);
}

TEST_F(TailCacheTest, a_cleared_tail_leaves_no_trace_in_the_bound) {
  push(tail_, 0);
  push(other_, 0);
  tail_.clear();
  EXPECT_EQ(cache_.bytes(), 10u);
  for (std::int64_t base = 10; base < 100; base += 10) push(other_, base);
  EXPECT_EQ(cache_.bytes(), 30u);
  EXPECT_TRUE(other_.read(Offset{95}, Offset{100}, 1000));
}

TEST_F(TailCacheTest, counts_only_as_far_as_needed) {
  push(tail_, 0);
  push(tail_, 10);
  push(tail_, 20);
  EXPECT_EQ(tail_.bytes_between(Offset{0}, Offset{30}, 15), 20u);
  EXPECT_EQ(tail_.bytes_between(Offset{0}, Offset{10}, 15), 10u);
  EXPECT_FALSE(tail_.bytes_between(Offset{30}, Offset{30}, 1));
}

}  // namespace
}  // namespace tidemark::broker
