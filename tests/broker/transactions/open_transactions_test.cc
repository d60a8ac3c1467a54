#include "broker/transactions/open_transactions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

BatchHeader data(std::int64_t producer, std::int16_t epoch, std::int64_t base) {
  BatchHeader header;
  header.base_offset = Offset{base};
  header.producer_id = producer;
  header.producer_epoch = epoch;
  header.attributes = 16;
  header.record_count = 1;
  return header;
}

BatchHeader marker(std::int64_t producer, std::int16_t epoch, std::int64_t base) {
  BatchHeader header = data(producer, epoch, base);
  header.attributes |= 32;
  return header;
}

Offset at(std::int64_t offset) { return Offset{offset}; }

/// Producers append at offsets given by hand; what is appended is flushed unless a test says otherwise.
class OpenTransactionsTest : public testing::Test {
 protected:
  void append(std::int64_t producer, std::int64_t base) { all.appended(data(producer, 0, base), at(base)); }
  void end(std::int64_t producer, std::int64_t base, bool commit) { all.appended(marker(producer, 0, base), at(base), commit); }
  Offset stable(std::int64_t high_watermark) const { return all.last_stable(at(0), at(high_watermark)); }
  std::vector<Offset> aborted_firsts(std::int64_t from, std::int64_t to) const {
    std::vector<Offset> firsts;
    for (const AbortedTransaction& one : all.aborted_in(at(from), at(to))) firsts.push_back(one.first);
    return firsts;
  }

  OpenTransactions all;
};

TEST_F(OpenTransactionsTest, takes_batches_of_admitted_producers_only) {
  EXPECT_EQ(all.check(data(1, 0, 0)).error().code, Errc::invalid_transaction_state);
  all.admit({1, 0});
  EXPECT_TRUE(all.check(data(1, 0, 0)));
  EXPECT_EQ(all.check(data(2, 0, 0)).error().code, Errc::invalid_transaction_state);
  append(1, 0);
  end(1, 1, true);
  EXPECT_EQ(all.check(data(1, 0, 2)).error().code, Errc::invalid_transaction_state);  // A late batch of the same epoch.
}

TEST_F(OpenTransactionsTest, an_older_epoch_is_fenced_and_a_newer_one_was_not_admitted) {
  all.admit({1, 3});
  EXPECT_EQ(all.check(data(1, 2, 0)).error().code, Errc::stale_producer_epoch);
  EXPECT_EQ(all.check(data(1, 4, 0)).error().code, Errc::invalid_transaction_state);
}

TEST_F(OpenTransactionsTest, other_batches_of_the_producer_stay_outside_its_transaction) {
  BatchHeader plain = data(1, 0, 0);
  plain.attributes = 0;
  EXPECT_TRUE(all.check(plain));
  all.admit({1, 0});
  append(1, 0);
  EXPECT_EQ(all.check(plain).error().code, Errc::invalid_transaction_state);
}

TEST_F(OpenTransactionsTest, the_last_stable_offset_is_the_first_open_one_until_its_marker_is_flushed) {
  EXPECT_EQ(stable(5), at(5));
  append(1, 5);
  append(2, 7);
  EXPECT_EQ(stable(5), at(5));
  EXPECT_EQ(stable(9), at(5));
  end(1, 9, true);
  EXPECT_EQ(stable(9), at(5));  // The marker is staged only.
  all.flushed(at(9));
  EXPECT_EQ(stable(9), at(5));
  all.flushed(at(10));
  EXPECT_EQ(stable(10), at(7));
  end(2, 10, false);
  all.flushed(at(11));
  EXPECT_EQ(stable(11), at(11));
}

TEST_F(OpenTransactionsTest, the_last_stable_offset_is_never_below_the_log_start) {
  append(1, 5);
  EXPECT_EQ(all.last_stable(at(8), at(10)), at(8));
}

TEST_F(OpenTransactionsTest, lists_the_aborted_ones_that_overlap_ascending) {
  append(1, 0);
  append(2, 2);
  end(2, 4, false);  // 2..4, while 1 is open
  append(2, 5);
  end(1, 7, false);  // 0..7
  end(2, 8, true);
  append(1, 9);
  end(1, 11, false);  // 9..11
  all.flushed(at(12));
  EXPECT_THAT(aborted_firsts(0, 12), ElementsAre(at(0), at(2), at(9)));
  EXPECT_THAT(aborted_firsts(5, 9), ElementsAre(at(0)));
  EXPECT_THAT(aborted_firsts(8, 12), ElementsAre(at(9)));
  EXPECT_THAT(aborted_firsts(8, 9), IsEmpty());
  EXPECT_THAT(aborted_firsts(0, 1), ElementsAre(at(0)));
  all.forget_aborted_before(at(5));
  EXPECT_THAT(aborted_firsts(0, 12), ElementsAre(at(0), at(9)));
}

