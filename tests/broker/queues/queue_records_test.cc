#include "broker/queues/queue_record_format.h"
#include "storage/base/random.h"
#include "storage/state_record.h"
#include "storage/state_streams.h"
#include "tests/broker/queues/queue_window_fixture.h"

namespace tidemark::broker {
namespace {

using storage::StateRecord;
using storage::StateRecordType;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::int64_t kHead = -1;

class QueueRecords : public QueueWindowTest {
 protected:
  std::vector<StateRecord> records_of(std::int64_t slice) const {
    std::vector<StateRecord> found;
    for (const StateRecord& record : log_) {
      if (record.stream == queue_stream(who_, slice)) found.push_back(record);
    }
    return found;
  }
  static std::size_t bytes(const std::vector<StateRecord>& records) {
    std::size_t sum = 0;
    for (const StateRecord& record : records) sum += record.payload.size();
    return sum;
  }
  /// The log follows the rules of the state log: every live run has a beginning, snapshots are whole.
  void expect_well_formed() const {
    storage::StateStreams streams;
    std::uint64_t position = 0;
    for (const StateRecord& record : log_) {
      const auto next = streams.next(record.stream);
      const Status added = streams.add({.type = record.type,
                                        .last_part = record.last_part,
                                        .begins = next.begins,
                                        .sequence = next.sequence,
                                        .kind = record.stream.kind,
                                        .id = record.stream.id,
                                        .payload = record.payload,
                                        .bytes = storage::StateLog::encoded_size(record)},
                                       {1, FilePosition{position++}});
      ASSERT_TRUE(added.has_value()) << added.error().to_string();
      ASSERT_LE(record.payload.size(), storage::kStatePayloadBytesMax);
      ASSERT_FALSE(streams.snapshot_open(record.stream) && record.last_part);
    }
  }
};

TEST_F(QueueRecords, nothing_is_told_before_something_happens) {
  flush();
  grow(100);
  flush();
  EXPECT_THAT(log_, IsEmpty());
  take("a", range(0, 1));
  flush();
  EXPECT_THAT(log_, SizeIs(2));
  flush();
  EXPECT_THAT(log_, SizeIs(2));
}

TEST_F(QueueRecords, a_batch_costs_no_more_than_one_record) {
  grow(200);
  take("a", range(0, 100));
  flush();
  EXPECT_LT(bytes(log_), 120U);
  log_.clear();
  for (std::int64_t i = 0; i < 100; ++i) ack(i);
  flush();
  EXPECT_LT(bytes(log_), 40U);
}

TEST_F(QueueRecords, scattered_acks_cost_a_few_bytes_each) {
  grow(60'000);
  take("a", range(0, 60'000));
  flush();
  log_.clear();
  for (std::int64_t i = 0; i < 60'000; i += 600) ack(i);
  flush();
  EXPECT_LT(bytes(log_), 100 * 5 + 40U);
}

TEST_F(QueueRecords, a_finished_slice_is_ended_and_stays_finished) {
  grow(70'000);
  take("a", range(0, 70'000));
  flush();
  for (std::int64_t i = 0; i < 65'536; ++i) ack(i);
  flush();
  EXPECT_EQ(records_of(0).back().type, StateRecordType::deleted);
  EXPECT_THAT(window().streams(), SizeIs(2));
  restart();
  EXPECT_EQ(window().floor(), Offset{65'536});
  EXPECT_EQ(window().counts().done, 65'536U);
  EXPECT_EQ(ack(17), Settled::already_settled);
  expect_well_formed();
}

TEST_F(QueueRecords, one_old_record_keeps_only_its_own_slice) {
  const std::int64_t many = 10 * QueueWindow::kSliceOffsets;
  for (std::int64_t from = 0; from < many; from += 4096) {
    grow(from + 4096);
    take("a", range(from, from + 4096));
    for (std::int64_t i = from; i < from + 4096; ++i) {
      if (i != 5) ack(i);
    }
    flush();
  }
  EXPECT_THAT(window().streams(), SizeIs(2));  // The head and slice 0.
  EXPECT_LT(window().memory_bytes(), 200'000U);
  restart();
  EXPECT_EQ(window().counts().unfinished(), 1U);
  EXPECT_EQ(window().floor(), Offset{5});
  EXPECT_EQ(window().cursor(), Offset{many});
}

TEST_F(QueueRecords, a_stream_is_restated_when_its_deltas_outweigh_it) {
  settings_.delivery_limit = 0;
  make();
  grow(50);
  for (int round = 0; round < 3000; ++round) {
    now_ += 1ms;
    take("a", range(0, 50));
    flush();
    window().release_all("a", false, {}, now_);
    flush();
  }
  const std::vector<StateRecord> slice = records_of(0), head = records_of(kHead);
  EXPECT_TRUE(std::ranges::any_of(slice, [](const StateRecord& record) { return record.type == StateRecordType::snapshot; }));
  EXPECT_TRUE(std::ranges::any_of(head, [](const StateRecord& record) { return record.type == StateRecordType::snapshot; }));
  expect_well_formed();
  restart();
  EXPECT_EQ(window().entry({49})->deliveries, 3000U);
}

TEST_F(QueueRecords, large_snapshots_come_in_parts) {
  grow(8000);
  take("a", range(0, 8000));
  for (std::int64_t i = 0; i < 8000; ++i) window().fail({i}, "a", 1, 1h, std::string(900, 'x') + std::to_string(i), now_);
  flush();
  const std::vector<StateRecord> parts = window().snapshot(queue_stream(who_, 0));
  ASSERT_GE(parts.size(), 5U);
  EXPECT_EQ(parts.front().type, StateRecordType::snapshot);
  EXPECT_EQ(parts[1].type, StateRecordType::snapshot_more);
  EXPECT_TRUE(parts.back().last_part);
  log_.insert(log_.end(), parts.begin(), parts.end());
  expect_well_formed();
  restart();
  EXPECT_EQ(window().counts().delayed, 8000U);
  EXPECT_EQ(window().entry({7999})->reason, std::string(900, 'x') + "7999");
}

TEST_F(QueueRecords, snapshots_of_the_head_restate_members_and_counters) {
  grow(10);
  take("a", range(0, 5));
  take("b", range(5, 9));
  ack(0);
  window().remove_member("b", false, now_);
  take("c", offsets({6}));
  flush();
  log_.clear();
  for (const storage::StreamKey& stream : window().streams()) {
    for (StateRecord& record : window().snapshot(stream)) log_.push_back(std::move(record));
  }
  restart();
  EXPECT_EQ(window().counts().done, 1U);
  EXPECT_EQ(window().counts().redelivered, 1U);
  EXPECT_EQ(window().cursor(), Offset{10});
  EXPECT_EQ(window().entry({6})->member, "c");
  EXPECT_EQ(window().member("a")->in_flight, 4U);
  EXPECT_FALSE(window().member("b").has_value());
}

TEST_F(QueueRecords, leases_begin_anew_after_a_restart) {
  grow(1);
  take("a", range(0, 1));
  flush();
  now_ += 1h;
  restart();
  EXPECT_EQ(window().next_deadline(), now_ + 30s);
  EXPECT_EQ(window().entry({0})->delivered, at(0s));
}

TEST_F(QueueRecords, texts_of_failures_are_cut_and_counted) {
  grow(1);
  take("a", range(0, 1));
  window().fail({0}, {}, 0, 1h, std::string(5000, 'y'), now_);
  EXPECT_EQ(window().entry({0})->reason.size(), QueueWindow::kReasonBytesMax);
}

TEST_F(QueueRecords, other_groups_records_are_refused) {
  grow(1);
  take("a", range(0, 1));
  flush();
  QueueWindow::Identity other = who_;
  other.group = "others";
  QueueWindow window(other, {0}, std::make_shared<QueueSettings>(settings_));
  const Status replayed = window.replay(log_.front());
  ASSERT_FALSE(replayed.has_value());
  EXPECT_EQ(replayed.error().code, Errc::corrupt_batch);
  EXPECT_THAT(window.snapshot(log_.front().stream), IsEmpty());
}

TEST_F(QueueRecords, bytes_from_a_bad_disk_are_an_error_or_a_state_but_no_crash) {
  settings_.dead_letter_topic = "dead";
  settings_.keeps_ids = true;
  make();
  grow(300);
  take("a", range(0, 100));
  take("b", range(100, 200));
  for (std::int64_t i = 0; i < 40; ++i) fail(i * 3, i % 2 == 0 ? 5s : 0s);
  for (std::int64_t i = 120; i < 150; ++i) reject(i);
  window().begin_move({.offsets = window().dying(5), .first_sequence = 4});
  flush();
  Random random(17);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    QueueWindow window(who_, {0}, std::make_shared<QueueSettings>(settings_));
    bool failed = false;
    for (StateRecord record : log_) {
      if (random() % 2 == 0) record.payload.resize(random() % (record.payload.size() + 1));
      for (std::uint64_t flips = random() % 3; flips > 0 && !record.payload.empty(); --flips)
        record.payload[random() % record.payload.size()] = static_cast<std::byte>(random());
      failed = failed || !window.replay(record);
    }
    refused += failed ? 1 : 0;
    window.recovered(now_);
    window.expire(now_ + 1h, 100'000);
    window.trimmed({70'000});
    EXPECT_LE(window.floor(), window.cursor());
    EXPECT_FALSE(window.take_records().empty());
    window.reset({0});
    EXPECT_EQ(window.counts().unfinished(), 0U);
  }
  EXPECT_GT(refused, 1000);
}

TEST_F(QueueRecords, newer_versions_are_refused) {
  for (const std::int64_t slice : {kHead, std::int64_t{0}}) {
    const StateRecord record{.stream = queue_stream(who_, slice), .payload = {std::byte{2}}};
    EXPECT_FALSE(window().replay(record).has_value());
  }
}

TEST_F(QueueRecords, streams_are_named_by_partition_slice_and_group) {
  for (const std::int64_t slice : {kHead, std::int64_t{0}, std::int64_t{123'456'789}}) {
    const auto parsed = parse_queue_stream(queue_stream(who_, slice));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->identity.group, who_.group);
    EXPECT_EQ(parsed->identity.topic, who_.topic);
    EXPECT_EQ(parsed->identity.partition, who_.partition);
    EXPECT_EQ(parsed->slice, slice);
  }
  storage::StreamKey stream = queue_stream(who_, 0);
  stream.kind = storage::StreamKind::group;
  EXPECT_FALSE(parse_queue_stream(stream).has_value());
  EXPECT_FALSE(parse_queue_stream(queue_stream(who_, -2)).has_value());
  EXPECT_FALSE(parse_queue_stream(queue_stream(who_, std::numeric_limits<std::int64_t>::max())).has_value());
  EXPECT_FALSE(parse_queue_stream({storage::StreamKind::group_partition, "short"}).has_value());
}

}  // namespace
}  // namespace tidemark::broker
