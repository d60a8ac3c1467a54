#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/broker/entries/entries_fixture.h"
#include "tests/broker/schedule/schedule_fixture.h"
#include "tests/simulation/engine.h"

namespace tidemark::broker {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

class Compaction : public testing::Test {
 protected:
  Compaction() { must(engine_.open()); }

  static void must(const Status& done) { ASSERT_TRUE(done) << done.error().to_string(); }
  void create(ConfigMap config = {}) {
    config.emplace("cleanup.policy", "compact");
    config.emplace("segment.bytes", "65536");
    const auto made = engine_.create("t", 1, std::move(config));
    ASSERT_TRUE(made) << made.error().to_string();
  }
  Result<Appended> put(const std::string& key, const std::optional<std::string>& value) {
    BatchBuilder builder;
    builder.add({.key = as_bytes(key),
                 .value = value ? std::optional<ByteView>(as_bytes(*value)) : std::nullopt,
                 .timestamp_ms = 1'700'000'000'000,
                 .headers = {}});
    return engine_.append_batch("t", 0, builder.build());
  }
  /// Fills about `segments` segments with values of a few keys.
  void churn(int segments) {
    for (int i = 0; i < segments * 16; ++i) {
      const std::string key = "k" + std::to_string(i % 5);
      const std::string value = std::to_string(++written_) + std::string(4096, 'v');
      const Result<Appended> put_one = put(key, value);
      ASSERT_TRUE(put_one) << put_one.error().to_string();
      last_[key] = value;
    }
  }
  CompactionInfo info() {
    const auto partitions = engine_.describe("t");
    EXPECT_TRUE(partitions);
    return partitions ? partitions->front().compaction : CompactionInfo();
  }
  std::size_t records() { return engine_.read_all("t", 0).value_or({}).size(); }
  /// What a reader from the start comes to.
  void expect_last_values() {
    const auto read = engine_.read_all("t", 0);
    ASSERT_TRUE(read) << read.error().to_string();
    std::map<std::string, int> seen;
    for (const auto& record : *read) ++seen[record.value];
    for (const auto& [key, value] : last_) EXPECT_EQ(seen[value], 1) << key;
  }

