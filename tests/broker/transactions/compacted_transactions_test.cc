#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/broker/transactions/transactions_fixture.h"

/// Compaction of what transactions wrote: committed values are kept, aborted ones go, and no reader loses or sees too much meanwhile.
namespace tidemark::broker {
namespace {

using Pair = std::pair<std::string, std::string>;

class CompactedTransactions : public testing::Test {
 protected:
  struct Producer {
    ProducerIdentity identity;
    std::int32_t sequence = 0;
  };

  void SetUp() override {
    ASSERT_TRUE(engine_.open());
    const auto made = engine_.create("t", 1,
                                     {{"cleanup.policy", "compact"},
                                      {"segment.bytes", "65536"},
                                      {"delete.retention.ms", "1h"},
                                      {"dedup.window.ms", "0"},
                                      {"min.cleanable.dirty.ratio", "0"}});
    ASSERT_TRUE(made) << made.error().to_string();
  }
  TransactionCalls calls() { return TransactionCalls(engine_); }

  /// The transactional id's producer takes the partition into a new transaction.
  Producer& begin(const std::string& id) {
    if (!producers_.contains(id)) {
      const Result<ProducerIdentity> identity = calls().begin(id, 15min);
      EXPECT_TRUE(identity) << identity.error().to_string();
      if (identity) producers_[id] = {*identity, 0};
    }
    Status added = calls().add(id, producers_[id].identity, {{"t", 0}});
    // After a crash the one before may still be on its way to its partitions.
    while (!added && added.error().code == Errc::concurrent_transactions) {
      engine_.runtime().advance(10ms);
      added = calls().add(id, producers_[id].identity, {{"t", 0}});
    }
    EXPECT_TRUE(added) << added.error().to_string();
    return producers_[id];
  }
  void write(Producer& producer, const std::vector<Pair>& pairs) {
    BatchBuilder builder({.producer_id = producer.identity.id,
                          .producer_epoch = producer.identity.epoch,
                          .base_sequence = producer.sequence,
                          .transactional = true});
    for (const auto& [key, value] : pairs) {
      builder.add({.key = as_bytes(key), .value = as_bytes(value), .timestamp_ms = 1'700'000'000'000, .headers = {}});
    }
    producer.sequence += static_cast<std::int32_t>(pairs.size());
    const Result<Appended> appended = engine_.append_batch("t", 0, builder.build());
    ASSERT_TRUE(appended) << appended.error().to_string();
  }
  void end(const std::string& id, bool commit) {
    const Status ended = calls().end(id, producers_[id].identity, commit);
    ASSERT_TRUE(ended) << ended.error().to_string();
  }
  void transaction(const std::string& id, bool commit, const std::vector<Pair>& pairs) {
    write(begin(id), pairs);
    end(id, commit);
  }
  void put(const std::string& key, const std::string& value) {
    BatchBuilder builder;
    builder.add({.key = as_bytes(key), .value = as_bytes(value), .timestamp_ms = 1'700'000'000'000, .headers = {}});
    const Result<Appended> appended = engine_.append_batch("t", 0, builder.build());
    ASSERT_TRUE(appended) << appended.error().to_string();
  }
  /// Fills about two segments, so that what lies before can be compacted, and gives it the time.
  void let_it_compact() {
    for (int i = 0; i < 32; ++i) put("filler", std::string(4096, 'f'));
    engine_.runtime().advance(2min);
    EXPECT_FALSE(engine_.fatal());
  }
  void crash() {
    engine_.set_wall_at_open(engine_.runtime().clock().now());
    engine_.die();
    ASSERT_TRUE(engine_.open());
  }

  struct Seen {
    std::vector<Pair> records;  ///< In order; without the filler.
    std::size_t markers = 0;
    std::size_t listed = 0;  ///< Aborted transactions that were named.
    bool operator==(const Seen&) const = default;
  };
  /// What a client gets that leaves out aborted records itself, as Kafka's do: from the first offset named for a producer on, until its
  /// abort marker comes.
  Seen as_client(Isolation isolation) {
    Seen seen;
    std::set<std::int64_t> aborting;
    for (Offset at{0};;) {
      ReadRequest request;
      request.isolation = isolation;
      request.bytes_max = 16'384;
      const Result<ReadReply> reply = engine_.read("t", 0, at, request);
      EXPECT_TRUE(reply) << reply.error().to_string();
      if (!reply || reply->next == at) return seen;
      seen.listed += reply->aborted.size();
      std::vector<AbortedTransaction> named = reply->aborted;
      for (const Slice& slice : reply->batches) {
        for (ByteView rest = slice.view(); !rest.empty();) {
          const Result<BatchHeader> header = BatchHeader::parse(rest);
          EXPECT_TRUE(header);
          if (!header) return seen;
          take(*header, rest.first(header->size_bytes()), named, aborting, seen);
          rest = rest.subspan(header->size_bytes());
        }
      }
      at = reply->next;
    }
  }
  static std::map<std::string, std::string> last_of(const Seen& seen) {
    std::map<std::string, std::string> last;
    for (const auto& [key, value] : seen.records) last[key] = value;
    return last;
  }
  std::vector<Pair> committed() { return as_client(Isolation::committed).records; }

  SimulatedFileSystem disk_;
  Engine engine_{disk_};
  std::map<std::string, Producer> producers_;

