#include "broker/queues/stream_group_ids.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "broker/entries/entry_ids.h"
#include "broker/steps.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kReadBytes = 1024 * 1024;

Error no_topic() { return {Errc::unknown_topic, "the topic was deleted"}; }

std::size_t bytes_of(const Entry& entry) {
  std::size_t bytes = 0;
  for (const EntryField& field : entry.fields) bytes += field.name.size() + field.value.size();
  return bytes;
}

}  // namespace

void visit_pending(QueueWindow& window, Offset from, std::optional<std::string_view> member,
                   const std::function<bool(const PendingEntry&)>& visit) {
  constexpr Offset kEnd{std::numeric_limits<std::int64_t>::max()};
  constexpr unsigned kStates = 1U << static_cast<unsigned>(EntryState::acquired) | 1U << static_cast<unsigned>(EntryState::available);
  window.visit(from, kEnd, kStates, member, [&](const PendingEntry& entry) { return !window.is_pending(entry) || visit(entry); });
}

// --- From ids to offsets and back.

std::optional<EntryId> known_id(const QueuePartition& queue, const PendingEntry& entry) {
  const std::shared_ptr<Partition> log = queue.partition();
  if (!log || !log->entries().has_ids()) return id_of_offset(entry.offset);
  // Ids are above 0-0: nothing was noted for this one.
  if (entry.id == EntryId{}) return std::nullopt;
  return entry.id;
}

void find_unfinished(const std::shared_ptr<QueuePartition>& queue, std::vector<EntryId> ids,
                     Done<std::vector<std::optional<Offset>>> done) {
  const std::shared_ptr<Partition> log = queue->partition();
  if (!log) return done(no_topic());
  std::vector<std::optional<Offset>> found;
  found.reserve(ids.size());
  if (!log->entries().has_ids()) {
    for (const EntryId id : ids) {
      const Offset offset = offset_of_id(id);
      const bool is_id = id != EntryId{} && id_of_offset(offset) == id;
      found.push_back(is_id && queue->window().entry(offset) ? std::optional(offset) : std::nullopt);
    }
    return done(std::move(found));
  }
  if (queue->notes_ids()) {
    for (const EntryId id : ids) {
      const std::optional<Offset> offset = queue->window().find_id(id);
      const std::optional<PendingEntry> entry = offset ? queue->window().entry(*offset) : std::nullopt;
      found.push_back(entry && entry->id == id ? offset : std::nullopt);
    }
    return done(std::move(found));
  }
  log->entries().find(std::move(ids), [queue, done = std::move(done)](Result<std::vector<std::optional<EntryPlace>>> places) mutable {
    if (!places) return done(std::move(places).error());
    std::vector<std::optional<Offset>> offsets;
    for (const std::optional<EntryPlace>& place : *places) {
      offsets.push_back(place && queue->window().entry(place->offset) ? std::optional(place->offset) : std::nullopt);
    }
    done(std::move(offsets));
  });
}

void first_from(const std::shared_ptr<QueuePartition>& queue, EntryId id, Done<Offset> done) {
  const std::shared_ptr<Partition> log = queue->partition();
  if (!log) return done(no_topic());
  if (id == EntryId::min()) return done(Offset{});
  if (!log->entries().has_ids()) return done(offset_of_id(id));
  if (!queue->notes_ids()) return log->entries().offset_of(id, std::move(done));
  done(queue->window().find_id(id).value_or(Offset{std::numeric_limits<std::int64_t>::max()}));
}

HeldEntry held_entry(const QueuePartition& queue, const PendingEntry& entry) {
  HeldEntry held;
  held.offset = entry.offset;
  held.id = known_id(queue, entry).value_or(EntryId{});
  held.row.id = held.id;
  held.row.member = entry.member;
  held.row.delivered = entry.delivered;
  held.row.deliveries = entry.deliveries;
  held.row.idle = std::max(std::chrono::milliseconds(0), queue.now() - entry.delivered);
  if (entry.state != EntryState::acquired) {
    held.row.idle = kNobodyHas;
    held.row.delivered = {};
  }
  return held;
}