TEST_F(OpenTransactionsTest, a_snapshot_is_the_flushed_view_and_recovery_goes_on_from_it) {
  append(1, 0);
  append(2, 2);
  end(2, 4, false);
  append(3, 5);
  end(1, 6, false);
  all.flushed(at(6));  // The second marker is not.
  const OpenTransactions::Snapshot snapshot = all.snapshot(at(6));
  EXPECT_THAT(snapshot.open, ElementsAre(OpenTransaction{{1, 0}, at(0)}, OpenTransaction{{3, 0}, at(5)}));
  ASSERT_EQ(snapshot.aborted.size(), 1u);
  EXPECT_EQ(snapshot.aborted[0].first, at(2));

  OpenTransactions again;
  again.restore(snapshot);
  Slice batch = build_control_batch(1, 0, false, 7, Timestamp(std::chrono::milliseconds(1)));
  patch_batch(batch.writable(), at(6), 0);
  again.recovered(*BatchHeader::parse(batch.view()), batch.view());
  EXPECT_EQ(again.last_stable(at(0), at(7)), at(5));
  const std::vector<AbortedTransaction> aborted = again.aborted_in(at(0), at(5));
  ASSERT_EQ(aborted.size(), 2u);
  EXPECT_EQ(aborted[0].first, at(0));
  EXPECT_EQ(aborted[0].marker, at(6));
}

TEST_F(OpenTransactionsTest, forgets_what_did_not_survive) {
  append(1, 0);
  append(2, 2);
  end(2, 4, false);
  append(3, 5);
  all.flushed(at(6));
  all.cut(at(4));
  EXPECT_EQ(stable(4), at(0));
  EXPECT_THAT(aborted_firsts(0, 6), IsEmpty());
  EXPECT_FALSE(all.is_open(3));
}

TEST_F(OpenTransactionsTest, bounds_what_is_open) {
  for (std::size_t i = 0; i < OpenTransactions::kOpenMax; ++i) append(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i));
  all.admit({1'000'000, 0});
  EXPECT_EQ(all.check(data(1'000'000, 0, 0)).error().code, Errc::overloaded);
  all.admit({5, 0});
  EXPECT_TRUE(all.check(data(5, 0, 0)));  // An open one goes on.
}

TEST(Markers, say_commit_or_abort) {
  const Timestamp time(std::chrono::milliseconds(1));
  EXPECT_EQ(marker_commits(build_control_batch(1, 0, true, 0, time).view()), true);
  EXPECT_EQ(marker_commits(build_control_batch(1, 0, false, 0, time).view()), false);
  BatchBuilder builder;
  builder.add({.key = std::nullopt, .value = std::nullopt, .timestamp_ms = 1, .headers = {}});
  EXPECT_EQ(marker_commits(builder.build().view()), std::nullopt);
}

TEST(CommittedOnly, drops_markers_and_aborted_batches_and_keeps_the_rest_in_place) {
  ByteVector bytes;
  std::vector<std::size_t> sizes;
  std::int64_t offset = 0;
  const auto add = [&](Slice batch) {
    patch_batch(batch.writable(), at(offset++), 0);
    bytes.insert(bytes.end(), batch.view().begin(), batch.view().end());
    sizes.push_back(batch.size());
  };
  const auto batch_by = [](std::int64_t producer) {
    BatchBuilder builder({.producer_id = producer, .producer_epoch = 0, .base_sequence = 0, .transactional = true});
    builder.add({.key = std::nullopt, .value = as_bytes("v"), .timestamp_ms = 1, .headers = {}});
    return builder.build();
  };
  add(batch_by(1));
  add(batch_by(2));
  add(batch_by(1));
  add(build_control_batch(1, 0, false, 0, Timestamp(std::chrono::milliseconds(1))));
  add(batch_by(1));
  const std::vector<AbortedTransaction> aborted{{1, at(0), at(3), at(4)}};
  const std::vector<Slice> kept = committed_only({Slice::copy_of(bytes)}, aborted);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(BatchHeader::parse(kept[0].view())->base_offset, at(1));
  EXPECT_EQ(kept[0].size(), sizes[1]);
  EXPECT_EQ(BatchHeader::parse(kept[1].view())->base_offset, at(4));
  EXPECT_EQ(kept[1].size(), sizes[4]);
}

}  // namespace
}  // namespace tidemark::broker
