#include "storage/batch/compression.h"

#include <random>

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zstd.h>

#include "tests/storage/batch_fixtures.h"

namespace tidemark {
namespace {

using testing_support::copy;
using testing_support::from_hex;

constexpr std::size_t kMiB = 1024 * 1024;

ByteVector random_bytes(std::size_t size) {
  std::mt19937 random(7);
  ByteVector bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

/// Repeats at distances that blocks of 32 and 64 KiB cut through.
ByteVector compressible_bytes(std::size_t size) {
  const ByteVector piece = random_bytes(5000);
  ByteVector bytes;
  while (bytes.size() < size) bytes.insert(bytes.end(), piece.begin(), piece.end());
  bytes.resize(size);
  return bytes;
}

Errc refusal(Codec codec, ByteView packed, const DecompressionLimits& limits = {}) {
  const Result<ByteVector> plain = decompress(codec, packed, limits);
  EXPECT_FALSE(plain.has_value()) << "unpacked to " << plain->size() << " bytes";
  return plain ? Errc::internal : plain.error().code;
}

void expect_unpacks_to(Codec codec, ByteView packed, ByteView plain) {
  const Result<ByteVector> unpacked = decompress(codec, packed, {.bytes_max = plain.size(), .ratio_max = 100'000});
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_TRUE(std::ranges::equal(*unpacked, plain));
}

class EveryCodec : public testing::TestWithParam<Codec> {};
INSTANTIATE_TEST_SUITE_P(, EveryCodec, testing::Values(Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd),
                         [](const auto& test_case) { return std::string(to_string(test_case.param)); });

TEST_P(EveryCodec, round_trips_sizes_around_its_blocks) {
  for (const std::size_t size : {0UL, 1UL, 100UL, 32'767UL, 32'768UL, 32'769UL, 65'536UL, 65'537UL, 3 * kMiB + 1}) {
    SCOPED_TRACE(size);
    const ByteVector dense = random_bytes(size);
    expect_unpacks_to(GetParam(), compress(GetParam(), dense), dense);
    const ByteVector sparse = compressible_bytes(size);
    expect_unpacks_to(GetParam(), compress(GetParam(), sparse), sparse);
  }
}

TEST_P(EveryCodec, takes_any_level) {
  const ByteVector plain = compressible_bytes(100'000);
  for (const int level : {-5, 1, 9, 100}) expect_unpacks_to(GetParam(), compress(GetParam(), plain, level), plain);
}

TEST_P(EveryCodec, the_bound_is_exact) {
  const ByteVector plain = compressible_bytes(kMiB);
  const ByteVector packed = compress(GetParam(), plain);
  EXPECT_TRUE(decompress(GetParam(), packed, {.bytes_max = kMiB, .ratio_max = 100'000}));
  EXPECT_EQ(refusal(GetParam(), packed, {.bytes_max = kMiB - 1, .ratio_max = 100'000}), Errc::decompression_limit);
}

TEST_P(EveryCodec, small_batches_may_pack_beyond_the_ratio) {
  const ByteVector plain(64 * 1024);
  const DecompressionLimits tight{.bytes_max = 1, .ratio_max = 1};
  const Result<ByteVector> unpacked = decompress(GetParam(), compress(GetParam(), plain), tight);
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_EQ(unpacked->size(), plain.size());
  EXPECT_EQ(refusal(GetParam(), compress(GetParam(), ByteVector(64 * 1024 + 1)), tight), Errc::decompression_limit);
}

TEST_P(EveryCodec, a_bomb_is_refused) {
  const ByteVector packed = compress(GetParam(), ByteVector(64 * kMiB), 9);
  EXPECT_LT(packed.size(), 4 * kMiB);
  EXPECT_EQ(refusal(GetParam(), packed), Errc::decompression_limit);
}

TEST_P(EveryCodec, every_truncation_is_refused) {
  const ByteVector packed = compress(GetParam(), compressible_bytes(70'000));
  const std::size_t step = std::max<std::size_t>(packed.size() / 300, 1);
  for (std::size_t size = 0; size < packed.size(); size += step) {
    // A xerial stream has no end mark: what is cut between two blocks is whole, here right after the header.
    if (GetParam() == Codec::snappy && decompress(GetParam(), ByteView(packed).first(size), {})) {
      EXPECT_EQ(size, 16U);
      continue;
    }
    EXPECT_EQ(refusal(GetParam(), ByteView(packed).first(size)), Errc::corrupt_batch) << size;
  }
}

TEST_P(EveryCodec, damage_is_refused_or_unpacks_within_the_bound_and_the_next_batch_is_unharmed) {
  const ByteVector plain = compressible_bytes(20'000);
  const ByteVector packed = compress(GetParam(), plain);
  constexpr std::size_t kBound = 64 * 1024;  // The floor: what this batch may unpack to under the limits below.
  for (std::size_t at = 0; at < packed.size(); at += at < 64 ? 1 : 37) {
    for (const int flip : {0x01, 0x10, 0x80, 0xff}) {
      ByteVector damaged = packed;
      damaged[at] ^= static_cast<std::byte>(flip);
      const Result<ByteVector> unpacked = decompress(GetParam(), damaged, {.bytes_max = kBound, .ratio_max = 1});
      if (unpacked) {
        EXPECT_LE(unpacked->size(), kBound);
      } else {
        EXPECT_TRUE(unpacked.error().code == Errc::corrupt_batch || unpacked.error().code == Errc::decompression_limit);
      }
    }
    if (at % 8 == 0) expect_unpacks_to(GetParam(), packed, plain);
  }
}

TEST_P(EveryCodec, empty_input_is_refused) { EXPECT_EQ(refusal(GetParam(), {}), Errc::corrupt_batch); }

TEST(Gzip, members_one_after_another_are_one_stream) {
  ByteVector packed = compress(Codec::gzip, as_bytes("first, "));
  const ByteVector second = compress(Codec::gzip, as_bytes("second"));
  packed.insert(packed.end(), second.begin(), second.end());
  expect_unpacks_to(Codec::gzip, packed, as_bytes("first, second"));
}

TEST(Gzip, members_count_together_against_the_bound) {
  const ByteVector member = compress(Codec::gzip, ByteVector(60 * 1024));
  ByteVector packed = member;
  packed.insert(packed.end(), member.begin(), member.end());
  EXPECT_EQ(refusal(Codec::gzip, packed, {.bytes_max = 1, .ratio_max = 1}), Errc::decompression_limit);
}

TEST(Gzip, bytes_behind_the_last_member_are_refused) {
  ByteVector packed = compress(Codec::gzip, as_bytes("value"));
  packed.push_back(std::byte{7});
  EXPECT_EQ(refusal(Codec::gzip, packed), Errc::corrupt_batch);
}

TEST(Gzip, zlib_framing_is_refused) { EXPECT_EQ(refusal(Codec::gzip, from_hex("789c030000000001")), Errc::corrupt_batch); }

TEST(Snappy, writes_the_framing_of_snappy_java) {
  const ByteVector packed = compress(Codec::snappy, as_bytes("abc"));
  // Header, block of 5 bytes: length 3, then a literal of 3 (tag (3 - 1) << 2).
  EXPECT_EQ(packed, from_hex("82534e4150505900 00000001 00000001 00000005 03 08 616263"));
}

TEST(Snappy, reads_a_raw_block) {
  const ByteVector plain = compressible_bytes(200'000);
  std::string packed;
  snappy::Compress(reinterpret_cast<const char*>(plain.data()), plain.size(), &packed);
  expect_unpacks_to(Codec::snappy, as_bytes(packed), plain);
}

TEST(Snappy, a_claimed_length_is_bounded_before_memory_is_taken) {
  EXPECT_EQ(refusal(Codec::snappy, from_hex("ffffffff0f 08 616263")), Errc::decompression_limit);
  EXPECT_EQ(refusal(Codec::snappy, from_hex("82534e4150505900 00000001 00000001 00000008 ffffffff0f 086162")), Errc::decompression_limit);
}

TEST(Snappy, bad_framing_is_refused) {
  const std::string header = "82534e4150505900 00000001 00000001 ";
  EXPECT_EQ(refusal(Codec::snappy, from_hex("82534e4150505900 00000001")), Errc::corrupt_batch);
  EXPECT_EQ(refusal(Codec::snappy, from_hex("82534e4150505900 00000002 00000002 00000005 0308616263")), Errc::corrupt_batch);
  EXPECT_EQ(refusal(Codec::snappy, from_hex(header + "000000")), Errc::corrupt_batch);
  EXPECT_EQ(refusal(Codec::snappy, from_hex(header + "00000000")), Errc::corrupt_batch);
  EXPECT_EQ(refusal(Codec::snappy, from_hex(header + "ffffffff 0308616263")), Errc::corrupt_batch);
  EXPECT_EQ(refusal(Codec::snappy, from_hex(header + "00000006 0308616263")), Errc::corrupt_batch);
}

struct Lz4Shape {
  const char* name;
  LZ4F_blockSizeID_t block_size;
  LZ4F_blockMode_t mode;
};
void PrintTo(const Lz4Shape& shape, std::ostream* out) { *out << shape.name; }

class Lz4Frames : public testing::TestWithParam<Lz4Shape> {};
INSTANTIATE_TEST_SUITE_P(, Lz4Frames,
                         testing::Values(Lz4Shape{"independent_64_kib", LZ4F_max64KB, LZ4F_blockIndependent},
                                         Lz4Shape{"linked_64_kib", LZ4F_max64KB, LZ4F_blockLinked},
                                         Lz4Shape{"independent_4_mib", LZ4F_max4MB, LZ4F_blockIndependent},
                                         Lz4Shape{"linked_4_mib", LZ4F_max4MB, LZ4F_blockLinked}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST_P(Lz4Frames, are_read) {
  const ByteVector plain = compressible_bytes(6 * kMiB);
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = GetParam().block_size;
  preferences.frameInfo.blockMode = GetParam().mode;
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
  ByteVector packed(LZ4F_compressFrameBound(plain.size(), &preferences));
  packed.resize(LZ4F_compressFrame(packed.data(), packed.size(), plain.data(), plain.size(), &preferences));
  expect_unpacks_to(Codec::lz4, packed, plain);
}

TEST(Lz4, announces_blocks_of_64_kib) {
  const ByteVector packed = compress(Codec::lz4, compressible_bytes(200'000));
  // Magic, FLG: version 1 and independent blocks, BD: 64 KiB.
  EXPECT_EQ(copy(ByteView(packed).first(6)), from_hex("04224d18 60 40"));
}

TEST(Lz4, what_follows_or_precedes_the_frame_is_refused) {
  ByteVector twice = compress(Codec::lz4, as_bytes("value"));
  const ByteVector frame = twice;
  twice.insert(twice.end(), frame.begin(), frame.end());
  EXPECT_EQ(refusal(Codec::lz4, twice), Errc::corrupt_batch);
  ByteVector skippable = from_hex("502a4d18 00000000");
  skippable.insert(skippable.end(), frame.begin(), frame.end());
  EXPECT_EQ(refusal(Codec::lz4, skippable), Errc::corrupt_batch);
}

/// A frame without content size, as a streaming producer writes it.
ByteVector stream_zstd(ByteView plain, int window_log) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  ByteVector packed(ZSTD_compressBound(plain.size()));
  ZSTD_outBuffer output{packed.data(), packed.size(), 0};
  ZSTD_inBuffer first{plain.data(), plain.size() / 2, 0};
  EXPECT_EQ(ZSTD_compressStream2(context, &output, &first, ZSTD_e_flush), 0U);
  ZSTD_inBuffer second{plain.data() + plain.size() / 2, plain.size() - plain.size() / 2, 0};
  EXPECT_EQ(ZSTD_compressStream2(context, &output, &second, ZSTD_e_end), 0U);
  ZSTD_freeCCtx(context);
  packed.resize(output.pos);
  return packed;
}

TEST(Zstd, windows_up_to_8_mib_are_read_and_larger_ones_refused) {
  const ByteVector plain = compressible_bytes(kMiB);
  expect_unpacks_to(Codec::zstd, stream_zstd(plain, 23), plain);
  EXPECT_EQ(refusal(Codec::zstd, stream_zstd(plain, 24)), Errc::corrupt_batch);
}

TEST(Zstd, own_frames_stay_within_the_window_at_every_level) {
  const ByteVector plain = compressible_bytes(9 * kMiB);
  expect_unpacks_to(Codec::zstd, compress(Codec::zstd, plain, 22), plain);
}

TEST(Zstd, a_claimed_content_size_is_not_believed) {
  // A single-segment frame that says 2^62 bytes, and one that says 4 bytes more than its only raw block holds.
  EXPECT_EQ(refusal(Codec::zstd, from_hex("28b52ffd e0 0000000000000040 010000")), Errc::corrupt_batch);
  EXPECT_EQ(refusal(Codec::zstd, from_hex("28b52ffd 20 07 190000 616263")), Errc::corrupt_batch);
  expect_unpacks_to(Codec::zstd, from_hex("28b52ffd 20 03 190000 616263"), as_bytes("abc"));
}

}  // namespace
}  // namespace tidemark
