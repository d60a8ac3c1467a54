#include "tests/broker/entries/entries_fixture.h"

namespace tidemark::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

EntryTrim keep(std::uint64_t length) { return {.kind = EntryTrim::Kind::max_length, .max_length = length, .min_id = {}}; }
EntryTrim from_id(std::uint64_t ms) { return {.kind = EntryTrim::Kind::min_id, .max_length = 0, .min_id = {ms, 0}}; }
std::string refused(EntryRefusal refusal) { return "refused " + std::to_string(static_cast<int>(refusal)); }

// --- Ids.

TEST_F(EntriesTest, an_entry_makes_its_topic_and_gets_the_time_as_id) {
  EXPECT_EQ(stream().add({{"a", "1"}}), "1700000000000-0");
  EXPECT_EQ(stream().add({{"a", "2"}, {"a", "2"}}), "1700000000000-1");
  EXPECT_EQ(stream().fields({1700000000000, 1}), (Fields{{"a", "2"}, {"a", "2"}}));
  std::shared_ptr<const Topic> topic;
  engine_->runtime().shard(0).post([&] { topic = engine_->broker().topics()->by_name.at("s"); });
  engine_->runtime().run();
  EXPECT_EQ(topic->partitions, 1);
  EXPECT_EQ(topic->effective.entry_id, EntryIdMode::time);
  EXPECT_FALSE(topic->effective.retention);
  EXPECT_FALSE(engine_->alter("s", {{"cleanup.policy", "compact"}}));
  EXPECT_FALSE(engine_->alter("s", {{"entry.id", "offset"}}));
}

TEST_F(EntriesTest, ids_ascend_whatever_is_asked_for) {
  EXPECT_EQ(stream().add(5, 3), "5-3");
  EXPECT_EQ(stream().add(5, 3), refused(EntryRefusal::id_not_above_last));
  EXPECT_EQ(stream().add(0, 0), refused(EntryRefusal::id_zero));
  EXPECT_EQ(stream().add({{"f", "v"}}, {EntryIdAsked::Kind::automatic_seq, {5, 0}}), "5-4");
  EXPECT_EQ(stream().add({{"f", "v"}}, {EntryIdAsked::Kind::automatic_seq, {6, 0}}), "6-0");
  EXPECT_EQ(stream().add(1800000000000, 0), "1800000000000-0");
  EXPECT_EQ(stream().add({{"f", "v"}}), "1800000000000-1") << "the clock is behind";
  EXPECT_EQ(stream().add(UINT64_MAX, UINT64_MAX), text_of(EntryId::max()));
  EXPECT_EQ(stream().add({{"f", "v"}}), refused(EntryRefusal::ids_exhausted));
  EXPECT_THAT(stream().ids(), ElementsAre("5-3", "5-4", "6-0", "1800000000000-0", "1800000000000-1", text_of(EntryId::max())));
}

TEST_F(EntriesTest, entries_of_one_round_share_a_batch_and_none_waits_for_another) {
  ASSERT_EQ(stream().add(1), "1-0");
  std::vector<std::shared_ptr<std::optional<Result<EntryAppended>>>> answers;
  for (int i = 0; i < 500; ++i) answers.push_back(stream().start_add({{"n", std::to_string(i)}}));
  engine_->runtime().run();
  for (const auto& answer : answers) ASSERT_TRUE(*answer && **answer && (**answer)->refused == EntryRefusal::none);
  EXPECT_EQ(stream().stats()->length, 501u);
  EXPECT_LE(engine_->describe("s")->at(0).bytes, 500u * 40) << "not a batch of 61 bytes for each";
  for (std::size_t i = 0; i < answers.size(); i += 97) {
    EXPECT_EQ(stream().fields((**answers[i])->id), (Fields{{"n", std::to_string(i)}}));
  }
}

