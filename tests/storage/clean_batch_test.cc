#include "storage/batch/clean_batch.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/storage/batch_fixtures.h"

namespace tidemark {
namespace {

using testing_support::build;
using testing_support::OwnedRecord;
using testing_support::read_all;
using testing_support::varied_records;

class CleanBatch : public testing::TestWithParam<Codec> {};

Slice batch_with(Codec codec) {
  const Slice batch = build(varied_records(), {.codec = codec, .producer_id = 9, .producer_epoch = 3, .base_sequence = 100});
  patch_batch(batch.writable(), {500}, 4);
  return batch;
}

TEST_P(CleanBatch, keeps_offsets_times_and_everything_about_the_producer) {
  const Slice batch = batch_with(GetParam());
  const Result<CleanedBatch> cleaned = clean_batch(batch.view(), [](const RecordView& record) { return record.offset.value % 2 == 1; });
  ASSERT_TRUE(cleaned);
  EXPECT_EQ(cleaned->records, 3);
  EXPECT_TRUE(batch_crc_matches(cleaned->batch.view()));
  std::vector<OwnedRecord> expected;
  for (OwnedRecord record : varied_records()) {
    record.offset += 500;
    if (record.offset % 2 == 1) expected.push_back(record);
  }
  EXPECT_EQ(*read_all(cleaned->batch.view()), expected);
  const BatchHeader before = *BatchHeader::parse(batch.view());
  const BatchHeader after = *BatchHeader::parse(cleaned->batch.view());
  EXPECT_EQ(after.base_offset, before.base_offset);
  EXPECT_EQ(after.end_offset(), before.end_offset());
  EXPECT_EQ(after.leader_epoch, 4);
  EXPECT_EQ(after.producer_id, 9);
  EXPECT_EQ(after.producer_epoch, 3);
  EXPECT_EQ(after.base_sequence, 100);
  EXPECT_EQ(after.last_sequence(), before.last_sequence());
  EXPECT_EQ(after.codec(), GetParam());
  EXPECT_EQ(after.max_timestamp_ms, 1'700'000'000'250);
}

TEST_P(CleanBatch, is_unchanged_when_everything_stays) {
  const Slice batch = batch_with(GetParam());
  const Result<CleanedBatch> cleaned = clean_batch(batch.view(), [](const RecordView&) { return true; });
  ASSERT_TRUE(cleaned);
  EXPECT_TRUE(cleaned->unchanged());
  EXPECT_EQ(cleaned->records, 6);
}

TEST_P(CleanBatch, with_nothing_left_is_a_header) {
  const Slice batch = batch_with(GetParam());
  const Result<CleanedBatch> cleaned = clean_batch(batch.view(), [](const RecordView&) { return false; });
  ASSERT_TRUE(cleaned);
  EXPECT_EQ(cleaned->batch.size(), kBatchHeaderBytes);
  EXPECT_TRUE(batch_crc_matches(cleaned->batch.view()));
  const BatchHeader after = *BatchHeader::parse(cleaned->batch.view());
  EXPECT_EQ(after.record_count, 0);
  EXPECT_EQ(after.end_offset(), Offset{506});
  EXPECT_EQ(after.last_sequence(), 105);
  EXPECT_EQ(after.max_timestamp_ms, -1);
  EXPECT_TRUE(read_all(cleaned->batch.view())->empty());
}

TEST_P(CleanBatch, with_a_delete_horizon_keeps_the_times_of_its_records) {
  const Slice batch = batch_with(GetParam());
  const Result<CleanedBatch> cleaned = clean_batch(
      batch.view(), [](const RecordView&) { return true; }, 1'900'000'000'000);
  ASSERT_TRUE(cleaned);
  const BatchHeader after = *BatchHeader::parse(cleaned->batch.view());
  EXPECT_TRUE(after.has_delete_horizon());
  EXPECT_EQ(after.base_timestamp_ms, 1'900'000'000'000);
  std::vector<OwnedRecord> expected = varied_records();
  for (OwnedRecord& record : expected) record.offset += 500;
  EXPECT_EQ(*read_all(cleaned->batch.view()), expected);
}

INSTANTIATE_TEST_SUITE_P(, CleanBatch, testing::ValuesIn(testing_support::kAllCodecs),
                         [](const auto& test_case) { return std::string(to_string(test_case.param)); });

TEST(CleanBatchTimes, too_far_from_the_horizon_to_be_said_leave_it_out) {
  const Slice batch = build({{0, INT64_MAX - 1, "k", std::nullopt, {}}});
  const Result<CleanedBatch> cleaned = clean_batch(
      batch.view(), [](const RecordView&) { return true; }, -1000);
  ASSERT_TRUE(cleaned);
  EXPECT_TRUE(cleaned->unchanged());
}

TEST(CleanBatchDamage, is_an_error) {
  const ByteVector batch = testing_support::batch_of("1600 0000 01 0a 68656c", 1);
  EXPECT_EQ(clean_batch(batch, [](const RecordView&) { return true; }).error().code, Errc::corrupt_batch);
}

}  // namespace
}  // namespace tidemark