 private:
  static void take(const BatchHeader& header, ByteView batch, std::vector<AbortedTransaction>& named, std::set<std::int64_t>& aborting,
                   Seen& seen) {
    std::erase_if(named, [&](const AbortedTransaction& one) {
      if (one.first >= header.end_offset()) return false;
      aborting.insert(one.producer_id);
      return true;
    });
    if (header.is_control()) {
      ++seen.markers;
      if (marker_commits(batch) == false) aborting.erase(header.producer_id);
      return;
    }
    if (header.is_transactional() && aborting.contains(header.producer_id)) return;
    Result<BatchReader> reader = BatchReader::open(batch);
    ASSERT_TRUE(reader);
    RecordView record;
    for (;;) {
      const Result<bool> more = reader->next(record);
      ASSERT_TRUE(more);
      if (!*more) return;
      std::string key = tidemark::to_string(*record.key);
      if (key != "filler") seen.records.emplace_back(std::move(key), tidemark::to_string(*record.value));
    }
  }
};

TEST_F(CompactedTransactions, aborted_records_replace_nothing_and_leave_the_disk) {
  put("a", "old");
  transaction("x", false, {{"a", "aborted"}, {"b", "aborted"}});
  transaction("y", true, {{"c", "first"}});
  transaction("y", true, {{"c", "second"}});
  let_it_compact();
  const std::vector<Pair> expected = {{"a", "old"}, {"c", "second"}};
  EXPECT_EQ(committed(), expected);
  EXPECT_EQ(as_client(Isolation::uncommitted).records, expected);
  EXPECT_EQ(as_client(Isolation::committed_marked).records, expected);
  crash();
  EXPECT_EQ(committed(), expected);
}

TEST_F(CompactedTransactions, nothing_behind_an_open_transaction_is_touched) {
  Producer& producer = begin("x");
  write(producer, {{"a", "open"}});
  put("b", "1");
  put("b", "2");
  let_it_compact();
  const std::vector<Pair> all = {{"a", "open"}, {"b", "1"}, {"b", "2"}};
  EXPECT_EQ(as_client(Isolation::uncommitted).records, all);
  EXPECT_TRUE(committed().empty());
  end("x", true);
  let_it_compact();
  const std::vector<Pair> expected = {{"a", "open"}, {"b", "2"}};
  EXPECT_EQ(committed(), expected);
}

TEST_F(CompactedTransactions, markers_go_after_their_records_and_later_transactions_stay_readable) {
  transaction("x", false, {{"a", "aborted"}});
  transaction("x", true, {{"a", "kept"}});
  transaction("x", true, {{"b", "replaced"}});
  put("b", "kept");
  EXPECT_EQ(as_client(Isolation::committed_marked).listed, 1u);
  let_it_compact();
  const std::vector<Pair> expected = {{"a", "kept"}, {"b", "kept"}};
  const Seen compacted = as_client(Isolation::committed_marked);
  EXPECT_EQ(compacted.records, expected);
  EXPECT_EQ(compacted.listed, 0u);
  EXPECT_EQ(compacted.markers, 3u);
  let_it_compact();  // Sets the horizon of the aborted one's marker.
  engine_.runtime().advance(2h);
  let_it_compact();
  const Seen later = as_client(Isolation::committed_marked);
  EXPECT_EQ(later.records, expected);
  EXPECT_EQ(later.markers, 1u);  // Of the transaction whose record is still there.
  crash();
  EXPECT_EQ(as_client(Isolation::committed_marked), later);
  transaction("x", true, {{"c", "goes on"}});
  EXPECT_EQ(committed().back(), Pair("c", "goes on"));
}

TEST_F(CompactedTransactions, random_histories_keep_the_last_committed_values) {
  const std::uint64_t seed = test_seed();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("TIDEMARK_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  struct Written {
    Pair pair;
    std::string open_in;  ///< The transaction's id while it is open.
  };
  std::vector<Written> history;  ///< Without what was aborted.
  std::set<std::string> open;
  const auto finish = [&](const std::string& id, bool commit) {
    end(id, commit);
    open.erase(id);
    if (!commit) std::erase_if(history, [&](const Written& one) { return one.open_in == id; });
    for (Written& one : history) {
      if (one.open_in == id) one.open_in.clear();
    }
  };
  for (int round = 1; round <= 2000; ++round) {
    const std::string id = "id" + std::to_string(random() % 4);
    const Pair pair{"k" + std::to_string(random() % 12), std::to_string(round) + std::string(random() % 3000, 'v')};
    const std::uint64_t dice = random() % 100;
    if (dice < 40) {
      write(open.insert(id).second ? begin(id) : producers_[id], {pair});
      history.push_back({pair, id});
    } else if (dice < 65) {
      if (open.contains(id)) finish(id, random() % 2 == 0);
    } else if (dice < 85) {
      put(pair.first, pair.second);
      history.push_back({pair, ""});
    } else if (dice < 98) {
      engine_.runtime().advance(std::chrono::seconds(random() % 30));
    } else {
      crash();
    }
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_FALSE(engine_.fatal());
    if (round % 100 != 0) continue;
    for (const std::string& left : std::set<std::string>(open)) finish(left, true);
    let_it_compact();
    std::map<std::string, std::string> expected;
    for (const Written& one : history) expected[one.pair.first] = one.pair.second;
    const Seen committed = as_client(Isolation::committed);
    ASSERT_EQ(last_of(committed), expected) << "round " << round;
    ASSERT_EQ(as_client(Isolation::committed_marked).records, committed.records) << "round " << round;
    // What lies in the segment being filled is not compacted yet.
    ASSERT_LT(as_client(Isolation::uncommitted).records.size(), 200u) << "round " << round;
  }
}

}  // namespace
}  // namespace tidemark::broker
