#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "storage/base/check.h"
#include "storage/batch/record_batch.h"
#include "storage/cleaning.h"
#include "storage/log.h"
#include "storage/posix_file_system.h"

/// What compaction takes of a core: a log of records of 100 B whose keys repeat is written and compacted on a real disk. Figures are bytes
/// of log per second of processor time of the one thread that works, so that they hold on a busy machine as well.
///
/// compaction_bench [DIRECTORY]: the log is made in there and removed again.
namespace tidemark::storage {
namespace {

constexpr std::uint64_t kLogBytes = 256ull * 1024 * 1024;
constexpr int kRecordsPerBatch = 500;
constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kStepBytes = 1024 * 1024;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Timestamp wall() { return SystemClock().now(); }

template <class T>
T must(Result<T> result) {
  if (!result) std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
  CHECK(result.has_value());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

Slice make_batch(std::mt19937_64& random, std::uint64_t keys, Codec codec) {
  BatchBuilder builder({.codec = codec});
  std::string value(kValueBytes, 'v');
  for (int i = 0; i < kRecordsPerBatch; ++i) {
    for (std::size_t at = 0; at < value.size() / 2; ++at) value[at] = static_cast<char>('a' + random() % 26);
    const std::string key = "customer-" + std::to_string(random() % keys);
    builder.add({.key = as_bytes(key), .value = as_bytes(value), .timestamp_ms = 1'700'000'000'000, .headers = {}});
  }
  return builder.build();
}

/// Writes about kLogBytes, all of it sealed but the last segment.
LogCheckpoint fill(Log& log, FileCache& files, std::uint64_t keys, Codec codec) {
  std::mt19937_64 random(1);
  while (log.size_bytes() < kLogBytes) {
    Slice batch = make_batch(random, keys, codec);
    const BatchHeader header = must(BatchHeader::parse(batch.view()));
    while (!log.has_space(batch.size(), wall())) {
      SpacePlan plan = log.plan_space(batch.size(), wall());
      must(plan.execute(files));
      log.apply(std::move(plan));
    }
    log.stage(std::move(batch), header, wall());
    WriteGroup group = log.take_group();
    must(group.write(files));
    log.flushed(std::move(group));
  }
  CheckpointPlan plan = log.plan_checkpoint();
  must(plan.execute(files));
  return log.apply(std::move(plan));
}

void measure(const std::string& directory, std::uint64_t keys, Codec codec) {
  PosixFileSystem disk;
  FileCache files(disk, 64);
  RecoveryReport report;
  const std::unique_ptr<Log> log = must(Log::open(files, directory, {.segment_bytes = 32 * 1024 * 1024}, {}, wall(), {}, report));
  const LogCheckpoint checkpoint = fill(*log, files, keys, codec);
  CleaningRules rules;
  rules.compact = true;
  rules.now = wall();
  rules.segment_bytes = 32 * 1024 * 1024;
  rules.key_map_bytes = 64 * 1024 * 1024;
  rules.key_seed = {1, 2};
  const std::unique_ptr<Cleaning> cleaning = log->plan_cleaning(rules, checkpoint.segment_base, wall());
  CHECK(cleaning != nullptr);
  const std::uint64_t dirty = log->cleanable(checkpoint.segment_base, wall()).dirty_bytes;
  const double began = thread_seconds();
  for (Cleaning::Next next = Cleaning::Next::step; next != Cleaning::Next::done;) {
    next = must(cleaning->step(files, kStepBytes));
    if (next != Cleaning::Next::swap) continue;
    SwapPlan swap = cleaning->take_swap();
    CHECK(log->accept(swap));
    must(swap.execute(files));
    log->apply(std::move(swap));
  }
  const double seconds = thread_seconds() - began;
  const CleaningCounts& counts = cleaning->summary().counts;
  const double records = static_cast<double>(counts.records_kept + counts.records_dropped);
  std::printf("%-7s %8llu keys: %6.0f MB of log a core-second, %5.2f M records/s; kept %4.1f%%, read %llu MB, wrote %llu MB\n",
              std::string(to_string(codec)).c_str(), static_cast<unsigned long long>(keys), static_cast<double>(dirty) / seconds / 1e6,
              records / seconds / 1e6, static_cast<double>(counts.records_kept) / records * 100,
              static_cast<unsigned long long>(counts.bytes_read / 1'000'000),
              static_cast<unsigned long long>(counts.bytes_written / 1'000'000));
}

}  // namespace
}  // namespace tidemark::storage

int main(int count, char** arguments) {
  using namespace tidemark;
  const std::string parent = count > 1 ? arguments[1] : std::filesystem::temp_directory_path().string();
  std::string directory = parent + "/compaction_bench.XXXXXX";
  CHECK(mkdtemp(directory.data()) != nullptr);
  int number = 0;
  for (const Codec codec : {Codec::none, Codec::lz4, Codec::zstd}) {
    for (const std::uint64_t keys : {10'000ull, 1'000'000ull}) {
      storage::measure(directory + "/" + std::to_string(number++), keys, codec);
    }
  }
  std::filesystem::remove_all(directory);
}
