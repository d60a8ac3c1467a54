#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "storage/file_cache.h"
#include "storage/log.h"

namespace tidemark::storage {

/// A record as a reader sees it.
struct SeenRecord {
  std::int64_t offset = 0;
  std::string value;
  bool operator==(const SeenRecord&) const = default;
};
inline void PrintTo(const SeenRecord& record, std::ostream* out) { *out << record.offset << "=" << record.value.substr(0, 20); }

inline Slice batch_of(const std::vector<std::string>& values, std::int64_t timestamp_ms = 1000, std::int64_t step_ms = 0) {
  BatchBuilder builder;
  for (const std::string& value : values) {
    builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = timestamp_ms, .headers = {}});
    timestamp_ms += step_ms;
  }
  return builder.build();
}

/// Every record of whole batches.
inline std::vector<SeenRecord> records_of(ByteView batches) {
  std::vector<SeenRecord> records;
  while (!batches.empty()) {
    const Result<BatchHeader> header = BatchHeader::parse(batches);
    if (!header || header->size_bytes() > batches.size()) {
      ADD_FAILURE() << "a read returned bytes that are no whole batch";
      return records;
    }
    const ByteView batch = batches.first(header->size_bytes());
    EXPECT_TRUE(batch_crc_matches(batch));
    Result<BatchReader> reader = BatchReader::open(batch);
    EXPECT_TRUE(reader);
    RecordView record;
    while (reader && *reader->next(record))
      records.push_back({record.offset.value, tidemark::to_string(record.value.value_or(ByteView()))});
    batches = batches.subspan(batch.size());
  }
  return records;
}

/// A log on some disk and the verbs a broker has for it, one after another on one thread.
class LogDriver {
 public:
  static constexpr const char* kDirectory = "topics/t/0";

  explicit LogDriver(FileSystem& disk, LogConfig config = {}, LogHints hints = {}) : disk_(disk), config_(config), hints_(hints) {}

  Status try_open(Timestamp now = Timestamp(std::chrono::milliseconds(1'000'000))) {
    log_.reset();
    files_ = std::make_unique<FileCache>(disk_, 8);
    now_ = now;
    report_ = {};
    scanned_.clear();
    Result<std::unique_ptr<Log>> opened = Log::open(
        *files_, kDirectory, config_, hints_, now_,
        [this](const BatchHeader& header, ByteView) { scanned_.push_back(header.base_offset.value); }, report_);
    if (!opened) return opened.error();
    log_ = *std::move(opened);
    return {};
  }
  void open() {
    const Status opened = try_open();
    ASSERT_TRUE(opened) << opened.error().to_string();
  }

  // --- Appending.

  Status try_make_space(std::size_t bytes) {
    if (log_->has_space(bytes, now_)) return {};
    SpacePlan plan = log_->plan_space(bytes, now_);
    Status provided = plan.execute(*files_);
    if (provided)
      log_->apply(std::move(plan));
    else
      log_->abandon(std::move(plan));
    log_->check_invariants();
    return provided;
  }
  /// Stages one batch; its base offset.
  Result<Offset> try_stage(Slice batch) {
    if (Status provided = try_make_space(batch.size()); !provided) return provided.error();
    const Result<BatchHeader> header = BatchHeader::parse(batch.view());
    if (!header) return header.error();
    return log_->stage(std::move(batch), *header, now_);
  }
  Offset stage(Slice batch) {
    const Result<Offset> base = try_stage(std::move(batch));
    EXPECT_TRUE(base) << base.error().to_string();
    return base.value_or({-1});
  }
  Status try_flush() {
    while (log_->has_staged()) {
      WriteGroup group = log_->take_group();
      if (Status written = group.write(*files_); !written) return written;
      if (Status synced = group.file->sync(); !synced) return synced;
      log_->flushed(std::move(group), true);
      log_->check_invariants();
    }
    return {};
  }
  void flush() {
    const Status flushed = try_flush();
    ASSERT_TRUE(flushed) << flushed.error().to_string();
  }
  /// One batch, flushed.
  Offset write(const std::vector<std::string>& values, std::int64_t timestamp_ms = 1000) {
    const Offset base = stage(batch_of(values, timestamp_ms));
    flush();
    return base;
  }
  void pass(std::chrono::milliseconds time) { now_ += time; }

  // --- Reading.

