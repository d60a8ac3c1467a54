#include "broker/jobs/replay_state.h"

#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

ReplayState full() {
  ReplayState state;
  state.id = 1007;
  state.spec = {.source = "orders",
                .into = "again",
                .from = {ReplayPosition::Kind::timestamp_ms, 17},
                .to = {ReplayPosition::Kind::before_end, 3},
                .pace = {ReplayPace::Kind::speed, 2.5},
                .filter = "key = \"\xff\"",
                .skip_damaged = true};
  state.source.bytes.fill(1);
  state.target.bytes.fill(2);
  state.target_partitions = 3;
  state.created = Timestamp(std::chrono::milliseconds(5));
  state.state = JobState::failed;
  state.error = Error{Errc::quarantined, "\xfe is damaged"};
  state.finished = Timestamp(std::chrono::milliseconds(9));
  state.epoch = 2;
  state.partitions = {{0, Offset{1}, Offset{9}, Offset{4}}, {1, Offset{0}, Offset{7}, Offset{7}}};
  state.next_sequences = {{0, 12}, {2, 2147483647}};
  state.chunk = OpenChunk{.ranges = {{0, Offset{4}, Offset{6}}}, .batches = {{2, 2147483647, 2, true}}};
  state.totals = {.records = 1, .bytes = 2, .filtered = 3, .skipped = 4, .damaged = 5};
  return state;
}

TEST(ReplayState, a_snapshot_says_everything) {
  const ReplayState state = full();
  ReplayState read;
  const Status applied = read.apply(state.snapshot());
  ASSERT_TRUE(applied) << applied.error().to_string();
  EXPECT_EQ(read, state);
}

TEST(ReplayState, a_delta_says_what_changed) {
  ReplayState state = full();
  ReplayState read;
  ASSERT_TRUE(read.apply(state.snapshot()));
  state.state = JobState::running;
  state.error.reset();
  state.finished.reset();
  state.chunk.reset();
  state.partitions[0].next = Offset{6};
  state.next_sequences[2] = 1;
  state.totals.records = 3;
  ASSERT_TRUE(read.apply(state.delta({0}, {2})));
  EXPECT_EQ(read, state);
}

TEST(ReplayState, a_new_epoch_starts_sequences_over) {
  ReplayState state = full();
  ReplayState read;
  ASSERT_TRUE(read.apply(state.snapshot()));
  ++state.epoch;
  state.next_sequences.clear();
  ASSERT_TRUE(read.apply(state.delta({}, {})));
  EXPECT_EQ(read, state);
}

TEST(ReplayState, sequences_wrap_as_producers_do) {
  const ChunkBatch batch{0, 2147483646, 3, false};
  EXPECT_EQ(batch.last_sequence(), 0);
  EXPECT_EQ(batch.next_sequence(), 1);
}

TEST(ReplayState, refuses_what_does_not_add_up) {
  storage::StateRecord record = full().snapshot();
  record.payload.resize(record.payload.size() / 2);
  EXPECT_EQ(ReplayState().apply(record).error().code, Errc::corrupt_batch);

  ReplayState astray = full();
  astray.chunk->ranges[0].partition = 5;
  EXPECT_EQ(ReplayState().apply(astray.snapshot()).error().code, Errc::corrupt_batch);
  astray = full();
  astray.chunk->batches[0].partition = 3;
  EXPECT_EQ(ReplayState().apply(astray.snapshot()).error().code, Errc::corrupt_batch);

  storage::StateRecord nameless = full().snapshot();
  nameless.stream.id = "seven";
  EXPECT_EQ(ReplayState().apply(nameless).error().code, Errc::corrupt_batch);
  storage::StateRecord newer = full().snapshot();
  newer.payload.clear();
  EXPECT_EQ(ReplayState().apply(newer).error().code, Errc::unsupported_version);
}

}  // namespace
}  // namespace tidemark::broker
