#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <unordered_set>

#include "tests/broker/queues/queues_fixture.h"

/// Power fails at every file-system call while a queue group hands out, settles, lets records die and takes them back. Whatever the disk
/// then holds, every record is in exactly one place: unfinished, finished by somebody who said so, or once among the dead letters. What was
/// answered is as it was answered.
namespace tidemark::broker {
namespace {

constexpr std::uint64_t kRandomImages = 3;
constexpr std::int64_t kRecords = 12;
const QueueName kWork{"work", "t"};

class QueuesCrash : public QueuesTest {
 protected:
  /// What the steps so far allow.
  struct Ledger {
    std::set<std::int64_t> asked, answered;    ///< Acks.
    std::set<std::int64_t> dying, dead;        ///< Rejections asked for and answered.
    std::set<std::int64_t> reviving, revived;  ///< Redrives.
    bool group_may_be_missing = true;
  };

  void step(const std::string& what, const std::function<void()>& operation) {
    if (HasFatalFailure()) return;
    SCOPED_TRACE(what);
    std::vector<std::unique_ptr<SimulatedFileSystem>> images;
    disk().on_call([&](std::uint64_t call, std::string_view, const std::string&) {
      images.push_back(disk().crash_clone(CrashPolicy::drop_all, 0));
      images.push_back(disk().crash_clone(CrashPolicy::keep_all, 0));
      for (std::uint64_t i = 0; i < kRandomImages; ++i) {
        images.push_back(disk().crash_clone(CrashPolicy::random, seed_ * 1'000'003 + call * 7919 + i));
      }
    });
    operation();
    // Moves go on after the answer.
    engine().runtime().run();
    disk().on_call(nullptr);
    ASSERT_FALSE(engine().fatal()) << engine().fatal()->to_string();
    Ledger before = ledger_;
    before.answered = answered_before_;
    before.dead = dead_before_;
    before.revived = revived_before_;
    for (const auto& image : images) examine(*image, before);
    const auto answered = disk().crash_clone(CrashPolicy::drop_all, 0);
    examine(*answered, ledger_);
    answered_before_ = ledger_.answered;
    dead_before_ = ledger_.dead;
    revived_before_ = ledger_.revived;
  }

  void examine(SimulatedFileSystem& image, const Ledger& ledger) {
    if (HasFatalFailure()) return;
    ++images_;
    if (!seen_.insert(image.image_hash()).second) return;
    ++distinct_;
    for (int start = 0; start < 2; ++start) {
      Engine engine(image);
      const Status opened = engine.open();
      ASSERT_TRUE(opened) << opened.error().to_string();
      engine.runtime().advance(2s);  // A move that was interrupted goes on.
      judge(engine, ledger);
      if (HasFatalFailure()) return;
      ASSERT_TRUE(engine.stop());
    }
  }

  void judge(Engine& engine, const Ledger& ledger) {
    QueueCalls queues(engine);
    const Result<QueueInfo> info = queues.describe(kWork);
    if (!info) {
      ASSERT_TRUE(ledger.group_may_be_missing) << info.error().to_string();
      return;
    }
    std::set<std::int64_t> unfinished;
    for (std::int64_t offset = info->partitions[0].cursor.value; offset < kRecords; ++offset) unfinished.insert(offset);
    const auto rows = queues.pending(
        {.name = kWork,
         .states = {EntryState::available, EntryState::acquired, EntryState::delayed, EntryState::parked, EntryState::dying}});
    ASSERT_TRUE(rows);
    for (const PendingRow& row : *rows) {
      ASSERT_TRUE(unfinished.insert(row.offset.value).second);
      ASSERT_NE(row.state, EntryState::dying) << row.offset.value;  // Moves go on by themselves.
    }
    std::map<std::int64_t, int> letters;
    if (const auto all = queues.letters("work")) {
      for (const DeadLetter& letter : *all) ++letters[letter.from_offset.value];
    }
    for (std::int64_t offset = 0; offset < kRecords; ++offset) {
      const bool pending = unfinished.contains(offset);
      const int dead = letters[offset];
      SCOPED_TRACE("offset " + std::to_string(offset) + (pending ? ", unfinished" : "") + ", letters " + std::to_string(dead));
      ASSERT_LE(dead, 1);
      if (dead == 1) {
        ASSERT_TRUE(ledger.dying.contains(offset));
        // Given back and not yet taken out of the letters: the redrive was not answered.
        ASSERT_TRUE(!pending || ledger.reviving.contains(offset));
        ASSERT_FALSE(ledger.revived.contains(offset));
      }
      if (!pending && dead == 0) {
        ASSERT_TRUE(ledger.asked.contains(offset)) << "lost";
      }
      if (ledger.answered.contains(offset)) {
        ASSERT_TRUE(!pending && dead == 0) << "acknowledged, and back";
      }
      if (ledger.dead.contains(offset) && !ledger.reviving.contains(offset)) {
        ASSERT_EQ(dead, 1);
      }
    }
  }

