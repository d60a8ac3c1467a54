#include <algorithm>
#include <cstdio>
#include <set>

#include "tests/broker/transactions/transactions_fixture.h"

/// Random transactions of several producers over several partitions and a group, with restarts, power losses and calls that are cut off,
/// against a model that knows what each record and each offset belongs to.
///
/// Held against it: a reader of committed records sees every record of a committed transaction and of no transaction, in order, none of an
/// aborted or open one, and nothing behind the first open one; what was answered is there; offsets are those of committed transactions.
namespace tidemark::broker {
namespace {

constexpr std::size_t kOperations = 100'000;
constexpr std::int32_t kPartitions = 4;
constexpr int kProducers = 5;
constexpr std::chrono::milliseconds kTimeout = 30s;

enum class Fate { open, committed, aborted, unknown };

/// One transaction of a producer.
struct ModelTransaction {
  Fate fate = Fate::open;
  bool wants_commit = false;  ///< Fate unknown: what was asked for when the answer was cut off.
  std::set<std::int32_t> partitions;
  bool has_group = false;
  std::optional<std::int64_t> offset;        ///< Committed with it, answered.
  std::optional<std::int64_t> maybe_offset;  ///< Sent after that, not answered.
};

struct ModelProducer {
  std::string id;
  std::optional<ProducerIdentity> now;
  std::optional<ProducerIdentity> before;  ///< A zombie.
  std::map<std::int32_t, std::int32_t> sequences;
  std::optional<std::size_t> transaction;  ///< Its open one.
  std::set<std::int64_t> offsets{-1};      ///< What the group may have of it; -1: nothing.
};

class TransactionsModel : public testing::Test {
 protected:
  void SetUp() override {
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed_));
    for (int i = 0; i < kProducers; ++i) producers_.emplace_back().id = "p" + std::to_string(i);
    start_engine();
    ASSERT_TRUE(engine_->create("t", kPartitions));
  }

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  TransactionCalls calls() { return TransactionCalls(*engine_); }
  static NamedPartition where(std::int32_t partition) { return {"t", partition}; }
  ModelTransaction* open_of(ModelProducer& producer) { return producer.transaction ? &transactions_[*producer.transaction] : nullptr; }

  void start_engine() {
    engine_ = std::make_unique<Engine>(*disk_, Engine::Options{.seed = random_(), .shards = 2});
    if (wall_) engine_->set_wall_at_open(*wall_);
    const Status opened = engine_->open();
    ASSERT_TRUE(opened) << opened.error().to_string();
  }

  // --- Operations.

  void begin(ModelProducer& producer) {
    const Result<ProducerIdentity> identity = calls().begin(producer.id, kTimeout);
    ASSERT_TRUE(identity) << identity.error().to_string();
    if (ModelTransaction* const open = open_of(producer)) open->fate = Fate::aborted;
    producer.transaction.reset();
    producer.before = producer.now;
    producer.now = *identity;
    producer.sequences.clear();
  }

  void add(ModelProducer& producer) {
    const auto partition = static_cast<std::int32_t>(below(kPartitions));
    const Status added = calls().add(producer.id, *producer.now, {where(partition)});
    if (!added) return lost(producer, added.error());
    open(producer).partitions.insert(partition);
  }

  void add_group(ModelProducer& producer) {
    const Status added = calls().add_group(producer.id, *producer.now, "g");
    if (!added) return lost(producer, added.error());
    open(producer).has_group = true;
  }

  /// The transaction was open for too long: only then is a producer that did nothing wrong refused.
  void lost(ModelProducer& producer, const Error& error) {
    ASSERT_EQ(error.code, Errc::producer_fenced) << error.to_string();
    ASSERT_TRUE(timed_out_) << error.to_string();
    begin(producer);
  }

  ModelTransaction& open(ModelProducer& producer) {
    if (!producer.transaction) {
      producer.transaction = transactions_.size();
      transactions_.emplace_back();
    }
    return transactions_[*producer.transaction];
  }

