#include "tests/broker/entries/entries_fixture.h"

/// Entries that are added once, however often they are sent.
namespace tidemark::broker {
namespace {

DedupId id_of(int n) { return DedupId::of(std::to_string(n)); }

TEST(OnceWindow, forgets_by_time_and_by_number_of_each_producer) {
  MemoryBudget budget(1'000'000);
  OnceWindow window(budget);
  const DedupId producer = id_of(1000), other = id_of(1001);
  for (int n = 0; n < 3; ++n) window.add({producer, id_of(n)}, {{static_cast<std::uint64_t>(n), 0}, Offset{n}}, 2);
  window.add({other, id_of(9)}, {{3, 0}, Offset{3}}, 2);
  EXPECT_FALSE(window.find({producer, id_of(0)}, 3, 100ms));
  EXPECT_EQ(window.find({producer, id_of(1)}, 3, 100ms)->id, (EntryId{1, 0}));
  EXPECT_EQ(window.find({other, id_of(9)}, 3, 100ms)->offset, Offset{3});
  EXPECT_FALSE(window.find({producer, id_of(1)}, 101, 100ms));
  EXPECT_TRUE(window.find({producer, id_of(2)}, 101, 100ms));
  EXPECT_EQ(window.size(), 2U);
  window.clear();
  EXPECT_EQ(budget.used(), 0U);
}

TEST(OnceWindow, forgets_the_oldest_early_for_want_of_memory) {
  MemoryBudget budget(10 * OnceWindow::kBytesPerEntry);
  OnceWindow window(budget);
  for (int n = 0; n < 15; ++n) window.add({id_of(1000 + n), id_of(n)}, {{static_cast<std::uint64_t>(n), 0}, Offset{n}}, 100);
  EXPECT_EQ(window.size(), 10U);
  EXPECT_EQ(window.forgotten_early(), 5U);
  EXPECT_FALSE(window.find({id_of(1004), id_of(4)}, 15, 1h));
  EXPECT_TRUE(window.find({id_of(1005), id_of(5)}, 15, 1h));
}

TEST(OnceWindow, keeps_no_memory_of_what_it_forgot) {
  MemoryBudget budget(1'000'000);
  OnceWindow window(budget);
  for (int n = 0; n < 20'000; ++n) {
    ASSERT_FALSE(window.find({id_of(0), id_of(n)}, 1, 1h));
    window.add({id_of(0), id_of(n)}, {{static_cast<std::uint64_t>(n) + 1, 0}, Offset{n}}, 3);
  }
  EXPECT_EQ(window.size(), 3U);
  EXPECT_EQ(budget.used(), 3 * OnceWindow::kBytesPerEntry);
  EXPECT_TRUE(window.find({id_of(0), id_of(19'999)}, 1, 1h));
}

class EntriesOnce : public EntriesTest {};

TEST_F(EntriesOnce, are_the_first_one_also_after_a_power_failure) {
  EXPECT_EQ(stream().add_once("p", "a"), "1700000000000-0");
  EXPECT_EQ(stream().add_once("p", "b"), "1700000000000-1");
  EXPECT_EQ(stream().add_once("p", "a"), "1700000000000-0 again");
  EXPECT_EQ(stream().add_once("q", "a"), "1700000000000-2");
  EXPECT_EQ(*stream().remove({{1700000000000, 1}}), 1U);
  for (int round = 0; round < 2; ++round) {
    round == 0 ? power_fails() : restart();
    EXPECT_EQ(stream().add_once("p", "a"), "1700000000000-0 again");
    EXPECT_EQ(stream().add_once("p", "b"), "1700000000000-1 again");  // Deleted, and known.
    EXPECT_EQ(stream().add_once("q", "a"), "1700000000000-2 again");
  }
  EXPECT_EQ(stream().ids(), (std::vector<std::string>{"1700000000000-0", "1700000000000-2"}));
  EXPECT_EQ(stream().fields({1700000000000, 2}), (Fields{{"f", "a"}}));
}

TEST_F(EntriesOnce, are_answered_when_the_first_one_is_flushed) {
  ASSERT_EQ(stream().add(1), "1-0");
  std::vector<std::shared_ptr<std::optional<Result<EntryAppended>>>> answers;
  for (int n = 0; n < 20; ++n) {
    answers.push_back(stream().start<EntryAppended>([n](Entries& entries, Done<EntryAppended> done) {
      EntryAppend append = entry_of({{"n", std::to_string(n)}});
      append.once = EntryOnce{id_of(0), id_of(n % 4)};
      entries.append({}, {"s", 0}, std::move(append), std::move(done));
    }));
  }
  engine_->runtime().run();
  for (std::size_t n = 0; n < answers.size(); ++n) {
    ASSERT_TRUE(answers[n]->has_value() && **answers[n]);
    EXPECT_EQ((**answers[n])->offset, Offset{static_cast<std::int64_t>(n % 4) + 1});
    EXPECT_EQ((**answers[n])->duplicate, n >= 4);
  }
  EXPECT_EQ(stream().stats()->length, 5U);
}

TEST_F(EntriesOnce, are_forgotten_when_the_window_is_set_otherwise) {
  EXPECT_EQ(stream().add_once("p", "a"), "1700000000000-0");
  ASSERT_TRUE(stream().set_once({.duration = 100s, .entries = 100}));  // As it is.
  EXPECT_EQ(stream().add_once("p", "a"), "1700000000000-0 again");
  ASSERT_TRUE(stream().set_once({.duration = {}, .entries = 2}));
  EXPECT_EQ(stream().add_once("p", "a"), "1700000000000-1");
  power_fails();
  EXPECT_EQ(stream().add_once("p", "a"), "1700000000000-1 again");
  EXPECT_FALSE(stream().set_once({.duration = {}, .entries = 10'001}));
}

TEST_F(EntriesOnce, need_ids_that_are_times) {
  ASSERT_TRUE(engine_->create("plain", 1));
  EXPECT_NE(stream("plain").add_once("p", "a").find("ids of 'plain:0' follow from its offsets"), std::string::npos)
      << stream("plain").add_once("p", "a");
}

TEST_F(EntriesOnce, a_field_like_the_mark_is_a_field) {
  const std::string like(48, 'x');
  EXPECT_EQ(stream().add({{"tidemark-id", like}}), "1700000000000-0");
  EXPECT_EQ(stream().fields({1700000000000, 0}), (Fields{{"tidemark-id", like}}));
}

}  // namespace
}  // namespace tidemark::broker
