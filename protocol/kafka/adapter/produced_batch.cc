#include "protocol/kafka/adapter/produced_batch.h"

#include "storage/batch/record_batch.h"

namespace tidemark::kafka {
namespace {

constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kLengthAt = 8;
constexpr std::int32_t kLengthMin = 14;  ///< The least behind the length in any message format.
constexpr int kZstdFrom = 7;

Refusal invalid(std::string why) { return {ErrorCode::invalid_record, std::move(why)}; }

Refusal not_one_batch(int version) {
  return invalid("Produce requests with version " + std::to_string(version) + " must have exactly one record batch");
}

}  // namespace

std::optional<Refusal> judge_produced_batch(const std::optional<Slice>& records, int version) {
  // Kafka reads batches one after the other and takes what is cut off at the end for none.
  if (!records || records->size() <= kMagicAt) return not_one_batch(version);
  const std::byte* const at = records->data();
  const auto length = load_be<std::int32_t>(at + kLengthAt);
  const auto magic = load_be<std::int8_t>(at + kMagicAt);
  if (length < kLengthMin) return Refusal{ErrorCode::corrupt_message, "a batch of " + std::to_string(length) + " bytes"};
  if (magic < 0 || magic > 2) return Refusal{ErrorCode::corrupt_message, "unknown magic " + std::to_string(magic)};
  const std::size_t size = static_cast<std::size_t>(length) + kBatchLogOverhead;
  if (size > records->size()) return not_one_batch(version);
  if (magic != 2) return invalid("Produce requests with version " + std::to_string(version) + " must have batches with magic 2");
  const Result<BatchHeader> header = BatchHeader::parse(records->view());
  if (!header) return std::nullopt;  // The engine says what is wrong, once it has compared the checksum.
  if (header->codec() == Codec::zstd && version < kZstdFrom) {
    return Refusal{ErrorCode::unsupported_compression_type, "zstd needs Produce v7"};
  }
  if (size < records->size()) return not_one_batch(version);
  if (header->base_offset != Offset{0}) {
    return invalid("the base offset of a batch from a client must be 0, not " + std::to_string(header->base_offset.value));
  }
  const bool suspect = header->is_control() || header->log_append_time();
  // These bits are covered by the checksum: if that does not match, the engine says so.
  if (!suspect || !batch_crc_matches(records->view())) return std::nullopt;
  if (header->is_control()) return invalid("clients may not write control records");
  return Refusal{ErrorCode::invalid_timestamp, "clients may not set the append time"};
}

ErrorCode produce_error(const Error& error, const std::optional<Slice>& records) {
  if (error.code != Errc::corrupt_batch || !records) return to_wire(error.code);
  // One error in the engine, two for a producer: damage on the way is worth another attempt, a bad record is not.
  return batch_crc_matches(records->view()) ? ErrorCode::invalid_record : ErrorCode::corrupt_message;
}

}  // namespace tidemark::kafka