TEST_F(EntriesTest, the_last_id_outlives_entries_and_restarts) {
  ASSERT_EQ(stream().add(5), "5-0");
  ASSERT_EQ(stream().add(9, 1), "9-1");
  EXPECT_EQ(*stream().remove({{5, 0}, {9, 1}, {9, 1}, {7, 7}}), 2u);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(stream().stats()->length, 0u);
    EXPECT_EQ(stream().stats()->last_id, (EntryId{9, 1}));
    EXPECT_EQ(stream().stats()->max_deleted, (EntryId{9, 1}));
    EXPECT_EQ(stream().stats()->entries_added, 2u);
    EXPECT_EQ(stream().add(9, 1), refused(EntryRefusal::id_not_above_last));
    round == 0 ? power_fails() : restart();
  }
  EXPECT_EQ(stream().add(9, 2), "9-2");
  power_fails();
  EXPECT_EQ(stream().stats()->last_id, (EntryId{9, 2}));
  EXPECT_EQ(stream().stats()->entries_added, 3u);
}

TEST_F(EntriesTest, records_of_other_protocols_get_ids_and_read_as_entries) {
  ASSERT_EQ(stream().add({{"key", "k"}, {"value", "v"}, {"h", "x"}}, exactly(1, 1)), "1-1");
  ASSERT_TRUE(engine_->append("s", 0, {"a", "b"}));
  ASSERT_TRUE(engine_->append("s", 0, {"c"}));
  EXPECT_THAT(stream().ids(), ElementsAre("1-1", "1700000000000-0", "1700000000000-1", "1700000000000-2"));
  EXPECT_EQ(stream().fields({1700000000000, 2}), (Fields{{"value", "c"}}));
  EXPECT_EQ(stream().fields({1, 1}), (Fields{{"key", "k"}, {"value", "v"}, {"h", "x"}}));
  const auto records = engine_->read_all("s", 0);
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 4u);
  EXPECT_EQ(records->at(0).value, "v");
  EXPECT_EQ(records->at(3).value, "c");
}

TEST_F(EntriesTest, ids_of_other_topics_follow_from_offsets) {
  ASSERT_TRUE(engine_->create("plain"));
  ASSERT_TRUE(engine_->append("plain", 0, {"a", "b", "c"}));
  EXPECT_THAT(stream("plain").ids(), ElementsAre("1-0", "2-0", "3-0"));
  EXPECT_THAT(stream("plain").ids({.first = {1, 1}, .last = {2, 5}}), ElementsAre("2-0"));
  EXPECT_EQ(stream("plain").add({{"key", "k"}, {"value", "d"}}), "4-0");
  EXPECT_FALSE(stream("plain").try_add({{"f", "v"}}, exactly(9, 0)));
  EXPECT_EQ(*stream("plain").remove({{2, 0}, {2, 1}, {9, 0}}), 1u);
  EXPECT_THAT(offsets("plain"), ElementsAre(0, 2, 3));
  EXPECT_EQ(stream("plain").stats()->last_id, (EntryId{4, 0}));
  EXPECT_EQ(stream("plain").stats()->length, 3u);
}

TEST_F(EntriesTest, without_create_a_missing_topic_stays_missing) {
  const auto added = stream().ask<EntryAppended>([](Entries& entries, Done<EntryAppended> done) {
    entries.append({}, {"s", 0}, entry_of({{"f", "v"}}), std::move(done));
  });
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::unknown_topic);
  EXPECT_TRUE(engine_->topics().empty());
}

// --- Ranges.

