#include <gtest/gtest.h>

#include "broker/broker.h"
#include "tests/simulation/engine.h"

namespace tidemark::broker {
namespace {

using simulation::CrashPolicy;
using simulation::Engine;
using simulation::SimulatedFileSystem;
using std::chrono::milliseconds;

using Replies = std::vector<Result<ReadReply>>;
using Answer = std::shared_ptr<std::optional<Result<Replies>>>;

class ManyReadsTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.open());
    ASSERT_TRUE(engine_.create("t", 5));
  }

  static ManyReads reads_of(std::vector<std::int64_t> offsets, std::chrono::milliseconds wait, std::size_t bytes_min = 1) {
    ManyReads reads;
    for (const std::int64_t offset : offsets) {
      reads.reads.push_back({{"t", static_cast<std::int32_t>(reads.reads.size())}, Offset{offset}});
    }
    reads.wait_max = wait;
    reads.bytes_min = bytes_min;
    return reads;
  }
  Answer start(const ManyReads& reads) {
    return engine_.start<Replies>([this, reads](Broker& broker, Done<Replies> done) {
      pending_ = broker.read_many({}, reads, [done = std::move(done)](Replies found) mutable { done(std::move(found)); });
    });
  }
  Replies ask(const ManyReads& reads) {
    const Answer answer = start(reads);
    engine_.runtime().run_until([&] { return answer->has_value(); });
    EXPECT_TRUE(answer->has_value());
    return answer->has_value() ? ***answer : Replies();
  }
  static std::vector<std::size_t> batch_counts(const Replies& replies) {
    std::vector<std::size_t> counts;
    for (const Result<ReadReply>& reply : replies) {
      EXPECT_TRUE(reply);
      std::size_t count = 0;
      for (const Slice& slice : reply ? reply->batches : std::vector<Slice>()) {
        for (ByteView rest = slice.view(); !rest.empty(); ++count) rest = rest.subspan(BatchHeader::parse(rest)->size_bytes());
      }
      counts.push_back(count);
    }
    return counts;
  }

  SimulatedFileSystem disk_;
  Engine engine_{disk_, {.seed = GetParam(), .shards = 3, .broker = Engine::small()}};
  std::shared_ptr<PendingReads> pending_;
};

