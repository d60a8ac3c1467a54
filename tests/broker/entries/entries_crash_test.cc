#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <unordered_set>

#include "tests/broker/entries/entries_fixture.h"

/// Power fails at every file-system call of a script in which streams do everything they can do. Whatever the disk then holds, they are as
/// they were before the operation under way or as they are after it.
namespace tidemark::broker {
namespace {

constexpr std::uint64_t kRandomImages = 3;

std::string view_of(Engine& engine) {
  std::ostringstream view;
  std::shared_ptr<const TopicTable> table;
  engine.runtime().shard(0).post([&] { table = engine.broker().topics(); });
  engine.runtime().run();
  for (const auto& [name, topic] : table->by_name) {
    if (is_internal_topic(name)) continue;
    EntryCalls stream(engine, name);
    const Result<EntryStats> stats = stream.stats();
    if (!stats) continue;
    view << name << ": length " << stats->length << " last " << text_of(stats->last_id) << " deleted " << text_of(stats->max_deleted)
         << " added " << stats->entries_added;
    for (const std::string& id : stream.ids()) view << ' ' << id;
    const auto records = engine.read_all(name, 0);
    EXPECT_TRUE(records);
    if (records) view << " records " << records->size();
    view << (topic->expires ? " expires\n" : "\n");
  }
  return view.str();
}

class EntriesCrash : public EntriesTest {
 protected:
  void step(const std::string& what, const std::function<void()>& operation) {
    if (HasFatalFailure()) return;
    SCOPED_TRACE(what);
    const std::string before = view_of(*engine_);
    std::vector<std::unique_ptr<SimulatedFileSystem>> images;
    disk_->on_call([&](std::uint64_t call, std::string_view, const std::string&) {
      images.push_back(disk_->crash_clone(CrashPolicy::drop_all, 0));
      images.push_back(disk_->crash_clone(CrashPolicy::keep_all, 0));
      for (std::uint64_t i = 0; i < kRandomImages; ++i) {
        images.push_back(disk_->crash_clone(CrashPolicy::random, seed_ * 1'000'003 + call * 7919 + i));
      }
    });
    operation();
    disk_->on_call(nullptr);
    const auto answered = disk_->crash_clone(CrashPolicy::drop_all, 0);
    engine_->runtime().run();
    ASSERT_FALSE(engine_->fatal()) << engine_->fatal()->to_string();
    const std::string after = view_of(*engine_);
    EXPECT_NE(before, after) << "nothing happened";
    for (const auto& image : images) examine(*image, {before, after});
    examine(*answered, {after});
  }

  void examine(SimulatedFileSystem& image, const std::vector<std::string>& allowed) {
    if (HasFatalFailure()) return;
    ++images_;
    if (allowed.size() > 1 && !seen_.insert(image.image_hash()).second) return;
    ++distinct_;
    for (int start = 0; start < 2; ++start) {
      Engine engine(image);
      const Status opened = engine.open();
      ASSERT_TRUE(opened) << opened.error().to_string();
      engine.runtime().run();
      ASSERT_THAT(allowed, testing::Contains(view_of(engine)));
    }
  }

  const std::uint64_t seed_ = std::getenv("TIDEMARK_SEED") != nullptr ? std::strtoull(std::getenv("TIDEMARK_SEED"), nullptr, 10) : 1;
  std::unordered_set<std::uint64_t> seen_;
  std::size_t images_ = 0, distinct_ = 0;
};

TEST_F(EntriesCrash, at_every_call_of_every_operation_leaves_it_done_or_not_begun) {
  ASSERT_EQ(stream().add(1), "1-0");
  step("append", [&] { ASSERT_EQ(stream().add(2, 5), "2-5"); });
  step("append with the time as id", [&] { ASSERT_EQ(stream().add({{"f", "v"}}), "1700000000000-0"); });
  step("append of a batch", [&] { ASSERT_TRUE(engine_->append("s", 0, {"a", "b", "c"})); });
  step("delete", [&] { ASSERT_EQ(*stream().remove({{2, 5}, {1700000000000, 2}}), 2u); });
  step("delete of the first", [&] { ASSERT_EQ(*stream().remove({{1, 0}}), 1u); });
  step("trim", [&] { ASSERT_EQ(*stream().trim({.max_length = 2, .min_id = {}}), 1u); });
  step("set id", [&] {
    ASSERT_EQ(*stream().set_id({.last_id = {1800000000000, 0}, .entries_added = 100, .max_deleted = {}}), EntryRefusal::none);
  });
  step("trim of all", [&] { ASSERT_EQ(*stream().trim({.max_length = 0, .min_id = {}}), 2u); });
  step("set id back", [&] {
    ASSERT_EQ(*stream().set_id({.last_id = {1700000000009, 0}, .entries_added = {}, .max_deleted = {}}), EntryRefusal::none);
  });
  step("append behind it", [&] { ASSERT_EQ(stream().add(1700000000010, 0), "1700000000010-0"); });
  step("append once", [&] { ASSERT_EQ(stream().add_once("p", "one"), "1700000000010-1"); });
  ASSERT_EQ(stream("other").add(3), "3-0");
  step("rename over another", [&] {
    ASSERT_TRUE(stream().ask<void>([](Entries& entries, Done<void> done) { entries.rename({}, "s", "other", false, std::move(done)); }));
  });
  step("copy", [&] {
    ASSERT_TRUE(stream().ask<void>([](Entries& entries, Done<void> done) { entries.copy({}, "other", "s", false, std::move(done)); }));
  });
  step("expiry", [&] {
    const Timestamp when = engine_->runtime().clock().now() + 24h;
    ASSERT_TRUE(stream().ask<void>([&](Entries& entries, Done<void> done) { entries.expire({}, "s", when, std::move(done)); }));
  });
  std::printf("%zu distinct images of %zu, each recovered twice (seed %llu)\n", distinct_, images_, static_cast<unsigned long long>(seed_));
  EXPECT_GE(distinct_, 60u);
}

}  // namespace
}  // namespace tidemark::broker
