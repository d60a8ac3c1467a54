#include "broker/entries/partition_entries.h"

#include <algorithm>

#include "broker/entries/gathered_entries.h"
#include "broker/partition.h"
#include "storage/base/log.h"
#include "storage/base/units.h"
#include "storage/batch/repack.h"

/// Appending: ids are given and entries gathered when they are staged; what becomes of them when they are flushed.
namespace tidemark::broker {
namespace {

constexpr std::size_t kGatherBytesMax = 64 * 1024;
constexpr std::size_t kRecentMax = 4096;

std::uint64_t ms_of(Timestamp time) { return static_cast<std::uint64_t>(std::max<std::int64_t>(time.time_since_epoch().count(), 0)); }

}  // namespace

PartitionEntries::PartitionEntries(Partition& partition, EntryValues recovered)
    : partition_(partition),
      values_(std::move(recovered)),
      staged_last_(values_.last_id),
      gathered_(std::make_unique<Gathered>()),
      changes_([this] { return begin_draft(); },
               [this](const EntryDraft& draft, UniqueFunction<void(Status)> done) { record(draft, std::move(done)); },
               [this](EntryDraft&& draft, bool recorded) { apply(std::move(draft), recorded); }),
      once_(partition.services_.dedup) {}

PartitionEntries::~PartitionEntries() = default;

EntryIdMode PartitionEntries::mode() const { return partition_.config().entry_id; }
bool PartitionEntries::has_ids() const { return mode() == EntryIdMode::time; }
Offset PartitionEntries::staged_end() const { return partition_.end_offset() + gathered_->builder.record_count(); }

EntryId PartitionEntries::readable_last() const {
  if (has_ids()) return values_.last_id;
  return EntryId{static_cast<std::uint64_t>(partition_.last_stable().value), 0};
}

void PartitionEntries::append(EntryAppend entry, Done<EntryAppended> done) {
  if (!has_ids() && entry.id.kind != EntryIdAsked::Kind::automatic) {
    return done(Error{Errc::invalid_argument, "ids of '" + partition_.name() + "' follow from its offsets: only * can be asked for"});
  }
  if (!has_ids() && entry.once) {
    return done(
        Error{Errc::invalid_argument, "ids of '" + partition_.name() + "' follow from its offsets: IDMP goes by ids that are times"});
  }
  if (entry.fields.empty()) return done(Error{Errc::invalid_argument, "an entry has at least one field"});
  if (partition_.config().compact && entry.fields.front().name != "key") {
    return done(Error{Errc::corrupt_batch, partition_.name() + ": an entry begins with the field 'key', as cleanup.policy is compact"});
  }
  if (entry.trim && changes_.full()) return done(Error{Errc::overloaded, "too many changes of " + partition_.name() + " are waiting"});
  const std::size_t bytes = entry_bytes_bound(entry.fields);
  if (auto refusal = partition_.append_refusal(bytes)) return done(*std::move(refusal));
  if (!partition_.services_.staging.try_take(bytes)) return done(partition_.staging_full());
  auto pending = std::make_unique<PendingEntry>(PendingEntry{std::move(entry), bytes, std::move(done)});
  partition_.pending_.push_back({.batch = {}, .header = {}, .plan = nullptr, .done = {}, .entry = std::move(pending)});
  // What comes in the same breath goes into the same batch.
  if (std::exchange(advance_posted_, true)) return;
  partition_.started();
  partition_.services_.shard.post([this, self = partition_.shared_from_this()] {
    advance_posted_ = false;
    partition_.advance();
    partition_.finished();
  });
}

bool PartitionEntries::stage(PendingEntry& pending) {
  Partition& partition = partition_;
  const Timestamp now = partition.services_.runtime.clock().now();
  if (pending.entry.once && !once_ready()) return false;
  if (pending.entry.once && answer_duplicate(pending, ms_of(now))) return true;
  ChosenId chosen;
  if (has_ids()) chosen = choose_id(pending.entry.id, staged_last_, ms_of(now));
  if (chosen.refused != EntryRefusal::none) {
    partition.services_.staging.give_back(pending.bytes);
    pending.done(EntryAppended{.refused = chosen.refused, .id = {}, .offset = {}});
    return true;
  }
  if (std::optional<Error> refusal = partition.full_refusal(staged_end(), 1)) {
    partition.services_.staging.give_back(pending.bytes);
    pending.done(*std::move(refusal));
    return true;
  }
  const auto together = [&] { return gathered_->builder.size_bytes() + pending.bytes; };
  const std::size_t batch_max = std::min<std::size_t>(kGatherBytesMax, partition.config().message_bytes_max);
  if (!gathered_->builder.empty() && (together() > batch_max || !partition.log_->has_space(together(), now))) seal();
  if (!partition.has_room(together(), gathered_->builder.record_count() + 1, now)) return false;

  const Offset offset = staged_end();
  if (!has_ids()) chosen.id = id_of_offset(offset);
  const bool say_id =
      has_ids() && (fields_need_id(pending.entry.fields) || gathered_->ids.implied(offset, entry_timestamp(chosen.id)) != chosen.id);
  const std::int64_t time_ms = has_ids() ? entry_timestamp(chosen.id) : now.time_since_epoch().count();
  gathered_->add(EntryRecord(chosen.id, pending.entry.fields, say_id, pending.entry.once), time_ms, offset, chosen.id);
  if (pending.entry.once) once_.add(*pending.entry.once, {chosen.id, offset}, partition.config().once_entries);
  if (has_ids()) staged_last_ = chosen.id;

  const EntryAppended answer{.refused = EntryRefusal::none, .id = chosen.id, .offset = offset};
  Done<EntryAppended> done = std::move(pending.done);
  Done<Appended> flushed;
  if (pending.entry.trim) {
    std::shared_ptr<TrimChange> trim =
        begin_trim(*pending.entry.trim, offset + 1, [answer, done = std::move(done)](Result<std::uint64_t> trimmed) mutable {
          if (trimmed) return done(answer);
          Error error = std::move(trimmed).error();
          error.maybe_done = true;  // The entry is there; what was to go for it is, too.
          done(std::move(error));
        });
    flushed = [this, trim = std::move(trim)](Result<Appended>) { ready(trim); };
  } else {
    flushed = [answer, done = std::move(done)](Result<Appended> appended) mutable {
      if (appended)
        done(answer);
      else
        done(std::move(appended).error());
    };
  }
  gathered_->waiters.push_back(
      {offset + 1, pending.bytes, {offset, partition.log_start(), now, false, partition.config().durability}, std::move(flushed)});
  return true;
}

void PartitionEntries::seal() {
  if (gathered_->builder.empty()) return;
  Partition& partition = partition_;
  Slice batch = gathered_->builder.build();
  if (const std::optional<Codec> codec = partition.config().compression; codec && *codec != Codec::none) {
    Result<Slice> packed = repack_batch(batch.view(), *codec);
    // There is space for what was gathered, not for what packing may add.
    if (packed && packed->size() < batch.size()) batch = *std::move(packed);
  }
  const Result<BatchHeader> header = BatchHeader::parse(batch.view());
  CHECK(header.has_value());
  const EntryId first = has_ids() ? gathered_->first : EntryId{};
  const Offset base = partition.log_->stage(batch, *header, partition.services_.runtime.clock().now(), {first.ms, first.seq});
  const Offset end = base + header->last_offset_delta + 1;
  partition.records_in_ += static_cast<std::uint64_t>(header->record_count);
  partition.bytes_in_ += batch.size();
  partition.tail_.push(base, end, std::move(batch));
  std::ranges::move(gathered_->waiters, std::back_inserter(partition.waiters_));
  staged(gathered_->first, gathered_->last, base, end);
  gathered_ = std::make_unique<Gathered>();
}

Result<StampedBatch> PartitionEntries::stamp(Slice batch, Timestamp now) const {
  const ChosenId chosen = choose_id({}, staged_last_, ms_of(now));
  if (chosen.refused != EntryRefusal::none) return Error{Errc::conflict, "'" + partition_.name() + "' has no ids left"};
  return stamp_batch(std::move(batch), chosen.id);
}

void PartitionEntries::staged(EntryId first, EntryId last, Offset base, Offset end) {
  if (!has_ids()) return;
  staged_last_ = last;
  recent_.push_back({first, base});
  if (recent_.size() > kRecentMax) recent_.pop_front();
  unflushed_.push_back({end, last});
}

void PartitionEntries::flushed() {
  const Offset readable = partition_.last_stable();
  bool news = !has_ids();
  while (!unflushed_.empty() && unflushed_.front().end <= readable) {
    values_.last_id = unflushed_.front().last;
    unflushed_.pop_front();
    news = true;
  }
  while (!flush_tasks_.empty() && flush_tasks_.front().first <= partition_.high_watermark()) {
    Task task = std::move(flush_tasks_.front().second);
    flush_tasks_.pop_front();
    task();
  }
  if (!news) return;
  for (auto one = listeners_.begin(); one != listeners_.end();) {
    const auto next = std::next(one);
    if (one->after < readable_last()) {
      one->listener->entry_is_there();
      listeners_.erase(one);
    }
    one = next;
  }
}

void PartitionEntries::closed() { listeners_.clear(); }

void PartitionEntries::when_flushed(Offset end, Task task) {
  if (end <= partition_.high_watermark()) return task();
  flush_tasks_.emplace_back(end, std::move(task));
}

void PartitionEntries::never_used(Offset from, Offset to) {
  auto change = make_change(
      [from, to](EntryDraft& draft) {
        const Offset first = std::max(from, draft.log_start);
        if (first >= to) return;
        draft.deleted.add(first, to);
        draft.added_minus_end = draft.added_minus_end.value_or(draft.before.added_minus_end) - (to - first);
      },
      [name = partition_.name()](Status recorded) {
        if (!recorded) log_warn(name + ": offsets that were never used count as entries: " + recorded.error().to_string());
      });
  changes_.push(change);
  when_flushed(to, [this, change] { ready(change); });
}

void PartitionEntries::listen(EntryId after, std::shared_ptr<EntryListener> listener) {
  if (partition_.closed_) return;
  listeners_.push_back({after, listener});
  if (after >= readable_last()) return;
  // There may be entries behind it, or they were deleted.
  const std::optional<EntryId> next = id_after(after);
  if (!next) return;
  read({.first = *next, .count_max = 1}, [this, self = partition_.shared_from_this(), listener](Result<EntryBatch> found) {
    if (!found || found->entries.empty()) return;
    const auto known = std::ranges::find(listeners_, listener, &Listening::listener);
    if (known == listeners_.end()) return;
    listeners_.erase(known);
    listener->entry_is_there();
  });
}

void PartitionEntries::stop_listening(const std::shared_ptr<EntryListener>& listener) {
  std::erase_if(listeners_, [&](const Listening& one) { return one.listener == listener; });
}

}  // namespace tidemark::broker
