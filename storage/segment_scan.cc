#include "storage/segment_scan.h"

#include <algorithm>
#include <array>

#include "storage/base/check.h"
#include "storage/base/crc32c.h"
#include "storage/log.h"

namespace tidemark::storage {
namespace {

constexpr std::size_t kReadBytes = 1024 * 1024;

/// A stretch of the file in memory that moves forward.
class Window {
 public:
  Window(File& file, std::uint64_t file_bytes) : file_(file), file_bytes_(file_bytes) {}

  /// The bytes at `at`: at least `wanted` of them, unless the file ends before. Valid until the next call.
  Result<ByteView> view(FilePosition at, std::size_t wanted) {
    const std::uint64_t left = file_bytes_ - std::min(file_bytes_, at.value);
    const std::size_t needed = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, left));
    if (at < start_ || at.value + needed > start_.value + filled_) {
      buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(std::max(needed, kReadBytes), left)));
      const Result<std::size_t> got = file_.read(at, buffer_);
      start_ = at;
      filled_ = got ? *got : 0;
      if (!got) return got.error();
    }
    return ByteView(buffer_).subspan(at - start_, filled_ - (at - start_));
  }

  /// The bytes of the batch at `at`, as far as they are there: enough for check_batch().
  Result<ByteView> batch(FilePosition at) {
    const Result<ByteView> head = view(at, kBatchHeaderBytes);
    if (!head || head->size() < kBatchHeaderBytes) return head;
    const Result<BatchHeader> header = BatchHeader::parse(*head);
    if (!header || header->size_bytes() > kGroupBytesMax || header->size_bytes() <= head->size()) return head;
    return view(at, header->size_bytes());
  }

 private:
  File& file_;
  const std::uint64_t file_bytes_;
  ByteVector buffer_;
  FilePosition start_;
  std::size_t filled_ = 0;
};

/// Where the log goes on behind a bad place.
struct Resumption {
  FilePosition at;
  Offset offset;
};

class Scan {
 public:
  Scan(File& file, const ScanOptions& options, SegmentIndex& index, const std::function<void(const BatchHeader&, ByteView)>& on_batch)
      : options_(options), index_(index), on_batch_(on_batch), window_(file, options.file_bytes), chain_(options.chain), at_(options.from) {
    CHECK(index.covered() == options.from);
  }

  Result<ScanOutcome> run() {
    while (at_.value < options_.file_bytes) {
      const Result<ByteView> bytes = window_.batch(at_);
      if (!bytes) return bytes.error();
      CheckedBatch checked = check_batch(*bytes, chain_);
      const bool fits = !options_.segment_end || checked.header.end_offset() <= *options_.segment_end;
      if (checked.fault == Fault::none && !fits) checked.fault = Fault::chain;
      if (checked.fault == Fault::none) {
        take(checked.header, bytes->first(checked.header.size_bytes()));
        continue;
      }
      if (can_be_torn()) {
        outcome_.torn_at = at_;
        break;
      }
      if (const Status passed = pass_damage(checked); !passed) return passed.error();
    }
    outcome_.end = at_;
    outcome_.end_offset = chain_.expected;
    outcome_.leader_epoch = chain_.leader_epoch;
    return std::move(outcome_);
  }

 private:
  bool can_be_torn() const { return options_.torn_from && at_ >= *options_.torn_from && options_.file_bytes - at_.value <= kGroupBytesMax; }

  const IndexEntry* landmark_at(FilePosition at) const {
    const auto hit = std::ranges::lower_bound(options_.landmarks, at, {}, &IndexEntry::position);
    return hit != options_.landmarks.end() && hit->position == at ? &*hit : nullptr;
  }

  /// Begins an interval at the present place.
  void open_interval(std::int64_t max_timestamp_ms) {
    const IndexEntry* const known = landmark_at(at_);
    IndexEntry entry{.first_offset = chain_.expected, .position = at_, .append_time = {}, .first_id = {}};
    if (!index_.entries.empty()) entry.max_timestamp_ms = index_.entries.back().max_timestamp_ms;
    if (known != nullptr && known->first_offset == chain_.expected) {
      entry.append_time = known->append_time;
      entry.first_id = known->first_id;
      entry.estimated = known->estimated;
    } else {
      // The clients' time is the best there is, but it may be anything.
      entry.append_time =
          max_timestamp_ms < 0 ? options_.now : std::min(options_.now, Timestamp(std::chrono::milliseconds(max_timestamp_ms)));
      entry.estimated = true;
    }
    if (!index_.entries.empty()) entry.append_time = std::max(entry.append_time, index_.entries.back().append_time);
    index_.entries.push_back(entry);
  }