  void append(ModelProducer& producer) {
    const auto partition = static_cast<std::int32_t>(below(kPartitions));
    const ModelTransaction* const open = open_of(producer);
    const bool joined = open != nullptr && open->partitions.contains(partition);
    std::vector<std::string> values = new_values(joined ? producer.transaction : std::nullopt);
    const std::int32_t sequence = producer.sequences[partition];
    const Result<Appended> appended = calls().append(where(partition), *producer.now, sequence, values);
    if (!joined) {
      ASSERT_FALSE(appended);
      const Errc code = appended.error().code;
      ASSERT_TRUE(code == Errc::invalid_transaction_state || code == Errc::stale_producer_epoch) << appended.error().to_string();
      return;
    }
    if (!appended && timed_out_) return lost_batch(producer, appended.error());
    ASSERT_TRUE(appended) << appended.error().to_string();
    producer.sequences[partition] = sequence + static_cast<std::int32_t>(values.size());
    for (std::string& value : values) answered_[static_cast<std::size_t>(partition)].insert(std::move(value));
  }

  void lost_batch(ModelProducer& producer, const Error& error) {
    ASSERT_TRUE(error.code == Errc::invalid_transaction_state || error.code == Errc::stale_producer_epoch) << error.to_string();
    begin(producer);
  }

  void append_as_zombie(ModelProducer& producer) {
    if (!producer.before) return;
    const auto partition = static_cast<std::int32_t>(below(kPartitions));
    const Result<Appended> appended = calls().append(where(partition), *producer.before, 1000, {"zombie"});
    ASSERT_FALSE(appended);
    const Status ended = calls().end(producer.id, *producer.before, true);
    ASSERT_FALSE(ended);
    ASSERT_EQ(ended.error().code, Errc::producer_fenced) << ended.error().to_string();
  }

  void append_plain() {
    const auto partition = static_cast<std::int32_t>(below(kPartitions));
    std::vector<std::string> values = new_values(std::nullopt);
    const Result<Appended> appended = engine_->append("t", partition, values);
    ASSERT_TRUE(appended) << appended.error().to_string();
    for (std::string& value : values) answered_[static_cast<std::size_t>(partition)].insert(std::move(value));
  }

  void commit_offset(ModelProducer& producer) {
    const auto own = static_cast<std::int32_t>(&producer - producers_.data()) % kPartitions;
    if (&producer - producers_.data() >= kPartitions) return;  // One producer per partition: so it is known whose offset it is.
    ModelTransaction* const open = open_of(producer);
    const std::int64_t offset = ++next_offset_;
    const Status committed = calls().commit_offset("g", *producer.now, where(own), offset);
    if (open == nullptr || !open->has_group) {
      ASSERT_FALSE(committed);
      return;
    }
    if (!committed && timed_out_) return lost_batch(producer, committed.error());
    ASSERT_TRUE(committed) << committed.error().to_string();
    open->offset = offset;
    open->maybe_offset.reset();
  }

  void end(ModelProducer& producer) {
    const bool commit = below(3) != 0;
    ModelTransaction* const open = open_of(producer);
    const Status ended = calls().end(producer.id, *producer.now, commit);
    if (open == nullptr) return;  // A repeated end, or nothing to end: the state machine's own test says which.
    if (!ended) return lost(producer, ended.error());
    finish(producer, commit);
  }

  void finish(ModelProducer& producer, bool commit) {
    ModelTransaction& done = transactions_[*producer.transaction];
    done.fate = commit ? Fate::committed : Fate::aborted;
    producer.transaction.reset();
    if (!commit) return;
    if (done.maybe_offset) {  // Either may count.
      if (done.offset) producer.offsets.clear();
      producer.offsets.insert(*done.maybe_offset);
    } else if (done.offset) {
      producer.offsets.clear();
    }
    if (done.offset) producer.offsets.insert(*done.offset);
  }

