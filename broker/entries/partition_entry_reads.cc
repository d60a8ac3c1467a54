#include <algorithm>

#include "broker/entries/entry_ids.h"
#include "broker/entries/partition_entries.h"
#include "broker/partition.h"

/// Reading by id. An id leads to a batch near it, over the ids of the newest batches or over the index; from there entries are walked.
namespace tidemark::broker {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kLongReadBytes = 256 * 1024;
constexpr std::size_t kRangeBytesMax = 8 * 1024 * 1024;
constexpr std::int64_t kStepBackMin = 64;

storage::IdPlan::FirstId first_id_reader() {
  return [](ByteView batch) -> std::optional<storage::EntryId> {
    const std::optional<EntryId> id = first_entry_id(batch);
    if (!id) return std::nullopt;
    return storage::EntryId{id->ms, id->seq};
  };
}

/// Entries read at once, and what keeps their bytes.
struct Piece {
  struct Taken {
    EntryId id;
    Offset offset;
    std::size_t first_field;
    std::size_t field_count;
    std::size_t bytes;
  };
  std::vector<EntryField> fields;
  std::vector<Taken> taken;
  std::shared_ptr<const void> owner;

  std::size_t take(const EntryWalk::Step& step) {
    const std::size_t first = fields.size();
    const std::size_t count = append_fields(step.record, fields);
    std::size_t bytes = 0;
    for (const EntryField& field : std::span(fields).subspan(first)) bytes += field.name.size() + field.value.size();
    taken.push_back({step.id, step.record.offset, first, count, bytes});
    return bytes;
  }
};

Entry to_entry(const Piece& piece, const Piece::Taken& one) {
  return {one.id, one.offset, std::span(piece.fields).subspan(one.first_field, one.field_count)};
}

}  // namespace

// --- From ids to offsets.

/// An offset at or before the first entry that is not below `id`, with little in between; the readable end when all are below.
void PartitionEntries::find_batch(EntryId id, Done<Offset> done) {
  const Offset start = partition_.log_start();
  const Offset end = partition_.last_stable();
  if (start == end || id > readable_last()) return done(end);
  if (!has_ids()) return done(std::clamp(offset_of_id(id), start, end));
  if (!recent_.empty() && recent_.front().first <= id) {
    const auto past = std::ranges::upper_bound(recent_, id, {}, &Recent::first);
    return done(std::clamp(std::prev(past)->base, start, end));
  }
  storage::IdPlan plan = partition_.log_->plan_id({id.ms, id.seq}, end, first_id_reader());
  partition_.on_disk<Offset>([plan = std::move(plan)](storage::FileCache& files) mutable { return plan.execute(files); }, std::move(done));
}

void PartitionEntries::offset_of(EntryId id, Done<Offset> done) {
  const Offset end = partition_.last_stable();
  if (!has_ids() || id > readable_last()) return find_batch(id, std::move(done));
  find_batch(id, [this, self = partition_.shared_from_this(), id, end, done = std::move(done)](Result<Offset> from) mutable {
    if (!from) return done(std::move(from).error());
    auto found = std::make_shared<Offset>(end);
    auto walk = std::make_shared<Scan>(Scan{.at = *from, .limit = end, .with_deleted = true, .visit = {}, .keep = {}, .done = {}});
    walk->visit = [id, found](const EntryWalk::Step& step) {
      if (step.id < id) return true;
      *found = step.record.offset;
      return false;
    };
    walk->done = [found, done = std::move(done)](Status walked) mutable {
      if (walked) return done(*found);
      done(std::move(walked).error());
    };
    scan(std::move(walk));
  });
}

struct PartitionEntries::Search {
  std::vector<EntryId> ids;
  std::vector<std::size_t> order;  ///< Of `ids`, ascending.
  std::size_t next = 0;
  std::vector<std::optional<EntryPlace>> places;
  Offset at;  ///< Everything below was looked at.
  Offset end;
  Done<std::vector<std::optional<EntryPlace>>> done;

