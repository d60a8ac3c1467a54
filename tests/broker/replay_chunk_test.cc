#include "broker/jobs/replay_chunk.h"

#include <limits>

#include "storage/batch/partitioner.h"
#include "tests/broker/replay_fixture.h"

namespace tidemark::broker {
namespace {

Slice at(Offset base, Slice batch) {
  patch_batch(batch.writable(), base, 0);
  return batch;
}

SourceWindow window(std::int32_t partition, const std::vector<TestRecord>& records, std::int64_t base = 0, Codec codec = Codec::none) {
  const auto count = static_cast<std::int64_t>(records.size());
  SourceWindow result{.partition = partition, .from = Offset{base}, .to = Offset{base + count}, .end = Offset{base + count}};
  result.batches.push_back(at(Offset{base}, batch_of_records(records, codec)));
  return result;
}

TestRecord plain(const std::string& value, std::int64_t timestamp_ms = 1) { return {std::nullopt, value, timestamp_ms, {}}; }

std::vector<std::string> values_of(const BuiltChunk& chunk, std::size_t batch = 0) {
  std::vector<TestRecord> records;
  append_records_of(chunk.batches.at(batch).bytes.view(), Offset{0}, records);
  std::vector<std::string> values;
  for (const TestRecord& record : records) values.push_back(record.value);
  return values;
}

using Values = std::vector<std::string>;

class ReplayChunkTest : public testing::Test {
 protected:
  void SetUp() override {
    rules_.source = "orders";
    rules_.producer = {1000, 0};
  }
  BuiltChunk build(const std::vector<SourceWindow>& windows, Pacer pacer = Pacer()) {
    Result<BuiltChunk> chunk = build_chunk(windows, rules_, state_, pacer);
    EXPECT_TRUE(chunk) << chunk.error().to_string();
    return chunk ? *std::move(chunk) : BuiltChunk();
  }
  void filter(std::string_view text) { rules_.filter = std::make_shared<const RecordFilter>(*RecordFilter::parse(text, Timestamp{})); }

