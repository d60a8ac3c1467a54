#include <algorithm>
#include <utility>

#include "broker/entries/entry_ids.h"
#include "broker/queues/stream_groups_impl.h"

/// Taking over. What is claimed is read first: nothing is taken over that could not be answered.
namespace tidemark::broker {
namespace {

/// Looked at per claimed entry, as in Redis.
constexpr std::size_t kAttemptsFactor = 10;

struct Chosen {
  std::vector<HeldEntry> entries;  ///< In the order of the answer.
  std::vector<HeldEntry> deleted;  ///< Pending, and gone from the stream.
  EntryId next;
};

EntryClaim claim_of(const StreamClaim& claim, const HeldEntry& one) {
  return {.offset = one.offset,
          .min_idle = claim.min_idle,
          .delivered = claim.delivered,
          .deliveries = claim.deliveries,
          .just_id = claim.just_ids,
          .force = claim.force,
          .id = one.id};
}

/// Claims what was chosen, as far as it still can be, and finishes what is gone.
void claim_chosen(const QueuePartitionPtr& queue, StreamClaim claim, Chosen chosen, StreamHistory read, Done<StreamClaimed> answer) {
  auto make = [claim = std::move(claim), chosen = std::move(chosen), read = std::move(read)](QueueWindow& window, Timestamp now) mutable {
    StreamClaimed claimed;
    if (claim.member.always_made) window.touch(claim.member.name, now);
    for (const HeldEntry& one : chosen.deleted) {
      if (window.gone(one.offset)) claimed.deleted.push_back(one.id);
    }
    for (std::size_t i = 0; i < chosen.entries.size(); ++i) {
      const HeldEntry& one = chosen.entries[i];
      if (!one.there) {
        window.gone(one.offset);
        continue;
      }
      if (!window.claim(claim.member.name, claim_of(claim, one), now)) continue;
      claimed.claimed.held.push_back(claim.just_ids ? StreamHeld{one.id, std::nullopt} : read.held[i]);
    }
    claimed.claimed.entries = std::move(read.entries);
    claimed.next = chosen.next;
    return claimed;
  };
  queue->change<StreamClaimed>(std::move(make), std::move(answer));
}

void read_and_claim(const QueuePartitionPtr& queue, StreamClaim claim, Chosen chosen, Done<StreamClaimed> answer) {
  if (claim.just_ids) return claim_chosen(queue, std::move(claim), std::move(chosen), {}, std::move(answer));
  std::vector<HeldEntry> wanted = chosen.entries;
  auto read = [queue, claim = std::move(claim), chosen = std::move(chosen),
               answer = std::move(answer)](Result<std::pair<std::vector<HeldEntry>, StreamHistory>> fetched) mutable {
    if (!fetched) return answer(std::move(fetched).error());
    // What did not fit into one answer is left to the next call.
    if (fetched->first.size() < chosen.entries.size()) chosen.next = chosen.entries[fetched->first.size()].id;
    chosen.entries = std::move(fetched->first);
    claim_chosen(queue, std::move(claim), std::move(chosen), std::move(fetched->second), std::move(answer));
  };
  fetch_entries(queue, std::move(wanted), std::move(read));
}

/// Where the ids are that are not pending; `found` is filled up with them.
void find_others(const QueuePartitionPtr& queue, const StreamClaim& claim, std::vector<std::optional<Offset>> found,
                 Done<std::vector<std::optional<Offset>>> done) {
  const std::shared_ptr<Partition> log = queue->partition();
  if (!log) return done(Error{Errc::unknown_topic, "the topic was deleted"});
  if (!claim.force) return done(std::move(found));
  std::vector<EntryId> others;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) others.push_back(claim.ids[i]);
  }
  if (others.empty()) return done(std::move(found));
  log->entries().find(std::move(others),
                      [found = std::move(found), done = std::move(done)](Result<std::vector<std::optional<EntryPlace>>> places) mutable {
                        if (!places) return done(std::move(places).error());
                        auto next = places->begin();
                        for (std::optional<Offset>& offset : found) {
                          if (offset) continue;
                          if (*next) offset = (*next)->offset;
                          ++next;
                        }
                        done(std::move(found));
                      });
}

void raise_last_id(const QueuePartitionPtr& queue, EntryId last_id, Done<bool> done) {
  stream_position_of(queue, [queue, last_id, done = std::move(done)](Result<StreamPosition> position) mutable {
    if (!position) return done(std::move(position).error());
    const std::shared_ptr<Partition> log = queue->partition();
    if (!log) return done(Error{Errc::unknown_topic, "the topic was deleted"});
    if (position->last_id >= last_id) return done(true);
    const std::optional<EntryId> next = id_after(last_id);
    const auto set = [queue, last_id, position = *position](Result<Offset> cursor, Done<bool> set_done) {
      if (!cursor) return set_done(std::move(cursor).error());
      const StreamPosition raised{.last_id = last_id, .entries_read = position.entries_read, .cursor = std::max(position.cursor, *cursor)};
      queue->change<bool>(
          [raised](QueueWindow& window, Timestamp) {
            window.set_stream_position(raised);
            return true;
          },
          std::move(set_done));
    };
    if (!next) return set(log->last_stable(), std::move(done));
    log->entries().offset_of(*next,
                             [set, done = std::move(done)](Result<Offset> cursor) mutable { set(std::move(cursor), std::move(done)); });
  });
}

