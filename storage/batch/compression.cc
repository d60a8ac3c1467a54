#include "storage/batch/compression.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <string>

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "storage/base/check.h"

namespace tidemark {
namespace {

constexpr int kZstdWindowLogMax = 23;  // 8 MiB.
constexpr std::size_t kChunkBytes = 64 * 1024;

Error corrupt(Codec codec, std::string_view problem) {
  return {Errc::corrupt_batch, std::string(to_string(codec)) + ": " + std::string(problem)};
}

std::size_t output_max(std::size_t packed, const DecompressionLimits& limits) {
  constexpr std::size_t kFloor = 64 * 1024;
  std::size_t by_ratio = 0;
  if (__builtin_mul_overflow(packed, limits.ratio_max, &by_ratio)) by_ratio = std::numeric_limits<std::size_t>::max();
  return std::max(kFloor, std::min(limits.bytes_max, by_ratio));
}

/// Collects unpacked bytes and says stop at the bound, before it grows.
class BoundedOutput {
 public:
  BoundedOutput(std::size_t packed, const DecompressionLimits& limits) : max_(output_max(packed, limits)) {
    bytes_.reserve(std::min(max_, packed * 4));  // A guess at the ratio; the vector grows if it was too low.
  }

  Status append(ByteView piece) {
    if (!fits(piece.size())) return over_limit();
    // Grown here and not by insert(), which would go beyond the bound when it doubles.
    const std::size_t needed = bytes_.size() + piece.size();
    if (needed > bytes_.capacity()) bytes_.reserve(std::min(max_, std::max(needed, 2 * bytes_.capacity())));
    bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    return {};
  }
  /// The next `count` bytes to be written in place. Check fits() first: `count` may be a claim of the sender.
  MutableBytes extend(std::size_t count) {
    const std::size_t old_size = bytes_.size();
    bytes_.resize(old_size + count);
    return MutableBytes(bytes_).subspan(old_size);
  }
  bool fits(std::size_t count) const { return count <= max_ - bytes_.size(); }
  Error over_limit() const { return {Errc::decompression_limit, "batch unpacks to more than " + std::to_string(max_) + " bytes"}; }
  ByteVector take() { return std::move(bytes_); }

 private:
  std::size_t max_;
  ByteVector bytes_;
};

/// Where the streaming codecs write before the bytes are counted and copied. In the cache, and never zeroed.
std::array<std::byte, kChunkBytes>& chunk() {
  thread_local std::array<std::byte, kChunkBytes> bytes;
  return bytes;
}

// ---- gzip: RFC 1952 ----

constexpr int kGzipWindowBits = 16 + MAX_WBITS;  // zlib's way to say: gzip framing and nothing else.

Bytef* zlib_input(ByteView bytes) {
  return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));  // zlib's signature lacks const.
}

ByteVector compress_gzip(ByteView plain, int level) {
  constexpr int kMemoryLevel = 8;  // zlib's default.
  z_stream stream{};
  const int zlib_level = level == 0 ? Z_DEFAULT_COMPRESSION : std::clamp(level, 1, 9);
  CHECK(deflateInit2(&stream, zlib_level, Z_DEFLATED, kGzipWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK);
  ByteVector packed(deflateBound(&stream, plain.size()));
  CHECK(plain.size() <= std::numeric_limits<uInt>::max());
  CHECK(packed.size() <= std::numeric_limits<uInt>::max());
  stream.next_in = zlib_input(plain);
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// One inflate state per thread, 40 KiB.
class Inflater {
 public:
  Inflater() { CHECK(inflateInit2(&stream_, kGzipWindowBits) == Z_OK); }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream& fresh() {
    CHECK(inflateReset(&stream_) == Z_OK);
    return stream_;
  }

 private:
  z_stream stream_{};
};

Status decompress_gzip(ByteView packed, BoundedOutput& output) {
  thread_local Inflater inflater;
  if (packed.size() > std::numeric_limits<uInt>::max()) return corrupt(Codec::gzip, "more than 4 GiB");
  z_stream& stream = inflater.fresh();
  stream.next_in = zlib_input(packed);
  stream.avail_in = static_cast<uInt>(packed.size());
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk().data());
    stream.avail_out = static_cast<uInt>(kChunkBytes);
    const int outcome = inflate(&stream, Z_NO_FLUSH);
    if (outcome == Z_BUF_ERROR) return corrupt(Codec::gzip, "stream is cut off");  // No input left and nothing to write.
    if (outcome != Z_OK && outcome != Z_STREAM_END) return corrupt(Codec::gzip, stream.msg != nullptr ? stream.msg : "bad stream");
    if (const Status added = output.append(ByteView(chunk()).first(kChunkBytes - stream.avail_out)); !added) return added;
    if (outcome != Z_STREAM_END) continue;
    if (stream.avail_in == 0) return {};
    CHECK(inflateReset(&stream) == Z_OK);  // Another member follows; the file format allows that.
  }
}

// ---- snappy: raw blocks in the framing of snappy-java, which Kafka's clients share ----

