#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/batch/record_batch.h"
#include "storage/batch/repack.h"
#include "tests/storage/batch_fixtures.h"

namespace tidemark {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using testing_support::add;
using testing_support::batch_of;
using testing_support::build;
using testing_support::copy;
using testing_support::from_hex;
using testing_support::kAllCodecs;
using testing_support::OwnedRecord;
using testing_support::read_all;
using testing_support::reseal;
using testing_support::varied_records;

// Captured from kcat with librdkafka 2.0.2.
constexpr std::string_view kTwoRecords =
    "0000000000000000 00000051 00000000 02 4c4195d4 0000 00000001 000001a1fbefed9e 000001a1fbefed9e ffffffffffffffff ffff ffffffff 00000002"
    "1e 00 00 00 04 6b31 04 7631 02 04 6831 02 61   1e 00 00 02 04 6b32 04 7632 02 04 6831 02 61";
constexpr std::string_view kNullKey =
    "0000000000000000 0000003d 00000000 02 ac266e48 0000 00000000 000001a1fbefee6d 000001a1fbefee6d ffffffffffffffff ffff ffffffff 00000001"
    "16 00 00 00 01 0a 68656c6c6f 00";
// A transaction marker as KIP-98 lays it out.
constexpr std::string_view kCommitMarker =
    "000000000000002a 00000042 00000000 02 5b9d5a88 0030 00000000 0000018bcfe56800 0000018bcfe56800 0000000000000009 0003 ffffffff 00000001"
    "20 00 00 00 08 00000001 0c 000000000000 00";

constexpr std::int64_t kCapturedAt = 0x1a1fbefed9e;

std::vector<OwnedRecord> two_records() {
  return {{0, kCapturedAt, "k1", "v1", {{"h1", "a"}}}, {1, kCapturedAt, "k2", "v2", {{"h1", "a"}}}};
}

Error refusal(ByteView batch) {
  const Result<BatchHeader> header = validate_produced_batch(batch);
  EXPECT_FALSE(header.has_value());
  return header ? Error{} : header.error();
}
void expect_corrupt(ByteView batch, std::string_view named) {
  const Error error = refusal(batch);
  EXPECT_EQ(error.code, Errc::corrupt_batch);
  EXPECT_THAT(error.detail, HasSubstr(named));
}
Error read_error(ByteView batch) {
  const Result<std::vector<OwnedRecord>> records = read_all(batch);
  EXPECT_FALSE(records.has_value());
  return records ? Error{} : records.error();
}

TEST(GoldenBatch, of_librdkafka_is_accepted_and_read) {
  const ByteVector batch = from_hex(kTwoRecords);
  ASSERT_EQ(batch.size(), 93U);
  const Result<BatchHeader> header = validate_produced_batch(batch);
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_EQ(header->size_bytes(), 93U);
  EXPECT_EQ(header->record_count, 2);
  EXPECT_EQ(header->end_offset(), Offset{2});
  EXPECT_EQ(header->crc, 0x4c4195d4U);
  EXPECT_FALSE(header->has_producer());
  const auto records = read_all(batch);
  ASSERT_TRUE(records) << records.error().to_string();
  EXPECT_THAT(*records, ElementsAreArray(two_records()));
}

TEST(GoldenBatch, of_librdkafka_is_rebuilt_byte_for_byte) {
  EXPECT_EQ(copy(build(two_records()).view()), from_hex(kTwoRecords));
  EXPECT_EQ(copy(build({{0, 0x1a1fbefee6d, std::nullopt, "hello", {}}}).view()), from_hex(kNullKey));
}

TEST(GoldenBatch, with_a_null_key_is_read) {
  const auto records = read_all(from_hex(kNullKey));
  ASSERT_TRUE(records) << records.error().to_string();
  EXPECT_THAT(*records, testing::ElementsAre(OwnedRecord{0, 0x1a1fbefee6d, std::nullopt, "hello", {}}));
  EXPECT_TRUE(validate_produced_batch(from_hex(kNullKey)));
}

TEST(GoldenBatch, of_a_transaction_marker_is_rebuilt_byte_for_byte) {
  const Slice marker = build_control_batch(9, 3, true, 0, Timestamp(std::chrono::milliseconds(1'700'000'000'000)));
  patch_batch(marker.writable(), Offset{42}, 0);
  EXPECT_EQ(copy(marker.view()), from_hex(kCommitMarker));
  EXPECT_TRUE(batch_crc_matches(marker.view()));
  const Result<BatchHeader> header = BatchHeader::parse(marker.view());
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->is_control());
  EXPECT_TRUE(header->is_transactional());
}

