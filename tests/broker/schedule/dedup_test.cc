#include <cstdio>
#include <map>

#include "broker/dedup_window.h"
#include "storage/batch/leave_out.h"
#include "tests/broker/schedule/schedule_fixture.h"

namespace tidemark::broker {
namespace {

using Values = std::vector<std::string>;
using std::chrono::seconds;

const Timestamp kNow{milliseconds(1'700'000'000'000)};
constexpr milliseconds kWindow = seconds(10);

TEST(DedupWindow, knows_an_id_for_as_long_as_the_window_and_no_longer) {
  MemoryBudget budget(1024);
  DedupWindow window(budget);
  const DedupId id = DedupId::of("a");
  window.add(id, Offset{5}, kNow);
  EXPECT_EQ(window.find(id, kNow + kWindow, kWindow), Offset{5});
  EXPECT_EQ(window.find(DedupId::of("b"), kNow, kWindow), std::nullopt);
  EXPECT_EQ(window.find(id, kNow + kWindow + milliseconds(1), kWindow), std::nullopt);
  EXPECT_EQ(budget.used(), 0u);
}

TEST(DedupWindow, the_first_record_of_an_id_counts) {
  MemoryBudget budget(1024);
  DedupWindow window(budget);
  window.add(DedupId::of("a"), Offset{5}, kNow);
  window.add(DedupId::of("a"), Offset{9}, kNow + seconds(1));
  EXPECT_EQ(window.find(DedupId::of("a"), kNow + seconds(2), kWindow), Offset{5});
}

TEST(DedupWindow, forgets_its_oldest_ids_when_memory_is_used_up_and_counts_them) {
  MemoryBudget budget(10 * DedupWindow::kBytesPerId);
  DedupWindow window(budget);
  for (int i = 0; i < 15; ++i) window.add(DedupId::of(std::to_string(i)), Offset{i}, kNow + milliseconds(i));
  EXPECT_EQ(window.size(), 10u);
  EXPECT_EQ(window.forgotten_early(), 5u);
  EXPECT_EQ(window.find(DedupId::of("4"), kNow, kWindow), std::nullopt);
  EXPECT_EQ(window.find(DedupId::of("5"), kNow, kWindow), Offset{5});
}

class DedupTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.open());
    ASSERT_TRUE(engine_.create("orders", 1, {{"dedup.window.ms", "10000"}}));
  }
  SimulatedFileSystem disk_;
  Engine engine_{disk_};
};

TEST_F(DedupTest, a_second_record_of_an_id_is_not_stored_and_answers_the_first_ones_offset) {
  ASSERT_TRUE(publish(engine_, "orders", 0, {record_with("other"), record_with("a", with_id("x"))}));
  const auto again = publish(engine_, "orders", 0, {record_with("b", with_id("x"))});
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->base_offset, Offset{1});
  EXPECT_EQ(values_in(engine_, "orders"), (Values{"other", "a"}));
}

TEST_F(DedupTest, the_rest_of_a_batch_is_stored) {
  ASSERT_TRUE(publish(engine_, "orders", 0, {record_with("a", with_id("x"))}));
  const auto published =
      publish(engine_, "orders", 0,
              {record_with("b", with_id("y")), record_with("c", with_id("x")), record_with("d"), record_with("e", with_id("y"))});
  ASSERT_TRUE(published);
  EXPECT_FALSE(published->duplicate);
  EXPECT_EQ(published->base_offset, Offset{1});
  ASSERT_TRUE(published->details);
  ASSERT_EQ(published->details->duplicates.size(), 2u);
  EXPECT_EQ(published->details->duplicates[0].record, 1);
  EXPECT_EQ(published->details->duplicates[0].offset, Offset{0});
  EXPECT_EQ(published->details->duplicates[1].record, 3);
  EXPECT_EQ(published->details->duplicates[1].offset, Offset{1}) << "the one before it in the batch";
  const auto all = engine_.read_all("orders", 0);
  ASSERT_TRUE(all);
  EXPECT_EQ(*all, (std::vector<Engine::ReadRecord>{{Offset{0}, "a"}, {Offset{1}, "b"}, {Offset{3}, "d"}}));
}

TEST_F(DedupTest, an_idempotent_producer_goes_on_behind_a_duplicate_also_after_a_crash) {
  const auto producer = engine_.init_producer();
  ASSERT_TRUE(producer);
  ASSERT_TRUE(publish(engine_, "orders", 0, {record_with("a", with_id("x"))}));
  const Slice repeated = numbered_batch({record_with("b", with_id("x"))}, producer->id, 0);
  for (int start = 0; start < 3; ++start) {
    const auto duplicate = publish_batch(engine_, "orders", 0, repeated);
    ASSERT_TRUE(duplicate) << duplicate.error().to_string();
    EXPECT_TRUE(duplicate->duplicate);
    EXPECT_EQ(duplicate->base_offset, Offset{0});
    engine_.die();
    ASSERT_TRUE(engine_.open());
  }
  const auto next = publish_batch(engine_, "orders", 0, numbered_batch({record_with("c")}, producer->id, 1));
  ASSERT_TRUE(next) << next.error().to_string();
  EXPECT_EQ(next->base_offset, Offset{1});
}

