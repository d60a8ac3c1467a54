#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_set>

#include <gtest/gtest.h>

#include "storage/base/bytes.h"
#include "storage/base/crc32c.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"
#include "storage/base/uuid.h"

namespace tidemark {
namespace {

Result<int> half_of(int number) {
  if (number % 2 != 0) return Error{Errc::invalid_argument, "odd"};
  return number / 2;
}

TEST(Result, holds_a_value_or_an_error) {
  const Result<int> half = half_of(8);
  ASSERT_TRUE(half);
  EXPECT_EQ(*half, 4);
  const Result<int> none = half_of(7);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error(), (Error{Errc::invalid_argument, "odd"}));
  EXPECT_EQ(none.value_or(-1), -1);
  EXPECT_EQ(half.value_or(-1), 4);
}

TEST(Result, is_an_error_by_default_and_a_status_is_not) {
  const Result<int> result;
  EXPECT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Errc::internal);
  EXPECT_TRUE(Status());
}

TEST(Result, gives_away_values_that_only_move) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(3));
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 3);
}

TEST(ResultDeathTest, asking_for_what_is_not_there_ends_the_process) {
  const Result<int> none = half_of(7);
  EXPECT_DEATH(static_cast<void>(*none), "CHECK failed");
  const Result<int> half = half_of(8);
  EXPECT_DEATH(static_cast<void>(half.error()), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(Status().error()), "CHECK failed");
}

TEST(Error, every_code_has_a_name_of_its_own) {
  std::set<std::string_view> names;
  std::uint32_t number = 1;
  for (; errc_from_number(number); ++number) {
    const std::string_view name = to_string(*errc_from_number(number));
    EXPECT_NE(name, "");
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(number, static_cast<std::uint32_t>(Errc::concurrent_transactions) + 1);  // The last code.
  EXPECT_EQ(to_string(Errc::queue_full), "queue_full");
  EXPECT_EQ(to_string(Errc::corrupt_batch), "corrupt_batch");
  EXPECT_EQ(errc_from_number(0), std::nullopt);
  EXPECT_EQ(errc_from_number(65'536 + 3), std::nullopt);
}

TEST(Error, reads_as_a_sentence_and_knows_what_to_do_next) {
  EXPECT_EQ((Error{Errc::disk_full, "no space in /data"}).to_string(), "disk_full: no space in /data");
  EXPECT_EQ((Error{Errc::timed_out, ""}).to_string(), "timed_out");
  EXPECT_TRUE((Error{Errc::disk_full, ""}).retriable());
  EXPECT_FALSE((Error{Errc::corrupt_batch, ""}).retriable());
  EXPECT_TRUE((Error{Errc::stale_producer_epoch, ""}).fatal());
  EXPECT_FALSE((Error{Errc::disk_full, ""}).fatal());
}

TEST(Bytes, fields_are_stored_in_the_order_asked_for) {
  std::array<std::byte, 4> bytes{};
  store_be<std::uint32_t>(bytes.data(), 0x01020304);
  EXPECT_EQ(bytes[0], std::byte{1});
  EXPECT_EQ(load_be<std::uint32_t>(bytes.data()), 0x01020304U);
  EXPECT_EQ(load_le<std::uint32_t>(bytes.data()), 0x04030201U);
  store_le<std::int16_t>(bytes.data(), -2);
  EXPECT_EQ(bytes[0], std::byte{0xfe});
  EXPECT_EQ(load_le<std::int16_t>(bytes.data()), -2);
  EXPECT_EQ(load_be<std::int8_t>(bytes.data()), -2);
}

TEST(Slice, pieces_share_the_buffer_and_keep_it_alive) {
  Slice piece;
  {
    const Slice whole = Slice::copy_of(as_bytes("abcdef"));
    piece = whole.subslice(2, 3);
    whole.writable()[2] = std::byte{'C'};
  }
  EXPECT_EQ(as_text(piece.view()), "Cde");
  EXPECT_TRUE(piece.subslice(3, 0).empty());
  EXPECT_TRUE(Slice::copy_of({}).empty());
  EXPECT_EQ(Slice::allocate(5).size(), 5U);
}

TEST(SliceDeathTest, a_piece_beyond_the_end_ends_the_process) {
  const Slice slice = Slice::copy_of(as_bytes("abc"));
  EXPECT_DEATH(static_cast<void>(slice.subslice(4, 0)), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(slice.subslice(2, 2)), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(slice.subslice(1, SIZE_MAX)), "CHECK failed");
}

TEST(Crc32c, has_the_check_value_of_the_castagnoli_polynomial) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c({}), 0U);
  EXPECT_EQ(crc32c(ByteVector(32)), 0x8a9136aaU);  // RFC 3720, appendix B.4: 32 bytes of zeroes.
}

TEST(Crc32c, goes_on_where_a_piece_ended) {
  const std::string text = "The quick brown fox jumps over the lazy dog";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const ByteView bytes = as_bytes(text);
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(bytes));
  }
}