TEST_F(EntriesTest, ranges_are_read_both_ways_and_in_pieces) {
  std::vector<std::string> all;
  for (std::uint64_t ms = 1; ms <= 300; ++ms) all.push_back(stream().add(ms / 7, ms));
  EXPECT_EQ(stream().ids(), all);
  std::vector<std::string> backwards(all.rbegin(), all.rend());
  EXPECT_EQ(stream().ids({.backwards = true}), backwards);
  EXPECT_EQ(stream().ids({.bytes_max = 20}), all);
  EXPECT_EQ(stream().ids({.backwards = true, .bytes_max = 20}), backwards);
  EXPECT_THAT(stream().ids({.first = {3, 0}, .last = {3, 24}}), ElementsAre("3-21", "3-22", "3-23", "3-24"));
  EXPECT_THAT(stream().ids({.first = {3, 0}, .last = {3, 24}, .backwards = true, .count_max = 2}), ElementsAre("3-24", "3-23"));
  EXPECT_THAT(stream().ids({.first = {42, 0}, .count_max = 1}), ElementsAre("42-294"));
  EXPECT_THAT(stream().ids({.count_max = 0}), IsEmpty());
  EXPECT_THAT(stream().ids({.first = {4, 0}, .last = {3, 0}}), IsEmpty());
  EXPECT_THAT(stream().ids({.first = {50, 0}}), IsEmpty());
  restart();  // From the disk, over the index.
  EXPECT_EQ(stream().ids(), all);
  EXPECT_EQ(stream().ids({.backwards = true}), backwards);
  EXPECT_THAT(stream().ids({.first = {3, 0}, .last = {3, 22}}), ElementsAre("3-21", "3-22"));
}

TEST_F(EntriesTest, many_entries_of_one_millisecond_are_found_after_a_crash) {
  std::vector<std::shared_ptr<std::optional<Result<EntryAppended>>>> answers;
  for (std::uint64_t i = 1; i <= 4000; ++i) answers.push_back(stream().start_add({{"f", std::string(60, 'x')}}, exactly(1, i)));
  engine_->runtime().run();
  ASSERT_TRUE(*answers.back() && **answers.back());
  power_fails();
  for (const std::uint64_t seq : {1u, 2u, 1999u, 3999u, 4000u}) EXPECT_EQ(stream().fields({1, seq}).size(), 1u) << seq;
  EXPECT_EQ(stream().fields({1, 4001}).size(), 0u);
  EXPECT_THAT(stream().ids({.backwards = true, .count_max = 2}), ElementsAre("1-4000", "1-3999"));
  EXPECT_EQ(*stream().remove({{1, 4000}, {1, 1}, {1, 2500}, {2, 0}}), 3u);
}

// --- Deletes.

TEST_F(EntriesTest, a_deleted_entry_is_served_to_nobody_again) {
  for (std::uint64_t ms = 1; ms <= 6; ++ms) stream().add(ms);
  ASSERT_TRUE(engine_->append("s", 0, {"x", "y", "z"}));
  EXPECT_EQ(*stream().remove({{3, 0}, {4, 0}, {1700000000000, 1}}), 3u);
  const auto check = [this] {
    EXPECT_THAT(offsets(), ElementsAre(0, 1, 4, 5, 6, 8));
    EXPECT_THAT(offsets("s", Offset{3}), ElementsAre(4, 5, 6, 8));
    EXPECT_THAT(stream().ids(), ElementsAre("1-0", "2-0", "5-0", "6-0", "1700000000000-0", "1700000000000-2"));
    EXPECT_THAT(stream().ids({.backwards = true, .count_max = 2}), ElementsAre("1700000000000-2", "1700000000000-0"));
    EXPECT_THAT(stream().ids({.first = {3, 0}, .count_max = 1}), ElementsAre("5-0"));
    EXPECT_EQ(stream().stats()->length, 6u);
  };
  check();  // From the tail cache.
  restart();
  check();  // From the disk.
  power_fails();
  check();
  EXPECT_EQ(*stream().remove({{3, 0}}), 0u);
}

