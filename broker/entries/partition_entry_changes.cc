#include <algorithm>

#include "broker/entries/entry_ids.h"
#include "broker/entries/partition_entries.h"
#include "broker/partition.h"

/// Deletes, trims and changes of the last id: what each has to know, what it decides, how it is recorded and shown.
namespace tidemark::broker {
namespace {

constexpr std::size_t kIdsMax = 500'000;  ///< Of one call, so that it fits into one record.

}  // namespace

struct PartitionEntries::TrimChange {
  EntryTrim trim;
  Offset end;  ///< Of what it counts.
  Offset min_id_at;
  std::function<bool(Offset)> may_go;  ///< Empty: everything may.
  std::uint64_t removed = 0;
  std::weak_ptr<EntryChanges::Change> change;  ///< Held by the line it stands in.
};

struct PartitionEntries::SetIdChange {
  EntrySetId values;
  Offset end;
  std::optional<EntryId> top;  ///< The last entry.
  EntryId log_top;             ///< The last record, deleted or not.
  EntryRefusal refused = EntryRefusal::none;
  std::weak_ptr<EntryChanges::Change> change;  ///< Held by the line it stands in.
};

Status PartitionEntries::refuse_change() const {
  if (partition_.closed_) return *partition_.closed_;
  if (changes_.full()) return Error{Errc::overloaded, "too many changes of " + partition_.name() + " are waiting"};
  return {};
}

std::shared_ptr<EntryChanges::Change> PartitionEntries::make_change(UniqueFunction<void(EntryDraft&)> decide,
                                                                    UniqueFunction<void(Status)> answer) {
  partition_.started();
  auto change = std::make_shared<EntryChanges::Change>();
  change->decide = std::move(decide);
  change->answer = [this, answer = std::move(answer)](Status status) mutable {
    answer(std::move(status));
    partition_.finished();
  };
  return change;
}

void PartitionEntries::ready(const std::shared_ptr<EntryChanges::Change>& change, Status status) {
  change->ready = true;
  if (!status) change->failed = std::move(status).error();
  changes_.run();
}

// --- Deletes.

void PartitionEntries::remove(std::vector<EntryId> ids, Done<std::vector<bool>> done, RemovalJudge judge) {
  if (Status refused = refuse_change(); !refused) return done(std::move(refused).error());
  if (ids.size() > kIdsMax) return done(Error{Errc::overloaded, "at most " + std::to_string(kIdsMax) + " entries can be deleted at once"});
  struct Removal {
    RemovalJudge judge;
    std::vector<std::optional<EntryPlace>> places;
    std::vector<bool> removed;
    std::weak_ptr<EntryChanges::Change> change;
  };
  auto removal = std::make_shared<Removal>();
  removal->judge = std::move(judge);
  auto change =
      make_change([this, removal](EntryDraft& draft) { removal->removed = decide_removal(draft, removal->places, removal->judge); },
                  [removal, done = std::move(done)](Status recorded) mutable {
                    if (recorded) return done(std::move(removal->removed));
                    done(std::move(recorded).error());
                  });
  removal->change = change;
  changes_.push(std::move(change));
  // Only what was appended before this can be meant.
  const bool may_be_staged = std::ranges::any_of(ids, [this](EntryId id) { return id > readable_last(); });
  const Offset end = may_be_staged ? staged_end() : partition_.high_watermark();
  when_flushed(end, [this, removal, ids = std::move(ids)]() mutable {
    find(std::move(ids), [this, self = partition_.shared_from_this(), removal](Result<std::vector<std::optional<EntryPlace>>> places) {
      Status found;
      if (places)
        removal->places = *std::move(places);
      else
        found = std::move(places).error();
      if (values_.deleted.pages() + removal->places.size() > kDeletedPagesMax) {
        found = Error{Errc::overloaded, "too many scattered deletes in " + partition_.name() + ": trim it"};
      }
      ready(removal->change.lock(), std::move(found));
    });
  });
}

std::vector<bool> PartitionEntries::decide_removal(EntryDraft& draft, const std::vector<std::optional<EntryPlace>>& places,
                                                   const RemovalJudge& judge) const {
  std::vector<bool> removed(places.size(), false);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const bool there = places[i] && !draft.gone(places[i]->offset);
    const bool may_go = !judge || judge(i, there ? places[i] : std::nullopt);
    if (!there || !may_go) continue;
    removed[i] = true;
    draft.deleted.add(places[i]->offset, places[i]->offset + 1);
    draft.max_deleted = std::max(draft.max_deleted_now(), places[i]->id);
  }
  close_up(draft);
  return removed;
}