  EntryId wanted() const { return ids[order[next]]; }
  bool finished() const { return next == order.size(); }
  /// An entry that is there. Walked in ascending order.
  void meet(const EntryWalk::Step& step) {
    while (!finished() && wanted() < step.id) ++next;
    for (; !finished() && wanted() == step.id; ++next) places[order[next]] = EntryPlace{step.id, step.record.offset};
  }
};

void PartitionEntries::find(std::vector<EntryId> ids, Done<std::vector<std::optional<EntryPlace>>> done) {
  auto search = std::make_shared<Search>();
  search->ids = std::move(ids);
  search->places.resize(search->ids.size());
  search->order.resize(search->ids.size());
  for (std::size_t i = 0; i < search->order.size(); ++i) search->order[i] = i;
  std::ranges::sort(search->order, {}, [&](std::size_t i) { return search->ids[i]; });
  search->at = partition_.log_start();
  search->end = partition_.last_stable();
  search->done = std::move(done);
  search_on(std::move(search));
}

void PartitionEntries::search_on(std::shared_ptr<Search> search) {
  if (partition_.closed_) return search->done(*partition_.closed_);
  if (search->finished() || search->at >= search->end) return search->done(std::move(search->places));
  find_batch(search->wanted(), [this, self = partition_.shared_from_this(), search](Result<Offset> from) mutable {
    if (!from) return search->done(std::move(from).error());
    const Offset at = std::max(*from, search->at);
    if (at >= search->end) return search->done(std::move(search->places));
    auto walk = std::make_shared<Scan>(Scan{.at = at, .limit = search->end, .one_read = true, .visit = {}, .keep = {}, .done = {}});
    walk->visit = [search](const EntryWalk::Step& step) {
      search->meet(step);
      return !search->finished();
    };
    walk->done = [this, self, search, looked = walk.get()](Status walked) mutable {
      if (!walked) return search->done(std::move(walked).error());
      search->at = looked->at;
      search_on(std::move(search));
    };
    scan(std::move(walk));
  });
}

void PartitionEntries::entry_at(Offset from, Done<std::optional<EntryPlace>> done) {
  auto found = std::make_shared<std::optional<EntryPlace>>();
  auto walk = std::make_shared<Scan>(Scan{
      .at = std::max(from, partition_.log_start()), .limit = partition_.last_stable(), .bytes = 1, .visit = {}, .keep = {}, .done = {}});
  walk->visit = [found](const EntryWalk::Step& step) {
    *found = EntryPlace{step.id, step.record.offset};
    return false;
  };
  walk->done = [found, done = std::move(done)](Status walked) mutable {
    if (walked) return done(*found);
    done(std::move(walked).error());
  };
  scan(std::move(walk));
}

// --- Walking.

void PartitionEntries::scan(std::shared_ptr<Scan> scan) {
  if (partition_.closed_) return scan->done(*partition_.closed_);
  scan->at = std::max(scan->at, partition_.log_start());  // It may have moved meanwhile.
  if (scan->at >= scan->limit) return scan->done({});
  ReadRequest request{.from = scan->at, .bytes_max = scan->bytes, .bytes_min = 1, .wait_max = {}};
  partition_.read_raw(request, [this, self = partition_.shared_from_this(), scan](Result<ReadReply> reply) {
    if (!reply && reply.error().code == Errc::offset_out_of_range && scan->at < partition_.log_start()) return scan_on(scan);
    if (!reply) return scan->done(std::move(reply).error());
    const Offset from = scan->at;
    scan->at = std::max(reply->next, from);
    for (Slice& batches : reply->batches) {
      EntryWalk walk(std::move(batches), mode());
      EntryWalk::Step step;
      bool enough = false;
      for (;;) {
        const Result<bool> more = walk.next(step);
        if (!more) return scan->done(more.error());
        if (!*more) break;
        const Offset offset = step.record.offset;
        if (offset < from || (!scan->with_deleted && values_.deleted.contains(offset))) continue;
        enough = offset >= scan->limit || !scan->visit(step);
        if (enough) break;
      }
      if (scan->keep) scan->keep(walk.keep());
      if (enough) return scan->done({});
    }
    if (scan->one_read || scan->at == from) return scan->done({});
    scan_on(scan);
  });
}