TEST_F(EntriesTest, a_reader_gets_past_batches_that_are_deleted_as_a_whole) {
  ASSERT_TRUE(engine_->create("t", 1));
  ASSERT_TRUE(engine_->append("t", 0, {"a", "b"}));
  ASSERT_TRUE(engine_->append("t", 0, {"c", "d"}));
  ASSERT_EQ(*stream("t").remove({{3, 0}, {4, 0}}), 2u);
  // At the end there is nothing else to show.
  auto reply = engine_->read("t", 0, Offset{2}, {.from = {}, .bytes_max = 1});
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->next, Offset{4});
  ASSERT_EQ(reply->batches.size(), 1u);
  const auto header = BatchHeader::parse(reply->batches[0].view());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->record_count, 0);
  EXPECT_EQ(header->end_offset(), Offset{4});
  ASSERT_TRUE(engine_->append("t", 0, {"e"}));
  reply = engine_->read("t", 0, Offset{2}, {.from = {}, .bytes_max = 1});
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->next, Offset{5});
  EXPECT_THAT(offsets("t"), ElementsAre(0, 1, 4));
}

TEST_F(EntriesTest, deleting_the_first_entries_moves_the_log_start) {
  for (std::uint64_t ms = 1; ms <= 5; ++ms) stream().add(ms);
  EXPECT_EQ(*stream().remove({{2, 0}}), 1u);
  EXPECT_EQ(engine_->describe("s")->at(0).log_start, Offset{0});
  EXPECT_EQ(*stream().info()->first_id, (EntryId{1, 0}));
  EXPECT_EQ(*stream().remove({{1, 0}}), 1u);
  EXPECT_EQ(engine_->describe("s")->at(0).log_start, Offset{2});
  EXPECT_EQ(*stream().info()->first_id, (EntryId{3, 0}));
  EXPECT_EQ(*stream().remove({{3, 0}, {4, 0}, {5, 0}}), 3u);
  EXPECT_EQ(engine_->describe("s")->at(0).log_start, Offset{5});
  EXPECT_FALSE(stream().info()->first_id);
  EXPECT_EQ(stream().info()->nodes, 0u);
}

TEST_F(EntriesTest, a_delete_and_a_trim_count_what_was_appended_before_them) {
  stream().add(1);
  const auto add = [&](std::uint64_t ms) { return stream().start_add({{"f", "v"}}, exactly(ms, 0)); };
  add(2);
  add(3);
  const auto removed = stream().start<std::vector<bool>>([](Entries& entries, Done<std::vector<bool>> done) {
    entries.remove({}, {"s", 0}, {{2, 0}, {4, 0}}, std::move(done));
  });
  const auto trimmed = stream().start<std::uint64_t>([](Entries& entries, Done<std::uint64_t> done) {
    entries.trim({}, {"s", 0}, keep(1), std::move(done));
  });
  add(4);
  engine_->runtime().run();
  ASSERT_TRUE(*removed && **removed && *trimmed && **trimmed);
  EXPECT_THAT(***removed, ElementsAre(true, false));
  EXPECT_EQ(***trimmed, 1u);
  EXPECT_THAT(stream().ids(), ElementsAre("3-0", "4-0"));
}

// --- Trims.

TEST_F(EntriesTest, trims_by_length_and_by_id) {
  for (std::uint64_t ms = 1; ms <= 10; ++ms) stream().add(ms);
  EXPECT_EQ(*stream().remove({{5, 0}}), 1u);
  EXPECT_EQ(*stream().trim(keep(7)), 2u);
  EXPECT_THAT(stream().ids({.count_max = 2}), ElementsAre("3-0", "4-0"));
  EXPECT_EQ(*stream().trim(from_id(6)), 2u);
  EXPECT_EQ(stream().stats()->max_deleted, (EntryId{5, 0})) << "trimming does not count";
  EXPECT_EQ(*stream().trim(from_id(6)), 0u);
  power_fails();
  EXPECT_EQ(stream().stats()->length, 5u);
  EXPECT_EQ(*stream().trim(keep(0)), 5u);
  power_fails();
  EXPECT_EQ(stream().stats()->length, 0u);
  EXPECT_EQ(stream().stats()->last_id, (EntryId{10, 0}));
  EXPECT_EQ(stream().stats()->entries_added, 10u);
}