void name_all(const std::shared_ptr<QueuePartition>& queue, std::vector<HeldEntry> held, Done<std::vector<HeldEntry>> done) {
  struct Naming : std::enable_shared_from_this<Naming> {
    std::shared_ptr<QueuePartition> queue;
    std::vector<HeldEntry> held;
    Done<std::vector<HeldEntry>> done;
    std::size_t next = 0;
    std::optional<Error> failed;
    Steps steps;

    void run() {
      steps.run([this] {
        while (next < held.size() && held[next].id != EntryId{}) ++next;
        const std::shared_ptr<Partition> log = queue->partition();
        if (!log) failed = no_topic();
        if (failed || next == held.size()) {
          finish();
          return false;
        }
        log->entries().entry_at(held[next].offset, [self = shared_from_this()](Result<std::optional<EntryPlace>> place) {
          HeldEntry& one = self->held[self->next++];
          if (!place)
            self->failed = std::move(place).error();
          else if (*place && (*place)->offset == one.offset)
            one.id = one.row.id = (*place)->id;
          if (self->steps.ended()) self->run();
        });
        return true;
      });
    }
    void finish() {
      if (failed) return done(*failed);
      std::erase_if(held, [](const HeldEntry& one) { return one.id == EntryId{}; });
      done(std::move(held));
    }
  };
  auto naming = std::make_shared<Naming>();
  naming->queue = queue;
  naming->held = std::move(held);
  naming->done = std::move(done);
  naming->run();
}

bool is_there(const Partition& log, const DeletedOffsets& deleted, Offset offset) {
  return offset >= log.log_start() && offset < log.high_watermark() && !deleted.contains(offset);
}

// --- The entries behind the ids.

void fetch_entries(const std::shared_ptr<QueuePartition>& queue, std::vector<HeldEntry> held,
                   UniqueFunction<void(Result<std::pair<std::vector<HeldEntry>, StreamHistory>>)> done) {
  struct Fetching : std::enable_shared_from_this<Fetching> {
    std::shared_ptr<QueuePartition> queue;
    std::vector<HeldEntry> held;
    UniqueFunction<void(Result<std::pair<std::vector<HeldEntry>, StreamHistory>>)> done;
    std::vector<std::pair<Offset, EntryId>> wanted;  ///< Ascending.
    std::size_t next = 0;
    std::optional<EntryId> from;  ///< Within the run that begins at `next`.
    std::size_t bytes = 0;
    std::map<Offset, std::pair<std::size_t, std::size_t>> places;
    StreamHistory history;
    std::optional<Error> failed;
    Steps steps;

    /// The end of the offsets that follow each other from `next` on.
    std::size_t run_end() const {
      std::size_t end = next + 1;
      while (end < wanted.size() && wanted[end].first - wanted[next].first == static_cast<std::int64_t>(end - next)) ++end;
      return end;
    }
    void run() {
      steps.run([this] {
        const std::shared_ptr<Partition> log = queue->partition();
        if (!log) failed = no_topic();
        if (failed || next == wanted.size() || bytes >= kStreamReplyBytesMax) {
          finish();
          return false;
        }
        const std::size_t end = run_end();
        EntryRange range;
        range.first = from.value_or(wanted[next].second);
        range.last = wanted[end - 1].second;
        range.bytes_max = kReadBytes;
        log->entries().read(range, [self = shared_from_this(), end](Result<EntryBatch> batch) {
          self->took(end, std::move(batch));
          if (self->steps.ended()) self->run();
        });
        return true;
      });
    }
    void took(std::size_t end, Result<EntryBatch> batch) {
      if (!batch) {
        failed = std::move(batch).error();
        return;
      }
      const std::size_t part = history.entries.parts.size();
      for (std::size_t i = 0; i < batch->entries.size(); ++i) {
        places.emplace(batch->entries[i].offset, std::pair(part, i));
        bytes += bytes_of(batch->entries[i]);
      }
      from = batch->more ? id_after(batch->resume_at) : std::nullopt;
      const EntryId reached = batch->resume_at;
      history.entries.parts.push_back(*std::move(batch));
      if (!from) {
        next = end;
        return;
      }
      while (next < end && wanted[next].second <= reached) ++next;
      if (next == end) from.reset();
    }
    void finish() {
      if (failed) return done(*failed);
      std::vector<HeldEntry> kept;
      for (HeldEntry& one : held) {
        const auto place = places.find(one.offset);
        const bool read = next == wanted.size() || one.offset < wanted[next].first;
        if (one.there && place == places.end() && !read) break;
        one.there = place != places.end();
        history.held.push_back({one.id, one.there ? std::optional(place->second) : std::nullopt});
        kept.push_back(std::move(one));
      }
      done(std::pair(std::move(kept), std::move(history)));
    }
  };
  auto fetching = std::make_shared<Fetching>();
  fetching->queue = queue;
  for (const HeldEntry& one : held) {
    if (one.there) fetching->wanted.emplace_back(one.offset, one.id);
  }
  std::ranges::sort(fetching->wanted);
  fetching->wanted.erase(std::ranges::unique(fetching->wanted).begin(), fetching->wanted.end());
  fetching->held = std::move(held);
  fetching->done = std::move(done);
  fetching->run();
}

