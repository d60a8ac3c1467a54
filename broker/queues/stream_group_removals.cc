#include <algorithm>
#include <utility>

#include "broker/entries/entry_ids.h"
#include "broker/queues/stream_groups_impl.h"

/// Entries that go with regard to groups: which of them need one, and what they forget of it.
namespace tidemark::broker {
namespace {

/// An entry by its id; no offset: it is not in the stream.
struct Named {
  EntryId id;
  std::optional<Offset> offset;
};

std::vector<QueuePartitionPtr> groups_of(QueuesImpl& impl, const PartitionKey& key) {
  std::vector<QueuePartitionPtr> queues;
  const auto found = impl.here().partitions.find(key);
  if (found == impl.here().partitions.end()) return queues;
  for (const auto& [name, queue] : found->second) {
    if (!is_internal_group(name)) queues.push_back(queue);
  }
  return queues;
}

/// Where the group has it as unfinished.
std::optional<Offset> unfinished_offset(QueuePartition& queue, Partition& log, const Named& entry) {
  std::optional<Offset> offset = entry.offset;
  if (!offset && !log.entries().has_ids()) offset = offset_of_id(entry.id);
  if (!offset && queue.notes_ids()) offset = queue.window().find_id(entry.id);
  if (!offset) return std::nullopt;
  const std::optional<PendingEntry> known = queue.window().entry(*offset);
  if (!known || (!entry.offset && queue.notes_ids() && known->id != entry.id)) return std::nullopt;
  return offset;
}

bool needs(QueuePartition& queue, Partition& log, const Named& entry) {
  const std::optional<StreamPosition> position = queue.window().stream_position();
  const bool reached = position ? entry.id <= position->last_id : !entry.offset || *entry.offset < queue.window().cursor();
  return !reached || unfinished_offset(queue, log, entry).has_value();
}

/// The groups forget entries that have gone; answers when that is durable.
void forget(const std::vector<QueuePartitionPtr>& queues, const std::shared_ptr<Partition>& log, std::vector<Named> entries,
            Done<void> done) {
  struct Forgetting {
    std::vector<Named> entries;
    std::optional<Error> failed;
  };
  const auto shared = std::make_shared<Forgetting>(Forgetting{std::move(entries), std::nullopt});
  const auto waiting = std::make_shared<Countdown>();
  waiting->done = [shared, done = std::move(done)]() mutable {
    if (shared->failed) return done(*shared->failed);
    done(Status());
  };
  for (const QueuePartitionPtr& queue : queues) {
    if (queue->closed()) continue;
    ++waiting->left;
    const auto each = [queue, log, shared](QueueWindow& window, Timestamp) {
      for (const Named& entry : shared->entries) {
        const std::optional<Offset> offset = unfinished_offset(*queue, *log, entry);
        // What is dying is being moved: the mover finds that it has gone.
        if (offset && window.entry(*offset)->state != EntryState::dying) window.gone(*offset);
      }
      return true;
    };
    queue->change<bool>(each, [shared, waiting](Result<bool> recorded) {
      if (!recorded && recorded.error().code != Errc::unknown_group) shared->failed = std::move(recorded).error();
      waiting->one_less();
    });
  }
  waiting->one_less();
}

/// One call under way.
struct Removing {
  std::vector<QueuePartitionPtr> queues;
  EntryReferences references = EntryReferences::keep;
  std::vector<StreamRemoved> results;
  std::vector<Named> forgotten;