TEST(ControlBatch, of_an_abort_names_its_coordinator) {
  const Slice marker = build_control_batch(7, 1, false, 5, Timestamp(std::chrono::milliseconds(10)));
  const auto records = read_all(marker.view());
  ASSERT_TRUE(records) << records.error().to_string();
  EXPECT_THAT(*records, testing::ElementsAre(OwnedRecord{0, 10, std::string(4, '\0'), std::string("\0\0\0\0\0\5", 6), {}}));
}

class BatchCodec : public testing::TestWithParam<Codec> {
 protected:
  static ByteVector small_batch() {
    return copy(build({{0, 100, "key", "value value value value", {{"header", "value"}}},
                       {1, 101, std::nullopt, std::nullopt, {}},
                       {2, 99, "k", "", {}}},
                      {.codec = GetParam(), .producer_id = 7, .producer_epoch = 1, .base_sequence = 3})
                    .view());
  }
};
INSTANTIATE_TEST_SUITE_P(, BatchCodec, testing::ValuesIn(kAllCodecs),
                         [](const auto& test_case) { return std::string(to_string(test_case.param)); });

TEST_P(BatchCodec, every_kind_of_record_survives) {
  const Slice batch = build(varied_records(), {.codec = GetParam()});
  const Result<BatchHeader> header = validate_produced_batch(batch.view());
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_EQ(header->codec(), GetParam());
  EXPECT_EQ(header->base_timestamp_ms, 1'700'000'000'000);
  EXPECT_EQ(header->max_timestamp_ms, 1'700'000'000'250);
  const auto records = read_all(batch.view());
  ASSERT_TRUE(records) << records.error().to_string();
  EXPECT_THAT(*records, ElementsAreArray(varied_records()));
}

TEST_P(BatchCodec, a_reader_that_moves_keeps_its_records) {
  const Slice batch = build({{0, 1, "key", "value", {}}}, {.codec = GetParam()});
  Result<BatchReader> opened = BatchReader::open(batch.view());
  ASSERT_TRUE(opened);
  BatchReader reader = *std::move(opened);
  RecordView record;
  const Result<bool> more = reader.next(record);
  ASSERT_TRUE(more && *more);
  BatchReader moved = std::move(reader);
  EXPECT_EQ(as_text(*record.value), "value");
  const Result<bool> end = moved.next(record);
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

TEST_P(BatchCodec, every_truncation_is_refused) {
  const ByteVector batch = small_batch();
  for (std::size_t size = 0; size < batch.size(); ++size) {
    const ByteVector cut = copy(ByteView(batch).first(size));  // A buffer of its own, so that the sanitizer sees a read beyond it.
    EXPECT_EQ(refusal(cut).code, Errc::corrupt_batch) << size;
    EXPECT_EQ(read_error(cut).code, Errc::corrupt_batch) << size;
  }
}

TEST_P(BatchCodec, a_flip_of_any_byte_is_refused_where_the_checksum_or_a_rule_covers_it) {
  const ByteVector batch = small_batch();
  const auto records = read_all(batch);
  ASSERT_TRUE(records);
  for (std::size_t at = 0; at < batch.size(); ++at) {
    for (int flip = 1; flip < 256; ++flip) {
      ByteVector damaged = batch;
      damaged[at] ^= static_cast<std::byte>(flip);
      const Result<BatchHeader> header = validate_produced_batch(damaged);
      const bool leader_epoch = at >= 12 && at < 16;  // The broker's field: not covered, and without meaning before it is set.
      ASSERT_EQ(header.has_value(), leader_epoch) << "byte " << at << " flip " << flip;
    }
  }
}

/// Damage that a checksum would not have caught: whatever is accepted must also be readable, and nothing may crash.
TEST_P(BatchCodec, a_flip_under_a_matching_checksum_is_refused_or_reads_through) {
  const ByteVector batch = small_batch();
  int accepted = 0;
  for (std::size_t at = 0; at < batch.size(); ++at) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      ByteVector damaged = batch;
      damaged[at] ^= static_cast<std::byte>(flip);
      reseal(damaged);
      const Result<BatchHeader> header = validate_produced_batch(damaged);
      const auto records = read_all(damaged);
      if (!header) {
        EXPECT_FALSE(header.error().detail.empty());
        continue;
      }
      ++accepted;
      ASSERT_TRUE(records) << "byte " << at << " flip " << flip << ": " << records.error().to_string();
      EXPECT_EQ(records->size(), static_cast<std::size_t>(header->record_count));
    }
  }
  EXPECT_GT(accepted, 0);  // At least the leader epoch and the producer id.
}