  /// Starts a call, runs a part of it, and then the process dies or the power fails.
  void cut_off() {
    ModelProducer& producer = producers_[below(producers_.size())];
    const std::size_t kind = below(4);
    const auto partition = static_cast<std::int32_t>(below(kPartitions));
    ModelTransaction* const open = open_of(producer);
    if (producer.now && open != nullptr && kind == 0) {
      const bool commit = below(3) != 0;
      calls().start_end(producer.id, *producer.now, commit);
      open->fate = Fate::unknown;
      open->wants_commit = commit;
    } else if (producer.now && open != nullptr && kind == 1 && open->partitions.contains(partition)) {
      calls().start_append(where(partition), *producer.now, producer.sequences[partition], new_values(producer.transaction));
    } else if (producer.now && open != nullptr && kind == 2 && open->has_group && &producer - producers_.data() < kPartitions) {
      const std::int64_t offset = ++next_offset_;
      calls().start_commit_offset("g", *producer.now, where(static_cast<std::int32_t>(&producer - producers_.data())), offset);
      open->maybe_offset = offset;
    } else {
      calls().start_begin(producer.id, kTimeout);
    }
    const std::size_t steps = below(60);
    for (std::size_t i = 0; i < steps && engine_->runtime().step(); ++i) {
    }
    restart(below(2) == 0 ? CrashPolicy::random : CrashPolicy::drop_all);
  }

  void restart(std::optional<CrashPolicy> crash) {
    wall_ = engine_->runtime().clock().now();
    if (crash) {
      std::unique_ptr<SimulatedFileSystem> left = disk_->crash_clone(*crash, random_());
      engine_->die();
      engine_.reset();
      disk_ = std::move(left);
    } else {
      const Status stopped = engine_->stop();
      ASSERT_TRUE(stopped) << stopped.error().to_string();
      engine_.reset();
    }
    start_engine();
    if (HasFatalFailure()) return;
    engine_->runtime().run();
    for (ModelProducer& producer : producers_) come_to_know(producer);
    // Sequences of batches whose answers were lost are not known: every producer begins anew, some at once and some when they meet it.
    for (ModelProducer& producer : producers_) {
      if (crash && producer.now && !HasFatalFailure()) begin(producer);
    }
  }

  /// What became of the transaction whose end was cut off.
  void come_to_know(ModelProducer& producer) {
    ModelTransaction* const open = open_of(producer);
    if (open == nullptr || open->fate != Fate::unknown) return;
    const Result<TransactionInfo> info = calls().describe(producer.id);
    ASSERT_TRUE(info) << info.error().to_string();
    if (info->state == TransactionState::ongoing) {
      open->fate = Fate::open;
      return;
    }
    ASSERT_EQ(info->state, open->wants_commit ? TransactionState::complete_commit : TransactionState::complete_abort);
    finish(producer, open->wants_commit);
  }

  void wait_too_long() {
    engine_->runtime().advance(kTimeout + 1s);
    for (ModelProducer& producer : producers_) {
      ModelTransaction* const open = open_of(producer);
      if (open == nullptr) continue;
      open->fate = Fate::aborted;
      timed_out_ = true;
      // The producer hears of it by being refused.
      const Status ended = calls().end(producer.id, *producer.now, true);
      ASSERT_FALSE(ended);
      ASSERT_EQ(ended.error().code, Errc::producer_fenced);
      producer.transaction.reset();
      begin(producer);
    }
    timed_out_ = false;
  }

  // --- Values: "number/transaction", so that a record says what it belongs to.

  std::vector<std::string> new_values(std::optional<std::size_t> transaction) {
    std::vector<std::string> values(1 + below(3));
    for (std::string& value : values) {
      value = std::to_string(++next_value_) + "/" + (transaction ? std::to_string(*transaction) : std::string("plain"));
    }
    return values;
  }

  Fate fate_of(const std::string& value) const {
    const std::string owner = value.substr(value.find('/') + 1);
    return owner == "plain" ? Fate::committed : transactions_.at(std::stoul(owner)).fate;
  }

  // --- Checks.