TEST_F(DedupTest, a_delivered_record_counts_from_its_delivery) {
  ASSERT_TRUE(publish(engine_, "orders", 0, {record_with("a", {{"tidemark-dedup-id", "x"}, {"tidemark-delay", "30s"}})}));
  const auto again = publish(engine_, "orders", 0, {record_with("b", {{"tidemark-dedup-id", "x"}, {"tidemark-delay", "40s"}})});
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->duplicate);
  engine_.runtime().advance(seconds(35));
  const auto published = publish(engine_, "orders", 0, {record_with("c", with_id("x"))});
  ASSERT_TRUE(published);
  EXPECT_TRUE(published->duplicate);
  EXPECT_EQ(published->base_offset, Offset{0});
  engine_.runtime().advance(seconds(35));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"a"});
}

/// Against a map of what was published when, over restarts. An id from before a restart may count for longer, as if it had come at the
/// restart: the index of the log knows times to the second, and of what was not in a checkpoint only the time of the start.
TEST_F(DedupTest, behaves_like_a_map_over_restarts) {
  constexpr std::uint64_t kSeed = 42;
  Random random(kSeed);
  struct Seen {
    Offset offset;
    Timestamp time;
  };
  std::map<std::string, Seen> model;
  int duplicates = 0, restarts = 0, either = 0;
  Timestamp opened{};
  for (int step = 0; step < 4000; ++step) {
    const auto pause = milliseconds(random() % 120);
    engine_.runtime().advance(pause);
    if (random() % 200 == 0) {
      ++restarts;
      const Timestamp wall = engine_.runtime().clock().now();
      if (random() % 2 == 0)
        engine_.die();
      else
        ASSERT_TRUE(engine_.stop());
      engine_.set_wall_at_open(wall + milliseconds(random() % 3000));
      ASSERT_TRUE(engine_.open());
      opened = engine_.runtime().clock().now();
    }
    const std::string id = std::to_string(random() % 150);
    const Timestamp now = engine_.runtime().clock().now();
    const auto published = publish(engine_, "orders", 0, {record_with(std::to_string(step), with_id(id))});
    ASSERT_TRUE(published) << published.error().to_string();
    const auto known = model.find(id);
    const bool in_window = known != model.end() && known->second.time + kWindow >= now;
    const bool before_restart = known != model.end() && known->second.time < opened;
    const bool surely_out = known == model.end() || (before_restart ? opened + seconds(1) : known->second.time) + kWindow < now;
    if (in_window) {
      ASSERT_TRUE(published->duplicate) << "step " << step << ", id " << id << ", seed " << kSeed;
      ASSERT_EQ(published->base_offset, known->second.offset);
    } else if (surely_out) {
      ASSERT_FALSE(published->duplicate) << "step " << step << ", id " << id << ", seed " << kSeed;
    } else {
      ++either;
    }
    duplicates += published->duplicate ? 1 : 0;
    if (!published->duplicate) model[id] = {published->base_offset, now};
  }
  std::printf("%d duplicates, %d restarts, %d near the edge after one\n", duplicates, restarts, either);
  EXPECT_GT(duplicates, 500);
  EXPECT_GT(restarts, 5);
  EXPECT_LT(either, 1500);
}

TEST(LeaveOutRecords, keeps_offsets_sequences_and_codec) {
  for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    const std::vector<TestRecord> records = {record_with("a", {{"h", "1"}}), record_with("b"), record_with("c", {{"h", "2"}})};
    const Slice batch = batch_of_records(records, codec);
    const auto thinned = leave_out_records(batch.view(), {false, true, false});
    ASSERT_TRUE(thinned);
    EXPECT_TRUE(batch_crc_matches(thinned->view()));
    const auto header = BatchHeader::parse(thinned->view());
    ASSERT_TRUE(header);
    EXPECT_EQ(header->last_offset_delta, 2);
    EXPECT_EQ(header->record_count, 2);
    EXPECT_EQ(header->codec(), codec);
    std::vector<TestRecord> left;
    append_records_of(thinned->view(), Offset{0}, left);
    EXPECT_EQ(left, (std::vector<TestRecord>{records[0], records[2]}));
  }
  const auto empty = leave_out_records(batch_of_records({record_with("a")}, Codec::zstd).view(), {true});
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->size(), kBatchHeaderBytes);
}

TEST(Priority, is_the_header_or_the_middle) {
  const auto priority = [](HeaderTexts headers) {
    const Slice batch = batch_of_records({record_with("x", std::move(headers))});
    Result<BatchReader> reader = BatchReader::open(batch.view());
    RecordView record;
    EXPECT_TRUE(reader && *reader->next(record));
    return priority_of(record);
  };
  EXPECT_EQ(priority({}), 0);
  EXPECT_EQ(priority({{"tidemark-priority", "9"}}), 9);
  EXPECT_EQ(priority({{"tidemark-priority", "1"}, {"tidemark-priority", "0"}}), 0);
  EXPECT_EQ(priority({{"tidemark-priority", "high"}}), 0);
}

}  // namespace
}  // namespace tidemark::broker