TEST(CompressedBatch, that_unpacks_beyond_the_bound_is_refused) {
  for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    const Slice batch = build({{0, 0, std::nullopt, std::string(2'000'000, 'a'), {}}}, {.codec = codec});
    const DecompressionLimits limits{.bytes_max = 1'000'000};
    const Result<BatchHeader> header = validate_produced_batch(batch.view(), limits);
    ASSERT_FALSE(header);
    EXPECT_EQ(header.error().code, Errc::decompression_limit);
    const Result<BatchReader> reader = BatchReader::open(batch.view(), limits);
    ASSERT_FALSE(reader);
    EXPECT_EQ(reader.error().code, Errc::decompression_limit);
  }
}

struct Damage {
  const char* name;
  void (*apply)(ByteVector& batch);  ///< To a valid batch of three records with producer id, epoch and sequence.
  const char* detail;                ///< What the refusal must name.
};
void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

template <std::integral T>
void set(ByteVector& batch, std::size_t at, T value) {
  store_be<T>(batch.data() + at, value);
}
void append_behind(ByteVector& batch, ByteView bytes) { batch.insert(batch.end(), bytes.begin(), bytes.end()); }
void set_length(ByteVector& batch) { set<std::int32_t>(batch, 8, static_cast<std::int32_t>(batch.size() - 12)); }

class ProducedBatch : public testing::TestWithParam<Damage> {};

INSTANTIATE_TEST_SUITE_P(
    , ProducedBatch,
    testing::Values(
        Damage{"old_magic", [](ByteVector& b) { set<std::int8_t>(b, 16, 1); }, "magic 1"},
        Damage{"base_offset", [](ByteVector& b) { set<std::int64_t>(b, 0, 5); }, "base offset is 5"},
        Damage{"negative_base_offset", [](ByteVector& b) { set<std::int64_t>(b, 0, -1); }, "base offset -1"},
        Damage{"base_offset_without_end", [](ByteVector& b) { set<std::int64_t>(b, 0, INT64_MAX - 2); }, "base offset"},
        Damage{"length_below_header", [](ByteVector& b) { set<std::int32_t>(b, 8, 48); }, "batch length 48"},
        Damage{"length_negative", [](ByteVector& b) { set<std::int32_t>(b, 8, -1); }, "batch length -1"},
        Damage{"length_beyond_int32", [](ByteVector& b) { set<std::int32_t>(b, 8, INT32_MAX - 11); }, "batch length"},
        Damage{"length_beyond_the_bytes", [](ByteVector& b) { set<std::int32_t>(b, 8, INT32_MAX - 12); }, "cut off"},
        Damage{"control", [](ByteVector& b) { set<std::uint16_t>(b, 21, 32); }, "control"},
        Damage{"log_append_time", [](ByteVector& b) { set<std::uint16_t>(b, 21, 8); }, "LogAppendTime"},
        Damage{"delete_horizon", [](ByteVector& b) { set<std::uint16_t>(b, 21, 64); }, "delete horizon"},
        Damage{"count_zero", [](ByteVector& b) { set<std::int32_t>(b, 57, 0); }, "record count is 0"},
        Damage{"count_negative", [](ByteVector& b) { set<std::int32_t>(b, 57, -1); }, "record count -1"},
        Damage{"count_too_small", [](ByteVector& b) { set<std::int32_t>(b, 57, 2); }, "last offset delta 2 does not fit record count 2"},
        Damage{"delta_too_large", [](ByteVector& b) { set<std::int32_t>(b, 23, 3); }, "last offset delta 3 does not fit record count 3"},
        Damage{"delta_negative", [](ByteVector& b) { set<std::int32_t>(b, 23, -1); }, "last offset delta -1"},
        Damage{"fewer_records_than_said",
               [](ByteVector& b) {
                 set<std::int32_t>(b, 57, 4);
                 set<std::int32_t>(b, 23, 3);
               },
               "record 3: its length"},
        Damage{"more_records_than_said",
               [](ByteVector& b) {
                 set<std::int32_t>(b, 57, 2);
                 set<std::int32_t>(b, 23, 1);
               },
               "left over after the last of 2 records"},
        Damage{"no_sequence", [](ByteVector& b) { set<std::int32_t>(b, 53, -1); }, "base sequence -1"},
        Damage{"no_epoch", [](ByteVector& b) { set<std::int16_t>(b, 51, -1); }, "producer epoch -1"},
        Damage{"producer_id_below_none", [](ByteVector& b) { set<std::int64_t>(b, 43, -2); }, "producer id -2"},
        Damage{"transaction_without_producer",
               [](ByteVector& b) {
                 set<std::int64_t>(b, 43, -1);
                 set<std::uint16_t>(b, 21, 16);
               },
               "transactional"},
        Damage{"timestamp_overflow", [](ByteVector& b) { set<std::int64_t>(b, 27, INT64_MAX); }, "timestamp overflows"},
        Damage{"trailing_byte", [](ByteVector& b) { b.push_back(std::byte{0}); }, "1 bytes follow the batch"},
        Damage{"two_batches", [](ByteVector& b) { append_behind(b, ByteVector(b)); }, "more than one batch"},
        Damage{"trailing_byte_within",
               [](ByteVector& b) {
                 b.push_back(std::byte{0});
                 set_length(b);
               },
               "1 bytes are left over"},
        Damage{"one_byte_short",
               [](ByteVector& b) {
                 b.pop_back();
                 set_length(b);
               },
               "record 2: its length"}),
    [](const auto& test_case) { return test_case.param.name; });