TEST_P(ManyReadsTest, what_is_there_comes_at_once) {
  ASSERT_TRUE(engine_.append("t", 1, {"a"}));
  ASSERT_TRUE(engine_.append("t", 1, {"b"}));
  ASSERT_TRUE(engine_.append("t", 4, {"c"}));
  const SteadyTime before = engine_.runtime().clock().steady();
  EXPECT_EQ(batch_counts(ask(reads_of({0, 0, 0, 0, 0}, milliseconds(10'000)))), (std::vector<std::size_t>{0, 2, 0, 0, 1}));
  EXPECT_LT(engine_.runtime().clock().steady() - before, milliseconds(10'000));
}

TEST_P(ManyReadsTest, a_record_in_any_partition_ends_the_wait) {
  const Answer answer = start(reads_of({0, 0, 0, 0, 0}, milliseconds(60'000)));
  engine_.runtime().advance(milliseconds(1000));
  ASSERT_FALSE(answer->has_value());
  ASSERT_TRUE(engine_.append("t", 3, {"a"}));
  engine_.runtime().run_until([&] { return answer->has_value(); });
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(batch_counts(***answer), (std::vector<std::size_t>{0, 0, 0, 1, 0}));
}

TEST_P(ManyReadsTest, bytes_of_all_partitions_count_together) {
  const std::size_t one = simulation::batch_of({"a"}).size();
  const Answer answer = start(reads_of({0, 0}, milliseconds(60'000), 2 * one));
  ASSERT_TRUE(engine_.append("t", 0, {"a"}));
  engine_.runtime().advance(milliseconds(1000));
  ASSERT_FALSE(answer->has_value());
  ASSERT_TRUE(engine_.append("t", 1, {"b"}));
  engine_.runtime().run_until([&] { return answer->has_value(); });
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(batch_counts(***answer), (std::vector<std::size_t>{1, 1}));
}

TEST_P(ManyReadsTest, a_wait_ends_with_its_time_and_with_what_there_is) {
  const Answer answer = start(reads_of({0, 0}, milliseconds(5000), 100'000));
  ASSERT_TRUE(engine_.append("t", 1, {"a"}));
  engine_.runtime().advance(milliseconds(6000));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(batch_counts(***answer), (std::vector<std::size_t>{0, 1}));
}

TEST_P(ManyReadsTest, a_cancelled_wait_answers) {
  const Answer answer = start(reads_of({0, 0, 0}, milliseconds(3'000'000)));
  engine_.runtime().advance(milliseconds(10));
  ASSERT_FALSE(answer->has_value());
  engine_.runtime().shard(0).post([this] { pending_->cancel(); });
  engine_.runtime().run();
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(batch_counts(***answer), (std::vector<std::size_t>{0, 0, 0}));
  // Nothing of it is left: its last owner is this test.
  EXPECT_EQ(pending_.use_count(), 1);
}

TEST_P(ManyReadsTest, an_answered_read_leaves_nothing_in_the_partitions) {
  ASSERT_TRUE(engine_.append("t", 0, {"a"}));
  const Answer answer = start(reads_of({0, 0, 0}, milliseconds(3'000'000)));
  engine_.runtime().run();
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(pending_.use_count(), 1);
  pending_->cancel();  // Too late, and no harm.
}

TEST_P(ManyReadsTest, an_error_ends_the_wait_and_is_its_own) {
  const Replies replies = ask(reads_of({0, 7, 0, 0, 0, 0}, milliseconds(3'000'000)));
  ASSERT_EQ(replies.size(), 6u);
  EXPECT_TRUE(replies[0]);
  ASSERT_FALSE(replies[1]);
  EXPECT_EQ(replies[1].error().code, Errc::offset_out_of_range);
  ASSERT_FALSE(replies[5]);
  EXPECT_EQ(replies[5].error().code, Errc::unknown_partition);
}

TEST_P(ManyReadsTest, deleting_a_topic_ends_the_wait) {
  const Answer answer = start(reads_of({0, 0}, milliseconds(3'000'000)));
  engine_.runtime().advance(milliseconds(10));
  ASSERT_TRUE(engine_.remove("t"));
  engine_.runtime().run_until([&] { return answer->has_value(); });
  ASSERT_TRUE(answer->has_value());
  EXPECT_FALSE((***answer)[0]);
  EXPECT_EQ((***answer)[0].error().code, Errc::unknown_topic);
}

TEST_P(ManyReadsTest, later_reads_get_what_room_is_left) {
  for (std::int32_t p = 0; p < 3; ++p) {
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(engine_.append("t", p, {"abc"}));
  }
  const std::size_t one = simulation::batch_of({"abc"}).size();
  ManyReads reads = reads_of({0, 0, 0}, milliseconds(0));
  reads.bytes_max = 3 * one;
  EXPECT_EQ(batch_counts(ask(reads)), (std::vector<std::size_t>{2, 1, 0}));
  reads.bytes_max = 1;  // One batch comes all the same, of the first that has any.
  EXPECT_EQ(batch_counts(ask(reads)), (std::vector<std::size_t>{1, 0, 0}));
}

INSTANTIATE_TEST_SUITE_P(Seeds, ManyReadsTest, testing::Range<std::uint64_t>(1, 9));

// --- Leader epochs.

TEST(LeaderEpochs, end_where_the_next_one_begins) {
  auto disk = std::make_unique<SimulatedFileSystem>();
  auto engine = std::make_unique<Engine>(*disk);
  ASSERT_TRUE(engine->open());
  const auto topic = engine->create("t", 1, {{"durability", "os"}});
  ASSERT_TRUE(topic);
  std::vector<Offset> ends;  // Of each epoch: where the broker went on after a power failure.
  for (int epoch = 0; epoch < 3; ++epoch) {
    SCOPED_TRACE(epoch);
    EXPECT_EQ(engine->broker().leader_epoch((*topic)->id, 0), epoch);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(engine->append("t", 0, {"a", "b"}));
    for (int asked = 0; asked <= epoch + 1; ++asked) {
      const auto answer = engine->start<EpochEnd>([asked](Broker& broker, Done<EpochEnd> done) {
        broker.end_of_epoch({}, {"t", 0}, asked, std::move(done));
      });
      engine->runtime().run_until([&] { return answer->has_value(); });
      ASSERT_TRUE(answer->has_value() && **answer);
      const EpochEnd& end = ***answer;
      if (asked > epoch) {
        EXPECT_EQ(end.epoch, -1);
        EXPECT_FALSE(end.end_offset);
      } else if (asked == epoch) {
        EXPECT_EQ(end.epoch, epoch);
        EXPECT_EQ(end.end_offset, engine->describe("t")->at(0).high_watermark);
      } else {
        EXPECT_EQ(end.epoch, asked);
        EXPECT_EQ(end.end_offset, ends.at(static_cast<std::size_t>(asked)));
      }
    }
    // What was written survives here; what ends the epoch is that nobody can know.
    ends.push_back(engine->describe("t")->at(0).high_watermark);
    auto after = disk->crash_clone(CrashPolicy::keep_all, 1);
    engine->die();
    engine = std::make_unique<Engine>(*after);
    disk = std::move(after);
    ASSERT_TRUE(engine->open());
  }
}

// --- What the topic does to batches.

TEST(TopicsBatches, the_record_with_the_largest_time_is_found) {
  SimulatedFileSystem disk;
  Engine engine(disk);
  ASSERT_TRUE(engine.open());
  ASSERT_TRUE(engine.create("t"));
  EXPECT_FALSE(engine.find("t", 0, OffsetQuery::max_timestamp)->found);
  ASSERT_TRUE(engine.append_batch("t", 0, simulation::batch_of({"a", "b"}, 1000)));
  ASSERT_TRUE(engine.append_batch("t", 0, simulation::batch_of({"c"}, 9000)));
  ASSERT_TRUE(engine.append_batch("t", 0, simulation::batch_of({"d"}, 9000)));
  ASSERT_TRUE(engine.append_batch("t", 0, simulation::batch_of({"e"}, 2000)));
  for (int restarted = 0; restarted < 2; ++restarted) {
    const auto found = engine.find("t", 0, OffsetQuery::max_timestamp);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->found);
    EXPECT_EQ(found->offset, Offset{2});
    EXPECT_EQ(found->timestamp_ms, 9000);
    ASSERT_TRUE(engine.stop());
    ASSERT_TRUE(engine.open());
  }
}

TEST(TopicsBatches, are_stamped_on_arrival_and_found_by_that_time) {
  SimulatedFileSystem disk;
  Engine engine(disk);
  ASSERT_TRUE(engine.open());
  ASSERT_TRUE(engine.create("t", 1, {{"message.timestamp.type", "LogAppendTime"}}));
  const auto appended = engine.append_batch("t", 0, simulation::batch_of({"a"}, 5));
  ASSERT_TRUE(appended);
  const std::int64_t stamped = appended->append_time.time_since_epoch().count();
  EXPECT_GT(stamped, 1'600'000'000'000);
  const auto read = engine.read("t", 0, Offset{0});
  ASSERT_TRUE(read);
  const auto header = BatchHeader::parse(read->batches.at(0).view());
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->log_append_time());
  EXPECT_EQ(header->max_timestamp_ms, stamped);
  EXPECT_TRUE(batch_crc_matches(read->batches.at(0).view()));
  EXPECT_TRUE(engine.find("t", 0, OffsetQuery::timestamp, stamped)->found);
  EXPECT_FALSE(engine.find("t", 0, OffsetQuery::timestamp, stamped + 1)->found);
}

TEST(TopicsBatches, a_producers_codec_stays_unless_the_topic_has_its_own) {
  SimulatedFileSystem disk;
  Engine engine(disk);
  ASSERT_TRUE(engine.open());
  for (const std::string type : {"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"}) {
    SCOPED_TRACE(type);
    ASSERT_TRUE(engine.create(type, 1, {{"compression.type", type}}));
    BatchBuilder builder({.codec = Codec::lz4, .producer_id = 7, .producer_epoch = 0, .base_sequence = 0});
    for (int i = 0; i < 3; ++i) builder.add({.key = std::nullopt, .value = as_bytes("same"), .timestamp_ms = 5, .headers = {}});
    ASSERT_TRUE(engine.append_batch(type, 0, builder.build()));
    const auto read = engine.read(type, 0, Offset{0});
    ASSERT_TRUE(read);
    const ByteView batch = read->batches.at(0).view();
    const auto header = BatchHeader::parse(batch);
    ASSERT_TRUE(header);
    const Codec wanted = type == "producer" ? Codec::lz4 : type == "uncompressed" ? Codec::none : *parse_codec(type);
    EXPECT_EQ(header->codec(), wanted);
    EXPECT_TRUE(batch_crc_matches(batch));
    EXPECT_EQ(header->producer_id, 7);
    const auto records = engine.read_all(type, 0);
    ASSERT_TRUE(records);
    EXPECT_EQ(records->size(), 3u);
    EXPECT_EQ(records->at(2).value, "same");
  }
}

}  // namespace
}  // namespace tidemark::broker
