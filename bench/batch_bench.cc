#include <random>
#include <string>

#include <benchmark/benchmark.h>

#include "storage/base/check.h"
#include "storage/base/crc32c.h"
#include "storage/batch/compression.h"
#include "storage/batch/record_batch.h"

/// Every byte that enters or leaves a broker passes these. Bytes a second count the batch as it is before compression.
namespace tidemark {
namespace {

constexpr int kRecords = 1000;
constexpr std::size_t kValueBytes = 100;

/// Half random letters, half a repeated piece: packs about as well as ordinary JSON.
std::string value_of(std::mt19937& random) {
  constexpr std::string_view kRepeated = R"({"type":"order.created","amount":1250,"currency":"EUR","id":")";
  std::string value(kRepeated.substr(0, kValueBytes / 2));
  while (value.size() < kValueBytes) value += static_cast<char>('a' + random() % 26);
  return value;
}

std::vector<std::string> make_values() {
  std::mt19937 random(1);
  std::vector<std::string> values;
  for (int i = 0; i < kRecords; ++i) values.push_back(value_of(random));
  return values;
}

void fill(BatchBuilder& builder, const std::vector<std::string>& values) {
  std::int64_t timestamp_ms = 1'700'000'000'000;
  for (const std::string& value : values) builder.add({.key = {}, .value = as_bytes(value), .timestamp_ms = timestamp_ms++, .headers = {}});
}

Slice make_batch(Codec codec) {
  BatchBuilder builder({.codec = codec});
  fill(builder, make_values());
  return builder.build();
}

std::size_t plain_bytes() {
  static const std::size_t bytes = make_batch(Codec::none).size();
  return bytes;
}

void count(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(state.iterations() * kRecords);
}

void validate(benchmark::State& state, Codec codec) {
  const Slice batch = make_batch(codec);
  for (auto _ : state) CHECK(validate_produced_batch(batch.view()).has_value());
  count(state, plain_bytes());
}

void build(benchmark::State& state, Codec codec) {
  const std::vector<std::string> values = make_values();
  BatchBuilder builder({.codec = codec});
  for (auto _ : state) {
    fill(builder, values);
    benchmark::DoNotOptimize(builder.build().data());
  }
  count(state, plain_bytes());
}

void iterate(benchmark::State& state, Codec codec) {
  const Slice batch = make_batch(codec);
  for (auto _ : state) {
    Result<BatchReader> reader = BatchReader::open(batch.view());
    CHECK(reader.has_value());
    RecordView record;
    std::size_t bytes = 0;
    for (;;) {
      const Result<bool> more = reader->next(record);
      CHECK(more.has_value());
      if (!*more) break;
      bytes += record.value->size();
    }
    CHECK(bytes == kRecords * kValueBytes);
  }
  count(state, plain_bytes());
}

void pack(benchmark::State& state, Codec codec) {
  const Slice batch = make_batch(Codec::none);
  const ByteView plain = batch.view().subspan(kBatchHeaderBytes);
  std::size_t packed_bytes = 0;
  for (auto _ : state) {
    const ByteVector packed = compress(codec, plain);
    packed_bytes = packed.size();
  }
  count(state, plain.size());
  state.counters["ratio"] = static_cast<double>(plain.size()) / static_cast<double>(packed_bytes);
}

void unpack(benchmark::State& state, Codec codec) {
  const Slice batch = make_batch(Codec::none);
  const ByteView plain = batch.view().subspan(kBatchHeaderBytes);
  const ByteVector packed = compress(codec, plain);
  for (auto _ : state) CHECK(decompress(codec, packed, {}).has_value());
  count(state, plain.size());
}

void checksum(benchmark::State& state) {
  const ByteVector bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK(checksum)->Arg(128)->Arg(4096)->Arg(1 << 20);
BENCHMARK_CAPTURE(validate, none, Codec::none);
BENCHMARK_CAPTURE(validate, gzip, Codec::gzip);
BENCHMARK_CAPTURE(validate, snappy, Codec::snappy);
BENCHMARK_CAPTURE(validate, lz4, Codec::lz4);
BENCHMARK_CAPTURE(validate, zstd, Codec::zstd);
BENCHMARK_CAPTURE(build, none, Codec::none);
BENCHMARK_CAPTURE(build, lz4, Codec::lz4);
BENCHMARK_CAPTURE(iterate, none, Codec::none);
BENCHMARK_CAPTURE(iterate, lz4, Codec::lz4);
BENCHMARK_CAPTURE(pack, gzip, Codec::gzip);
BENCHMARK_CAPTURE(pack, snappy, Codec::snappy);
BENCHMARK_CAPTURE(pack, lz4, Codec::lz4);
BENCHMARK_CAPTURE(pack, zstd, Codec::zstd);
BENCHMARK_CAPTURE(unpack, gzip, Codec::gzip);
BENCHMARK_CAPTURE(unpack, snappy, Codec::snappy);
BENCHMARK_CAPTURE(unpack, lz4, Codec::lz4);
BENCHMARK_CAPTURE(unpack, zstd, Codec::zstd);

}  // namespace
}  // namespace tidemark