/// Through the shard's queue: a long walk lets others in between, and does not pile up on the stack.
void PartitionEntries::scan_on(std::shared_ptr<Scan> walk) {
  partition_.services_.shard.post(
      [this, self = partition_.shared_from_this(), walk = std::move(walk)]() mutable { scan(std::move(walk)); });
}

// --- Ranges.

struct PartitionEntries::RangeRead {
  EntryRange range;
  Done<EntryBatch> done;
  std::deque<std::shared_ptr<Piece>> pieces;  ///< In offset order; backwards: of the present stretch.
  std::deque<std::shared_ptr<Piece>> later;   ///< Backwards: of the stretches behind it.
  std::size_t count = 0;
  std::size_t bytes = 0;
  bool more = false;
  bool reached_first = false;  ///< Backwards: nothing of the range lies further back.
  std::int64_t step_back = kStepBackMin;

  bool full() const { return count >= range.count_max || bytes >= range.bytes_max; }
  Piece& piece() {
    if (pieces.empty() || pieces.back()->owner) pieces.push_back(std::make_shared<Piece>());
    return *pieces.back();
  }
  void take(const EntryWalk::Step& step) {
    bytes += piece().take(step);
    ++count;
  }
  void keep(std::shared_ptr<const void> owner) {
    if (!pieces.empty() && !pieces.back()->owner) pieces.back()->owner = std::move(owner);
  }
  /// Backwards, the newest are wanted: what lies furthest back goes when there is enough without it.
  void drop_surplus() {
    while (!pieces.empty()) {
      const Piece& oldest = *pieces.front();
      std::size_t bytes_of = 0;
      for (const Piece::Taken& one : oldest.taken) bytes_of += one.bytes;
      const std::size_t count_left = count - oldest.taken.size();
      if (count_left < range.count_max && bytes - bytes_of < range.bytes_max) break;
      if (count_left == 0) break;
      more = more || count_left < range.count_max;
      count = count_left;
      bytes -= bytes_of;
      reached_first = true;
      pieces.pop_front();
    }
  }
  void answer();
};

void PartitionEntries::RangeRead::answer() {
  std::ranges::move(later, std::back_inserter(pieces));
  EntryBatch batch;
  auto owner = std::make_shared<std::vector<std::shared_ptr<Piece>>>(pieces.begin(), pieces.end());
  std::size_t taken_bytes = 0;
  const auto take = [&](const Piece& piece, const Piece::Taken& one) {
    if (batch.entries.size() >= range.count_max) return;
    if (!batch.entries.empty() && taken_bytes >= range.bytes_max) {
      more = true;
      return;
    }
    taken_bytes += one.bytes;
    batch.entries.push_back(to_entry(piece, one));
  };
  batch.entries.reserve(count);
  if (range.backwards) {
    for (auto piece = owner->rbegin(); piece != owner->rend(); ++piece) {
      for (auto one = (*piece)->taken.rbegin(); one != (*piece)->taken.rend(); ++one) take(**piece, *one);
    }
  } else {
    for (const auto& piece : *owner) {
      for (const Piece::Taken& one : piece->taken) take(*piece, one);
    }
  }
  batch.more = more && batch.entries.size() < range.count_max;
  if (!batch.entries.empty()) batch.resume_at = batch.entries.back().id;
  batch.owner = std::move(owner);
  done(std::move(batch));
}

void PartitionEntries::read(const EntryRange& range, Done<EntryBatch> done) {
  if (partition_.closed_) return done(*partition_.closed_);
  auto read = std::make_shared<RangeRead>();
  read->range = range;
  read->range.bytes_max = std::clamp<std::size_t>(range.bytes_max, 1, kRangeBytesMax);
  read->done = std::move(done);
  if (range.count_max == 0 || range.last < range.first || range.first > readable_last()) return read->answer();
  find_batch(range.backwards ? range.last : range.first, [this, self = partition_.shared_from_this(), read](Result<Offset> from) {
    if (!from) return read->done(std::move(from).error());
    if (read->range.backwards) return read_backwards(read, *from);
    read_forwards(read, *from, partition_.last_stable());
  });
}