  Result<ReadResult> try_read(Offset from, std::size_t bytes_max = 1 << 20) {
    std::vector<Damage> found;
    ReadPlan plan = log_->plan_read(from, log_->flushed_offset(), bytes_max);
    Result<ReadResult> result = plan.execute(*files_, found);
    log_->add_damage(found);
    last_found_ = std::move(found);
    return result;
  }
  /// Records from `from` to the end or the first error, which is kept.
  std::vector<SeenRecord> read_from(Offset from, std::size_t bytes_max = 1 << 20) {
    std::vector<SeenRecord> seen;
    read_error_.reset();
    while (from < log_->flushed_offset()) {
      const Result<ReadResult> read = try_read(from, bytes_max);
      if (!read) {
        read_error_ = read.error();
        break;
      }
      for (SeenRecord& record : records_of(read->batches.view())) {
        if (record.offset >= from.value) seen.push_back(std::move(record));
      }
      EXPECT_GT(read->next, from) << "a read must make progress";
      if (read->next <= from) break;
      from = read->next;
    }
    return seen;
  }
  std::vector<SeenRecord> read_all() { return read_from(log_->log_start()); }
  /// Everything that can be read, jumping over quarantined ranges; what was jumped over.
  std::vector<SeenRecord> read_around_damage(std::vector<Damage>& jumped) {
    std::vector<SeenRecord> seen;
    Offset from = log_->log_start();
    while (from < log_->flushed_offset()) {
      const std::vector<SeenRecord> part = read_from(from);
      seen.insert(seen.end(), part.begin(), part.end());
      if (!read_error_) break;
      if (!part.empty()) from = Offset{part.back().offset} + 1;
      const Damage* const damage = log_->damage_at(from);
      EXPECT_TRUE(read_error_->code == Errc::quarantined || read_error_->code == Errc::io_error) << read_error_->to_string();
      if (damage == nullptr) {
        ADD_FAILURE() << "no damage at " << from.value << " behind " << read_error_->to_string();
        break;
      }
      jumped.push_back(*damage);
      from = damage->to;
    }
    return seen;
  }
  Result<std::optional<TimestampPlan::Found>> find_time(std::int64_t time_ms) {
    return log_->plan_timestamp(time_ms, log_->flushed_offset()).execute(*files_);
  }

  // --- Housekeeping.

  Status try_checkpoint() {
    CheckpointPlan plan = log_->plan_checkpoint();
    if (Status done = plan.execute(*files_); !done) return done;
    hints_.checkpoint = log_->apply(std::move(plan));
    log_->check_invariants();
    return {};
  }
  void checkpoint() {
    const Status done = try_checkpoint();
    ASSERT_TRUE(done) << done.error().to_string();
  }
  Status try_trim(Offset start) {
    hints_.log_start = std::max(hints_.log_start, start);
    log_->set_log_start(start);
    std::optional<RemovePlan> plan = log_->take_removable();
    log_->check_invariants();
    return plan ? plan->execute(*files_) : Status();
  }
  void trim(Offset start) {
    const Status done = try_trim(start);
    ASSERT_TRUE(done) << done.error().to_string();
  }

  Log& log() { return *log_; }
  FileCache& files() { return *files_; }
  FileSystem& disk() { return disk_; }
  LogConfig& config() { return config_; }
  LogHints& hints() { return hints_; }
  Timestamp now() const { return now_; }
  const RecoveryReport& report() const { return report_; }
  const std::vector<std::int64_t>& scanned() const { return scanned_; }
  const std::optional<Error>& read_error() const { return read_error_; }
  const std::vector<Damage>& last_found() const { return last_found_; }
  static std::string path(std::string_view name) { return std::string(kDirectory) + "/" + std::string(name); }

 private:
  FileSystem& disk_;
  LogConfig config_;
  LogHints hints_;
  std::unique_ptr<FileCache> files_;
  std::unique_ptr<Log> log_;
  Timestamp now_{};
  RecoveryReport report_;
  std::vector<std::int64_t> scanned_;
  std::optional<Error> read_error_;
  std::vector<Damage> last_found_;
};

/// Makes the directory the partition's stands in.
inline void make_topic_directory(FileSystem& disk) {
  for (const char* path : {"topics", "topics/t"}) ASSERT_TRUE(disk.create_directory(path));
  ASSERT_TRUE(disk.sync_directory("."));
  ASSERT_TRUE(disk.sync_directory("topics"));
}

}  // namespace tidemark::storage
