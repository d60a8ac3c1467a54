#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <unordered_set>

#include <gtest/gtest.h>

#include "tests/simulation/engine.h"

/// Power fails at every file-system call of every short history, in several ways each, and the broker starts twice on what is left.
///
/// What must hold on each durable image: no acknowledged record is lost or changed, nothing a reader could have seen has vanished, topics
/// are there or not as answered, and the broker starts and takes records again. Histories are all sequences of up to four operations;
/// images are taken during the last one (those of its prefix belong to a shorter history). Distinct images are counted by hash, per
/// operation.
namespace tidemark::simulation {
namespace {

enum class Op { append, append_two_partitions, roll, trim, retention, create, remove, snapshot };
constexpr std::array kOps = {Op::append,  Op::append_two_partitions, Op::roll, Op::trim, Op::retention, Op::create, Op::remove,
                             Op::snapshot};

const char* name_of(Op op) {
  switch (op) {
    case Op::append:
      return "append";
    case Op::append_two_partitions:
      return "flush of two partitions";
    case Op::roll:
      return "roll";
    case Op::trim:
      return "trim";
    case Op::retention:
      return "retention";
    case Op::create:
      return "create topic";
    case Op::remove:
      return "delete topic";
    case Op::snapshot:
      return "checkpoint and snapshot";
  }
  return "";
}

/// What was asked for and what was answered; an operation without an answer may or may not have happened.
struct Model {
  struct Partition {
    std::map<std::int64_t, std::string> acked;
    std::int64_t log_start_acked = 0;
    std::int64_t log_start_asked = 0;  ///< The farthest a trim or retention may have come.
  };
  struct Topic {
    bool created = false;
    bool create_asked = false;
    bool remove_asked = false;
    bool removed = false;
    std::map<std::int32_t, Partition> partitions;
  };
  std::map<std::string, Topic> topics;
};

/// Runs operations on an engine and keeps the model.
class History {
 public:
  explicit History(SimulatedFileSystem& disk) : engine_(disk) {}

  void start() {
    ASSERT_TRUE(engine_.open());
    run(Op::create);
  }

