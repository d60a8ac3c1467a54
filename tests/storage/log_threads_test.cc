#include <deque>
#include <future>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/base/random.h"
#include "storage/log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/log_driver.h"

namespace tidemark::storage {
namespace {

using simulation::SimulatedFileSystem;

struct ReadUnderWay {
  Offset from;
  std::future<Result<ReadResult>> result;
};

std::string value_at(std::int64_t offset) { return std::to_string(offset) + std::string(static_cast<std::size_t>(offset % 50) * 40, 'v'); }

/// What is read is what was written; only a segment that was trimmed meanwhile may refuse.
void judge(ReadUnderWay read, Offset log_start) {
  const Result<ReadResult> result = read.result.get();
  if (!result) {
    EXPECT_EQ(result.error().code, Errc::offset_out_of_range) << result.error().to_string();
    EXPECT_LT(read.from, log_start);
    return;
  }
  EXPECT_GT(result->next, read.from);
  for (const SeenRecord& record : records_of(result->batches.view())) EXPECT_EQ(record.value, value_at(record.offset));
}

/// One thread decides and applies, as a shard does; the plans run on others, beside each other and beside it.
TEST(LogThreads, plans_run_beside_the_owner_and_each_other) {
  SimulatedFileSystem disk;
  make_topic_directory(disk);
  LogDriver driver(disk, {.segment_bytes = 20'000});
  driver.open();
  Log& log = driver.log();
  Random random(7);
  std::deque<ReadUnderWay> reads;
  CheckpointPlan plan;
  std::future<Status> checkpointing;
  std::vector<std::future<Status>> removals;
  const auto settle_checkpoint = [&] {
    if (!checkpointing.valid()) return;
    ASSERT_TRUE(checkpointing.get());
    driver.hints().checkpoint = log.apply(std::move(plan));
  };
  for (int round = 0; round < 600; ++round) {
    driver.write({value_at(log.end_offset().value)});
    const std::int64_t held = log.flushed_offset() - log.log_start();
    const Offset from = log.log_start() + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(held));
    reads.push_back({from, std::async(std::launch::async, [read = log.plan_read(from, log.flushed_offset(), 5000), &driver]() mutable {
                       std::vector<Damage> found;
                       Result<ReadResult> result = read.execute(driver.files(), found);
                       EXPECT_TRUE(found.empty());
                       return result;
                     })});
    if (round % 7 == 0) {
      settle_checkpoint();
      plan = log.plan_checkpoint();
      checkpointing = std::async(std::launch::async, [&plan, &driver] { return plan.execute(driver.files()); });
    }
    if (round % 40 == 39) {
      driver.hints().log_start = log.flushed_offset() - std::min<std::int64_t>(held, 60);
      log.set_log_start(driver.hints().log_start);
      if (std::optional<RemovePlan> removal = log.take_removable()) {
        removals.push_back(
            std::async(std::launch::async, [removal = *std::move(removal), &driver]() mutable { return removal.execute(driver.files()); }));
      }
    }
    while (reads.size() > 6) {
      judge(std::move(reads.front()), log.log_start());
      reads.pop_front();
    }
    log.check_invariants();
  }
  for (ReadUnderWay& read : reads) judge(std::move(read), log.log_start());
  settle_checkpoint();
  for (std::future<Status>& removal : removals) EXPECT_TRUE(removal.get());
  driver.open();
  EXPECT_TRUE(driver.report().damage.empty());
  for (const SeenRecord& record : driver.read_all()) EXPECT_EQ(record.value, value_at(record.offset));
}

}  // namespace
}  // namespace tidemark::storage