// --- Trims.

std::shared_ptr<PartitionEntries::TrimChange> PartitionEntries::begin_trim(EntryTrim trim, Offset end, Done<std::uint64_t> done) {
  auto state = std::make_shared<TrimChange>();
  state->trim = trim;
  state->end = end;
  auto change = make_change(
      [state](EntryDraft& draft) {
        if (state->end <= draft.log_start) return;
        if (state->may_go) {
          state->removed = trim_singly(draft, state->trim, state->end, state->min_id_at, state->may_go);
          return;
        }
        const Offset start = trimmed_start(draft, state->trim, state->end, state->min_id_at);
        state->removed = draft.live(draft.log_start, start);
        draft.log_start = start;
      },
      [state, done = std::move(done)](Status recorded) mutable {
        if (recorded) return done(state->removed);
        done(std::move(recorded).error());
      });
  change->counts = true;
  state->change = change;
  changes_.push(std::move(change));
  return state;
}

void PartitionEntries::ready(const std::shared_ptr<TrimChange>& trim) {
  if (trim->trim.kind == EntryTrim::Kind::max_length) return ready(trim->change.lock());
  offset_of(trim->trim.min_id, [this, self = partition_.shared_from_this(), trim](Result<Offset> at) {
    if (!at) return ready(trim->change.lock(), std::move(at).error());
    trim->min_id_at = *at;
    ready(trim->change.lock());
  });
}

void PartitionEntries::trim(EntryTrim trim, Done<std::uint64_t> done, std::function<bool(Offset)> may_go) {
  if (Status refused = refuse_change(); !refused) return done(std::move(refused).error());
  const Offset end = staged_end();
  std::shared_ptr<TrimChange> state = begin_trim(trim, end, std::move(done));
  state->may_go = std::move(may_go);
  when_flushed(end, [this, state = std::move(state)] { ready(state); });
}

void PartitionEntries::move_start(Offset before, Done<Offset> done) {
  if (Status refused = refuse_change(); !refused) return done(std::move(refused).error());
  before = std::min(before, partition_.high_watermark());
  auto change = make_change([before](EntryDraft& draft) { draft.log_start = std::max(draft.log_start, before); },
                            [this, done = std::move(done)](Status recorded) mutable {
                              if (!recorded) return done(std::move(recorded).error());
                              done(partition_.log_start());
                            });
  change->ready = true;
  changes_.push(std::move(change));
}

// --- The last id.

void PartitionEntries::set_id(EntrySetId values, Done<EntryRefusal> done) {
  if (Status refused = refuse_change(); !refused) return done(std::move(refused).error());
  if (!has_ids()) return done(Error{Errc::invalid_argument, "ids of '" + partition_.name() + "' follow from its offsets"});
  auto state = std::make_shared<SetIdChange>();
  state->values = values;
  state->end = staged_end();
  ++set_ids_;
  // First all changes before it, so that the last entry is the one it is judged by.
  auto before = make_change([](EntryDraft&) {}, [this, state](Status) { look_up_top(state); });
  before->counts = true;
  auto change = make_change([this, state](EntryDraft& draft) { decide_set_id(draft, *state); },
                            [this, state, done = std::move(done)](Status recorded) mutable {
                              --set_ids_;
                              if (recorded)
                                done(state->refused);
                              else
                                done(std::move(recorded).error());
                              partition_.advance();
                            });
  change->counts = true;
  state->change = change;
  changes_.push(before);
  changes_.push(std::move(change));
  when_flushed(state->end, [this, before = std::move(before)] { ready(before); });
}

void PartitionEntries::look_up_top(std::shared_ptr<SetIdChange> change) {
  EntryRange last{.backwards = true, .count_max = 1};
  read(last, [this, self = partition_.shared_from_this(), change](Result<EntryBatch> found) {
    if (!found) return ready(change->change.lock(), std::move(found).error());
    if (!found->entries.empty()) change->top = found->entries.front().id;
    const Offset end = partition_.high_watermark();
    if (end == partition_.log_start()) return ready(change->change.lock());
    // Unless the last record shows its id, because a transaction hides it, all ids given out count.
    change->log_top = staged_last_;
    auto walk = std::make_shared<Scan>(Scan{.at = end - 1, .limit = end, .with_deleted = true, .visit = {}, .keep = {}, .done = {}});
    walk->visit = [change](const EntryWalk::Step& step) {
      change->log_top = step.id;
      return true;
    };
    walk->done = [this, self, change](Status walked) { ready(change->change.lock(), std::move(walked)); };
    scan(std::move(walk));
  });
}