  std::vector<Got> take(std::size_t max) {
    std::vector<Got> all = queues().got(kWork, "m", max);
    EXPECT_THAT(all, testing::SizeIs(max));
    return all;
  }
  void ack(const Got& got) {
    ledger_.asked.insert(got.offset);
    ASSERT_EQ(queues().ack(kWork, "m", got), "ok");
    ledger_.answered.insert(got.offset);
  }
  void reject(const Got& got) {
    ledger_.dying.insert(got.offset);
    ASSERT_EQ(queues().settle_one(kWork, "m", got, Settlement::Kind::reject, {}, "hopeless"), "ok");
    ledger_.dead.insert(got.offset);
  }
  void redrive(const std::string& match, const std::vector<std::int64_t>& offsets) {
    ledger_.reviving.insert(offsets.begin(), offsets.end());
    const auto done = queues().redrive({.group = "work", .match = match});
    ASSERT_TRUE(done) << done.error().to_string();
    ASSERT_EQ(done->redriven, offsets.size());
    ledger_.revived.insert(offsets.begin(), offsets.end());
  }

  const std::uint64_t seed_ = std::getenv("TIDEMARK_SEED") != nullptr ? std::strtoull(std::getenv("TIDEMARK_SEED"), nullptr, 10) : 1;
  Ledger ledger_;
  std::set<std::int64_t> answered_before_, dead_before_, revived_before_;
  std::unordered_set<std::uint64_t> seen_;
  std::size_t images_ = 0, distinct_ = 0;
};

TEST_F(QueuesCrash, at_every_call_leaves_every_record_in_one_place) {
  std::vector<std::string> values;
  for (std::int64_t i = 0; i < kRecords; ++i) values.push_back("r" + std::to_string(i));
  make("t", values);
  step("create", [&] { ASSERT_TRUE(queues().create(kWork, {{"delivery.limit", "2"}, {"backoff", "none"}})); });
  ledger_.group_may_be_missing = false;

  std::vector<Got> got;
  step("hand out", [&] { got = take(6); });
  step("ack one", [&] { ack(got[1]); });
  step("ack two", [&] {
    ack(got[4]);
    ack(got[0]);
  });
  step("reject, the first dead letter ever", [&] { reject(got[2]); });
  step("fail", [&] { ASSERT_EQ(queues().retry(kWork, "m", got[3]), "ok"); });
  step("fail again, and die of it", [&] {
    const std::vector<Got> again = queues().got(kWork, "m2", 1);
    ASSERT_THAT(again, testing::SizeIs(1));
    ledger_.dying.insert(again[0].offset);
    ASSERT_EQ(queues().retry(kWork, "m2", again[0]), "ok");
    ledger_.dead.insert(again[0].offset);
  });
  step("more settings", [&] { ASSERT_TRUE(queues().alter(kWork, {{"delivery.limit", "5"}})); });
  step("a member vanishes", [&] { ASSERT_TRUE(queues().leave(kWork, "m", true)); });
  step("redrive one", [&] { redrive("reason = 'hopeless'", {2}); });
  step("hand out and ack what came back", [&] {
    got = queues().got(kWork, "m", 10);
    for (const Got& one : got) ack(one);
  });
  step("redrive the rest", [&] { redrive("", {3}); });
  step("reject it again", [&] {
    got = take(1);
    // Its letter is another one now.
    ledger_.reviving.erase(got[0].offset);
    ledger_.revived.erase(got[0].offset);
    revived_before_.erase(got[0].offset);
    dead_before_.erase(got[0].offset);
    ledger_.dead.erase(got[0].offset);
    reject(got[0]);
  });
  std::printf("%zu distinct images of %zu, each recovered twice (seed %llu)\n", distinct_, images_, static_cast<unsigned long long>(seed_));
  EXPECT_GE(distinct_, 100u);
}

}  // namespace
}  // namespace tidemark::broker