TEST_F(EntriesTest, an_append_can_trim_and_even_go_itself) {
  for (std::uint64_t ms = 1; ms <= 5; ++ms) stream().add(ms);
  EXPECT_EQ(stream().add({{"f", "v"}}, exactly(6, 0), keep(3)), "6-0");
  EXPECT_THAT(stream().ids(), ElementsAre("4-0", "5-0", "6-0"));
  EXPECT_EQ(stream().add({{"f", "v"}}, exactly(7, 0), keep(0)), "7-0");
  EXPECT_THAT(stream().ids(), IsEmpty());
  // Each counts as of its own append, also when several are flushed together.
  const auto first = stream().start_add({{"f", "v"}}, exactly(8, 0), keep(1));
  const auto second = stream().start_add({{"f", "v"}}, exactly(9, 0));
  engine_->runtime().run();
  ASSERT_TRUE(*first && **first && *second && **second);
  EXPECT_THAT(stream().ids(), ElementsAre("8-0", "9-0"));
}

// --- The last id.

TEST_F(EntriesTest, set_id_judges_as_redis_does) {
  for (std::uint64_t ms = 1; ms <= 5; ++ms) stream().add(ms);
  ASSERT_EQ(*stream().remove({{3, 0}}), 1u);
  EXPECT_EQ(*stream().set_id({.last_id = {4, 0}, .entries_added = {}, .max_deleted = EntryId{5, 0}}),
            EntryRefusal::id_below_given_max_deleted);
  EXPECT_EQ(*stream().set_id({.last_id = {2, 0}, .entries_added = {}, .max_deleted = {}}), EntryRefusal::id_below_max_deleted);
  EXPECT_EQ(*stream().set_id({.last_id = {4, 0}, .entries_added = {}, .max_deleted = {}}), EntryRefusal::id_below_top);
  EXPECT_EQ(*stream().set_id({.last_id = {9, 0}, .entries_added = 3, .max_deleted = {}}), EntryRefusal::entries_added_below_length);
  EXPECT_EQ(*stream().set_id({.last_id = {200, 0}, .entries_added = 42, .max_deleted = EntryId{7, 0}}), EntryRefusal::none);
  power_fails();
  EXPECT_EQ(stream().stats()->last_id, (EntryId{200, 0}));
  EXPECT_EQ(stream().stats()->entries_added, 42u);
  EXPECT_EQ(stream().stats()->max_deleted, (EntryId{7, 0}));
  EXPECT_EQ(stream().add(150), refused(EntryRefusal::id_not_above_last));
  EXPECT_EQ(stream().add(201), "201-0");
  EXPECT_EQ(stream().stats()->entries_added, 43u);
}

TEST_F(EntriesTest, the_last_id_may_go_back_where_nothing_is_left) {
  for (std::uint64_t ms = 1; ms <= 5; ++ms) stream().add(ms * 100);
  ASSERT_EQ(*stream().trim(keep(0)), 5u);
  ASSERT_EQ(*stream().set_id({.last_id = {7, 0}, .entries_added = {}, .max_deleted = {}}), EntryRefusal::none);
  EXPECT_EQ(stream().add(8), "8-0");
  EXPECT_EQ(stream().add(9), "9-0");
  power_fails();
  EXPECT_THAT(stream().ids(), ElementsAre("8-0", "9-0"));
  EXPECT_THAT(stream().ids({.first = {9, 0}}), ElementsAre("9-0"));
  EXPECT_EQ(stream().stats()->last_id, (EntryId{9, 0}));
}

TEST_F(EntriesTest, appends_behind_set_id_see_it) {
  stream().add(1);
  const auto set = stream().start<EntryRefusal>([](Entries& entries, Done<EntryRefusal> done) {
    entries.set_id({}, {"s", 0}, {.last_id = {50, 0}, .entries_added = {}, .max_deleted = {}}, std::move(done));
  });
  const auto below = stream().start_add({{"f", "v"}}, exactly(20, 0));
  const auto above = stream().start_add({{"f", "v"}}, exactly(51, 0));
  engine_->runtime().run();
  ASSERT_TRUE(*set && **set && *below && **below && *above && **above);
  EXPECT_EQ((**below)->refused, EntryRefusal::id_not_above_last);
  EXPECT_EQ((**above)->refused, EntryRefusal::none);
}