// --- Positions and counters.

void stream_position_of(const std::shared_ptr<QueuePartition>& queue, Done<StreamPosition> done) {
  if (const auto position = queue->window().stream_position()) return done(*position);
  const std::shared_ptr<Partition> log = queue->partition();
  if (!log) return done(no_topic());
  const Offset cursor = queue->window().cursor();
  const auto here = [cursor](EntryId id) { return StreamPosition{.last_id = id, .entries_read = std::nullopt, .cursor = cursor}; };
  if (cursor == Offset{}) return done(here(EntryId{}));
  if (!log->entries().has_ids()) return done(here(id_of_offset(Offset{cursor.value - 1})));
  log->entries().entry_at(Offset{cursor.value - 1},
                          [log, here, cursor, done = std::move(done)](Result<std::optional<EntryPlace>> place) mutable {
                            if (!place) return done(std::move(place).error());
                            if (!*place) return done(here(log->entries().stats().last_id));
                            if ((*place)->offset < cursor) return done(here((*place)->id));
                            // The entry before the cursor was deleted: anything between it and the next one says the same.
                            done(here(id_before((*place)->id).value_or(EntryId{})));
                          });
}

bool StreamCounters::tombstones_from(EntryId id) const {
  if (stats.length == 0 || stats.max_deleted == EntryId{}) return false;
  if (first_id > stats.max_deleted) return false;
  return id <= stats.max_deleted;
}

std::optional<std::uint64_t> StreamCounters::distance_to(EntryId id) const {
  if (stats.entries_added == 0) return 0;
  if (stats.length == 0 && id <= stats.last_id) return stats.entries_added;
  if (id == stats.last_id) return stats.entries_added;
  if (id > stats.last_id) return std::nullopt;
  if (stats.max_deleted == EntryId{} || stats.max_deleted < first_id) {
    if (id < first_id) return stats.entries_added - stats.length;
    if (id == first_id) return stats.entries_added - stats.length + 1;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> StreamCounters::lag(const StreamPosition& position) const {
  if (stats.entries_added == 0) return 0;
  const std::optional<std::uint64_t> read =
      position.entries_read && !tombstones_from(position.last_id) ? position.entries_read : distance_to(position.last_id);
  if (!read) return std::nullopt;
  // Counters can be set to anything; Redis shows what comes of it.
  return stats.entries_added - *read;
}

void stream_counters_of(const std::shared_ptr<QueuePartition>& queue, Done<StreamCounters> done) {
  const std::shared_ptr<Partition> log = queue->partition();
  if (!log) return done(no_topic());
  log->entries().entry_at(log->log_start(), [log, done = std::move(done)](Result<std::optional<EntryPlace>> first) mutable {
    if (!first) return done(std::move(first).error());
    done(StreamCounters{.stats = log->entries().stats(), .first_id = *first ? (*first)->id : EntryId{}});
  });
}

}  // namespace tidemark::broker
