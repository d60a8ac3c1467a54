#include "protocol/kafka/codec/wire_writer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "protocol/kafka/codec/wire_reader.h"

namespace tidemark::kafka {
namespace {

// Most replies fit the first buffer; a long one doubles up to the largest, so that it neither wastes nor splinters.
constexpr std::size_t kChunkBytesFirst = 512;
constexpr std::size_t kChunkBytesMax = 64 * 1024;

}  // namespace

std::byte* WireWriter::room(std::size_t count) {
  if (chunk_.size() - used_ < count) {
    seal();
    const std::size_t wanted = chunk_.empty() ? kChunkBytesFirst : std::min(chunk_.size() * 2, kChunkBytesMax);
    chunk_ = Slice::allocate(std::max(wanted, count));
    sealed_ = used_ = 0;
  }
  size_ += count;
  return chunk_.data() + std::exchange(used_, used_ + count);
}

void WireWriter::seal() {
  if (used_ > sealed_) output_.push_back(chunk_.subslice(sealed_, used_ - sealed_));
  sealed_ = used_;
}

void WireWriter::copy(ByteView bytes) {
  if (!bytes.empty()) std::ranges::copy(bytes, room(bytes.size()));
}

void WireWriter::piece(const Slice& bytes) {
  if (bytes.size() <= kCopiedBytesMax) return copy(bytes.view());
  seal();
  output_.push_back(bytes);
  size_ += bytes.size();
}

void WireWriter::fail(std::string detail) {
  if (!error_) error_ = Error{Errc::invalid_argument, std::move(detail)};
}

void WireWriter::uuid(const Uuid& value) { copy(std::as_bytes(std::span(value.bytes))); }

void WireWriter::uvarint(std::uint32_t value) {
  for (; value >= 0x80; value >>= 7) int8(static_cast<std::int8_t>(value | 0x80));
  int8(static_cast<std::int8_t>(value));
}

void WireWriter::length(std::size_t count, std::size_t classic_width) {
  // finish() refuses what is longer; here only the cast must be defined.
  const std::size_t bounded = std::min(count, std::size_t{std::numeric_limits<std::int32_t>::max()});
  if (bounded < count) fail("a field of " + std::to_string(count) + " bytes or elements");
  if (flexible_) return uvarint(static_cast<std::uint32_t>(bounded) + 1);
  if (classic_width == 2) return int16(static_cast<std::int16_t>(bounded));
  int32(static_cast<std::int32_t>(bounded));
}

void WireWriter::null(std::size_t classic_width, bool null_allowed) {
  if (!null_allowed) return length(0, classic_width);
  if (flexible_) return uvarint(0);
  if (classic_width == 2) return int16(-1);
  int32(-1);
}

void WireWriter::string(std::string_view value) {
  if (value.size() > kStringBytesMax) {
    fail("a string of " + std::to_string(value.size()) + " bytes; at most " + std::to_string(kStringBytesMax) + " fit");
    value = {};
  }
  length(value.size(), 2);
  copy(as_bytes(value));
}

void WireWriter::nullable_string(const std::optional<std::string>& value, bool null_allowed) {
  if (value) return string(*value);
  null(2, null_allowed);
}

void WireWriter::classic_nullable_string(const std::optional<std::string>& value) {
  const bool flexible = std::exchange(flexible_, false);
  nullable_string(value, true);
  flexible_ = flexible;
}

void WireWriter::bytes(const Slice& value) {
  length(value.size(), 4);
  piece(value);
}

void WireWriter::nullable_bytes(const std::optional<Slice>& value, bool null_allowed) {
  if (value) return bytes(*value);
  null(4, null_allowed);
}

void WireWriter::slices(const std::optional<std::vector<Slice>>& value, bool null_allowed) {
  if (!value) return null(4, null_allowed);
  std::size_t total = 0;
  for (const Slice& slice : *value) total += slice.size();
  length(total, 4);
  for (const Slice& slice : *value) piece(slice);
}

void WireWriter::append(WireWriter value) {
  Result<std::vector<Slice>> pieces = std::move(value).finish();
  if (!pieces) return fail(pieces.error().detail);
  std::size_t total = 0;
  for (const Slice& slice : *pieces) total += slice.size();
  uvarint(static_cast<std::uint32_t>(total));
  for (const Slice& slice : *pieces) piece(slice);
}

Result<std::vector<Slice>> WireWriter::finish() && {
  if (size_ > std::size_t{std::numeric_limits<std::int32_t>::max()}) fail("a message of " + std::to_string(size_) + " bytes");
  if (error_) return *std::move(error_);
  seal();
  return std::move(output_);
}

}  // namespace tidemark::kafka
