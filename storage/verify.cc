#include "storage/verify.h"

#include <algorithm>
#include <utility>

#include "storage/base/crc32c.h"
#include "storage/seal.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"
#include "storage/segment_swap.h"
#include "storage/state_recovery.h"

namespace tidemark::storage {
namespace {

/// A derived file, if it is there and can be read.
ByteVector read_if_there(FileSystem& files, const std::string& path) {
  Result<ByteVector> bytes = read_file(files, path, kSealFileBytesMax);
  return bytes ? *std::move(bytes) : ByteVector();
}

class PartitionVerifier {
 public:
  PartitionVerifier(FileSystem& files, const std::string& directory, Offset log_start, const std::optional<LogCheckpoint>& checkpoint)
      : files_(files), directory_(directory), log_start_(log_start), checkpoint_(checkpoint) {}

  Result<PartitionCheck> run();

 private:
  struct Segment {
    Offset base;
    std::uint64_t bytes = 0;
  };
  Status check_sealed(File& file, const Seal& seal, std::uint64_t file_bytes);
  Result<std::vector<Segment>> list_segments();
  Status check_segment(const Segment& segment, std::optional<Offset> next_base);
  Status check_unsealed(File& file, Offset base, std::optional<Offset> next_base, std::uint64_t file_bytes);