// --- Retention goes by append time.

TEST_F(EntriesTest, an_entry_with_an_old_id_is_not_old) {
  ASSERT_TRUE(engine_->create("r", 1, {{"entry.id", "time"}, {"retention.ms", "3600000"}}));
  ASSERT_EQ(stream("r").add(1, 1), "1-1");
  engine_->runtime().advance(30min);
  EXPECT_EQ(stream("r").stats()->length, 1u);
  engine_->runtime().advance(45min);
  EXPECT_EQ(stream("r").stats()->length, 0u);
  EXPECT_EQ(stream("r").stats()->last_id, (EntryId{1, 1}));
  power_fails();
  EXPECT_EQ(stream("r").stats()->last_id, (EntryId{1, 1}));
}

// --- Watches.

struct Watched {
  std::unique_ptr<EntryWatch> watch;
  std::vector<EntryNews> news;
};

class EntryWatches : public EntriesTest {
 protected:
  std::shared_ptr<Watched> watch(EntryId after, bool or_gone = false) {
    auto watched = std::make_shared<Watched>();
    engine_->runtime().shard(0).post([this, watched, after, or_gone] {
      watched->watch = engine_->broker().entries().watch({}, {"s", 0}, after, or_gone, [this, watched](EntryNews news) {
        watched->news.push_back(news);
        order_.push_back(watched.get());
      });
    });
    engine_->runtime().run();
    return watched;
  }
  void end(const std::shared_ptr<Watched>& watched) {
    engine_->runtime().shard(0).post([watched] { watched->watch.reset(); });
    engine_->runtime().run();
  }
  std::vector<Watched*> order_;
};

TEST_F(EntryWatches, are_told_in_the_order_in_which_they_began) {
  stream().add(1);
  const auto a = watch({1, 0}), b = watch({5, 0}), c = watch({1, 0});
  EXPECT_THAT(order_, IsEmpty());
  stream().add(2);
  EXPECT_THAT(order_, ElementsAre(a.get(), c.get()));
  stream().add(6);
  EXPECT_THAT(order_, ElementsAre(a.get(), c.get(), b.get()));
  const auto late = watch({2, 0});
  EXPECT_THAT(late->news, ElementsAre(EntryNews::entries)) << "it was there before";
  for (const auto& one : {a, b, c, late}) end(one);
}

TEST_F(EntryWatches, wait_for_what_is_there_and_not_for_what_was) {
  stream().add(1);
  stream().add(2);
  ASSERT_EQ(*stream().remove({{2, 0}}), 1u);
  const auto a = watch({1, 0});
  EXPECT_THAT(a->news, IsEmpty());
  const auto ended = watch({1, 0});
  end(ended);
  stream().add(3);
  EXPECT_THAT(a->news, ElementsAre(EntryNews::entries));
  EXPECT_THAT(ended->news, IsEmpty());
  end(a);
}

TEST_F(EntryWatches, last_over_deletion_and_creation_of_the_topic) {
  const auto waits = watch({5, 0});
  EXPECT_THAT(watch({5, 0}, true)->news, ElementsAre(EntryNews::gone));
  stream().add(1);
  const auto or_gone = watch({5, 0}, true);
  ASSERT_TRUE(engine_->remove("s"));
  engine_->runtime().run();
  EXPECT_THAT(or_gone->news, ElementsAre(EntryNews::gone));
  EXPECT_THAT(waits->news, IsEmpty());
  stream().add(2);
  EXPECT_THAT(waits->news, IsEmpty());
  stream().add(6);
  EXPECT_THAT(waits->news, ElementsAre(EntryNews::entries));
  end(waits);
  end(or_gone);
}

// --- Keys.