  /// Whether the entry may go; what was found of it, as results[i].
  bool decide(std::size_t i, Partition& log, const Named& entry, StreamRemoved if_not_there) {
    const auto needed = [&](const QueuePartitionPtr& queue) { return needs(*queue, log, entry); };
    if (references == EntryReferences::respect && std::ranges::any_of(queues, needed)) {
      results[i] = StreamRemoved::needed;
      return false;
    }
    if (references == EntryReferences::drop) forgotten.push_back(entry);
    results[i] = entry.offset ? StreamRemoved::removed : if_not_there;
    return true;
  }
};

void finish(const std::shared_ptr<Removing>& removing, const std::shared_ptr<Partition>& log, Done<std::vector<StreamRemoved>> done) {
  forget(removing->queues, log, std::move(removing->forgotten), [removing, done = std::move(done)](Status forgotten) mutable {
    if (!forgotten) return done(std::move(forgotten).error());
    done(std::move(removing->results));
  });
}

Named named(EntryId id, const std::optional<EntryPlace>& place) { return {id, place ? std::optional(place->offset) : std::nullopt}; }

/// Acknowledges in the group whatever is removed, in the same breath in which the removal is decided.
void ack_and_remove_found(const QueuePartitionPtr& queue, std::shared_ptr<Removing> removing, std::vector<EntryId> ids,
                          std::vector<std::optional<Offset>> found, Done<std::vector<StreamRemoved>> done) {
  const std::shared_ptr<Partition> log = queue->partition();
  if (!log) return done(Error{Errc::unknown_topic, "the topic was deleted"});
  removing->results.assign(ids.size(), StreamRemoved::not_there);
  const auto judge = [queue, log, removing, ids, found = std::move(found)](std::size_t i, const std::optional<EntryPlace>& place) {
    const bool pending = found[i] && queue->window().ack(*found[i], std::nullopt, 0, queue->now()) == Settled::ok;
    return pending && removing->decide(i, *log, named(ids[i], place), StreamRemoved::removed);
  };
  auto removed = [queue, log, removing, done = std::move(done)](Result<std::vector<bool>> result) mutable {
    // The acknowledgements were made either way, and are told.
    auto told = [log, removing, result = std::move(result), done = std::move(done)](Result<bool> recorded) mutable {
      if (!result) return done(std::move(result).error());
      if (!recorded) return done(std::move(recorded).error());
      finish(removing, log, std::move(done));
    };
    queue->change<bool>([](QueueWindow&, Timestamp) { return true; }, std::move(told));
  };
  log->entries().remove(ids, std::move(removed), judge);
}

}  // namespace

void StreamGroups::remove(const RequestContext&, TopicPartition where, std::vector<EntryId> ids, EntryReferences references,
                          Done<std::vector<StreamRemoved>> done) {
  auto act = [impl = impl_, references, ids = std::move(ids)](Partition& partition, Done<std::vector<StreamRemoved>> answer) mutable {
    if (impl->broker.stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    const std::shared_ptr<Partition> log = partition.shared_from_this();
    const auto removing = std::make_shared<Removing>();
    removing->queues = groups_of(*impl, partition.key());
    removing->references = references;
    removing->results.assign(ids.size(), StreamRemoved::not_there);
    const auto judge = [log, removing, ids](std::size_t i, const std::optional<EntryPlace>& place) {
      return removing->decide(i, *log, named(ids[i], place), StreamRemoved::not_there);
    };
    auto removed = [log, removing, answer = std::move(answer)](Result<std::vector<bool>> result) mutable {
      if (!result) return answer(std::move(result).error());
      finish(removing, log, std::move(answer));
    };
    log->entries().remove(std::move(ids), std::move(removed), judge);
  };
  impl_->broker.on_partition<std::vector<StreamRemoved>>(where, std::move(done), std::move(act));
}

void StreamGroups::ack_and_remove(const RequestContext&, StreamGroupName name, std::vector<EntryId> ids, EntryReferences references,
                                  Done<std::vector<StreamRemoved>> done) {
  auto act = [impl = impl_, references, ids = std::move(ids)](const QueuePartitionPtr& queue,
                                                              Done<std::vector<StreamRemoved>> answer) mutable {
    if (auto refused = queue->refusal()) return answer(*std::move(refused));
    const auto removing = std::make_shared<Removing>();
    removing->queues = groups_of(*impl, queue->key());
    removing->references = references;
    std::vector<EntryId> wanted = ids;
    auto found = [queue, removing, ids = std::move(ids),
                  answer = std::move(answer)](Result<std::vector<std::optional<Offset>>> places) mutable {
      if (!places) return answer(std::move(places).error());
      ack_and_remove_found(queue, removing, std::move(ids), *std::move(places), std::move(answer));
    };
    find_unfinished(queue, std::move(wanted), std::move(found));
  };
  on_stream_group<std::vector<StreamRemoved>>(*impl_, name, std::move(done), std::move(act));
}

void StreamGroups::trim(const RequestContext&, TopicPartition where, EntryTrim trim, EntryReferences references, Done<std::uint64_t> done) {
  const auto act = [impl = impl_, trim, references](Partition& partition, Done<std::uint64_t> answer) {
    if (impl->broker.stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    if (references == EntryReferences::keep) return partition.entries().trim(trim, std::move(answer));
    const std::shared_ptr<Partition> log = partition.shared_from_this();
    const auto removing = std::make_shared<Removing>();
    removing->queues = groups_of(*impl, partition.key());
    const auto may_go = [removing, references](Offset offset) {
      if (references == EntryReferences::drop) {
        removing->forgotten.push_back({{}, offset});
        return true;
      }
      // By offsets: what lies below the cursor was given to the group, or has an id that it is past.
      return std::ranges::none_of(removing->queues, [offset](const QueuePartitionPtr& queue) {
        return offset >= queue->window().cursor() || queue->window().entry(offset).has_value();
      });
    };
    auto trimmed = [log, removing, answer = std::move(answer)](Result<std::uint64_t> removed) mutable {
      if (!removed) return answer(std::move(removed).error());
      forget(removing->queues, log, std::move(removing->forgotten),
             [count = *removed, answer = std::move(answer)](Status forgotten) mutable {
               if (!forgotten) return answer(std::move(forgotten).error());
               answer(count);
             });
    };
    log->entries().trim(trim, std::move(trimmed), may_go);
  };
  impl_->broker.on_partition<std::uint64_t>(where, std::move(done), act);
}

}  // namespace tidemark::broker
