#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "storage/cleaning.h"
#include "tests/storage/log_driver.h"

namespace tidemark::storage {

using Keyed = std::pair<std::string, std::optional<std::string>>;  ///< No value: a tombstone.

inline Slice keyed_batch(const std::vector<Keyed>& records, BatchBuilder::Options options = {}, std::int64_t timestamp_ms = 1000) {
  BatchBuilder builder(options);
  for (const auto& [key, value] : records) {
    const std::optional<ByteView> bytes = value ? std::optional<ByteView>(as_bytes(*value)) : std::nullopt;
    builder.add({.key = as_bytes(key), .value = bytes, .timestamp_ms = timestamp_ms, .headers = {}});
  }
  return builder.build();
}

/// A record of a compacted log as a reader sees it.
struct KeyedRecord {
  std::int64_t offset = 0;
  std::string key;
  std::optional<std::string> value;
  bool operator==(const KeyedRecord&) const = default;
};
inline void PrintTo(const KeyedRecord& record, std::ostream* out) {
  *out << record.offset << ':' << record.key << '=' << record.value.value_or("(null)").substr(0, 20);
}

/// What the next reader of the whole log is told, and how the batches are that say it.
struct Contents {
  std::vector<KeyedRecord> records;
  std::vector<BatchHeader> batches;

  /// What each key comes to when the log is read through.
  std::map<std::string, std::string> state() const {
    std::map<std::string, std::string> last;
    for (const KeyedRecord& record : records) {
      if (record.value)
        last[record.key] = *record.value;
      else
        last.erase(record.key);
    }
    return last;
  }
};

inline void take_batches(ByteView bytes, Offset from, Contents& contents) {
  while (!bytes.empty()) {
    const Result<BatchHeader> header = BatchHeader::parse(bytes);
    ASSERT_TRUE(header && header->size_bytes() <= bytes.size()) << "a read returned bytes that are no whole batch";
    const ByteView batch = bytes.first(header->size_bytes());
    EXPECT_TRUE(batch_crc_matches(batch));
    contents.batches.push_back(*header);
    Result<BatchReader> reader = BatchReader::open(batch);
    ASSERT_TRUE(reader) << reader.error().to_string();
    RecordView record;
    for (;;) {
      const Result<bool> more = reader->next(record);
      ASSERT_TRUE(more) << more.error().to_string();
      if (!*more) break;
      if (record.offset < from || header->is_control()) continue;
      contents.records.push_back({record.offset.value, tidemark::to_string(record.key.value_or(ByteView())),
                                  record.value ? std::optional(tidemark::to_string(*record.value)) : std::nullopt});
    }
    bytes = bytes.subspan(batch.size());
  }
}

/// Everything from the log start on; a failure of the test where something cannot be read.
inline Contents contents_of(LogDriver& log) {
  Contents contents;
  for (Offset from = log.log().log_start(); from < log.log().flushed_offset();) {
    const Result<ReadResult> read = log.try_read(from, 4000);
    EXPECT_TRUE(read) << read.error().to_string();
    if (!read) break;
    take_batches(read->batches.view(), from, contents);
    EXPECT_GT(read->next, from);
    if (read->next <= from) break;
    from = read->next;
  }
  return contents;
}

/// A log on a disk, compacted as a broker does it, one thing after another.
class CleaningDriver : public LogDriver {
 public:
  using LogDriver::LogDriver;

  CleaningRules rules() const {
    CleaningRules made;
    made.compact = true;
    made.now = now();
    made.segment_bytes = const_cast<CleaningDriver*>(this)->config().segment_bytes;
    made.key_map_bytes = KeyMap::kBytesMin;
    made.key_seed = {1, 2};
    return made;
  }

  /// Ends the segment that is being filled and seals it, so that all there is may be cleaned.
  Status try_seal() {
    log().roll();
    // A checkpoint speaks of a segment of its own only once that one has begun.
    const Result<Offset> marker = try_stage(keyed_batch({{"marker", "m" + std::to_string(log().end_offset().value)}}));
    if (!marker) return marker.error();
    if (Status flushed = try_flush(); !flushed) return flushed;
    return try_checkpoint();
  }
  void seal() {
    const Status sealed = try_seal();
    ASSERT_TRUE(sealed) << sealed.error().to_string();
  }
  Offset limit() { return hints().checkpoint ? hints().checkpoint->segment_base : Offset{0}; }

  /// One cleaning, in steps of `step_bytes`.
  Status try_clean(const CleaningRules& with, std::size_t step_bytes = 1) {
    summary_ = {};
    if (Status known = log().plan_times().execute(files()); !known) return known;
    const std::unique_ptr<Cleaning> cleaning = log().plan_cleaning(with, limit(), now());
    if (!cleaning) return {};
    for (;;) {
      const Result<Cleaning::Next> next = cleaning->step(files(), step_bytes);
      if (!next) {
        cleaning->abandon();
        return next.error();
      }
      if (*next == Cleaning::Next::done) break;
      if (*next == Cleaning::Next::step) continue;
      SwapPlan swap = cleaning->take_swap();
      EXPECT_TRUE(log().accept(swap));
      if (Status swapped = swap.execute(files()); !swapped) return swapped;
      log().apply(std::move(swap));
      log().check_invariants();
    }
    summary_ = cleaning->summary();
    log().apply(summary_);
    return {};
  }
  void clean() { clean(rules()); }
  void clean(const CleaningRules& with) {
    const Status cleaned = try_clean(with);
    ASSERT_TRUE(cleaned) << cleaned.error().to_string();
  }
  const CleaningSummary& summary() const { return summary_; }

 private:
  CleaningSummary summary_;
};

}  // namespace tidemark::storage
