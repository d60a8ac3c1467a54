#include <limits>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/entries/deleted_offsets.h"
#include "broker/entries/entry_changes.h"
#include "broker/entries/entry_chunk.h"
#include "broker/entries/entry_ids.h"
#include "broker/entries/entry_record.h"
#include "storage/batch/repack.h"

namespace tidemark::broker {
namespace {

using testing::ElementsAre;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

// --- Fields and records.

using FieldList = std::vector<EntryField>;

struct OneRecord {
  Slice batch;
  EntryId id;
  FieldList fields;
};

OneRecord through_a_record(const FieldList& fields, EntryId id, bool say_id) {
  const EntryRecord record(id, fields, say_id);
  BatchBuilder builder;
  builder.add(record.input());
  OneRecord read{.batch = builder.build(), .id = {}, .fields = {}};
  Result<BatchReader> reader = BatchReader::open(read.batch.view());
  EXPECT_TRUE(reader);
  RecordView view;
  EXPECT_TRUE(reader->next(view));
  read.id = said_id(view).value_or(EntryIds().implied(view.offset, view.timestamp_ms));
  append_fields(view, read.fields);
  return read;
}

TEST(EntryRecord, keeps_fields_their_order_and_duplicates) {
  const std::vector<FieldList> all = {
      {{"value", ""}},
      {{"key", "k"}},
      {{"key", "k"}, {"value", "v"}},
      {{"value", "v"}, {"key", "k"}},
      {{"key", "k"}, {"key", "again"}},
      {{"key", "k"}, {"value", "v"}, {"value", "again"}},
      {{"a", "1"}, {"key", "k"}, {"value", "v"}},
      {{"a", "1"}, {"a", "1"}, {"", ""}},
      {{"value", "v"}, {"value", "w"}},
      {{"tidemark-id", "too short"}},
  };
  for (const FieldList& fields : all) {
    EXPECT_EQ(through_a_record(fields, {5, 0}, false).fields, fields);
    EXPECT_EQ(through_a_record(fields, {5, 7}, true).fields, fields);
    EXPECT_EQ(through_a_record(fields, {5, 7}, true).id, (EntryId{5, 7}));
  }
}

TEST(EntryRecord, tells_its_own_id_from_a_field_that_looks_like_one) {
  const FieldList fields = {{"tidemark-id", "0123456789abcdef"}};
  ASSERT_TRUE(fields_need_id(fields));
  const OneRecord read = through_a_record(fields, {5, 0}, true);
  EXPECT_EQ(read.id, (EntryId{5, 0}));
  EXPECT_EQ(read.fields, fields);
}

TEST(EntryRecord, of_nothing_reads_as_an_empty_value) {
  BatchBuilder builder;
  builder.add({.key = {}, .value = {}, .timestamp_ms = 1, .headers = {}});
  const Slice batch = builder.build();
  Result<BatchReader> reader = BatchReader::open(batch.view());
  RecordView view;
  ASSERT_TRUE(reader && reader->next(view));
  FieldList fields;
  append_fields(view, fields);
  EXPECT_THAT(fields, ElementsAre(EntryField{"value", ""}));
}

// --- Ids.

struct Choice {
  EntryIdAsked asked;
  EntryId last;
  EntryRefusal refused;
  EntryId id;
};

TEST(ChooseId, follows_the_rules_of_xadd) {
  using Kind = EntryIdAsked::Kind;
  constexpr std::uint64_t kNow = 1000;
  const std::vector<Choice> choices = {
      {{Kind::automatic, {}}, {999, 5}, EntryRefusal::none, {1000, 0}},
      {{Kind::automatic, {}}, {1000, 5}, EntryRefusal::none, {1000, 6}},
      {{Kind::automatic, {}}, {2000, kMax}, EntryRefusal::none, {2001, 0}},
      {{Kind::automatic, {}}, {kMax, kMax}, EntryRefusal::ids_exhausted, {}},
      {{Kind::automatic_seq, {7, 0}}, {7, 3}, EntryRefusal::none, {7, 4}},
      {{Kind::automatic_seq, {8, 0}}, {7, 3}, EntryRefusal::none, {8, 0}},
      {{Kind::automatic_seq, {0, 0}}, {0, 0}, EntryRefusal::none, {0, 1}},
      {{Kind::automatic_seq, {7, 0}}, {7, kMax}, EntryRefusal::id_not_above_last, {}},
      {{Kind::automatic_seq, {6, 0}}, {7, 0}, EntryRefusal::id_not_above_last, {}},
      {{Kind::exact, {0, 0}}, {0, 0}, EntryRefusal::id_zero, {}},
      {{Kind::exact, {7, 3}}, {7, 3}, EntryRefusal::id_not_above_last, {}},
      {{Kind::exact, {7, 4}}, {7, 3}, EntryRefusal::none, {7, 4}},
      {{Kind::exact, {kMax, kMax}}, {7, 3}, EntryRefusal::none, {kMax, kMax}},
      {{Kind::exact, {8, 0}}, {kMax, kMax}, EntryRefusal::ids_exhausted, {}},
  };
  for (const Choice& choice : choices) {
    const ChosenId chosen = choose_id(choice.asked, choice.last, kNow);
    EXPECT_EQ(chosen.refused, choice.refused) << choice.last.ms << " " << choice.asked.id.ms;
    EXPECT_EQ(chosen.id, choice.id);
  }
}

TEST(StampBatch, gives_consecutive_ids_and_keeps_records) {
  for (const Codec codec : {Codec::none, Codec::zstd}) {
    for (const EntryId first : {EntryId{900, 0}, EntryId{900, 3}, EntryId{900, kMax - 1}, EntryId{kMax, 0}}) {
      BatchBuilder builder({.codec = codec, .producer_id = 9, .producer_epoch = 1, .base_sequence = 40});
      const std::vector<HeaderView> forged = {{kEntryIdHeader, as_bytes("0123456789abcdef")}, {"h", as_bytes("x")}};
      builder.add({.key = as_bytes("k"), .value = as_bytes("a"), .timestamp_ms = 5, .headers = {}});
      builder.add({.key = {}, .value = as_bytes("b"), .timestamp_ms = 1, .headers = forged});
      builder.add({.key = {}, .value = as_bytes("c"), .timestamp_ms = 9, .headers = {}});
      const Result<StampedBatch> stamped = stamp_batch(builder.build(), first);
      ASSERT_TRUE(stamped) << stamped.error().to_string();
      EXPECT_EQ(stamped->header.base_sequence, 40);
      EXPECT_TRUE(batch_crc_matches(stamped->batch.view()));
      EntryWalk walk(stamped->batch, EntryIdMode::time);
      EntryWalk::Step step;
      EntryId expected = first;
      for (const char* const value : {"a", "b", "c"}) {
        const Result<bool> more = walk.next(step);
        ASSERT_TRUE(more && *more);
        EXPECT_EQ(step.id, expected);
        EXPECT_EQ(as_text(*step.record.value), value);
        FieldList fields;
        append_fields(step.record, fields);
        EXPECT_FALSE(std::ranges::any_of(fields, [](const EntryField& field) { return field.name == kEntryIdHeader; }));
        expected = id_after(expected).value_or(EntryId{});
      }
      EXPECT_EQ(first_entry_id(stamped->batch.view()), first);
    }
  }
}

TEST(StampBatch, refuses_when_no_ids_are_left) {
  BatchBuilder builder;
  builder.add({.key = {}, .value = as_bytes("a"), .timestamp_ms = 5, .headers = {}});
  builder.add({.key = {}, .value = as_bytes("b"), .timestamp_ms = 5, .headers = {}});
  const Result<StampedBatch> stamped = stamp_batch(builder.build(), {kMax, kMax});
  ASSERT_FALSE(stamped);
  EXPECT_EQ(stamped.error().code, Errc::conflict);
}

// --- Deleted offsets.

TEST(DeletedOffsets, agree_with_a_set_of_numbers) {
  constexpr std::int64_t kEnd = 6000;
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    DeletedOffsets deleted;
    std::set<std::int64_t> expected;
    std::int64_t start = 0;
    const auto pick = [&](std::int64_t from, std::int64_t to) { return std::uniform_int_distribution<std::int64_t>(from, to)(random); };
    for (int step = 0; step < 200; ++step) {
      if (pick(0, 9) == 0) {
        start = std::max(start, pick(0, kEnd / 2));
        deleted.forget_below(Offset{start});
        expected.erase(expected.begin(), expected.lower_bound(start));
      } else {
        const std::int64_t from = pick(start, kEnd - 1);
        const std::int64_t to = std::min(kEnd, from + (pick(0, 3) == 0 ? pick(0, 2500) : pick(0, 3)));
        deleted.add(Offset{from}, Offset{to});
        for (std::int64_t at = from; at < to; ++at) expected.insert(at);
      }
      ASSERT_EQ(deleted.count(), expected.size()) << "seed " << seed << " step " << step;
      const std::int64_t a = pick(0, kEnd), b = pick(a, kEnd);
      const auto in_range = static_cast<std::uint64_t>(std::distance(expected.lower_bound(a), expected.lower_bound(b)));
      ASSERT_EQ(deleted.count(Offset{a}, Offset{b}), in_range);
      ASSERT_EQ(deleted.any(Offset{a}, Offset{b}), in_range > 0);
      ASSERT_EQ(deleted.contains(Offset{a}), expected.contains(a));
      std::uint64_t from_ranges = 0;
      for (const OffsetRange& range : deleted.ranges(Offset{a}, Offset{b})) {
        ASSERT_TRUE(Offset{a} <= range.from && range.from < range.to && range.to <= Offset{b});
        for (Offset at = range.from; at < range.to; at = at + 1) ASSERT_TRUE(expected.contains(at.value));
        from_ranges += static_cast<std::uint64_t>(range.to - range.from);
      }
      ASSERT_EQ(from_ranges, in_range);
      std::int64_t behind = a;
      auto wanted = static_cast<std::uint64_t>(pick(1, 50));
      const Offset found = deleted.behind_kept(Offset{a}, wanted);
      for (; wanted > 0; ++behind) wanted -= expected.contains(behind) ? 0 : 1;
      ASSERT_EQ(found.value, behind);
      ASSERT_EQ(deleted.behind_kept(Offset{a}, 0), Offset{a});
    }
  }
}

TEST(DropRecords, keeps_offsets_times_and_the_range_of_the_batch) {
  for (const Codec codec : {Codec::none, Codec::lz4}) {
    BatchBuilder builder({.codec = codec});
    for (int i = 0; i < 6; ++i) {
      const std::string value = "v" + std::to_string(i);
      builder.add({.key = {}, .value = as_bytes(value), .timestamp_ms = 100 + i, .headers = {}});
    }
    Slice batch = builder.build();
    patch_batch(batch.writable(), Offset{10}, 3);
    const std::vector<OffsetRange> some = {{Offset{5}, Offset{11}}, {Offset{12}, Offset{14}}, {Offset{20}, Offset{30}}};
    const Result<Slice> left = drop_records(batch.view(), some);
    ASSERT_TRUE(left);
    EXPECT_TRUE(batch_crc_matches(left->view()));
    Result<BatchReader> reader = BatchReader::open(left->view());
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->header().end_offset(), Offset{16});
    EXPECT_EQ(reader->header().leader_epoch, 3);
    RecordView record;
    for (const std::int64_t offset : {11, 14, 15}) {
      ASSERT_TRUE(*reader->next(record));
      EXPECT_EQ(record.offset, Offset{offset});
      EXPECT_EQ(record.timestamp_ms, 90 + offset);
    }
    EXPECT_FALSE(*reader->next(record));

    const std::vector<OffsetRange> all = {{Offset{0}, Offset{100}}};
    const Result<Slice> nothing = drop_records(batch.view(), all);
    ASSERT_TRUE(nothing);
    const Result<BatchHeader> header = BatchHeader::parse(nothing->view());
    ASSERT_TRUE(header);
    EXPECT_EQ(header->record_count, 0);
    EXPECT_EQ(header->end_offset(), Offset{16});
    EXPECT_EQ(nothing->size(), kBatchHeaderBytes);
  }
}

