#include <cstdio>
#include <unordered_set>

#include "tests/broker/transactions/transactions_fixture.h"

/// Power fails at every file-system call of a transaction over two partitions and a group. Whatever the disk then holds, the next start
/// comes to one of two ends: all of it counts, or nothing. What was answered stays so.
namespace tidemark::broker {
namespace {

constexpr std::uint64_t kRandomImages = 4;

/// Everything of a transaction that can be seen.
struct View {
  bool first = false, second = false, offset = false;
  bool all() const { return first && second && offset; }
  bool none() const { return !first && !second && !offset; }
};

class TransactionsCrash : public testing::Test {
 protected:
  void SetUp() override {
    engine_ = std::make_unique<Engine>(disk_);
    ASSERT_TRUE(engine_->open());
    ASSERT_TRUE(engine_->create("t", 2));
    ASSERT_TRUE(engine_->append("t", 0, {"before"}));
  }

  static View view_of(Engine& engine) {
    TransactionCalls calls(engine);
    View view;
    view.first = testing::Value(calls.read({"t", 0}, Isolation::committed).values, testing::Contains("a"));
    view.second = testing::Value(calls.read({"t", 1}, Isolation::committed).values, testing::Contains("b"));
    const auto committed = calls.committed("g", {"t", 0});
    view.offset = committed && committed->committed;
    return view;
  }

  /// Runs the step and examines every image that a power loss in it may leave. `decided`: what is certain once the step is answered.
  void step(const std::string& what, const std::function<void()>& operation, std::optional<bool> decided = {}) {
    if (HasFatalFailure()) return;
    SCOPED_TRACE(what);
    std::vector<std::unique_ptr<SimulatedFileSystem>> images;
    disk_.on_call([&](std::uint64_t call, std::string_view, const std::string&) {
      images.push_back(disk_.crash_clone(CrashPolicy::drop_all, 0));
      images.push_back(disk_.crash_clone(CrashPolicy::keep_all, 0));
      for (std::uint64_t i = 0; i < kRandomImages; ++i) {
        images.push_back(disk_.crash_clone(CrashPolicy::random, seed_ * 1'000'003 + call * 7919 + i));
      }
    });
    operation();
    const auto answered = disk_.crash_clone(CrashPolicy::drop_all, 0);
    engine_->runtime().run();  // What nobody waits for.
    disk_.on_call(nullptr);
    for (const auto& image : images) examine(*image, {});
    examine(*answered, decided);
  }

  void examine(SimulatedFileSystem& image, std::optional<bool> decided) {
    if (HasFatalFailure()) return;
    ++images_;
    if (!decided && !seen_.insert(image.image_hash()).second) return;
    ++distinct_;
    std::optional<bool> committed;
    for (int start = 0; start < 2; ++start) {
      Engine engine(image);
      const Status opened = engine.open();
      ASSERT_TRUE(opened) << opened.error().to_string();
      engine.runtime().run();  // Markers that were due are written.
      const View view = view_of(engine);
      ASSERT_TRUE(view.all() || view.none()) << view.first << view.second << view.offset;
      if (decided) ASSERT_EQ(view.all(), *decided);
      if (committed) ASSERT_EQ(view.all(), *committed) << "the second start sees something else";
      committed = view.all();
    }
    // A new instance ends what was open, and nothing stays behind.
    Engine engine(image);
    ASSERT_TRUE(engine.open());
    TransactionCalls calls(engine);
    ASSERT_TRUE(calls.begin("x"));
    engine.runtime().run();
    const View view = view_of(engine);
    ASSERT_EQ(view.all(), *committed);
    ASSERT_EQ(view.none(), !*committed);
    const auto infos = engine.describe("t");
    ASSERT_TRUE(infos);
    for (const PartitionInfo& info : *infos) ASSERT_EQ(info.last_stable, info.high_watermark);
  }

  void run(bool commit) {
    TransactionCalls calls(*engine_);
    ProducerIdentity producer;
    step("begin", [&] {
      const Result<ProducerIdentity> begun = calls.begin("x");
      ASSERT_TRUE(begun);
      producer = *begun;
    });
    step("add partitions", [&] { ASSERT_TRUE(calls.add("x", producer, {{"t", 0}, {"t", 1}})); });
    step("add group", [&] { ASSERT_TRUE(calls.add_group("x", producer, "g")); });
    step("append", [&] {
      ASSERT_TRUE(calls.append({"t", 0}, producer, 0, {"a"}));
      ASSERT_TRUE(calls.append({"t", 1}, producer, 0, {"b"}));
    });
    step(
        "offset",
        [&] {
          ASSERT_TRUE(calls.commit_offset("g", producer, {"t", 0}, 1));
        },
        false);
    step(
        "end", [&] { ASSERT_TRUE(calls.end("x", producer, commit)); }, commit);
    step(
        "another transaction",
        [&] {
          ASSERT_TRUE(calls.add("x", producer, {{"t", 0}}));
          ASSERT_TRUE(calls.append({"t", 0}, producer, 1, {"c"}));
        },
        commit);
    std::printf("%zu distinct images of %zu, each recovered three times (seed %llu)\n", distinct_, images_,
                static_cast<unsigned long long>(seed_));
    EXPECT_GE(distinct_, 50u);
  }

  const std::uint64_t seed_ = test_seed();
  SimulatedFileSystem disk_;
  std::unique_ptr<Engine> engine_;
  std::unordered_set<std::uint64_t> seen_;
  std::size_t images_ = 0, distinct_ = 0;
};

TEST_F(TransactionsCrash, at_every_call_of_a_commit_leaves_all_of_it_or_nothing) { run(true); }
TEST_F(TransactionsCrash, at_every_call_of_an_abort_leaves_nothing) { run(false); }

}  // namespace
}  // namespace tidemark::broker