  FileSystem& files_;
  const std::string& directory_;
  const Offset log_start_;
  const std::optional<LogCheckpoint> checkpoint_;
  PartitionCheck check_;
  Offset end_;             ///< Behind the segments looked at.
  Offset absorbed_until_;  ///< The last exchange that was decided and not carried out takes the place of segments up to here.
};

/// In order, up to the last one that holds data: empty ones behind it are space taken for batches to come.
Result<std::vector<PartitionVerifier::Segment>> PartitionVerifier::list_segments() {
  std::vector<Segment> segments;
  const Result<bool> exists = files_.exists(directory_);
  if (!exists) return exists.error();
  if (!*exists) return segments;
  const Result<std::vector<DirectoryEntry>> entries = files_.list(directory_);
  if (!entries) return entries.error();
  for (const DirectoryEntry& entry : *entries) {
    const std::optional<Offset> base = parse_segment_file_name(entry.name, ".log");
    if (!base) continue;
    const Result<std::uint64_t> bytes = files_.file_size(directory_ + "/" + entry.name);
    if (!bytes && bytes.error().code == Errc::not_found) continue;  // Retention took it meanwhile.
    if (!bytes) return bytes.error();
    segments.push_back({*base, *bytes});
  }
  std::ranges::sort(segments, {}, &Segment::base);
  while (!segments.empty() && segments.back().bytes == 0) segments.pop_back();
  return segments;
}

Result<PartitionCheck> PartitionVerifier::run() {
  const Result<std::vector<Segment>> segments = list_segments();
  if (!segments) return segments.error();
  end_ = log_start_;
  for (std::size_t i = 0; i < segments->size(); ++i) {
    const Segment& segment = (*segments)[i];
    const std::optional<Offset> next = i + 1 < segments->size() ? std::optional((*segments)[i + 1].base) : std::nullopt;
    if (next && *next <= log_start_) continue;     // Trimmed; the files are on their way out.
    if (absorbed_until_ > segment.base) continue;  // Cleaning has put it into the one before; likewise.
    if (segment.base > end_) check_.damage.push_back({segment_file_name(end_, ".log"), {}, end_, segment.base, "missing"});
    const Status checked = check_segment(segment, next);
    if (!checked && checked.error().code == Errc::not_found) continue;  // Retention took it meanwhile.
    if (!checked) return checked.error();
  }
  if (checkpoint_ && end_ < checkpoint_->offset) {
    const bool there = std::ranges::find(*segments, checkpoint_->segment_base, &Segment::base) != segments->end();
    check_.damage.push_back({segment_file_name(checkpoint_->segment_base, ".log"), there ? checkpoint_->position : FilePosition{}, end_,
                             checkpoint_->offset, there ? "length" : "missing"});
  }
  std::erase_if(check_.damage, [this](const Damage& damage) { return damage.to <= log_start_; });
  return check_;
}

Status PartitionVerifier::check_segment(const Segment& segment, std::optional<Offset> next_base) {
  const std::string log_path = directory_ + "/" + segment_file_name(segment.base, ".log");
  const std::string seal_path = directory_ + "/" + segment_file_name(segment.base, ".seal");
  // An exchange that was decided counts, and what the rewritten log still goes by is its own matter.
  const ByteVector decided = read_if_there(files_, seal_path + std::string(kSwapSuffix));
  Result<std::unique_ptr<File>> file = Error{Errc::not_found, ""};
  if (!decided.empty()) file = files_.open(log_path + std::string(kCleanedSuffix), OpenMode::read);
  if (!file) file = files_.open(log_path, OpenMode::read);
  if (!file) return file.error();
  const Result<std::uint64_t> bytes = decided.empty() ? Result<std::uint64_t>(segment.bytes) : (*file)->size();
  if (!bytes) return bytes.error();
  ++check_.segments;
  check_.bytes += *bytes;
  const Result<Seal> seal = decode_seal(decided.empty() ? read_if_there(files_, seal_path) : decided, segment.base);
  if (seal && !decided.empty()) absorbed_until_ = seal->end;
  return seal ? check_sealed(**file, *seal, *bytes) : check_unsealed(**file, segment.base, next_base, *bytes);
}

Status PartitionVerifier::check_sealed(File& file, const Seal& seal, std::uint64_t file_bytes) {
  const std::string name = segment_file_name(seal.base, ".log");
  end_ = seal.end;
  if (file_bytes > seal.log_bytes) check_.damage.push_back({name, {seal.log_bytes}, seal.end - 1, seal.end, "length"});
  for (std::size_t i = 0; i < seal.intervals.size(); ++i) {
    const SealInterval& interval = seal.intervals[i];
    ByteVector bytes(seal.interval_bytes(i));
    const Result<std::size_t> got = file.read(interval.position, bytes);
    if (!got) return got.error();
    bytes.resize(*got);
    if (bytes.size() == seal.interval_bytes(i) && crc32c(bytes) == interval.crc) continue;
    const IndexEntry entry{.first_offset = interval.first_offset,
                           .position = interval.position,
                           .append_time = {},
                           .first_id = {},
                           .bytes = static_cast<std::uint32_t>(seal.interval_bytes(i)),
                           .interval_crc = interval.crc};
    const IntervalFindings findings = inspect_interval(bytes, entry, seal.interval_end(i), seal.cleaned, name);
    check_.damage.insert(check_.damage.end(), findings.damage.begin(), findings.damage.end());
  }
  return {};
}

Status PartitionVerifier::check_unsealed(File& file, Offset base, std::optional<Offset> next_base, std::uint64_t file_bytes) {
  const std::string name = segment_file_name(base, ".log");
  const SegmentIndex landmarks = decode_index(read_if_there(files_, directory_ + "/" + segment_file_name(base, ".idx")), base);
  ScanOptions options{.base = base,
                      .from = {},
                      .chain = {base, INT32_MIN, false},
                      .file_bytes = file_bytes,
                      .torn_from = std::nullopt,
                      .landmarks = landmarks.entries,
                      .now = {},
                      .segment_end = next_base,
                      .file_name = name};
  // An unfinished write is at the end of the last segment that holds data, behind the checkpoint; nowhere else.
  if (!next_base) {
    const bool behind_checkpoint = !checkpoint_ || base > checkpoint_->segment_base;
    if (behind_checkpoint)
      options.torn_from = FilePosition{0};
    else if (base == checkpoint_->segment_base)
      options.torn_from = checkpoint_->position;
  }
  SegmentIndex index;
  const Result<ScanOutcome> scanned = scan_segment(file, options, index, {});
  if (!scanned) return scanned.error();
  end_ = next_base.value_or(scanned->end_offset);
  if (scanned->torn_at && scanned->torn_at->value < file_bytes) {
    check_.torn = TornTail{name, *scanned->torn_at, file_bytes - scanned->torn_at->value, ""};
  }
  check_.damage.insert(check_.damage.end(), scanned->damage.begin(), scanned->damage.end());
  // The file stops between two batches, before the next segment begins.
  if (scanned->end_offset < end_) check_.damage.push_back({name, {file_bytes}, scanned->end_offset, end_, "length"});
  return {};
}

}  // namespace

Result<PartitionCheck> verify_partition(FileSystem& files, const std::string& directory, Offset log_start,
                                        const std::optional<LogCheckpoint>& checkpoint) {
  // Of a directory in use, a segment may be rewritten between its seal and its log: what looks damaged must do so more than once.
  constexpr int kLooks = 3;
  Result<PartitionCheck> check;
  for (int look = 0; look < kLooks; ++look) {
    Result<PartitionCheck> next = PartitionVerifier(files, directory, log_start, checkpoint).run();
    const bool settled = !next || next->damage.empty() || (check && check->damage == next->damage);
    check = std::move(next);
    if (settled) break;
  }
  return check;
}

Result<StateCheck> read_state_log(FileSystem& files, const std::string& directory, const std::function<void(const StateRecord&)>& show) {
  const Result<std::vector<DirectoryEntry>> entries = files.list(directory);
  if (!entries) return entries.error();
  std::vector<std::uint64_t> numbers;
  for (const DirectoryEntry& entry : *entries) {
    if (const std::optional<std::uint64_t> number = parse_state_file_name(entry.name)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  StateCheck check;
  for (const std::uint64_t number : numbers) {
    const bool last = number == numbers.back();
    const std::string path = directory + "/" + state_file_name(number);
    const Result<std::unique_ptr<File>> file = files.open(path, OpenMode::read);
    if (!file && file.error().code == Errc::not_found) continue;  // Its records are dead and it was removed meanwhile.
    if (!file) return file.error();
    const Result<std::uint64_t> bytes = (*file)->size();
    if (!bytes) return bytes.error();
    ++check.files;
    check.bytes += *bytes;
    StateFileReader reader(**file, *bytes);
    Result<DecodedStateHeader> header = reader.read_header();
    std::optional<Error> bad;
    if (!header) bad = std::move(header).error();
    while (!bad) {
      Result<std::optional<StateFileReader::Read>> read = reader.next();
      if (!read) {
        bad = std::move(read).error();
      } else if (!*read) {
        break;
      } else {
        const StateRecordFrame& frame = (*read)->record;
        show({.stream = {frame.kind, std::string(frame.id)},
              .type = frame.type,
              .last_part = frame.last_part,
              .sequence = frame.sequence,
              .payload = ByteVector(frame.payload.begin(), frame.payload.end())});
      }
    }
    if (!bad) continue;
    const std::uint64_t left = *bytes - std::min(*bytes, reader.position().value);
    if (!last || bad->code != Errc::corrupt_batch || left > kGroupBytesMax) {
      bad->detail = path + ": " + bad->detail;
      return *bad;
    }
    check.torn = TornTail{state_file_name(number), reader.position(), left, ""};
  }
  return check;
}

}  // namespace tidemark::storage
