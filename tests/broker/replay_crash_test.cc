#include <cstdio>
#include <unordered_set>

#include "tests/broker/replay_fixture.h"
#include "tests/storage/crash_points.h"

/// Power fails, or the process is killed, at every file-system call of a replay job; the broker starts again on what is left and the job
/// goes on to its end. The target then holds each record of the source exactly once and in order.
namespace tidemark::broker {
namespace {

using Values = std::vector<std::string>;

constexpr int kBatches = 6;
constexpr int kBatchRecords = 3;

/// A source of two partitions; each record says where it is from.
void fill(Engine& engine) {
  ASSERT_TRUE(engine.create("source", 2));
  for (int batch = 0; batch < kBatches; ++batch) {
    for (std::int32_t p = 0; p < 2; ++p) {
      std::vector<TestRecord> records;
      for (int i = 0; i < kBatchRecords; ++i) {
        const int number = batch * kBatchRecords + i;
        records.push_back(
            {"k" + std::to_string(p) + std::to_string(number % 4), std::to_string(p) + ":" + std::to_string(number), 1000 + number, {}});
      }
      ASSERT_TRUE(engine.append_batch("source", p, batch_of_records(records)));
    }
  }
}

/// Each record once; records of one source partition and key in their order.
void check_target(Engine& engine, std::int32_t partitions, int gone_before = 0) {
  std::map<std::string, int> times;
  for (std::int32_t t = 0; t < partitions; ++t) {
    std::map<std::string, int> last;
    for (const TestRecord& record : records_in(engine, "target", t)) {
      ++times[record.value];
      const int number = std::stoi(record.value.substr(2));
      const std::string line = record.value.substr(0, 2) + record.key.value_or("");
      if (last.contains(line)) EXPECT_LT(last[line], number) << "out of order";
      last[line] = number;
    }
  }
  for (int p = 0; p < 2; ++p) {
    for (int number = 0; number < kBatches * kBatchRecords; ++number) {
      const std::string value = std::to_string(p) + ":" + std::to_string(number);
      if (number >= gone_before) {
        EXPECT_EQ(times[value], 1) << value;
      } else {
        EXPECT_LE(times[value], 1) << value;
      }
    }
  }
  EXPECT_LE(times.size(), static_cast<std::size_t>(2 * kBatches * kBatchRecords));
}

class ReplayCrashTest : public testing::Test {
 protected:
  /// Crashes at every call from the job's creation to its end.
  void explore(std::int32_t target_partitions, ReplaySpec spec, std::uint64_t seeds, const std::function<void(Engine&)>& meanwhile = {},
               int gone_before = 0) {
    SimulatedFileSystem disk;
    Engine engine(disk);
    ASSERT_TRUE(engine.open());
    fill(engine);
    ASSERT_TRUE(engine.create("target", target_partitions));
    std::optional<JobId> made;
    const auto check = [&](SimulatedFileSystem& image) {
      if (!seen_.insert(image.image_hash()).second) return;
      ++images_;
      check_image(image, made, target_partitions, meanwhile, gone_before);
    };
    simulation::crash_at_every_call(
        disk, seeds,
        [&] {
          const auto job = engine.create_replay(spec);
          ASSERT_TRUE(job) << job.error().to_string();
          made = job->id;
          const auto done = engine.finish_job(job->id);
          ASSERT_TRUE(done);
          ASSERT_EQ(done->state, JobState::done) << (done->error ? done->error->to_string() : "");
        },
        check);
    check_target(engine, target_partitions);
    std::printf("%llu distinct images\n", static_cast<unsigned long long>(images_));
    EXPECT_GT(images_, 40u) << "hardly a crash was tried";
  }

  void check_image(SimulatedFileSystem& image, std::optional<JobId> made, std::int32_t target_partitions,
                   const std::function<void(Engine&)>& meanwhile, int gone_before) {
    Engine engine(image);
    for (int start = 0; start < 2; ++start) {
      const Status opened = engine.open();
      ASSERT_TRUE(opened) << opened.error().to_string();
      if (start == 0) {
        if (meanwhile) meanwhile(engine);
        for (int i = 0; i < 25; ++i) engine.runtime().step();
        engine.die();  // Once more in the middle of going on.
      }
    }
    const auto jobs = engine.jobs();
    ASSERT_TRUE(jobs);
    if (made) ASSERT_EQ(jobs->size(), 1u) << "an acknowledged job is gone";
    if (jobs->empty()) {
      for (std::int32_t t = 0; t < target_partitions; ++t) EXPECT_EQ(records_in(engine, "target", t).size(), 0u);
      return;
    }
    const auto done = engine.finish_job(jobs->front().id);
    ASSERT_TRUE(done) << done.error().to_string();
    ASSERT_EQ(done->state, JobState::done) << (done->error ? done->error->to_string() : "");
    check_target(engine, target_partitions, gone_before);
    EXPECT_EQ(done->totals.records + done->totals.skipped, static_cast<std::uint64_t>(2 * kBatches * kBatchRecords));
  }

  std::unordered_set<std::uint64_t> seen_;
  std::uint64_t images_ = 0;
};

/// Small steps: some records a chunk.
ReplaySpec slowly() {
  ReplaySpec spec = everything("source", "target");
  spec.pace = {ReplayPace::Kind::records, 300};
  return spec;
}

TEST_F(ReplayCrashTest, partition_to_partition) { explore(2, slowly(), 4); }

TEST_F(ReplayCrashTest, spread_by_key_over_several_partitions) { explore(3, slowly(), 4); }

TEST_F(ReplayCrashTest, all_in_one_chunk_a_partition) { explore(2, everything("source", "target"), 8); }

TEST_F(ReplayCrashTest, merged_by_time) {
  ReplaySpec spec = everything("source", "target");
  spec.pace = {ReplayPace::Kind::speed, 0.2};
  explore(1, spec, 4);
}

/// The source is trimmed before the broker has come to repeat what was under way: records may be missing then, but none comes twice.
TEST_F(ReplayCrashTest, retention_takes_the_open_chunk_away) {
  constexpr int kGone = 11;
  const auto trim = [](Engine& engine) {
    for (std::int32_t p = 0; p < 2; ++p) ASSERT_TRUE(engine.trim("source", p, Offset{kGone}));
  };
  explore(3, slowly(), 2, trim, kGone);
}

}  // namespace
}  // namespace tidemark::broker