// --- Trims: the figures that Redis was seen to give.

struct TrimCase {
  std::int64_t start;
  std::int64_t end;
  EntryTrim trim;
  std::int64_t expected;
};

TEST(TrimmedStart, goes_by_entries_or_by_whole_nodes) {
  using Kind = EntryTrim::Kind;
  const auto approximately = [](std::uint64_t keep, std::uint64_t limit, std::uint32_t node) {
    return EntryTrim{.kind = Kind::max_length, .max_length = keep, .min_id = {}, .approximate = true, .limit = limit, .node_entries = node};
  };
  const std::vector<TrimCase> cases = {
      {0, 1000, {.kind = Kind::max_length, .max_length = 555, .min_id = {}}, 445},
      {0, 1000, {.kind = Kind::max_length, .max_length = 2000, .min_id = {}}, 0},
      {0, 1000, {.kind = Kind::max_length, .max_length = 0, .min_id = {}}, 1000},
      {0, 1000, approximately(555, 0, 100), 400},
      {0, 101, approximately(55, 30, 10), 30},
      {30, 101, approximately(55, 30, 10), 40},
      {0, 102, approximately(1, 100, 1), 100},
      {0, 3, approximately(1, 1, 2), 0},
      {0, 3, approximately(1, 2, 2), 2},
      {0, 105, approximately(0, 0, 100), 105},
  };
  for (const TrimCase& one : cases) {
    const EntryValues values;
    const EntryDraft draft{.before = values,
                           .log_start = Offset{one.start},
                           .start_before = Offset{one.start},
                           .deleted = {},
                           .last_id = {},
                           .max_deleted = {},
                           .added_minus_end = {}};
    EXPECT_EQ(trimmed_start(draft, one.trim, Offset{one.end}, {}).value, one.expected) << one.trim.max_length << " of " << one.end;
  }
}

TEST(TrimmedStart, counts_only_what_is_there) {
  EntryValues values;
  values.deleted.add(Offset{2}, Offset{5});
  const EntryDraft draft{.before = values,
                         .log_start = Offset{0},
                         .start_before = Offset{0},
                         .deleted = {},
                         .last_id = {},
                         .max_deleted = {},
                         .added_minus_end = {}};
  EXPECT_EQ(draft.length(Offset{10}), 7u);
  EXPECT_EQ(trimmed_start(draft, {.max_length = 4, .min_id = {}}, Offset{10}, {}), Offset{6});
  EXPECT_EQ(trimmed_start(draft, {.kind = EntryTrim::Kind::min_id, .min_id = {}}, Offset{10}, Offset{3}), Offset{3});
}

}  // namespace
}  // namespace tidemark::broker
