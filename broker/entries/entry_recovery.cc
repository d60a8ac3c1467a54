#include "broker/entries/entry_recovery.h"

#include <algorithm>
#include <limits>

#include "broker/entries/entry_chunk.h"
#include "storage/base/log.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

/// The largest id in the batches that lies at or above the log start; nullopt when none does.
Result<std::optional<EntryId>> last_id_in(Slice batches, Offset log_start) {
  EntryWalk walk(std::move(batches), EntryIdMode::time);
  EntryWalk::Step step;
  std::optional<EntryId> last;
  for (;;) {
    const Result<bool> more = walk.next(step);
    if (!more) return more.error();
    if (!*more) return last;
    if (step.record.offset >= log_start) last = step.id;
  }
}

}  // namespace

void recover_entries(const BatchHeader& header, PartitionState& state) {
  if (header.record_count > 0 || header.end_offset() <= state.log_start) return;
  const Offset from = std::max(header.base_offset, state.log_start);
  const std::uint64_t known = state.entries.deleted.count();
  state.entries.deleted.add(from, header.end_offset());
  state.entries.added_minus_end -= static_cast<std::int64_t>(state.entries.deleted.count() - known);
}

Status recover_last_id(const storage::Log& log, storage::FileCache& files, Timestamp now, PartitionState& state) {
  const Offset end = log.flushed_offset();
  if (state.last_id_as_of == end) return {};
  // Ids ascend: the last record has the largest. Batches without records are passed over, backwards.
  for (Offset behind = end; behind > log.log_start();) {
    std::vector<storage::Damage> found;
    storage::ReadPlan plan = log.plan_read(behind - 1, behind, kReadBytes);
    Result<storage::ReadResult> read = plan.execute(files, found);
    if (!read && read.error().code != Errc::quarantined) return std::move(read).error();
    if (!read) {
      const auto now_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(now.time_since_epoch().count(), 0));
      state.entries.last_id = std::max(state.entries.last_id, EntryId{now_ms, std::numeric_limits<std::uint64_t>::max()});
      log_warn("ids go on behind the time of this start, because the last records are damaged: " + read.error().detail);
      return {};
    }
    const Result<BatchHeader> header = BatchHeader::parse(read->batches.view());
    if (!header) return {};
    const Result<std::optional<EntryId>> last = last_id_in(std::move(read->batches), log.log_start());
    if (!last) return last.error();
    if (*last) {
      state.entries.last_id = std::max(state.entries.last_id, **last);
      return {};
    }
    behind = std::min(behind - 1, header->base_offset);
  }
  return {};
}

}  // namespace tidemark::broker