constexpr std::array<unsigned char, 8> kXerialMagic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t kXerialHeaderBytes = 16;  // Magic, int32 version, int32 lowest version that can read it.
constexpr std::int32_t kXerialVersion = 1;
constexpr std::size_t kXerialBlockBytes = 32 * 1024;

const char* snappy_input(ByteView bytes) { return reinterpret_cast<const char*>(bytes.data()); }

ByteVector compress_snappy(ByteView plain) {
  ByteVector packed(kXerialHeaderBytes);
  std::memcpy(packed.data(), kXerialMagic.data(), kXerialMagic.size());
  store_be<std::int32_t>(packed.data() + 8, kXerialVersion);
  store_be<std::int32_t>(packed.data() + 12, kXerialVersion);
  while (!plain.empty()) {
    const ByteView block = plain.first(std::min(plain.size(), kXerialBlockBytes));
    plain = plain.subspan(block.size());
    const std::size_t length_at = packed.size();
    const std::size_t block_at = length_at + sizeof(std::int32_t);
    packed.resize(block_at + snappy::MaxCompressedLength(block.size()));
    std::size_t block_bytes = 0;
    snappy::RawCompress(snappy_input(block), block.size(), reinterpret_cast<char*>(packed.data() + block_at), &block_bytes);
    store_be<std::int32_t>(packed.data() + length_at, static_cast<std::int32_t>(block_bytes));
    packed.resize(block_at + block_bytes);
  }
  return packed;
}

Status decompress_snappy_block(ByteView block, BoundedOutput& output) {
  std::size_t claimed = 0;
  if (!snappy::GetUncompressedLength(snappy_input(block), block.size(), &claimed)) return corrupt(Codec::snappy, "bad block length");
  if (!output.fits(claimed)) return output.over_limit();
  const MutableBytes plain = output.extend(claimed);
  if (!snappy::RawUncompress(snappy_input(block), block.size(), reinterpret_cast<char*>(plain.data())))
    return corrupt(Codec::snappy, "bad block");
  return {};
}

Status decompress_snappy(ByteView packed, BoundedOutput& output) {
  const bool xerial = packed.size() >= kXerialMagic.size() && std::memcmp(packed.data(), kXerialMagic.data(), kXerialMagic.size()) == 0;
  if (!xerial) return decompress_snappy_block(packed, output);
  if (packed.size() < kXerialHeaderBytes) return corrupt(Codec::snappy, "stream is cut off in its header");
  if (load_be<std::int32_t>(packed.data() + 12) > kXerialVersion) return corrupt(Codec::snappy, "unknown version of the framing");
  ByteView rest = packed.subspan(kXerialHeaderBytes);
  while (!rest.empty()) {
    if (rest.size() < sizeof(std::int32_t)) return corrupt(Codec::snappy, "stream is cut off in a block length");
    const auto length = load_be<std::int32_t>(rest.data());
    rest = rest.subspan(sizeof(std::int32_t));
    if (length <= 0 || static_cast<std::size_t>(length) > rest.size()) return corrupt(Codec::snappy, "a block runs out of the stream");
    const auto block_bytes = static_cast<std::size_t>(length);
    if (const Status unpacked = decompress_snappy_block(rest.first(block_bytes), output); !unpacked) return unpacked;
    rest = rest.subspan(block_bytes);
  }
  return {};
}

// ---- lz4: one LZ4 frame ----

struct Lz4Free {
  void operator()(LZ4F_cctx* context) const { LZ4F_freeCompressionContext(context); }
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

ByteVector compress_lz4(ByteView plain, int level) {
  thread_local const std::unique_ptr<LZ4F_cctx, Lz4Free> context = [] {
    LZ4F_cctx* made = nullptr;
    CHECK(!LZ4F_isError(LZ4F_createCompressionContext(&made, LZ4F_VERSION)));
    return std::unique_ptr<LZ4F_cctx, Lz4Free>(made);
  }();
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.compressionLevel = level;
  preferences.autoFlush = 1;
  ByteVector packed(LZ4F_compressFrameBound(plain.size(), &preferences));
  std::size_t size = 0;
  const auto advance = [&](std::size_t written) {
    CHECK(!LZ4F_isError(written));
    size += written;
  };
  advance(LZ4F_compressBegin(context.get(), packed.data(), packed.size(), &preferences));
  advance(LZ4F_compressUpdate(context.get(), packed.data() + size, packed.size() - size, plain.data(), plain.size(), nullptr));
  advance(LZ4F_compressEnd(context.get(), packed.data() + size, packed.size() - size, nullptr));
  packed.resize(size);
  return packed;
}

using Lz4Unpacker = std::unique_ptr<LZ4F_dctx, Lz4Free>;

Status decompress_lz4_frame(LZ4F_dctx* context, ByteView packed, BoundedOutput& output) {
  for (;;) {
    std::size_t written = kChunkBytes;
    std::size_t taken = packed.size();
    const std::size_t hint = LZ4F_decompress(context, chunk().data(), &written, packed.data(), &taken, nullptr);
    if (LZ4F_isError(hint)) return corrupt(Codec::lz4, LZ4F_getErrorName(hint));
    if (const Status added = output.append(ByteView(chunk()).first(written)); !added) return added;
    packed = packed.subspan(taken);
    if (hint == 0) return packed.empty() ? Status() : Status(corrupt(Codec::lz4, "bytes follow the frame"));
    if (written == 0 && taken == 0) return corrupt(Codec::lz4, "frame is cut off");
  }
}

Status decompress_lz4(ByteView packed, BoundedOutput& output) {
  constexpr std::uint32_t kFrameMagic = 0x184d2204;  // Skippable and legacy frames are none of ours.
  constexpr std::size_t kBlockSizeAt = 5;
  if (packed.size() <= kBlockSizeAt || load_le<std::uint32_t>(packed.data()) != kFrameMagic) return corrupt(Codec::lz4, "not a frame");
  thread_local Lz4Unpacker context;
  if (!context) {
    LZ4F_dctx* made = nullptr;
    CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)));
    context.reset(made);
  }
  const Status done = decompress_lz4_frame(context.get(), packed, output);
  // The context keeps buffers of the largest block size a frame ever announced, up to 4 MiB: drop those, or every thread would hold them.
  const int block_size_id = std::to_integer<int>(packed[kBlockSizeAt]) >> 4 & 7;
  if (block_size_id > LZ4F_max64KB) context.reset();
  if (context) LZ4F_resetDecompressionContext(context.get());
  return done;
}

