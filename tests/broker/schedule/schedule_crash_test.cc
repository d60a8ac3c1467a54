#include <cstdio>
#include <map>
#include <unordered_set>

#include "tests/broker/schedule/schedule_fixture.h"
#include "tests/storage/crash_points.h"

/// Power fails, or the process is killed, at every file-system call while records are scheduled, cancelled, become due and are moved. The
/// broker starts again on what is left, and again in the middle of going on. Then each acknowledged record comes once, and no cancelled
/// one.
namespace tidemark::broker {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kStart = 1'700'000'000'000;

/// What was acknowledged by the moment of the crash.
struct Told {
  std::map<std::string, ScheduledId> scheduled;
  std::set<std::string> cancelled;
  bool doomed_removed = false;
};

class ScheduleCrashTest : public testing::Test {
 protected:
  void work(Engine& engine) {
    for (int i = 0; i < 4; ++i) put(engine, "orders", "r" + std::to_string(i), seconds(1 + i % 2), i % 2);
    put(engine, "orders", "never", seconds(3));
    put(engine, "doomed", "failing", seconds(2));
    told_.cancelled.insert("never");
    ASSERT_TRUE(cancel(engine, told_.scheduled["never"]));
    told_.doomed_removed = true;
    ASSERT_TRUE(engine.remove("doomed"));
    engine.runtime().advance(milliseconds(2'500));
    put(engine, "orders", "late", seconds(1));
    engine.runtime().advance(seconds(4));
  }
  void put(Engine& engine, const std::string& topic, const std::string& value, milliseconds delay, std::int32_t partition = 0) {
    const ScheduledId id = schedule(engine, topic, value, delay, partition);
    told_.scheduled.emplace(value, id);
  }

  void check_image(SimulatedFileSystem& image) {
    if (!seen_.insert(image.image_hash()).second) return;
    ++images_;
    const Told told = told_;
    Engine engine(image);
    engine.set_wall_at_open(Timestamp(milliseconds(kStart)) + seconds(60));  // Everything is due by then.
    for (int start = 0; start < 2; ++start) {
      const Status opened = engine.open();
      ASSERT_TRUE(opened) << opened.error().to_string();
      if (start == 1) break;
      for (int i = 0; i < 60; ++i) engine.runtime().step();
      engine.die();  // Once more in the middle of going on.
    }
    engine.runtime().advance(seconds(20));
    std::map<std::string, int> times;
    for (std::int32_t p = 0; p < 2; ++p) {
      for (const std::string& value : values_in(engine, "orders", p)) ++times[value];
    }
    for (const auto& [value, count] : times) EXPECT_EQ(count, 1) << value;
    for (const auto& [value, id] : told.scheduled) {
      if (value == "failing" || told.cancelled.contains(value)) continue;
      EXPECT_EQ(times[value], 1) << value << " was acknowledged";
    }
    if (told.doomed_removed) check_failed(engine, told);
  }
  /// A record whose topic is gone stays visible. The crash may have come before the removal of the topic.
  void check_failed(Engine& engine, const Told& told) {
    const std::vector<std::string> topics = engine.topics();
    if (std::ranges::find(topics, "doomed") != topics.end()) {
      EXPECT_EQ(values_in(engine, "doomed"), std::vector<std::string>{"failing"});
      return;
    }
    const auto page = list_schedule(engine);
    ASSERT_TRUE(page);
    ASSERT_EQ(page->records.size(), 1u);
    EXPECT_EQ(page->records[0].state, ScheduledInfo::State::failed);
    EXPECT_EQ(page->records[0].id, told.scheduled.at("failing"));
  }

  Told told_;
  std::unordered_set<std::uint64_t> seen_;
  std::uint64_t images_ = 0;
};

TEST_F(ScheduleCrashTest, every_record_comes_once_and_no_cancelled_one) {
  SimulatedFileSystem disk;
  Engine engine(disk);
  ASSERT_TRUE(engine.open());
  ASSERT_TRUE(engine.create("orders", 2));
  ASSERT_TRUE(engine.create("doomed", 1));
  simulation::crash_at_every_call(
      disk, 4, [&] { work(engine); }, [&](SimulatedFileSystem& image) { check_image(image); });
  std::printf("%llu distinct images\n", static_cast<unsigned long long>(images_));
  EXPECT_GT(images_, 100u) << "hardly a crash was tried";
}

}  // namespace
}  // namespace tidemark::broker