/// Takes what lies in the range between the two offsets.
void PartitionEntries::read_forwards(std::shared_ptr<RangeRead> read, Offset from, Offset limit) {
  const bool backwards = read->range.backwards;
  auto walk = std::make_shared<Scan>(Scan{.at = from,
                                          .limit = limit,
                                          .bytes = read->range.count_max <= 100 ? kReadBytes : kLongReadBytes,
                                          .visit = {},
                                          .keep = {},
                                          .done = {}});
  walk->visit = [read, backwards](const EntryWalk::Step& step) {
    if (step.id > read->range.last) return false;
    if (step.id < read->range.first) {
      read->reached_first = true;
      return true;
    }
    if (!backwards && read->full()) {
      read->more = true;
      return false;
    }
    read->take(step);
    return backwards || read->count < read->range.count_max;
  };
  walk->keep = [read, backwards](std::shared_ptr<const void> owner) {
    read->keep(std::move(owner));
    if (backwards) read->drop_surplus();
  };
  walk->done = [this, self = partition_.shared_from_this(), read, from, backwards](Status walked) {
    if (!walked) return read->done(std::move(walked).error());
    if (!backwards) return read->answer();
    read->later.insert(read->later.begin(), read->pieces.begin(), read->pieces.end());
    read->pieces.clear();
    if (read->reached_first || read->full() || from <= partition_.log_start()) {
      read->more = read->more || (read->bytes >= read->range.bytes_max && read->count < read->range.count_max);
      return read->answer();
    }
    // Further back, in growing stretches.
    read->step_back = std::min<std::int64_t>(read->step_back * 2, 1 << 20);
    partition_.services_.shard.post([this, self, read, from] {
      const Offset start = partition_.log_start();
      read_forwards(read, std::max(start, from - std::min(read->step_back, partition_.stretch_of(kLongReadBytes))), from);
    });
  };
  scan(std::move(walk));
}

/// Begins with the stretch from `near` on, which may hold the last entry of the range.
void PartitionEntries::read_backwards(std::shared_ptr<RangeRead> read, Offset near) {
  const Offset end = partition_.last_stable();
  const Offset start = partition_.log_start();
  const Offset from = near < end ? near : std::max(start, end - kStepBackMin);
  read_forwards(std::move(read), from, end);
}

// --- Figures.

EntryStats PartitionEntries::stats() const {
  EntryStats stats;
  stats.log_start = partition_.log_start();
  stats.end = partition_.last_stable();
  stats.length = static_cast<std::uint64_t>(stats.end - stats.log_start) - values_.deleted.count(stats.log_start, stats.end);
  stats.last_id = readable_last();
  stats.max_deleted = values_.max_deleted;
  stats.entries_added = static_cast<std::uint64_t>(std::max<std::int64_t>(stats.end.value + values_.added_minus_end, 0));
  return stats;
}

void PartitionEntries::info(std::uint32_t node_entries, Done<EntryInfo> done) {
  read({.count_max = 1},
       [this, self = partition_.shared_from_this(), node_entries, done = std::move(done)](Result<EntryBatch> first) mutable {
         if (!first) return done(std::move(first).error());
         const EntryRange backwards{.backwards = true, .count_max = 1};
         read(backwards, [this, self, node_entries, first = *std::move(first), done = std::move(done)](Result<EntryBatch> last) mutable {
           if (!last) return done(std::move(last).error());
           EntryInfo info;
           info.stats = stats();
           const std::int64_t per_node = std::max<std::int64_t>(node_entries, 1);
           const Offset begin = info.stats.log_start;
           const Offset end = info.stats.end;
           if (begin < end && info.stats.length > 0)
             info.nodes = static_cast<std::uint64_t>((end.value - 1) / per_node - begin.value / per_node + 1);
           if (!first.entries.empty()) info.first_id = first.entries.front().id;
           info.first = std::move(first);
           info.last = *std::move(last);
           done(std::move(info));
         });
       });
}

}  // namespace tidemark::broker