TEST(Uuid, reads_back_what_it_prints) {
  const std::string text = "6f1c0d6e-6c0b-4f3a-9d2e-0123456789ab";
  const std::optional<Uuid> id = Uuid::parse(text);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->to_string(), text);
  EXPECT_EQ(id->bytes[0], 0x6f);
  EXPECT_EQ(id->bytes[15], 0xab);
  EXPECT_FALSE(id->is_nil());
  EXPECT_TRUE(Uuid().is_nil());
}

TEST(Uuid, refuses_every_other_spelling) {
  for (const char* const text :
       {"", "6f1c0d6e-6c0b-4f3a-9d2e-0123456789a", "6f1c0d6e-6c0b-4f3a-9d2e-0123456789abc", "6F1C0D6E-6C0B-4F3A-9D2E-0123456789AB",
        "6f1c0d6e06c0b-4f3a-9d2e-0123456789ab", "6f1c0d6-e6c0b-4f3a-9d2e-0123456789ab", "6f1c0d6e-6c0b-4f3a-9d2e-0123456789ag",
        "{f1c0d6e-6c0b-4f3a-9d2e-0123456789a}"})
    EXPECT_EQ(Uuid::parse(text), std::nullopt) << text;
}

TEST(Uuid, random_ones_are_version_4_and_differ) {
  std::mt19937_64 random(1);
  std::unordered_set<Uuid> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t high = random();
    const Uuid id = Uuid::from_random(high, random());
    EXPECT_EQ(id.to_string()[14], '4');
    EXPECT_NE(std::string_view("89ab").find(id.to_string()[19]), std::string_view::npos);
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(UniqueFunction, holds_a_callable_that_only_moves) {
  UniqueFunction<int(int)> add = [base = std::make_unique<int>(40)](int more) { return *base + more; };
  ASSERT_TRUE(add);
  EXPECT_EQ(add(2), 42);
  UniqueFunction<int(int)> moved = std::move(add);
  EXPECT_EQ(moved(3), 43);
  EXPECT_FALSE(add);  // NOLINT: what a move leaves is part of the contract.
}

TEST(UniqueFunction, keeps_state_between_calls_and_passes_arguments_that_only_move) {
  UniqueFunction<int(std::unique_ptr<int>)> sum = [total = 0](std::unique_ptr<int> more) mutable { return total += *more; };
  EXPECT_EQ(sum(std::make_unique<int>(2)), 2);
  EXPECT_EQ(sum(std::make_unique<int>(5)), 7);
}

TEST(UniqueFunction, destroys_its_target_once) {
  const auto counted = std::make_shared<int>(0);
  {
    UniqueFunction<void()> holds = [counted] { ++*counted; };
    EXPECT_EQ(counted.use_count(), 2);
    UniqueFunction<void()> moved = std::move(holds);
    moved();
    EXPECT_EQ(counted.use_count(), 2);
  }
  EXPECT_EQ(counted.use_count(), 1);
  EXPECT_EQ(*counted, 1);
}

TEST(UniqueFunctionDeathTest, calling_an_empty_one_ends_the_process) {
  UniqueFunction<void()> empty = nullptr;
  EXPECT_FALSE(empty);
  EXPECT_DEATH(empty(), "CHECK failed");
}

TEST(Offset, ranges_are_differences_of_offsets) {
  EXPECT_EQ(Offset{5} + 3, Offset{8});
  EXPECT_EQ(Offset{5} - 3, Offset{2});
  EXPECT_EQ(Offset{5} - Offset{8}, -3);
  EXPECT_LT(Offset{5}, Offset{8});
  EXPECT_EQ(FilePosition{9} - FilePosition{4}, 5U);
}

}  // namespace
}  // namespace tidemark