TEST_P(ProducedBatch, is_refused_with_the_reason) {
  ByteVector batch = copy(build({{0, 100, "a", "1", {}}, {1, 101, "b", "2", {}}, {2, 99, "c", "3", {}}},
                                {.producer_id = 7, .producer_epoch = 0, .base_sequence = 0})
                              .view());
  ASSERT_TRUE(validate_produced_batch(batch));
  GetParam().apply(batch);
  reseal(batch);
  expect_corrupt(batch, GetParam().detail);
}

TEST(ProducedBatchTime, is_that_of_the_records_whatever_the_batch_says) {
  for (const std::int64_t said : {std::int64_t{-1}, std::int64_t{100}, std::int64_t{102}}) {
    ByteVector batch = copy(build({{0, 100, "a", "1", {}}, {1, 101, "b", "2", {}}, {2, 99, "c", "3", {}}}).view());
    set_max_timestamp(batch, said);
    const Result<BatchHeader> header = validate_produced_batch(batch);
    ASSERT_TRUE(header) << header.error().to_string();
    EXPECT_EQ(header->max_timestamp_ms, 101);
  }
}

struct BadRecord {
  const char* name;
  const char* hex;
  const char* detail;
};
void PrintTo(const BadRecord& record, std::ostream* out) { *out << record.name; }

class SecondRecord : public testing::TestWithParam<BadRecord> {};

INSTANTIATE_TEST_SUITE_P(
    , SecondRecord,
    testing::Values(BadRecord{"zero_length", "00", "its length leaves no room"}, BadRecord{"negative_length", "01", "its length"},
                    BadRecord{"length_beyond_batch", "0e 00 00 02 01 01 00", "its length"},
                    BadRecord{"length_never_ends", "ffffffffff", "its length"},
                    BadRecord{"attributes_only", "02 00", "bad timestamp delta"},
                    BadRecord{"no_offset_delta", "04 00 00", "bad offset delta"},
                    BadRecord{"offset_delta_repeats", "0c 00 00 00 01 01 00", "its offset delta is 0"},
                    BadRecord{"offset_delta_skips", "0c 00 00 04 01 01 00", "its offset delta is 2"},
                    BadRecord{"offset_delta_negative", "0c 00 00 01 01 01 00", "its offset delta is -1"},
                    BadRecord{"key_length_below_null", "0c 00 00 02 03 01 00", "its key"},
                    BadRecord{"key_beyond_record", "0c 00 00 02 08 01 00", "its key"},
                    BadRecord{"value_beyond_record", "0c 00 00 02 01 04 00", "its value"},
                    BadRecord{"no_header_count", "0a 00 00 02 01 01", "bad header count"},
                    BadRecord{"header_count_negative", "0c 00 00 02 01 01 01", "bad header count"},
                    BadRecord{"header_missing", "0c 00 00 02 01 01 02", "a header runs out"},
                    BadRecord{"header_count_huge", "14 00 00 02 01 01 feffffff0f", "a header runs out"},
                    BadRecord{"header_name_null", "10 00 00 02 01 01 02 01 01", "a header runs out"},
                    BadRecord{"header_value_beyond_record", "10 00 00 02 01 01 02 00 04", "a header runs out"},
                    BadRecord{"bytes_after_headers", "0e 00 00 02 01 01 00 00", "bytes are left over after its headers"}),
    [](const auto& test_case) { return test_case.param.name; });