/// Judges as Redis does, and in its order.
void PartitionEntries::decide_set_id(EntryDraft& draft, SetIdChange& change) const {
  const EntrySetId& wanted = change.values;
  const EntryId max_deleted = wanted.max_deleted.value_or(EntryId{});
  const std::uint64_t length = draft.length(change.end);
  if (wanted.last_id < max_deleted)
    change.refused = EntryRefusal::id_below_given_max_deleted;
  else if (wanted.last_id < draft.max_deleted_now())
    change.refused = EntryRefusal::id_below_max_deleted;
  else if (length > 0 && change.top && wanted.last_id < *change.top)
    change.refused = EntryRefusal::id_below_top;
  else if (length > 0 && wanted.entries_added && *wanted.entries_added < length)
    change.refused = EntryRefusal::entries_added_below_length;
  else if (wanted.last_id < change.log_top)  // A deleted record still takes part in looking up ids.
    change.refused = EntryRefusal::id_below_max_deleted;
  if (change.refused != EntryRefusal::none) return;
  draft.last_id = wanted.last_id;
  if (wanted.entries_added) draft.added_minus_end = static_cast<std::int64_t>(*wanted.entries_added) - change.end.value;
  if (max_deleted != EntryId{}) draft.max_deleted = max_deleted;
}

// --- Recording.

EntryDraft PartitionEntries::begin_draft() const {
  const Offset start = partition_.log_start();
  return {
      .before = values_, .log_start = start, .start_before = start, .deleted = {}, .last_id = {}, .max_deleted = {}, .added_minus_end = {}};
}

void PartitionEntries::record(const EntryDraft& draft, UniqueFunction<void(Status)> done) {
  state::PartitionChange change;
  if (draft.log_start > draft.start_before) change.set_log_start(draft.log_start.value);
  to_proto(draft.deleted.ranges(), change);
  describe_state(change);
  state::PartitionChange::Entries& entries = *change.mutable_entries();
  if (draft.last_id) {
    entries.set_last_ms(draft.last_id->ms);
    entries.set_last_seq(draft.last_id->seq);
  }
  if (draft.max_deleted) {
    entries.set_max_deleted_ms(draft.max_deleted->ms);
    entries.set_max_deleted_seq(draft.max_deleted->seq);
  }
  if (draft.added_minus_end) entries.set_added_minus_end(*draft.added_minus_end);
  recording_ = true;
  partition_.submit_change(change, std::move(done));
}

void PartitionEntries::describe_state(state::PartitionChange& change) const {
  // Nothing is said of partitions that nobody sees as streams.
  if (values_.max_deleted != EntryId{}) {
    change.mutable_entries()->set_max_deleted_ms(values_.max_deleted.ms);
    change.mutable_entries()->set_max_deleted_seq(values_.max_deleted.seq);
  }
  if (values_.added_minus_end != 0) change.mutable_entries()->set_added_minus_end(values_.added_minus_end);
  if (!has_ids()) return;
  change.mutable_entries()->set_last_ms(values_.last_id.ms);
  change.mutable_entries()->set_last_seq(values_.last_id.seq);
  change.mutable_entries()->set_as_of(partition_.last_stable().value);
}

void PartitionEntries::apply(EntryDraft&& draft, bool recorded) {
  recording_ = false;
  if (recorded) show(std::move(draft));
  partition_.state_settled();
}

void PartitionEntries::show(EntryDraft&& draft) {
  values_.deleted.add(draft.deleted);
  if (draft.max_deleted) values_.max_deleted = *draft.max_deleted;
  if (draft.added_minus_end) values_.added_minus_end = *draft.added_minus_end;
  if (draft.last_id) {
    values_.last_id = *draft.last_id;
    staged_last_ = *draft.last_id;
    recent_.clear();  // Those below the log start may have larger ids than those to come.
  }
  if (draft.log_start > partition_.log_start()) {
    values_.deleted.forget_below(draft.log_start);
    partition_.start_moved(draft.log_start);
  }
}

}  // namespace tidemark::broker