  void take(const BatchHeader& header, ByteView bytes) {
    chain_.expected = header.base_offset;  // Where gaps are allowed it may lie further on.
    const bool begins =
        fresh_interval_ || index_.entries.empty() || index_.entries.back().bytes >= kIndexIntervalBytes || landmark_at(at_) != nullptr;
    if (begins) open_interval(header.max_timestamp_ms);
    fresh_interval_ = false;
    IndexEntry& entry = index_.entries.back();
    entry.interval_crc = crc32c(bytes, entry.interval_crc);
    entry.bytes += static_cast<std::uint32_t>(bytes.size());
    entry.max_timestamp_ms = std::max(entry.max_timestamp_ms, header.max_timestamp_ms);
    chain_.expected = header.end_offset();
    chain_.leader_epoch = header.leader_epoch;
    at_ = at_ + bytes.size();
    if (on_batch_) on_batch_(header, bytes);
  }

  /// A place behind the bad one from which a good batch starts that can follow.
  Result<std::optional<Resumption>> find_resumption(const CheckedBatch& bad) {
    if (bad.framed) {
      const FilePosition next = at_ + bad.header.size_bytes();
      const Result<std::optional<Offset>> base = good_batch_at(next);
      if (!base) return base.error();
      if (*base) return std::optional<Resumption>(Resumption{next, **base});
    }
    const auto behind = std::ranges::upper_bound(options_.landmarks, at_, {}, &IndexEntry::position);
    for (auto landmark = behind; landmark != options_.landmarks.end(); ++landmark) {
      const Result<std::optional<Offset>> base = good_batch_at(landmark->position);
      if (!base) return base.error();
      if (*base && **base == landmark->first_offset) return std::optional<Resumption>(Resumption{landmark->position, **base});
    }
    return std::optional<Resumption>();
  }

  /// The base offset of the good batch at `at` that can come after a damaged one; nullopt if there is none.
  Result<std::optional<Offset>> good_batch_at(FilePosition at) {
    if (at.value >= options_.file_bytes) return std::optional<Offset>();
    const Result<ByteView> bytes = window_.batch(at);
    if (!bytes) return bytes.error();
    const CheckedBatch checked = check_batch(*bytes, {chain_.expected + 1, chain_.leader_epoch, true});
    const bool inside = !options_.segment_end || checked.header.end_offset() <= *options_.segment_end;
    if (checked.fault != Fault::none || !inside) return std::optional<Offset>();
    return std::optional<Offset>(checked.header.base_offset);
  }

  /// Gives up what lies between here and the next good batch, or the end of the file.
  Status pass_damage(const CheckedBatch& bad) {
    const Result<std::optional<Resumption>> resumption = find_resumption(bad);
    if (!resumption) return resumption.error();
    const FilePosition begin = at_;
    const Offset from = chain_.expected;
    const bool last_is_framed =
        bad.framed && begin.value + bad.header.size_bytes() == options_.file_bytes && bad.header.base_offset == from;
    FilePosition end{options_.file_bytes};
    Offset to = options_.segment_end.value_or(last_is_framed ? bad.header.end_offset() : from + 1);
    if (*resumption) {
      end = (*resumption)->at;
      to = (*resumption)->offset;
    } else {
      outcome_.rest_lost = true;
    }
    to = std::max(to, from + 1);
    outcome_.damage.push_back({options_.file_name, begin, from, to, std::string(to_string(bad.fault))});
    if (const Status marked = mark_damaged(end); !marked) return marked;
    chain_.expected = to;
    return {};
  }

  /// Covers the bad bytes with an interval that no reader will find right.
  Status mark_damaged(FilePosition end) {
    open_interval(-1);
    IndexEntry& entry = index_.entries.back();
    std::uint32_t crc = 0;
    while (at_ < end) {
      const Result<ByteView> bytes = window_.view(at_, static_cast<std::size_t>(std::min<std::uint64_t>(end - at_, kReadBytes)));
      if (!bytes) return bytes.error();
      if (bytes->empty()) break;  // The file got shorter since its size was taken.
      const ByteView part = bytes->first(static_cast<std::size_t>(std::min<std::uint64_t>(end - at_, bytes->size())));
      crc = crc32c(part, crc);
      at_ = at_ + part.size();
    }
    at_ = end;
    entry.bytes = static_cast<std::uint32_t>(end - entry.position);
    entry.interval_crc = ~crc;
    fresh_interval_ = true;
    return {};
  }