TEST_P(SecondRecord, is_refused_by_name) {
  const ByteVector batch = batch_of("0c 00 00 00 01 01 00" + std::string(GetParam().hex), 2);
  expect_corrupt(batch, "record 1: " + std::string(GetParam().detail));
  const Error read = read_error(batch);
  EXPECT_EQ(read.code, Errc::corrupt_batch);
  EXPECT_THAT(read.detail, HasSubstr("record 1: "));
}

TEST(ProducedBatchCodec, from_the_future_is_unsupported_and_a_flip_to_it_is_damage) {
  ByteVector batch = batch_of("0c 00 00 00 01 01 00", 1);
  ASSERT_TRUE(validate_produced_batch(batch));
  set<std::uint16_t>(batch, 21, 5);
  expect_corrupt(batch, "checksum");
  reseal(batch);
  const Error error = refusal(batch);
  EXPECT_EQ(error.code, Errc::unsupported_compression);
  EXPECT_THAT(error.detail, HasSubstr("codec 5"));
  const Result<BatchHeader> parsed = BatchHeader::parse(batch);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Errc::corrupt_batch);
}

TEST(ProducedBatchTime, may_start_below_its_first_record) {
  // As kafkajs sends it: the base is the smallest timestamp, 100; the records are at 102 and 100.
  ByteVector batch = batch_of("0c 00 04 00 01 01 00  0c 00 00 02 01 01 00", 2);
  set<std::int64_t>(batch, 35, 102);
  reseal(batch);
  EXPECT_TRUE(validate_produced_batch(batch));
}

TEST(BatchHeader, reads_the_first_batch_of_many_and_needs_no_body) {
  const ByteVector batch = from_hex(kTwoRecords);
  const Result<BatchHeader> header = BatchHeader::parse(ByteView(batch).first(kBatchHeaderBytes));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->size_bytes(), 93U);
}

TEST(BatchHeader, sequences_wrap_to_zero) {
  BatchHeader header;
  header.base_sequence = 5;
  header.last_offset_delta = 2;
  EXPECT_EQ(header.last_sequence(), 7);
  header.base_sequence = std::numeric_limits<std::int32_t>::max();
  header.last_offset_delta = 0;
  EXPECT_EQ(header.last_sequence(), std::numeric_limits<std::int32_t>::max());
  header.last_offset_delta = 1;
  EXPECT_EQ(header.last_sequence(), 0);
  header.last_offset_delta = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(header.last_sequence(), std::numeric_limits<std::int32_t>::max() - 1);
  header.base_sequence = -1;
  EXPECT_EQ(header.last_sequence(), -1);
}

TEST(PatchedBatch, keeps_its_checksum_and_moves_its_offsets) {
  ByteVector batch = from_hex(kTwoRecords);
  patch_batch(batch, Offset{1000}, 9);
  EXPECT_TRUE(batch_crc_matches(batch));
  const auto records = read_all(batch);
  ASSERT_TRUE(records);
  EXPECT_EQ((*records)[1].offset, 1001);
  EXPECT_EQ(BatchHeader::parse(batch)->leader_epoch, 9);
}

