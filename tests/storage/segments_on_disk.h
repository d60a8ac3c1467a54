#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "storage/batch/record_batch.h"
#include "storage/seal.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"
#include "tests/simulation/simulated_file_system.h"

namespace tidemark::storage {

inline constexpr Timestamp kNow{std::chrono::milliseconds(1'800'000'000'000)};
inline constexpr Timestamp kAppended{std::chrono::milliseconds(1'700'000'000'000)};
/// Large enough for every batch to begin an index interval of its own.
inline constexpr std::size_t kValueBytes = kIndexIntervalBytes + 1000;
inline constexpr std::size_t kEpochByte = 15;
inline constexpr std::size_t kLengthByte = 9;
inline constexpr std::size_t kRecordByte = 1000;

inline ByteVector make_batch(std::int64_t base, std::string_view names) {
  BatchBuilder builder;
  for (const char name : names) {
    const std::string value(kValueBytes, name);
    builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = 1000 + base, .headers = {}});
  }
  const Slice built = builder.build();
  patch_batch(built.writable(), Offset{base}, 5);
  return ByteVector(built.view().begin(), built.view().end());
}

/// A partition of segments whose batches hold records named by one letter each.
class SegmentsOnDisk : public testing::Test {
 protected:
  static constexpr const char* kDirectory = "p";

  static std::string path(std::int64_t base, std::string_view suffix) {
    return std::string(kDirectory) + "/" + segment_file_name(Offset{base}, suffix);
  }

  void write(const std::string& name, ByteView bytes) { files->plant(name, as_text(bytes)); }

  /// Batches, given by the names of their records, in a segment of their own; positions_ learns where each begins.
  void add_segment(std::int64_t base, const std::vector<std::string>& batches, std::optional<std::int64_t> end) {
    ByteVector log;
    std::int64_t offset = base;
    for (const std::string& names : batches) {
      positions_[offset] = log.size();
      const ByteVector batch = make_batch(offset, names);
      log.insert(log.end(), batch.begin(), batch.end());
      offset += static_cast<std::int64_t>(names.size());
    }
    write(path(base, ".log"), log);
    describe(base, log.size(), end);
  }

  /// Index and, for a full segment, seal, as the log writes them.
  void describe(std::int64_t base, std::uint64_t bytes, std::optional<std::int64_t> end) {
    const auto log = files->open(path(base, ".log"), OpenMode::read);
    ASSERT_TRUE(log);
    SegmentIndex index;
    const ScanOptions options{.base = Offset{base},
                              .from = {},
                              .chain = {Offset{base}, 0, false},
                              .file_bytes = bytes,
                              .torn_from = std::nullopt,
                              .landmarks = {},
                              .now = kNow,
                              .segment_end = std::nullopt,
                              .file_name = "log"};
    ASSERT_TRUE(scan_segment(**log, options, index, {}));
    ByteVector index_file = encode_index_header(Offset{base});
    Seal seal{.base = Offset{base},
              .end = Offset{end.value_or(0)},
              .log_bytes = bytes,
              .first_append = kAppended,
              .last_append = kAppended,
              .intervals = {}};
    for (IndexEntry& entry : index.entries) {
      entry.append_time = kAppended + std::chrono::milliseconds(entry.first_offset.value);
      entry.estimated = false;
      encode_index_entry(index_file, Offset{base}, entry);
      seal.intervals.push_back({entry.first_offset, entry.position, entry.interval_crc});
    }
    write(path(base, ".idx"), index_file);
    if (end) write(path(base, ".seal"), encode_seal(seal));
  }

  void flip(std::int64_t segment, std::int64_t batch, std::size_t byte) {
    files->flip_bit(path(segment, ".log"), positions_[batch] + byte, 1);
  }

  /// "0:a 1:b" of every record in the segment file; also checks that its batches follow one another.
  static std::string records_on(simulation::SimulatedFileSystem& disk, std::int64_t base, std::optional<std::int64_t> end) {
    const std::string log = disk.contents(path(base, ".log"));
    ByteView rest = as_bytes(log);
    Offset expected{base};
    std::string text;
    while (!rest.empty()) {
      const Result<BatchHeader> header = BatchHeader::parse(rest);
      if (!header || header->size_bytes() > rest.size()) return text + " then no batch";
      EXPECT_EQ(header->base_offset, expected);
      EXPECT_TRUE(batch_crc_matches(rest.first(header->size_bytes())));
      expected = header->end_offset();
      Result<BatchReader> reader = BatchReader::open(rest.first(header->size_bytes()));
      EXPECT_TRUE(reader);
      RecordView record;
      while (reader && *reader->next(record)) {
        if (!text.empty()) text += ' ';
        text += std::to_string(record.offset.value) + ":" + static_cast<char>((*record.value)[0]);
      }
      rest = rest.subspan(header->size_bytes());
    }
    if (end) EXPECT_EQ(expected, Offset{*end});
    return text;
  }
  std::string records(std::int64_t base, std::optional<std::int64_t> end) { return records_on(*files, base, end); }

  std::unique_ptr<simulation::SimulatedFileSystem> files = std::make_unique<simulation::SimulatedFileSystem>();
  std::map<std::int64_t, std::size_t> positions_;  ///< By base offset of the batch.
};

}  // namespace tidemark::storage