  ChunkRules rules_;
  ReplayState state_;
};

TEST_F(ReplayChunkTest, keeps_key_value_headers_time_and_codec) {
  const std::vector<TestRecord> records = {{"k", "v", 7, {{"h", "1"}, {"h", "2"}}}, {std::nullopt, "", 5, {}}};
  state_.next_sequences[0] = 40;
  const BuiltChunk chunk = build({window(0, records, 10, Codec::zstd)});
  ASSERT_EQ(chunk.batches.size(), 1u);
  EXPECT_EQ(chunk.batches[0].what, (ChunkBatch{0, 40, 2, false}));
  std::vector<TestRecord> copied;
  append_records_of(chunk.batches[0].bytes.view(), Offset{0}, copied);
  EXPECT_EQ(copied, records);
  const Result<BatchHeader> header = validate_produced_batch(chunk.batches[0].bytes.view());
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_EQ(header->codec(), Codec::zstd);
  EXPECT_EQ(header->producer_id, 1000);
  EXPECT_EQ(header->base_sequence, 40);
  EXPECT_EQ(chunk.ranges, (std::vector<ReplayRange>{{0, Offset{10}, Offset{12}}}));
}

TEST_F(ReplayChunkTest, takes_only_the_range_meant) {
  SourceWindow middle = window(0, {plain("a"), plain("b"), plain("c"), plain("d")});
  middle.from = Offset{1};
  middle.to = middle.end = Offset{3};
  EXPECT_EQ(values_of(build({middle})), (Values{"b", "c"}));
}

TEST_F(ReplayChunkTest, partitions_by_number_or_by_key) {
  rules_.source_partitions = rules_.target_partitions = 4;
  EXPECT_EQ(target_partition(as_bytes("abc"), 3, rules_), 3);
  rules_.target_partitions = 7;
  EXPECT_EQ(target_partition(as_bytes("abc"), 3, rules_), partition_for_key("abc", 7));
  rules_.target_partitions = 2;
  EXPECT_EQ(target_partition(std::nullopt, 3, rules_), 1);
}

TEST_F(ReplayChunkTest, the_filter_leaves_out_and_counts) {
  filter("value != \"b\" and header.h = \"1\"");
  const BuiltChunk chunk = build({window(0, {{"k", "a", 1, {{"h", "1"}}}, {"k", "b", 1, {{"h", "1"}}}, {"k", "c", 1, {}}})});
  EXPECT_EQ(values_of(chunk), (Values{"a"}));
  EXPECT_EQ(chunk.filtered, 2u);
  EXPECT_EQ(chunk.ranges[0].to, Offset{3});
}

TEST_F(ReplayChunkTest, ends_where_a_batch_or_the_chunk_is_full_and_lets_a_large_record_go_alone) {
  const std::string large(500, 'x');
  rules_.batch_bytes_max = 800;
  BuiltChunk chunk = build({window(0, {plain(large), plain(large), plain("c")})});
  EXPECT_EQ(chunk.records, 1u);
  EXPECT_EQ(chunk.ranges[0].to, Offset{1});
  rules_.batch_bytes_max = 100;
  chunk = build({window(0, {plain(large), plain("c")})});
  EXPECT_EQ(chunk.records, 1u);
  rules_.batch_bytes_max = 100'000;
  rules_.chunk_bytes_max = 1100;
  chunk = build({window(0, {plain(large), plain(large), plain(large)})});
  EXPECT_EQ(chunk.records, 2u);
}

TEST_F(ReplayChunkTest, ends_at_a_record_that_is_not_due) {
  Pacer pacer({ReplayPace::Kind::records, 2});
  pacer.look(SteadyTime(std::chrono::hours(1)));
  pacer.look(SteadyTime(std::chrono::hours(1) + std::chrono::seconds(5)));
  const BuiltChunk chunk = build({window(0, {plain("a"), plain("b"), plain("c")})}, pacer);
  EXPECT_TRUE(chunk.not_due);
  EXPECT_EQ(chunk.records, 2u);
}

TEST_F(ReplayChunkTest, merges_by_time_and_stops_before_what_it_cannot_see) {
  rules_.by_time = true;
  rules_.source_partitions = 2;
  const SourceWindow odd = window(0, {plain("1", 1), plain("3", 3), plain("5", 5)});
  SourceWindow even = window(1, {plain("2", 2), plain("4", 4), plain("6", 6)});
  EXPECT_EQ(values_of(build({odd, even})), (Values{"1", "2", "3", "4", "5", "6"}));

  even.to = Offset{10};  // More follows, of which nothing is known.
  const SourceWindow later = window(0, {plain("1", 1), plain("9", 9)});
  BuiltChunk chunk = build({later, even});
  EXPECT_EQ(values_of(chunk), (Values{"1", "2", "4", "6"}));
  EXPECT_EQ(chunk.next_times, (std::vector<std::optional<std::int64_t>>{9, std::nullopt}));

  rules_.others_next_time = 4;
  EXPECT_EQ(values_of(build({odd, even})), (Values{"1", "2", "3", "4"}));
  rules_.others_next_time = std::numeric_limits<std::int64_t>::min();
  chunk = build({odd, even});
  EXPECT_TRUE(chunk.batches.empty());
  EXPECT_EQ(chunk.next_times, (std::vector<std::optional<std::int64_t>>{1, 2}));
}

TEST_F(ReplayChunkTest, the_same_ranges_build_the_same_batches_again) {
  rules_.by_time = true;
  rules_.source_partitions = 2;
  rules_.target_partitions = 3;
  rules_.batch_bytes_max = 400;
  std::vector<TestRecord> first, second;
  for (int i = 0; i < 50; ++i) {
    first.push_back({"k" + std::to_string(i % 7), "a" + std::to_string(i), 10 + 2 * i, {}});
    second.push_back({"k" + std::to_string(i % 5), "b" + std::to_string(i), 10 + 3 * (i % 9), {}});
  }
  const BuiltChunk planned = build({window(0, first), window(1, second, 100)});
  ASSERT_LT(planned.records, 100u);
  ASSERT_GT(planned.records, 3u);

  std::vector<SourceWindow> again = {window(0, first), window(1, second, 100)};
  for (std::size_t i = 0; i < 2; ++i) again[i].to = again[i].end = planned.ranges[i].to;
  rules_.exact = true;
  rules_.others_next_time = 0;
  Pacer slow({ReplayPace::Kind::speed, 0.001});
  slow.look(SteadyTime(std::chrono::hours(1)));
  const BuiltChunk repeated = build(again, slow);
  ASSERT_EQ(repeated.batches.size(), planned.batches.size());
  for (std::size_t i = 0; i < planned.batches.size(); ++i) {
    EXPECT_EQ(repeated.batches[i].what, planned.batches[i].what);
    EXPECT_TRUE(std::ranges::equal(repeated.batches[i].bytes.view(), planned.batches[i].bytes.view()));
  }
}

TEST_F(ReplayChunkTest, damage_is_named_not_copied) {
  SourceWindow bad = window(3, {plain("a"), plain("b")}, 42);
  bad.batches[0].writable()[70] ^= std::byte{1};
  const Result<BuiltChunk> chunk = build_chunk({bad}, rules_, state_, Pacer());
  ASSERT_FALSE(chunk);
  EXPECT_EQ(chunk.error(), (Error{Errc::corrupt_batch, "orders:3 at offset 42: bad checksum"}));
}

}  // namespace
}  // namespace tidemark::broker