// ---- zstd: frames of RFC 8878 ----

struct ZstdFree {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
constexpr std::size_t kZstdContextKeptMax = std::size_t{4} << 20;  // A thread keeps its context up to this size.

ByteVector compress_zstd(ByteView plain, int level) {
  thread_local std::unique_ptr<ZSTD_CCtx, ZstdFree> context;
  if (!context) context.reset(ZSTD_createCCtx());
  CHECK(context != nullptr);
  ZSTD_CCtx_reset(context.get(), ZSTD_reset_session_and_parameters);
  CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level)));
  // The highest levels would take a window that readers refuse.
  if (plain.size() > std::size_t{1} << kZstdWindowLogMax)
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, kZstdWindowLogMax)));
  ByteVector packed(ZSTD_compressBound(plain.size()));
  const std::size_t size = ZSTD_compress2(context.get(), packed.data(), packed.size(), plain.data(), plain.size());
  CHECK(!ZSTD_isError(size));
  packed.resize(size);
  if (ZSTD_sizeof_CCtx(context.get()) > kZstdContextKeptMax) context.reset();
  return packed;
}

Status decompress_zstd_frames(ZSTD_DCtx* context, ByteView packed, BoundedOutput& output) {
  ZSTD_inBuffer input{packed.data(), packed.size(), 0};
  for (;;) {
    ZSTD_outBuffer piece{chunk().data(), kChunkBytes, 0};
    const std::size_t taken_before = input.pos;
    const std::size_t hint = ZSTD_decompressStream(context, &piece, &input);
    if (ZSTD_isError(hint)) return corrupt(Codec::zstd, ZSTD_getErrorName(hint));
    if (const Status added = output.append(ByteView(chunk()).first(piece.pos)); !added) return added;
    if (hint == 0 && input.pos == input.size) return {};  // At the end of a frame, and no other follows.
    if (piece.pos == 0 && input.pos == taken_before) return corrupt(Codec::zstd, "frame is cut off");
  }
}

Status decompress_zstd(ByteView packed, BoundedOutput& output) {
  thread_local std::unique_ptr<ZSTD_DCtx, ZstdFree> context;
  if (!context) {
    context.reset(ZSTD_createDCtx());
    CHECK(context != nullptr);
    CHECK(!ZSTD_isError(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax)));
  }
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  const Status done = decompress_zstd_frames(context.get(), packed, output);
  if (ZSTD_sizeof_DCtx(context.get()) > kZstdContextKeptMax) context.reset();
  return done;
}

Status decompress_into(Codec codec, ByteView packed, BoundedOutput& output) {
  switch (codec) {
    case Codec::none:
      break;
    case Codec::gzip:
      return decompress_gzip(packed, output);
    case Codec::snappy:
      return decompress_snappy(packed, output);
    case Codec::lz4:
      return decompress_lz4(packed, output);
    case Codec::zstd:
      return decompress_zstd(packed, output);
  }
  check_failed("codec is one that packs", __FILE__, __LINE__);
}

}  // namespace

ByteVector compress(Codec codec, ByteView plain, int level) {
  switch (codec) {
    case Codec::none:
      break;
    case Codec::gzip:
      return compress_gzip(plain, level);
    case Codec::snappy:
      return compress_snappy(plain);
    case Codec::lz4:
      return compress_lz4(plain, level);
    case Codec::zstd:
      return compress_zstd(plain, level);
  }
  check_failed("codec is one that packs", __FILE__, __LINE__);
}

Result<ByteVector> decompress(Codec codec, ByteView packed, const DecompressionLimits& limits) {
  BoundedOutput output(packed.size(), limits);
  if (const Status done = decompress_into(codec, packed, output); !done) return done.error();
  return output.take();
}

}  // namespace tidemark