  void run(Op op) {
    switch (op) {
      case Op::append:
        return append(0, {"a" + std::to_string(++number_), "b" + std::to_string(number_)});
      case Op::append_two_partitions:
        return append_both();
      case Op::roll: {
        // Larger than what is left of a 64 KiB segment once a few records are in it.
        append(0, {std::string(40'000, static_cast<char>('a' + number_++ % 26))});
        return append(0, {std::string(40'000, static_cast<char>('a' + number_++ % 26))});
      }
      case Op::trim:
        return trim();
      case Op::retention:
        return retention();
      case Op::create:
        return create();
      case Op::remove:
        return remove();
      case Op::snapshot:
        return engine_.runtime().advance(std::chrono::milliseconds(1100));
    }
  }

  Model& model() { return model_; }
  Engine& engine() { return engine_; }

 private:
  std::string topic() const { return "t" + std::to_string(topics_); }
  bool topic_exists() const { return topics_ > 0 && model_.topics.at(topic()).created && !model_.topics.at(topic()).removed; }

  void create() {
    ++topics_;
    Model::Topic& topic_model = model_.topics[topic()];
    topic_model.create_asked = true;
    const auto created = engine_.create(topic(), 2, {{"segment.bytes", "65536"}, {"retention.ms", "3600000"}, {"segment.ms", "600000"}});
    topic_model.created = created.has_value();
  }

  void remove() {
    if (!topic_exists()) return;
    Model::Topic& topic_model = model_.topics[topic()];
    topic_model.remove_asked = true;
    topic_model.removed = engine_.remove(topic()).has_value();
    engine_.runtime().run();
  }

  void append(std::int32_t partition, const std::vector<std::string>& values) {
    if (!topic_exists()) create();
    const auto appended = engine_.append(topic(), partition, values);
    if (!appended) return;
    Model::Partition& partition_model = model_.topics[topic()].partitions[partition];
    for (std::size_t i = 0; i < values.size(); ++i) {
      partition_model.acked[appended->base_offset.value + static_cast<std::int64_t>(i)] = values[i];
    }
  }

  /// Both partitions in one commit round.
  void append_both() {
    if (!topic_exists()) create();
    std::array<std::shared_ptr<std::optional<Result<broker::Appended>>>, 2> answers;
    std::array<std::string, 2> values;
    for (std::int32_t p = 0; p < 2; ++p) {
      const auto index = static_cast<std::size_t>(p);
      values[index] = "p" + std::to_string(p) + "-" + std::to_string(++number_);
      answers[index] = engine_.start<broker::Appended>([where = topic(), p, value = values[index]](broker::Broker& broker, auto done) {
        broker.append({}, {where, p}, batch_of({value}), std::move(done));
      });
    }
    engine_.runtime().run_until([&] { return answers[0]->has_value() && answers[1]->has_value(); });
    for (std::int32_t p = 0; p < 2; ++p) {
      const auto index = static_cast<std::size_t>(p);
      if (!*answers[index] || !**answers[index]) continue;
      model_.topics[topic()].partitions[p].acked[(**answers[index])->base_offset.value] = values[index];
    }
  }

  void trim() {
    if (!topic_exists()) return;
    Model::Partition& partition_model = model_.topics[topic()].partitions[0];
    if (partition_model.acked.empty()) return;
    const std::int64_t before = (partition_model.acked.rbegin()->first + partition_model.log_start_asked + 1) / 2;
    partition_model.log_start_asked = std::max(partition_model.log_start_asked, before);
    const auto trimmed = engine_.trim(topic(), 0, Offset{before});
    if (trimmed) partition_model.log_start_acked = std::max(partition_model.log_start_acked, trimmed->value);
    engine_.runtime().run();
  }

  /// Two hours pass: every sealed segment is past its retention.
  void retention() {
    for (auto& [name, topic_model] : model_.topics) {
      for (auto& [p, partition_model] : topic_model.partitions) {
        if (!partition_model.acked.empty()) partition_model.log_start_asked = partition_model.acked.rbegin()->first + 1;
      }
    }
    engine_.runtime().time().advance(std::chrono::hours(2));
    engine_.runtime().advance(std::chrono::milliseconds(31'000));
  }

  Engine engine_;
  Model model_;
  int topics_ = 0;
  int number_ = 0;
};

void check_partition(Engine& engine, const std::string& topic, std::int32_t p, const Model::Partition& model) {
  const auto earliest = engine.find(topic, p, broker::OffsetQuery::earliest);
  ASSERT_TRUE(earliest) << earliest.error().to_string();
  const std::int64_t start = earliest->offset.value;
  EXPECT_GE(start, model.log_start_acked) << topic << ":" << p << ": an acknowledged trim came undone";
  EXPECT_LE(start, std::max(model.log_start_asked, model.log_start_acked)) << topic << ":" << p << ": more was trimmed than asked";
  const auto records = engine.read_all(topic, p);
  ASSERT_TRUE(records) << topic << ":" << p << ": " << records.error().to_string();
  std::map<std::int64_t, std::string> stored;
  for (const Engine::ReadRecord& record : *records) stored[record.offset.value] = record.value;
  for (const auto& [offset, value] : model.acked) {
    if (offset < start) continue;
    ASSERT_TRUE(stored.contains(offset)) << topic << ":" << p << ": acknowledged offset " << offset << " is lost";
    ASSERT_EQ(stored[offset], value) << topic << ":" << p << ": offset " << offset << " changed";
  }
}

void check_image(Engine& engine, const Model& model) {
  const std::vector<std::string> names = engine.topics();
  const std::set<std::string> present(names.begin(), names.end());
  for (const auto& [topic, topic_model] : model.topics) {
    const bool there = present.contains(topic);
    if (topic_model.created && !topic_model.remove_asked) {
      ASSERT_TRUE(there) << topic << " was created and acknowledged";
    }
    if (topic_model.removed) {
      ASSERT_FALSE(there) << topic << " was deleted and acknowledged";
    }
    if (!there) continue;
    for (const auto& [p, partition_model] : topic_model.partitions) check_partition(engine, topic, p, partition_model);
  }
}

class CrashSuite : public testing::Test {
 protected:
  /// One history; images are taken at every call of its last operation.
  void explore(const std::vector<Op>& ops) {
    SimulatedFileSystem disk;
    History history(disk);
    history.start();
    for (std::size_t i = 0; i + 1 < ops.size(); ++i) history.run(ops[i]);
    const Op last = ops.back();
    disk.on_call([&](std::uint64_t call, std::string_view, const std::string&) {
      examine(disk.crash_clone(CrashPolicy::drop_all, 0), history.model(), last);
      examine(disk.crash_clone(CrashPolicy::keep_all, 0), history.model(), last);
      for (std::uint64_t variant = 0; variant < kRandomImages; ++variant) {
        examine(disk.crash_clone(CrashPolicy::random, seed_ * 1'000'003 + ++drawn_ * 7919 + call), history.model(), last);
      }
    });
    history.run(last);
    disk.on_call(nullptr);
    ASSERT_FALSE(history.engine().fatal()) << history.engine().fatal()->to_string();
    examine(disk.crash_clone(CrashPolicy::drop_all, 0), history.model(), last);
  }

  /// The broker starts twice on the image; both times everything promised is there, and the second time it takes records again.
  void examine(const std::unique_ptr<SimulatedFileSystem>& image, const Model& model, Op op) {
    if (HasFatalFailure()) return;
    ++images_;
    if (!seen_.insert(image->image_hash()).second) return;
    ++distinct_[op];
    for (int start = 0; start < 2; ++start) {
      Engine engine(*image);
      const Status opened = engine.open();
      ASSERT_TRUE(opened) << "the broker refused to start: " << opened.error().to_string();
      check_image(engine, model);
      if (HasFatalFailure()) return;
      if (start == 0) {
        engine.die();  // Whatever recovery wrote stays; the page cache survives a process.
        continue;
      }
      for (const std::string& topic : engine.topics()) {
        const auto appended = engine.append(topic, 0, {"after the crash"});
        ASSERT_TRUE(appended) << appended.error().to_string();
      }
    }
  }

  void report() const {
    std::uint64_t total = 0;
    for (const auto& [op, count] : distinct_) {
      std::printf("%-26s %8llu distinct images\n", name_of(op), static_cast<unsigned long long>(count));
      total += count;
    }
    std::printf("%-26s %8llu distinct images of %llu, each recovered twice (seed %llu)\n", "together",
                static_cast<unsigned long long>(total), static_cast<unsigned long long>(images_), static_cast<unsigned long long>(seed_));
  }

  static constexpr std::uint64_t kRandomImages = 8;
  std::uint64_t seed_ = std::getenv("TIDEMARK_SEED") != nullptr ? std::strtoull(std::getenv("TIDEMARK_SEED"), nullptr, 10) : 1;
  std::uint64_t drawn_ = 0;
  std::uint64_t images_ = 0;
  std::unordered_set<std::uint64_t> seen_;
  std::map<Op, std::uint64_t> distinct_;
};

TEST_F(CrashSuite, every_call_of_every_history_of_up_to_three_operations) {
  for (const Op a : kOps) {
    explore({a});
    if (HasFatalFailure()) return;
    for (const Op b : kOps) {
      explore({a, b});
      if (HasFatalFailure()) return;
      for (const Op c : kOps) {
        explore({a, b, c});
        if (HasFatalFailure()) return;
      }
    }
  }
  report();
  for (const Op op : kOps) EXPECT_GE(distinct_[op], 100u) << name_of(op) << " was hardly examined";
}

/// The long form: 4096 histories more.
TEST_F(CrashSuite, every_call_of_every_history_of_four_operations) {
  for (const Op a : kOps) {
    for (const Op b : kOps) {
      for (const Op c : kOps) {
        for (const Op d : kOps) {
          explore({a, b, c, d});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
  report();
  std::uint64_t total = 0;
  for (const Op op : kOps) {
    EXPECT_GE(distinct_[op], 1000u) << name_of(op) << " was hardly examined";
    total += distinct_[op];
  }
  EXPECT_GE(total, 50'000u);
}

}  // namespace
}  // namespace tidemark::simulation
