#include <algorithm>
#include <utility>

#include "broker/queues/stream_groups_impl.h"

/// Taking over on the way to new entries, and giving back: what Redis 8 has beside claims.
namespace tidemark::broker {
namespace {

/// What of the line of pending entries is there, and named.
std::vector<HeldEntry> those_there(Partition& log, std::vector<HeldEntry> held) {
  std::erase_if(held, [&](const HeldEntry& one) { return !is_there(log, log.entries().deleted(), one.offset); });
  return held;
}

StreamIdleTaken take_over(QueuePartition& queue, const StreamTakeIdle& asked, std::vector<HeldEntry> held, StreamHistory read,
                          QueueWindow& window, Timestamp now) {
  StreamIdleTaken result;
  for (std::size_t i = 0; i < held.size(); ++i) {
    EntryClaim claim;
    claim.offset = held[i].offset;
    claim.min_idle = asked.min_idle;
    if (!held[i].there || !window.claim(asked.member.name, claim, now)) continue;
    result.taken.held.push_back(read.held[i]);
    result.before.push_back(std::move(held[i].row));
  }
  result.taken.entries = std::move(read.entries);
  result.given_back = queue.given_back();
  const Timestamp until = now - asked.min_idle;
  const std::optional<Timestamp> next = result.before.empty() ? window.next_idle(until) : std::nullopt;
  result.next = next ? *next - until : std::max(asked.min_idle, std::chrono::milliseconds(1));
  if (asked.member.always_made || !result.before.empty()) window.touch(asked.member.name, now);
  return result;
}

void take(const QueuePartitionPtr& queue, const StreamTakeIdle& asked, Done<StreamIdleTaken> answer) {
  const std::size_t most = std::min(asked.count, kStreamRowsMax);
  std::vector<HeldEntry> held;
  for (const Offset offset : queue->window().idle(queue->now() - asked.min_idle, most)) {
    held.push_back(held_entry(*queue, *queue->window().entry(offset)));
  }
  auto read = [queue, asked, answer = std::move(answer)](Result<std::vector<HeldEntry>> named) mutable {
    if (!named) return answer(std::move(named).error());
    const std::shared_ptr<Partition> log = queue->partition();
    if (!log) return answer(Error{Errc::unknown_topic, "the topic was deleted"});
    auto fetched = [queue, asked, answer = std::move(answer)](Result<std::pair<std::vector<HeldEntry>, StreamHistory>> entries) mutable {
      if (!entries) return answer(std::move(entries).error());
      auto make = [queue, asked, entries = *std::move(entries)](QueueWindow& window, Timestamp now) mutable {
        return take_over(*queue, asked, std::move(entries.first), std::move(entries.second), window, now);
      };
      queue->change<StreamIdleTaken>(std::move(make), std::move(answer));
    };
    fetch_entries(queue, those_there(*log, *std::move(named)), std::move(fetched));
  };
  name_all(queue, std::move(held), std::move(read));
}

/// Where those ids are that are not pending, and are to be all the same.
void find_forced(const QueuePartitionPtr& queue, const StreamGiveBack& asked, std::vector<std::optional<Offset>> found,
                 Done<std::vector<std::optional<Offset>>> done) {
  const std::shared_ptr<Partition> log = queue->partition();
  if (!log) return done(Error{Errc::unknown_topic, "the topic was deleted"});
  if (!asked.force) return done(std::move(found));
  auto fill = [found = std::move(found), done = std::move(done)](Result<std::vector<std::optional<EntryPlace>>> places) mutable {
    if (!places) return done(std::move(places).error());
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i] && (*places)[i]) found[i] = (*places)[i]->offset;
    }
    done(std::move(found));
  };
  log->entries().find(asked.ids, std::move(fill));
}

void give_back_found(const QueuePartitionPtr& queue, const StreamGiveBack& asked, const std::vector<std::optional<Offset>>& found,
                     Done<std::uint64_t> answer) {
  const auto each = [queue, asked, found](QueueWindow& window, Timestamp now) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i]) continue;
      EntryGiveBack one{.offset = *found[i], .kind = asked.kind, .deliveries = asked.deliveries, .force = asked.force, .id = asked.ids[i]};
      if (window.give_back(one, now)) ++count;
    }
    return count;
  };
  auto told = [queue, answer = std::move(answer)](Result<std::uint64_t> count) mutable {
    if (count && *count > 0) queue->note_given_back();
    answer(std::move(count));
  };
  queue->change<std::uint64_t>(each, std::move(told));
}

}  // namespace

void StreamGroups::take_idle(const RequestContext&, StreamGroupName name, StreamTakeIdle asked, Done<StreamIdleTaken> done) {
  const auto start = [asked = std::move(asked)](const QueuePartitionPtr& queue, Done<StreamIdleTaken> answer) {
    if (auto refused = queue->refusal()) return answer(*std::move(refused));
    if (auto refused = member_refusal(queue->window(), asked.member.name)) return answer(*std::move(refused));
    queue->housekeeping();
    take(queue, asked, std::move(answer));
  };
  on_stream_group<StreamIdleTaken>(*impl_, name, std::move(done), start);
}

void StreamGroups::give_back(const RequestContext&, StreamGroupName name, StreamGiveBack asked, Done<std::uint64_t> done) {
  const auto start = [asked = std::move(asked)](const QueuePartitionPtr& queue, Done<std::uint64_t> answer) {
    if (auto refused = queue->refusal()) return answer(*std::move(refused));
    const auto give = [queue, asked](std::vector<std::optional<Offset>> found, Done<std::uint64_t> given) {
      auto all_found = [queue, asked, given = std::move(given)](Result<std::vector<std::optional<Offset>>> offsets) mutable {
        if (!offsets) return given(std::move(offsets).error());
        give_back_found(queue, asked, *offsets, std::move(given));
      };
      find_forced(queue, asked, std::move(found), std::move(all_found));
    };
    find_unfinished(queue, asked.ids, [give, answer = std::move(answer)](Result<std::vector<std::optional<Offset>>> found) mutable {
      if (!found) return answer(std::move(found).error());
      give(*std::move(found), std::move(answer));
    });
  };
  on_stream_group<std::uint64_t>(*impl_, name, std::move(done), start);
}

}  // namespace tidemark::broker
