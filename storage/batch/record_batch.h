#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"

/// Kafka's RecordBatch v2 (magic 2): the unit we write, checksum, compress, store and send, byte for byte the same everywhere.
/// Layout: docs/FILE_FORMAT.md, KIP-98, KIP-482. All fields big-endian.
namespace tidemark {

enum class Codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };
std::string_view to_string(Codec codec);
std::optional<Codec> parse_codec(std::string_view name);  ///< "none" | "gzip" | "snappy" | "lz4" | "zstd"

inline constexpr std::size_t kBatchHeaderBytes = 61;
inline constexpr std::size_t kBatchLogOverhead = 12;  ///< Base offset and length, which the length field does not count.

/// The fixed part of a batch, decoded. Only structure is judged by parse(): lengths, magic and field ranges.
struct BatchHeader {
  Offset base_offset;
  std::int32_t batch_length = 0;  ///< Bytes after the length field, as stored.
  std::int32_t leader_epoch = 0;
  std::uint32_t crc = 0;  ///< CRC-32C from byte 21 to the end.
  std::uint16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp_ms = -1;
  std::int64_t max_timestamp_ms = -1;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::int32_t record_count = 0;  ///< May be 0 after compaction.

  /// Reads the header at the start of `bytes`, which may go on beyond the batch. Errors with corrupt_batch: fewer than 61 bytes, magic
  /// not 2, length below the header's or above INT32_MAX - 12, unknown codec bits, negative counts or deltas.
  /// Does not require the whole batch to be present and does not touch the checksum.
  static Result<BatchHeader> parse(ByteView bytes);

  std::size_t size_bytes() const { return static_cast<std::size_t>(batch_length) + kBatchLogOverhead; }
  Offset last_offset() const { return base_offset + last_offset_delta; }
  Offset end_offset() const { return base_offset + last_offset_delta + 1; }  ///< Not base + count: compacted batches hold fewer.
  Codec codec() const { return static_cast<Codec>(attributes & 7); }
  bool log_append_time() const { return (attributes & 8) != 0; }
  bool is_transactional() const { return (attributes & 16) != 0; }
  bool is_control() const { return (attributes & 32) != 0; }
  bool has_delete_horizon() const { return (attributes & 64) != 0; }
  bool has_producer() const { return producer_id >= 0; }
  std::int32_t last_sequence() const;  ///< base_sequence + last_offset_delta, wrapping after 2147483647 to 0.
};

/// True if `batch` (exactly one whole batch) carries the checksum its bytes have.
bool batch_crc_matches(ByteView batch);

/// Sets what the broker owns and the checksum does not cover.
void patch_batch(MutableBytes batch, Offset base_offset, std::int32_t leader_epoch);
/// Turns the batch into one with LogAppendTime: attribute bit, maximum timestamp and a new checksum.
void set_log_append_time(MutableBytes batch, Timestamp time);

/// Bounds on what a compressed batch may unpack to; checked while unpacking, never from the frame's own claims.
struct DecompressionLimits {
  std::size_t bytes_max = 16 * 1024 * 1024;
  std::size_t ratio_max = 200;  ///< Unpacked : packed. A floor of 64 KiB is always allowed, small batches pack absurdly well.
};

struct HeaderView {
  std::string_view name;
  std::optional<ByteView> value;
};

/// One record; the views point into the batch (or its unpacked copy) and live as long as the BatchReader.
struct RecordView {
  Offset offset;
  std::int64_t timestamp_ms = -1;
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::uint32_t header_count = 0;
  ByteView header_bytes;  ///< Encoded headers, already checked; headers() decodes them.

  std::vector<HeaderView> headers() const;
  std::optional<HeaderView> first_header() const;  ///< nullopt without headers.
};

/// Walks the records of one whole batch, unpacking it first when it is compressed. Move-only: views point into its unpacked copy.
class BatchReader {
 public:
  BatchReader(BatchReader&&) = default;
  BatchReader& operator=(BatchReader&&) = default;

  /// Errors: corrupt_batch (framing, checksum not checked here), decompression_limit. `batch` must outlive the reader.
  static Result<BatchReader> open(ByteView batch, DecompressionLimits limits = {});

  const BatchHeader& header() const { return header_; }
  /// False after the last record. Error corrupt_batch, naming the record, when a length runs out of its bounds, an offset delta does not
  /// ascend or exceeds the batch's last, or bytes are left over after the last record. The reader stays where it was on an error.
  Result<bool> next(RecordView& record);

 private:
  BatchReader() = default;

  BatchHeader header_;
  ByteVector unpacked_;  ///< Owner of the records when the batch is compressed.
  ByteView rest_;
  std::int32_t read_ = 0;
  std::int32_t previous_delta_ = -1;
};

/// Everything a broker checks before it takes a batch from a producer, without changing it: exactly one batch and no byte more, magic 2,
/// checksum, base offset 0, no control batch, no LogAppendTime bit, count > 0 and last_offset_delta == count - 1, sequence and epoch >= 0
/// with a producer id and a producer id in a transaction, no delete horizon, every record well formed with delta 0, 1, 2... The header
/// returned has the largest timestamp of the records, whatever the batch says: sarama leaves that field at -1.
/// Errors, whose detail names what was wrong: corrupt_batch, unsupported_compression, decompression_limit.
Result<BatchHeader> validate_produced_batch(ByteView batch, DecompressionLimits limits = {});

/// A record on its way into a batch; views are copied by add().
struct RecordInput {
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::int64_t timestamp_ms = 0;  ///< -1 = none; what is below counts as -1, and INT64_MAX as one less.
  std::span<const HeaderView> headers;
};

/// Collects records and builds one batch with base offset 0.
class BatchBuilder {
 public:
  struct Options {
    Codec codec = Codec::none;
    int level = 0;  ///< Codec's own level; 0 = its default.
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = -1;
    std::int32_t base_sequence = -1;
    bool transactional = false;
  };

  explicit BatchBuilder(Options options);
  BatchBuilder() : BatchBuilder(Options{}) {}

  /// The caller bounds the batch: its records stay below 2 GiB before compression.
  void add(const RecordInput& record);
  /// What add() would add to size_bytes() at most.
  static std::size_t size_bound(const RecordInput& record);

  bool empty() const { return count_ == 0; }
  std::int32_t record_count() const { return count_; }
  std::size_t size_bytes() const { return kBatchHeaderBytes + records_.size(); }  ///< Before compression.
  /// Sequence numbers are often known only when the batch is sent.
  void set_producer(std::int64_t id, std::int16_t epoch, std::int32_t base_sequence);

  /// The finished batch, of at least one record; the builder is empty afterwards and can be used again. The codec asked for is the codec
  /// stored, also where packing made the batch larger, as clients expect.
  Slice build();

 private:
  Options options_;
  ByteVector records_;
  std::int32_t count_ = 0;
  std::int64_t base_timestamp_ms_ = -1;
  std::int64_t max_timestamp_ms_ = -1;
};

/// A control batch (transaction marker) (KIP-98); used when the broker writes markers itself.
Slice build_control_batch(std::int64_t producer_id, std::int16_t producer_epoch, bool commit, std::int32_t coordinator_epoch,
                          Timestamp time);

}  // namespace tidemark