  SimulatedFileSystem disk_;
  Engine engine_{disk_};
  std::map<std::string, std::string> last_;
  int written_ = 0;
};

TEST_F(Compaction, runs_by_itself_and_leaves_the_last_values) {
  create();
  churn(6);
  EXPECT_EQ(records(), 96u);
  EXPECT_TRUE(info().enabled);
  engine_.runtime().advance(minutes(2));
  EXPECT_LT(records(), 40u);
  expect_last_values();
  const CompactionInfo after = info();
  EXPECT_GE(after.runs, 1u);
  EXPECT_GT(after.records_dropped, 50u);
  EXPECT_GT(after.bytes_freed, 100'000u);
  EXPECT_FALSE(after.due);
  EXPECT_TRUE(after.last_time);
  EXPECT_FALSE(engine_.fatal());
}

TEST_F(Compaction, survives_restarts_and_goes_on_after_them) {
  create();
  churn(6);
  engine_.runtime().advance(minutes(2));
  const std::size_t before = records();
  must(engine_.stop());
  must(engine_.open());
  EXPECT_EQ(records(), before);
  churn(6);
  engine_.die();
  must(engine_.open());
  // Until dedup.window.ms has passed, nobody knows whether the log has ids in it.
  engine_.runtime().advance(minutes(1));
  EXPECT_GT(records(), 90u);
  EXPECT_EQ(info().reason, "what is dirty is younger than dedup.window.ms");
  engine_.runtime().advance(minutes(2));
  EXPECT_LT(records(), 40u);
  expect_last_values();
}

TEST_F(Compaction, records_stay_while_retries_are_recognised_by_their_ids) {
  create();
  const auto publish = [this](const std::string& key) {
    const std::string id = "order-1";
    BatchBuilder builder;
    const std::vector<HeaderView> headers = {{kDedupIdHeader, as_bytes(id)}};
    builder.add({.key = as_bytes(key), .value = as_bytes(key), .timestamp_ms = 1'700'000'000'000, .headers = headers});
    return publish_batch(engine_, "t", 0, builder.build());
  };
  ASSERT_TRUE(publish("k0"));
  churn(6);
  engine_.runtime().advance(minutes(1));
  EXPECT_EQ(records(), 97u);
  engine_.die();
  must(engine_.open());
  const Result<Appended> again = publish("k0");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(again->duplicate);
  engine_.runtime().advance(minutes(4));
  EXPECT_LT(records(), 40u);
  expect_last_values();
}

TEST_F(Compaction, deleted_records_leave_the_disk_of_any_topic) {
  create({{"cleanup.policy", "delete"}});
  churn(6);
  EntryCalls calls(engine_, "t");
  const auto remove = [&calls](std::int64_t from, std::int64_t to) {
    std::vector<EntryId> ids;
    for (std::int64_t offset = from; offset < to; ++offset) ids.push_back(id_of_offset(Offset{offset}));
    return calls.remove(ids);
  };
  ASSERT_TRUE(remove(10, 20));
  engine_.runtime().advance(minutes(5));
  EXPECT_EQ(info().runs, 0u);
  EXPECT_NE(info().reason.find("deleted and still on the disk, min.cleanable.dirty.ratio asks for 50%"), std::string::npos)
      << info().reason;
  const std::uint64_t before = engine_.describe("t")->front().bytes;
  ASSERT_TRUE(remove(20, 80));
  engine_.runtime().advance(minutes(5));
  const PartitionInfo after = engine_.describe("t")->front();
  EXPECT_EQ(after.compaction.runs, 1u);
  EXPECT_FALSE(after.compaction.due);
  EXPECT_LT(after.bytes, before / 2);
  EXPECT_EQ(records(), 26u);
  engine_.die();
  must(engine_.open());
  EXPECT_EQ(records(), 26u);
}

TEST_F(Compaction, waits_for_the_dirty_ratio_and_says_so) {
  create();
  churn(6);
  engine_.runtime().advance(minutes(2));
  ASSERT_TRUE(engine_.alter("t", {{"min.cleanable.dirty.ratio", "1"}}));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(put("once" + std::to_string(i), std::string(4096, 'o')));
  const std::uint64_t runs = info().runs;
  engine_.runtime().advance(minutes(2));
  EXPECT_EQ(info().runs, runs);
  EXPECT_NE(info().reason.find("min.cleanable.dirty.ratio asks for 100%"), std::string::npos) << info().reason;
  ASSERT_TRUE(engine_.alter("t", {{"max.compaction.lag.ms", "1m"}}));
  EXPECT_EQ(info().reason, "records are older than max.compaction.lag.ms");
  engine_.runtime().advance(minutes(2));
  EXPECT_GT(info().runs, runs);
}

TEST_F(Compaction, obeys_the_least_lag) {
  create({{"min.compaction.lag.ms", "1h"}});
  churn(6);
  engine_.runtime().advance(minutes(5));
  EXPECT_EQ(records(), 96u);
  EXPECT_EQ(info().reason, "what is dirty is younger than min.compaction.lag.ms");
  engine_.runtime().advance(hours(1));
  EXPECT_LT(records(), 40u);
}

TEST_F(Compaction, tombstones_go_after_their_retention_without_new_writes) {
  create({{"delete.retention.ms", "1h"}});
  ASSERT_TRUE(put("gone", "value to be deleted"));
  ASSERT_TRUE(put("gone", std::nullopt));
  churn(6);
  engine_.runtime().advance(minutes(2));
  const std::size_t with_tombstone = records();
  EXPECT_TRUE(info().next_tombstones_time);
  engine_.runtime().advance(hours(2));
  EXPECT_EQ(records(), with_tombstone - 1);
  EXPECT_FALSE(info().next_tombstones_time);
}

TEST_F(Compaction, refuses_records_without_a_key) {
  create();
  const Result<Appended> refused = engine_.append("t", 0, {"no key"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt_batch);
  EXPECT_NE(refused.error().detail.find("record 0 has no key"), std::string::npos);
  EXPECT_EQ(records(), 0u);
  ASSERT_TRUE(engine_.alter("t", {{"cleanup.policy", "delete"}}));
  EXPECT_TRUE(engine_.append("t", 0, {"no key"}));
}

TEST_F(Compaction, a_delayed_record_without_a_key_is_refused_at_once_or_fails_when_it_is_due) {
  create();
  const Result<Appended> refused = publish(engine_, "t", 0, {record_with("no key", delayed(minutes(1)))});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt_batch);
  EXPECT_TRUE(waiting_ids(engine_).empty());
  ASSERT_TRUE(engine_.alter("t", {{"cleanup.policy", "delete"}}));
  schedule(engine_, "t", "no key", minutes(1));
  ASSERT_TRUE(engine_.alter("t", {{"cleanup.policy", "compact"}}));
  engine_.runtime().advance(minutes(5));
  const auto page = list_schedule(engine_);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->records.size(), 1u);
  EXPECT_EQ(page->records[0].state, ScheduledInfo::State::failed);
  EXPECT_EQ(page->records[0].reason, "corrupt_batch");
}

TEST_F(Compaction, with_compact_alone_retention_does_not_act) {
  create({{"retention.ms", "1h"}});
  churn(3);
  engine_.runtime().advance(hours(3));
  expect_last_values();
  EXPECT_EQ(engine_.describe("t")->front().log_start, Offset{0});
  ASSERT_TRUE(engine_.alter("t", {{"cleanup.policy", "compact,delete"}}));
  engine_.runtime().advance(hours(2));
  EXPECT_GT(engine_.describe("t")->front().log_start, Offset{0});
}

TEST_F(Compaction, a_read_passes_over_what_is_left_of_removed_batches) {
  create({{"cleanup.policy", "delete"}});
  churn(6);
  EntryCalls calls(engine_, "t");
  const auto remove = [&calls](std::int64_t from, std::int64_t to) {
    std::vector<EntryId> ids;
    for (std::int64_t offset = from; offset < to; ++offset) ids.push_back(id_of_offset(Offset{offset}));
    return calls.remove(ids);
  };
  ASSERT_TRUE(remove(1, 60));
  ReadRequest request;
  request.bytes_max = 1;  // One batch at a time.
  const auto first_read = [&] {
    const Result<ReadReply> reply = engine_.read("t", 0, Offset{1}, request);
    EXPECT_TRUE(reply) << reply.error().to_string();
    return reply ? reply->next : Offset{-1};
  };
  EXPECT_EQ(first_read(), Offset{61});
  engine_.runtime().advance(minutes(5));
  ASSERT_EQ(info().runs, 1u);
  EXPECT_EQ(first_read(), Offset{61});
  ASSERT_TRUE(remove(60, 96));
  EXPECT_EQ(first_read(), Offset{96}) << "at the end, where it is";
}

TEST_F(Compaction, topics_that_only_delete_are_left_alone) {
  create({{"cleanup.policy", "delete"}});
  churn(6);
  engine_.runtime().advance(minutes(10));
  EXPECT_EQ(records(), 96u);
  EXPECT_FALSE(info().enabled);
  EXPECT_EQ(info().reason, "cleanup.policy is delete");
}

TEST_F(Compaction, a_topic_deleted_meanwhile_ends_it) {
  create();
  churn(12);
  // In the middle of a run: its steps have pauses of a second and more between them.
  engine_.runtime().run_until([&] { return info().running; });
  must(engine_.remove("t"));
  engine_.runtime().advance(minutes(2));
  EXPECT_FALSE(engine_.fatal());
  must(engine_.stop());
}

TEST_F(Compaction, a_producer_goes_on_in_sequence_after_its_records_were_compacted) {
  create();
  const auto batch = [](std::int32_t sequence) {
    BatchBuilder builder({.producer_id = 77, .producer_epoch = 0, .base_sequence = sequence});
    builder.add({.key = as_bytes("p"), .value = as_bytes("v"), .timestamp_ms = 1, .headers = {}});
    return builder.build();
  };
  ASSERT_TRUE(engine_.append_batch("t", 0, batch(0)));
  ASSERT_TRUE(put("p", "newer"));
  churn(6);
  engine_.runtime().advance(minutes(2));
  engine_.die();
  must(engine_.open());
  const Result<Appended> repeated = engine_.append_batch("t", 0, batch(0));
  ASSERT_TRUE(repeated) << repeated.error().to_string();
  EXPECT_TRUE(repeated->duplicate);
  EXPECT_TRUE(engine_.append_batch("t", 0, batch(1)));
  EXPECT_FALSE(engine_.append_batch("t", 0, batch(7)));
}

}  // namespace
}  // namespace tidemark::broker
