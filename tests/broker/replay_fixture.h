#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/simulation/engine.h"

namespace tidemark::broker {

using simulation::CrashPolicy;
using simulation::Engine;
using simulation::SimulatedFileSystem;
using std::chrono::milliseconds;

/// A record as tests write and read it.
struct TestRecord {
  std::optional<std::string> key;
  std::string value;
  std::int64_t timestamp_ms = 1'700'000'000'000;
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool operator==(const TestRecord&) const = default;
};

inline void PrintTo(const TestRecord& record, std::ostream* out) {
  *out << record.key.value_or("(null)") << "=" << record.value << "@" << record.timestamp_ms << " with " << record.headers.size()
       << " headers";
}

inline Slice batch_of_records(const std::vector<TestRecord>& records, Codec codec = Codec::none) {
  BatchBuilder builder({.codec = codec});
  for (const TestRecord& record : records) {
    std::vector<HeaderView> headers;
    for (const auto& [name, value] : record.headers) headers.push_back({name, as_bytes(value)});
    RecordInput input{.key = std::nullopt, .value = as_bytes(record.value), .timestamp_ms = record.timestamp_ms, .headers = headers};
    if (record.key) input.key = as_bytes(*record.key);
    builder.add(input);
  }
  return builder.build();
}

inline void append_records_of(ByteView bytes, Offset from, std::vector<TestRecord>& out) {
  while (!bytes.empty()) {
    const Result<BatchHeader> header = BatchHeader::parse(bytes);
    ASSERT_TRUE(header);
    Result<BatchReader> batch = BatchReader::open(bytes.first(header->size_bytes()));
    ASSERT_TRUE(batch);
    RecordView view;
    for (;;) {
      const Result<bool> more = batch->next(view);
      ASSERT_TRUE(more);
      if (!*more) break;
      if (view.offset < from) continue;
      TestRecord record{std::nullopt, view.value ? tidemark::to_string(*view.value) : std::string(), view.timestamp_ms, {}};
      if (view.key) record.key = tidemark::to_string(*view.key);
      for (const HeaderView& one : view.headers())
        record.headers.emplace_back(std::string(one.name), one.value ? tidemark::to_string(*one.value) : "");
      out.push_back(std::move(record));
    }
    bytes = bytes.subspan(header->size_bytes());
  }
}

/// Everything that readers of the partition see.
inline std::vector<TestRecord> records_in(Engine& engine, const std::string& topic, std::int32_t partition) {
  std::vector<TestRecord> records;
  const auto earliest = engine.find(topic, partition, OffsetQuery::earliest);
  EXPECT_TRUE(earliest) << earliest.error().to_string();
  if (!earliest) return records;
  for (Offset next = earliest->offset;;) {
    const auto reply = engine.read(topic, partition, next);
    EXPECT_TRUE(reply) << reply.error().to_string();
    if (!reply || reply->next == next) return records;
    for (const Slice& slice : reply->batches) append_records_of(slice.view(), next, records);
    next = reply->next;
  }
}

inline std::vector<std::string> values_in(Engine& engine, const std::string& topic, std::int32_t partition = 0) {
  std::vector<std::string> values;
  for (const TestRecord& record : records_in(engine, topic, partition)) values.push_back(record.value);
  return values;
}

/// "name0", "name1", ..
inline std::vector<std::string> numbered(const std::string& name, int from, int to) {
  std::vector<std::string> values;
  for (int i = from; i < to; ++i) values.push_back(name + std::to_string(i));
  return values;
}

inline ReplaySpec everything(const std::string& source, const std::string& into) {
  ReplaySpec spec;
  spec.source = source;
  spec.into = into;
  return spec;
}

}  // namespace tidemark::broker