class EntryKeys : public EntriesTest {
 protected:
  std::vector<std::string> keys() {
    std::vector<std::string> names;
    engine_->runtime().shard(0).post([&] {
      for (const EntryKey& key : engine_->broker().entries().keys()) names.push_back(key.name);
    });
    engine_->runtime().run();
    return names;
  }
  Status rename(const std::string& from, const std::string& to, bool only_if_absent = false) {
    return stream().ask<void>([&](Entries& entries, Done<void> done) { entries.rename({}, from, to, only_if_absent, std::move(done)); });
  }
  Status copy(const std::string& from, const std::string& to, bool replace = false) {
    return stream().ask<void>([&](Entries& entries, Done<void> done) { entries.copy({}, from, to, replace, std::move(done)); });
  }
  Status expire(const std::string& name, std::optional<Timestamp> when) {
    return stream().ask<void>([&](Entries& entries, Done<void> done) { entries.expire({}, name, when, std::move(done)); });
  }
  Timestamp now() { return engine_->runtime().clock().now(); }
};

TEST_F(EntryKeys, are_the_topics_with_ids) {
  ASSERT_TRUE(engine_->create("plain"));
  stream("b").add(1);
  stream("a").add(1);
  EXPECT_THAT(keys(), ElementsAre("a", "b"));
}

TEST_F(EntryKeys, a_renamed_stream_keeps_everything) {
  stream("a").add(1);
  stream("a").add(2);
  ASSERT_EQ(*stream("a").remove({{1, 0}}), 1u);
  stream("b").add(100);
  EXPECT_EQ(rename("a", "b", true).error().code, Errc::conflict);
  EXPECT_EQ(rename("x", "b").error().code, Errc::unknown_topic);
  ASSERT_TRUE(rename("a", "b"));
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(keys(), ElementsAre("b"));
    EXPECT_THAT(stream("b").ids(), ElementsAre("2-0"));
    EXPECT_EQ(stream("b").stats()->max_deleted, (EntryId{1, 0}));
    power_fails();
  }
  EXPECT_EQ(stream("b").add(3), "3-0");
}

TEST_F(EntryKeys, a_copy_has_the_ids_and_counters) {
  for (std::uint64_t ms = 1; ms <= 50; ++ms) stream("a").add({{"f", std::string(50'000, 'x')}}, exactly(ms, ms));
  ASSERT_EQ(*stream("a").remove({{7, 7}, {50, 50}}), 2u);
  ASSERT_TRUE(copy("a", "b"));
  EXPECT_EQ(copy("a", "b").error().code, Errc::conflict);
  ASSERT_TRUE(copy("a", "b", true));
  EXPECT_THAT(keys(), ElementsAre("a", "b"));
  EXPECT_EQ(stream("b").ids(), stream("a").ids());
  EXPECT_EQ(stream("b").stats()->last_id, (EntryId{50, 50}));
  EXPECT_EQ(stream("b").stats()->entries_added, 50u);
  EXPECT_EQ(stream("b").stats()->max_deleted, (EntryId{50, 50}));
  EXPECT_EQ(stream("b").fields({9, 9}).at(0).second.size(), 50'000u);
}

TEST_F(EntryKeys, expire_over_a_restart) {
  stream("a").add(1);
  stream("b").add(1);
  stream("c").add(1);
  ASSERT_TRUE(expire("a", now() + 10s));
  ASSERT_TRUE(expire("b", now() + 10s));
  ASSERT_TRUE(expire("b", std::nullopt));
  ASSERT_TRUE(expire("c", now()));
  EXPECT_THAT(keys(), ElementsAre("a", "b"));
  engine_->set_wall_at_open(now());
  restart();
  EXPECT_THAT(keys(), ElementsAre("a", "b"));
  engine_->runtime().advance(9999ms);
  EXPECT_EQ(stream("a").add(2), "2-0");
  engine_->runtime().advance(1ms);
  EXPECT_THAT(keys(), ElementsAre("b"));
  EXPECT_THAT(engine_->topics(), ElementsAre("b"));
  EXPECT_EQ(stream("a").add(1), "1-0") << "a new one";
}

}  // namespace
}  // namespace tidemark::broker
