#include "storage/cleaned_writer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "storage/base/crc32c.h"
#include "storage/base/log.h"
#include "storage/segment_swap.h"

namespace tidemark::storage {
namespace {

constexpr std::size_t kBufferBytes = 512 * 1024;

/// A file of that name with these contents, durable but for the name.
Status write_file(FileSystem& files, const std::string& path, ByteView contents) {
  const Result<std::unique_ptr<File>> file = files.open(path, OpenMode::create);
  if (!file) return file.error();
  if (const Status emptied = (*file)->truncate(0); !emptied) return emptied;
  if (const Status written = (*file)->write({0}, std::span(&contents, 1)); !written) return written;
  return (*file)->sync();
}

}  // namespace

CleanedWriter::CleanedWriter(FileSystem& files, std::string directory, Offset base)
    : files_(files), directory_(std::move(directory)), base_(base), end_(base) {}

std::string CleanedWriter::path(std::string_view suffix) const {
  return directory_ + "/" + segment_file_name(base_, suffix) + std::string(kCleanedSuffix);
}

Status CleanedWriter::open() {
  if (file_) return {};
  Result<std::unique_ptr<File>> file = files_.open(path(".log"), OpenMode::create);
  if (!file) return file.error();
  file_ = *std::move(file);
  return file_->truncate(0);  // An earlier attempt may have left something.
}

Status CleanedWriter::write_out() {
  if (buffer_.empty()) return {};
  if (const Status opened = open(); !opened) return opened;
  const ByteView bytes(buffer_);
  if (const Status written = file_->write({written_}, std::span(&bytes, 1)); !written) return written;
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status CleanedWriter::begin_with(File& source, std::span<const IndexEntry> intervals, Offset end) {
  CHECK(bytes_ == 0);
  if (intervals.empty()) return {};
  if (const Status opened = open(); !opened) return opened;
  const std::uint64_t length = intervals.back().end().value;
  ByteVector copy(kBufferBytes);
  for (std::uint64_t at = 0; at < length;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(copy.size(), length - at));
    const Result<std::size_t> got = source.read({at}, MutableBytes(copy).first(wanted));
    if (!got) return got.error();
    if (*got == 0) return Error{Errc::io_error, source.path() + " became shorter while it was read"};
    const ByteView bytes = ByteView(copy).first(*got);
    if (const Status written = file_->write({at}, std::span(&bytes, 1)); !written) return written;
    at += *got;
  }
  index_.entries.assign(intervals.begin(), intervals.end());
  written_ = bytes_ = length;
  end_ = end;
  return {};
}

Status CleanedWriter::append(ByteView batch, const BatchHeader& header, Timestamp append_time, bool estimated, EntryId first_id) {
  CHECK(batch.size() == header.size_bytes());
  if (header.base_offset < end_) return Error{Errc::corrupt_batch, "a batch at " + std::to_string(header.base_offset.value) + " again"};
  std::vector<IndexEntry>& entries = index_.entries;
  const std::int64_t max_before = entries.empty() ? -1 : entries.back().max_timestamp_ms;
  if (!entries.empty()) append_time = std::max(append_time, entries.back().append_time);
  if (entries.empty() || starts_interval(entries.back(), entries.size(), append_time)) {
    entries.push_back({.first_offset = header.base_offset,
                       .position = {bytes_},
                       .append_time = append_time,
                       .max_timestamp_ms = max_before,
                       .first_id = first_id,
                       .estimated = estimated});
  }
  IndexEntry& entry = entries.back();
  entry.interval_crc = crc32c(batch, entry.interval_crc);
  entry.bytes += static_cast<std::uint32_t>(batch.size());
  entry.max_timestamp_ms = std::max(entry.max_timestamp_ms, header.max_timestamp_ms);
  bytes_ += batch.size();
  end_ = header.end_offset();
  leader_epoch_ = header.leader_epoch;
  buffer_.insert(buffer_.end(), batch.begin(), batch.end());
  return buffer_.size() >= kBufferBytes ? write_out() : Status();
}

Result<std::shared_ptr<const LoadedIndex>> CleanedWriter::finish(Offset end, const Times& times) {
  CHECK(bytes_ > 0 && end_ <= end);
  if (const Status written = write_out(); !written) return written.error();
  if (const Status synced = file_->sync(); !synced) return synced.error();
  file_.reset();

  ByteVector index = encode_index_header(base_);
  Seal seal{.base = base_,
            .end = end,
            .log_bytes = bytes_,
            .max_timestamp_ms = index_.entries.back().max_timestamp_ms,
            .first_append = Timestamp(std::chrono::milliseconds(times.first_append_ms)),
            .last_append = Timestamp(std::chrono::milliseconds(times.last_append_ms)),
            .cleaned = true,
            .intervals = {}};
  for (const IndexEntry& entry : index_.entries) {
    encode_index_entry(index, base_, entry);
    seal.intervals.push_back({entry.first_offset, entry.position, entry.interval_crc});
  }
  if (const Status written = write_file(files_, path(".idx"), index); !written) return written.error();
  if (const Status written = write_file(files_, path(".seal"), encode_seal(seal)); !written) return written.error();
  if (const Status synced = files_.sync_directory(directory_); !synced) return synced.error();
  return std::make_shared<const LoadedIndex>(
      LoadedIndex{.index = std::move(index_), .log_bytes = bytes_, .end = end, .cleaned = true, .damage = {}});
}

void CleanedWriter::abandon() {
  file_.reset();
  for (const std::string_view suffix : {".seal", ".idx", ".log"}) {
    const Status removed = files_.remove(path(suffix));
    if (!removed && removed.error().code != Errc::not_found) log_warn("a leftover of compaction stays: " + removed.error().to_string());
  }
}

}  // namespace tidemark::storage
