#include "tools/tidemark/segment_file.h"

#include <algorithm>

#include <fmt/format.h>

namespace tidemark::tools {
namespace {

constexpr std::size_t kReadBytes = 1024 * 1024;
/// Files of Kafka may hold larger batches than ours; beyond this a length is damage.
constexpr std::size_t kBatchBytesMax = 256 * 1024 * 1024;

}  // namespace

Result<SegmentFile> SegmentFile::open(storage::FileSystem& files, const std::string& path) {
  Result<std::unique_ptr<storage::File>> file = files.open(path, storage::OpenMode::read);
  if (!file) return file.error();
  const Result<std::uint64_t> size = (*file)->size();
  if (!size) return size.error();
  return SegmentFile(*std::move(file), *size);
}

Result<std::optional<SegmentFile::Batch>> SegmentFile::next() {
  if (position_.value == size_) return std::optional<Batch>();
  const Result<ByteView> start = look(kBatchHeaderBytes);
  if (!start) return start.error();
  const Result<BatchHeader> header = BatchHeader::parse(*start);
  if (!header) {
    const Result<bool> end = only_zeros_follow();
    if (!end) return end.error();
    if (*end) return std::optional<Batch>();
    return damaged(header.error().detail);
  }
  if (header->size_bytes() > size_ - position_.value) return damaged("the batch is cut off by the end of the file");
  if (header->size_bytes() > kBatchBytesMax) return damaged("a batch of more than 256 MiB");
  const Result<ByteView> bytes = look(header->size_bytes());
  if (!bytes) return bytes.error();
  if (bytes->size() < header->size_bytes()) return damaged("the file became shorter while it was read");
  const Batch batch{position_, *header, *bytes, batch_crc_matches(*bytes)};
  position_ = position_ + header->size_bytes();
  return std::optional<Batch>(batch);
}

Result<ByteView> SegmentFile::look(std::size_t count) {
  const std::uint64_t skipped = position_ - buffer_position_;
  if (skipped > buffer_bytes_ || buffer_bytes_ - skipped < count) {
    const std::size_t wanted = std::max(count, kReadBytes);
    if (buffer_.size() < wanted) buffer_.resize(wanted);
    const Result<std::size_t> read = file_->read(position_, MutableBytes(buffer_).first(wanted));
    if (!read) return read.error();
    buffer_position_ = position_;
    buffer_bytes_ = *read;
  }
  const std::size_t from = static_cast<std::size_t>(position_ - buffer_position_);
  return ByteView(buffer_).subspan(from, std::min(count, buffer_bytes_ - from));
}

Result<bool> SegmentFile::only_zeros_follow() {
  ByteVector block(kReadBytes);
  FilePosition at = position_;
  for (;;) {
    const Result<std::size_t> read = file_->read(at, block);
    if (!read) return read.error();
    if (*read == 0) return true;
    const ByteView bytes = ByteView(block).first(*read);
    if (std::ranges::any_of(bytes, [](std::byte byte) { return byte != std::byte{0}; })) return false;
    at = at + *read;
  }
}

Error SegmentFile::damaged(std::string_view what) const {
  return Error{.code = Errc::corrupt_batch, .detail = fmt::format("{} at {}: {}", file_->path(), position_.value, what)};
}

}  // namespace tidemark::tools