TEST(LogAppendTime, is_the_time_of_every_record) {
  ByteVector batch = copy(build(varied_records()).view());
  set_log_append_time(batch, Timestamp(std::chrono::milliseconds(123'456)));
  EXPECT_TRUE(batch_crc_matches(batch));
  const Result<BatchHeader> header = BatchHeader::parse(batch);
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->log_append_time());
  const auto records = read_all(batch);
  ASSERT_TRUE(records);
  for (const OwnedRecord& record : *records) EXPECT_EQ(record.timestamp_ms, 123'456);
}

TEST(CompactedBatch, is_read_with_its_gaps) {
  // Offsets 1 and 4 of what were six records.
  ByteVector batch = batch_of("0c 00 00 02 01 01 00  0c 00 00 08 01 01 00", 2);
  set<std::int32_t>(batch, 23, 5);
  reseal(batch);
  patch_batch(batch, Offset{100}, 0);
  const auto records = read_all(batch);
  ASSERT_TRUE(records) << records.error().to_string();
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ((*records)[0].offset, 101);
  EXPECT_EQ((*records)[1].offset, 104);
  EXPECT_EQ(BatchHeader::parse(batch)->end_offset(), Offset{106});
}

TEST(CompactedBatch, may_be_empty_whatever_its_codec) {
  for (const Codec codec : kAllCodecs) {
    ByteVector batch = batch_of("", 0);
    set<std::int32_t>(batch, 23, 5);
    set<std::uint16_t>(batch, 21, static_cast<std::uint16_t>(codec));
    reseal(batch);
    const auto records = read_all(batch);
    ASSERT_TRUE(records) << records.error().to_string();
    EXPECT_TRUE(records->empty());
  }
}

TEST(CompactedBatch, refuses_a_delta_beyond_its_last) {
  ByteVector batch = batch_of("0c 00 00 08 01 01 00", 1);
  set<std::int32_t>(batch, 23, 3);
  reseal(batch);
  EXPECT_THAT(read_error(batch).detail, HasSubstr("its offset delta is 4 after -1, the last of the batch is 3"));
}

TEST(BatchReader, gives_the_same_error_again) {
  const ByteVector batch = batch_of("0c 00 00 00 01 01 00 00", 2);
  Result<BatchReader> reader = BatchReader::open(batch);
  ASSERT_TRUE(reader);
  RecordView record;
  ASSERT_TRUE(reader->next(record));
  const Result<bool> first = reader->next(record);
  const Result<bool> second = reader->next(record);
  ASSERT_FALSE(first || second);
  EXPECT_EQ(first.error(), second.error());
}

TEST(BatchBuilder, is_empty_again_after_a_build) {
  BatchBuilder builder({.producer_id = 5, .producer_epoch = 1, .base_sequence = 10});
  add(builder, {0, 500, "a", "1", {}});
  add(builder, {1, 400, "b", "2", {}});
  EXPECT_EQ(builder.record_count(), 2);
  const Slice first = builder.build();
  EXPECT_TRUE(builder.empty());
  EXPECT_EQ(builder.size_bytes(), kBatchHeaderBytes);
  builder.set_producer(6, 2, 12);
  add(builder, {0, 300, "c", "3", {}});
  const Slice second = builder.build();
  const Result<BatchHeader> header = validate_produced_batch(second.view());
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_EQ(header->record_count, 1);
  EXPECT_EQ(header->base_timestamp_ms, 300);
  EXPECT_EQ(header->max_timestamp_ms, 300);
  EXPECT_EQ(header->producer_id, 6);
  EXPECT_EQ(header->producer_epoch, 2);
  EXPECT_EQ(header->base_sequence, 12);
  EXPECT_EQ(BatchHeader::parse(first.view())->producer_id, 5);
}

TEST(BatchBuilder, never_grows_by_more_than_its_bound) {
  BatchBuilder builder;
  for (const OwnedRecord& record : varied_records()) {
    std::vector<HeaderView> headers;
    for (const auto& header : record.headers) headers.push_back({header.name, testing_support::view_of(header.value)});
    const RecordInput input{.key = testing_support::view_of(record.key),
                            .value = testing_support::view_of(record.value),
                            .timestamp_ms = record.timestamp_ms,
                            .headers = headers};
    const std::size_t before = builder.size_bytes();
    builder.add(input);
    EXPECT_LE(builder.size_bytes() - before, BatchBuilder::size_bound(input));
  }
  EXPECT_EQ(builder.size_bytes(), builder.build().size());
}

TEST(BatchBuilder, takes_the_extremes_of_time) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  const Slice batch = build({{0, kMin, "a", "1", {}}, {1, kMax, "b", "2", {}}, {2, -1, "c", "3", {}}});
  ASSERT_TRUE(validate_produced_batch(batch.view()));
  const auto records = read_all(batch.view());
  ASSERT_TRUE(records) << records.error().to_string();
  EXPECT_EQ((*records)[0].timestamp_ms, -1);
  EXPECT_EQ((*records)[1].timestamp_ms, kMax - 1);  // A delta from -1 to the very last millisecond has no 64 bits.
  EXPECT_EQ((*records)[2].timestamp_ms, -1);
}

TEST(BatchBuilder, stores_a_transaction) {
  const Slice batch = build({{0, 1, "a", "1", {}}}, {.producer_id = 5, .producer_epoch = 0, .base_sequence = 0, .transactional = true});
  const Result<BatchHeader> header = validate_produced_batch(batch.view());
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_TRUE(header->is_transactional());
  EXPECT_FALSE(header->is_control());
}

TEST(KeepRecords, keeps_offsets_times_and_the_range_of_the_batch) {
  const std::vector<OwnedRecord> records = varied_records();
  ASSERT_GT(records.size(), 2u);
  std::vector<OffsetRange> odd_ones;
  for (const OwnedRecord& record : records) {
    if (record.offset % 2 == 1) odd_ones.push_back({Offset{record.offset}, Offset{record.offset + 1}});
  }
  for (const Codec codec : kAllCodecs) {
    const Slice batch = build(records, {.codec = codec});
    const Result<Slice> odd = keep_records(batch.view(), odd_ones);
    ASSERT_TRUE(odd) << odd.error().to_string();
    EXPECT_TRUE(batch_crc_matches(odd->view()));
    std::vector<OwnedRecord> expected;
    for (const OwnedRecord& record : records) {
      if (record.offset % 2 == 1) expected.push_back(record);
    }
    const Result<std::vector<OwnedRecord>> kept = read_all(odd->view());
    ASSERT_TRUE(kept) << kept.error().to_string();
    EXPECT_EQ(*kept, expected);
    const Result<BatchHeader> header = BatchHeader::parse(odd->view());
    ASSERT_TRUE(header);
    EXPECT_EQ(header->codec(), codec);
    EXPECT_EQ(header->end_offset(), Offset{static_cast<std::int64_t>(records.size())});
  }
}

TEST(KeepRecords, finds_records_far_behind_and_behind_gaps) {
  std::vector<OwnedRecord> records;
  for (std::int64_t i = 0; i < 300; ++i)
    records.push_back({i, 1, "k" + std::to_string(i), std::string(static_cast<std::size_t>(i), 'v'), {}});
  for (const Codec codec : kAllCodecs) {
    const Slice batch = build(records, {.codec = codec});
    const std::vector<OffsetRange> some = {{Offset{200}, Offset{202}}, {Offset{250}, Offset{251}}};
    const Result<Slice> gapped = keep_records(batch.view(), some);
    ASSERT_TRUE(gapped) << gapped.error().to_string();
    EXPECT_EQ(*read_all(gapped->view()), (std::vector<OwnedRecord>{records[200], records[201], records[250]}));
    const std::vector<OffsetRange> last = {{Offset{250}, Offset{251}}};
    const Result<Slice> again = keep_records(gapped->view(), last);
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(*read_all(again->view()), (std::vector<OwnedRecord>{records[250]}));
  }
}

TEST(KeepRecords, of_none_leaves_an_empty_batch_and_damage_is_told) {
  const Slice batch = build(varied_records(), {});
  const Result<Slice> none = keep_records(batch.view(), {});
  ASSERT_TRUE(none);
  EXPECT_EQ(BatchHeader::parse(none->view())->record_count, 0);
  ByteVector damaged = batch_of("1e 00 00 00 04 6b31", 1);
  const std::vector<OffsetRange> all = {{Offset{0}, Offset{1}}};
  EXPECT_EQ(keep_records(damaged, all).error().code, Errc::corrupt_batch);
}

TEST(CodecName, reads_back) {
  for (const Codec codec : kAllCodecs) EXPECT_EQ(parse_codec(to_string(codec)), codec);
  EXPECT_EQ(parse_codec("ZSTD"), std::nullopt);
  EXPECT_EQ(parse_codec(""), std::nullopt);
}

}  // namespace
}  // namespace tidemark