void claim_ids(const QueuePartitionPtr& queue, StreamClaim claim, Done<StreamClaimed> answer) {
  std::vector<EntryId> ids = claim.ids;
  const auto chosen = [queue](StreamClaim asked, std::vector<std::optional<Offset>> offsets, Done<StreamClaimed> done) {
    const std::shared_ptr<Partition> log = queue->partition();
    if (!log) return done(Error{Errc::unknown_topic, "the topic was deleted"});
    Chosen entries;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      if (!offsets[i]) continue;
      HeldEntry one;
      one.offset = *offsets[i];
      one.id = asked.ids[i];
      one.there = is_there(*log, log->entries().deleted(), one.offset);
      entries.entries.push_back(std::move(one));
    }
    read_and_claim(queue, std::move(asked), std::move(entries), std::move(done));
  };
  find_unfinished(
      queue, std::move(ids),
      [queue, chosen, claim = std::move(claim), answer = std::move(answer)](Result<std::vector<std::optional<Offset>>> found) mutable {
        if (!found) return answer(std::move(found).error());
        const StreamClaim asked = claim;
        find_others(
            queue, asked, *std::move(found),
            [chosen, claim = std::move(claim), answer = std::move(answer)](Result<std::vector<std::optional<Offset>>> offsets) mutable {
              if (!offsets) return answer(std::move(offsets).error());
              chosen(std::move(claim), *std::move(offsets), std::move(answer));
            });
      });
}

/// Walks what is pending as XAUTOCLAIM does: deleted entries count, those not idle for long enough only as looked at.
Chosen choose_idle(const QueuePartition& queue, Partition& log, const StreamClaimIdle& claim, const std::vector<HeldEntry>& held) {
  Chosen chosen;
  std::size_t left = std::min(claim.count, kStreamRowsMax);
  std::size_t attempts = left * kAttemptsFactor;
  for (const HeldEntry& one : held) {
    if (attempts == 0 || left == 0) {
      chosen.next = one.id;
      break;
    }
    --attempts;
    if (!is_there(log, log.entries().deleted(), one.offset)) {
      chosen.deleted.push_back(one);
      --left;
    } else if (queue.now() - one.row.delivered >= claim.min_idle || claim.min_idle.count() == 0 || one.row.idle == kNobodyHas) {
      chosen.entries.push_back(one);
      --left;
    }
  }
  return chosen;
}

}  // namespace

void StreamGroups::claim(const RequestContext&, StreamGroupName name, StreamClaim claim, Done<StreamClaimed> done) {
  const auto start = [claim = std::move(claim)](const QueuePartitionPtr& queue, Done<StreamClaimed> answer) {
    if (auto refused = queue->refusal()) return answer(*std::move(refused));
    if (auto refused = member_refusal(queue->window(), claim.member.name)) return answer(*std::move(refused));
    queue->housekeeping();
    if (!claim.last_id) return claim_ids(queue, claim, std::move(answer));
    raise_last_id(queue, *claim.last_id, [queue, claim, answer = std::move(answer)](Result<bool> raised) mutable {
      if (!raised) return answer(std::move(raised).error());
      claim_ids(queue, std::move(claim), std::move(answer));
    });
  };
  on_stream_group<StreamClaimed>(*impl_, name, std::move(done), start);
}

void StreamGroups::claim_idle(const RequestContext&, StreamGroupName name, StreamClaimIdle claim, Done<StreamClaimed> done) {
  const auto walk = [claim](const QueuePartitionPtr& queue, Offset from, Done<StreamClaimed> answer) {
    std::vector<HeldEntry> held;
    // One more than is looked at: where to go on.
    const std::size_t most = std::min(claim.count, kStreamRowsMax / kAttemptsFactor) * kAttemptsFactor + 1;
    visit_pending(queue->window(), from, std::nullopt, [&](const PendingEntry& entry) {
      held.push_back(held_entry(*queue, entry));
      return held.size() < most;
    });
    name_all(queue, std::move(held), [queue, claim, answer = std::move(answer)](Result<std::vector<HeldEntry>> named) mutable {
      if (!named) return answer(std::move(named).error());
      const std::shared_ptr<Partition> log = queue->partition();
      if (!log) return answer(Error{Errc::unknown_topic, "the topic was deleted"});
      StreamClaim each;
      each.member = claim.member;
      each.min_idle = claim.min_idle;
      each.just_ids = claim.just_ids;
      read_and_claim(queue, std::move(each), choose_idle(*queue, *log, claim, *named), std::move(answer));
    });
  };
  const auto start = [walk, claim](const QueuePartitionPtr& queue, Done<StreamClaimed> answer) {
    if (auto refused = queue->refusal()) return answer(*std::move(refused));
    if (auto refused = member_refusal(queue->window(), claim.member.name)) return answer(*std::move(refused));
    queue->housekeeping();
    first_from(queue, claim.from, [walk, queue, answer = std::move(answer)](Result<Offset> from) mutable {
      if (!from) return answer(std::move(from).error());
      walk(queue, *from, std::move(answer));
    });
  };
  on_stream_group<StreamClaimed>(*impl_, name, std::move(done), start);
}

}  // namespace tidemark::broker