  void check_partition(std::int32_t partition) {
    const auto raw = calls().read(where(partition), Isolation::uncommitted);
    const auto committed = calls().read(where(partition), Isolation::committed);
    const auto marked = calls().read(where(partition), Isolation::committed_marked);
    std::vector<std::string> expected;
    std::vector<std::string> stable;
    bool open_seen = false;
    for (const std::string& value : raw.values) {
      const Fate fate = fate_of(value);
      open_seen = open_seen || fate == Fate::open;
      if (open_seen) continue;
      stable.push_back(value);
      if (fate == Fate::committed) expected.push_back(value);
    }
    ASSERT_EQ(committed.values, expected);
    ASSERT_EQ(marked.values, stable);
    ASSERT_EQ(committed.next, committed.last_stable);
    ASSERT_EQ(committed.next == raw.next, !open_seen);
    std::map<std::int64_t, Offset> firsts;
    for (const AbortedTransaction& aborted : marked.aborted) {
      const auto known = firsts.find(aborted.producer_id);
      if (known != firsts.end()) ASSERT_GE(aborted.first, known->second);  // One may be in two answers.
      firsts[aborted.producer_id] = aborted.first;
    }
    std::set<std::string>& answered = answered_[static_cast<std::size_t>(partition)];
    const std::set<std::string> there(raw.values.begin(), raw.values.end());
    ASSERT_EQ(there.size(), raw.values.size()) << "a record is there twice";
    for (const std::string& value : answered) ASSERT_TRUE(there.contains(value)) << value << " was answered and is lost";
    checked_ += raw.values.size();
    // Keeps the next check short, and the log start moving.
    if (below(3) != 0) return;
    ASSERT_TRUE(engine_->trim("t", partition, committed.last_stable));
    for (const std::string& value : stable) answered.erase(value);
  }

  void check_offsets() {
    for (std::int32_t i = 0; i < kPartitions; ++i) {
      ModelProducer& producer = producers_[static_cast<std::size_t>(i)];
      const auto seen = calls().committed("g", where(i));
      const std::int64_t offset = seen && seen->committed ? seen->committed->offset.value : -1;
      ASSERT_TRUE(producer.offsets.contains(offset)) << "offset " << offset << " of producer " << i;
      producer.offsets = {offset};
      const ModelTransaction* const open = open_of(producer);
      if (open != nullptr && open->offset) ASSERT_TRUE(seen && seen->unstable);
      if (open == nullptr && seen) ASSERT_FALSE(seen->unstable);
    }
  }

  void operate() {
    ModelProducer& producer = producers_[below(producers_.size())];
    const std::size_t kind = below(1000);
    if (!producer.now || kind < 10) return begin(producer);
    if (kind < 200) return add(producer);
    if (kind < 230) return add_group(producer);
    if (kind < 550) return append(producer);
    if (kind < 600) return append_plain();
    if (kind < 620) return append_as_zombie(producer);
    if (kind < 700) return commit_offset(producer);
    if (kind < 990) return end(producer);
    if (kind < 993) return restart(std::nullopt);
    if (kind < 999) return cut_off();
    wait_too_long();
  }

  const std::uint64_t seed_ = test_seed();
  Random random_{seed_};
  std::unique_ptr<SimulatedFileSystem> disk_ = std::make_unique<SimulatedFileSystem>();
  std::unique_ptr<Engine> engine_;
  std::optional<Timestamp> wall_;
  std::vector<ModelProducer> producers_;
  std::vector<ModelTransaction> transactions_;
  std::vector<std::set<std::string>> answered_{kPartitions};
  std::uint64_t next_value_ = 0;
  std::int64_t next_offset_ = 0;
  bool timed_out_ = false;
  std::uint64_t checked_ = 0;
};

TEST_F(TransactionsModel, readers_see_committed_transactions_and_nothing_else) {
  for (std::size_t i = 0; i < kOperations; ++i) {
    SCOPED_TRACE("operation " + std::to_string(i));
    operate();
    if (HasFatalFailure()) return;
    if (i % 100 == 99) {
      for (std::int32_t partition = 0; partition < kPartitions && !HasFatalFailure(); ++partition) check_partition(partition);
      if (!HasFatalFailure()) check_offsets();
    }
    if (HasFatalFailure()) return;
  }
  const auto of_fate = [this](Fate fate) { return std::ranges::count(transactions_, fate, &ModelTransaction::fate); };
  std::printf("%zu transactions: %td committed, %td aborted; %llu records compared\n", transactions_.size(), of_fate(Fate::committed),
              of_fate(Fate::aborted), static_cast<unsigned long long>(checked_));
  EXPECT_GT(of_fate(Fate::committed), 1000);
  EXPECT_GT(of_fate(Fate::aborted), 500);
}

}  // namespace
}  // namespace tidemark::broker