  const ScanOptions& options_;
  SegmentIndex& index_;
  const std::function<void(const BatchHeader&, ByteView)>& on_batch_;
  Window window_;
  ChainState chain_;
  FilePosition at_;
  bool fresh_interval_ = false;
  ScanOutcome outcome_;
};

}  // namespace

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "none";
    case Fault::truncated:
      return "truncated";
    case Fault::framing:
      return "framing";
    case Fault::chain:
      return "chain";
    case Fault::epoch:
      return "epoch";
    case Fault::crc:
      return "crc";
  }
  return "unknown";
}

CheckedBatch check_batch(ByteView bytes, const ChainState& chain) {
  CheckedBatch checked;
  if (bytes.size() < kBatchHeaderBytes) return {.fault = Fault::truncated, .header = {}};
  const Result<BatchHeader> header = BatchHeader::parse(bytes);
  if (!header || header->size_bytes() > kGroupBytesMax) return {.fault = Fault::framing, .header = {}};
  if (header->size_bytes() > bytes.size()) return {.fault = Fault::truncated, .header = {}};
  checked.framed = true;
  checked.header = *header;
  const bool in_chain = chain.gaps_allowed ? header->base_offset >= chain.expected : header->base_offset == chain.expected;
  if (!in_chain) {
    checked.fault = Fault::chain;
  } else if (!batch_crc_matches(bytes.first(header->size_bytes()))) {
    checked.fault = Fault::crc;
  } else if (header->last_offset_delta < 0 || header->last_offset_delta < header->record_count - 1) {
    checked.fault = Fault::chain;
  } else if (header->leader_epoch < chain.leader_epoch) {
    checked.fault = Fault::epoch;
  }
  return checked;
}

IntervalFindings inspect_interval(ByteView bytes, const IndexEntry& entry, Offset interval_end, bool gaps_allowed,
                                  const std::string& file) {
  IntervalFindings findings;
  ChainState chain{entry.first_offset, INT32_MIN, gaps_allowed};
  const bool short_file = bytes.size() < entry.bytes;
  std::size_t at = 0;
  bool extends = false;  // The batch before was good.
  const auto damaged = [&](Offset to, std::string_view reason) {
    findings.damage.push_back({file, entry.position + at, chain.expected, to, std::string(reason)});
    extends = false;
  };
  while (at < bytes.size()) {
    const ByteView rest = bytes.subspan(at);
    const CheckedBatch checked = check_batch(rest, chain);
    const bool fits = checked.fault != Fault::none || checked.header.end_offset() <= interval_end;
    if (checked.fault == Fault::none && fits) {
      if (!extends) findings.runs.push_back({at, at, checked.header.base_offset, {}});
      extends = true;
      at += checked.header.size_bytes();
      findings.runs.back().end = at;
      chain.expected = checked.header.end_offset();
      chain.leader_epoch = checked.header.leader_epoch;
      findings.runs.back().next = chain.expected;
      continue;
    }
    const std::string_view reason = fits ? to_string(checked.fault) : "chain";
    const std::size_t next = checked.framed ? at + checked.header.size_bytes() : bytes.size();
    if (next < bytes.size()) {
      const CheckedBatch follower = check_batch(bytes.subspan(next), {chain.expected + 1, chain.leader_epoch, true});
      if (follower.fault == Fault::none && follower.header.end_offset() <= interval_end) {
        damaged(follower.header.base_offset, reason);
        at = next;
        chain.expected = follower.header.base_offset;
        continue;
      }
    }
    damaged(interval_end, short_file && checked.fault == Fault::truncated ? "length" : reason);
    return findings;
  }
  if (short_file) {
    if (chain.expected < interval_end) damaged(interval_end, "length");
  } else if (findings.damage.empty()) {
    // Every batch agrees with its own checksum, so it is a field outside: the leader epoch, or an offset where gaps are allowed.
    findings.runs.clear();
    findings.damage.push_back({file, entry.position, entry.first_offset, interval_end, "interval"});
  } else if (!findings.runs.empty() && extends) {
    findings.runs.back().next = interval_end;
  }
  return findings;
}

void keep_evidence(SegmentIndex& index, std::span<const IndexEntry> older) {
  for (const IndexEntry& known : older) {
    const auto entry = std::ranges::lower_bound(index.entries, known.position, {}, &IndexEntry::position);
    if (entry == index.entries.end() || entry->position != known.position || entry->bytes != known.bytes) continue;
    entry->interval_crc = known.interval_crc;
  }
}

Result<ScanOutcome> scan_segment(File& file, const ScanOptions& options, SegmentIndex& index,
                                 const std::function<void(const BatchHeader&, ByteView)>& on_batch) {
  return Scan(file, options, index, on_batch).run();
}

}  // namespace tidemark::storage
