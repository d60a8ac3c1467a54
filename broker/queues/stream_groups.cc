#include "broker/queues/stream_groups.h"

#include <algorithm>
#include <map>

#include "broker/entries/entry_ids.h"
#include "broker/queues/stream_groups_impl.h"

/// The life of groups as streams have them: made, moved, members, acknowledgements. Reading: stream_group_reads.cc; claims:
/// stream_group_claims.cc; looking: stream_group_look.cc.
namespace tidemark::broker {
namespace {

/// The start in offsets. On the partition's shard.
void place(Partition& partition, const StreamGroupStart& start, Done<StreamPosition> done) {
  PartitionEntries& entries = partition.entries();
  const EntryStats stats = entries.stats();
  StreamPosition position{.last_id = start.at.value_or(stats.last_id), .entries_read = start.entries_read, .cursor = stats.end};
  const std::optional<EntryId> next = start.at ? id_after(*start.at) : std::nullopt;
  if (!next) return done(position);
  entries.offset_of(*next, [position, done = std::move(done)](Result<Offset> offset) mutable {
    if (!offset) return done(std::move(offset).error());
    position.cursor = *offset;
    done(position);
  });
}

/// Durably.
void move_to(const QueuePartitionPtr& queue, const StreamPosition& position, Done<bool> moved) {
  const auto set = [position](QueueWindow& window, Timestamp) {
    window.set_stream_position(position);
    return true;
  };
  queue->change<bool>(set, std::move(moved));
}

/// For those who only want to hear that it is done.
Done<bool> without_value(Done<void> done) {
  return [done = std::move(done)](Result<bool> moved) mutable { done(moved ? Status() : Status(std::move(moved).error())); };
}

}  // namespace

StreamGroups Queues::stream_groups() const { return StreamGroups(impl_); }

void StreamGroups::create(const RequestContext& context, StreamGroupName name, StreamGroupStart start, Done<void> done) {
  QueuesImpl& impl = *impl_;
  const Topic* const topic = impl.broker.access.topics().find(name.where.topic);
  if (topic == nullptr) return done(impl.broker.unknown_topic(name.where.topic));
  const bool several = topic->partitions > 1;
  auto make = [self = impl_, context, name, several, start, done = std::move(done)](Result<StreamPosition> position) mutable {
    if (!position) return done(std::move(position).error());
    CreateQueueRequest request;
    request.name = {name.group, name.where.topic};
    request.flavor = QueueFlavor::redis;
    request.start = {StartAt::Kind::offset, position->cursor.value};
    if (several) request.start = {start.at ? StartAt::Kind::earliest : StartAt::Kind::latest, 0};
    Queues(self).create(
        context, std::move(request), [self, name, position = *position, done = std::move(done)](Result<QueueInfo> made) mutable {
          if (!made) return done(std::move(made).error());
          const auto move = [position](const QueuePartitionPtr& queue, Done<bool> moved) { move_to(queue, position, std::move(moved)); };
          on_stream_group<bool>(*self, name, without_value(std::move(done)), move);
        });
  };
  impl.broker.on_partition<StreamPosition>(name.where, std::move(make), [start](Partition& partition, Done<StreamPosition> placed) {
    place(partition, start, std::move(placed));
  });
}

void StreamGroups::set_id(const RequestContext&, StreamGroupName name, StreamGroupStart start, Done<void> done) {
  const auto move = [start](const QueuePartitionPtr& queue, Done<bool> moved) {
    const std::shared_ptr<Partition> log = queue->partition();
    if (!log) return moved(Error{Errc::unknown_topic, "the topic was deleted"});
    place(*log, start, [queue, moved = std::move(moved)](Result<StreamPosition> position) mutable {
      if (!position) return moved(std::move(position).error());
      move_to(queue, *position, std::move(moved));
    });
  };
  on_stream_group<bool>(*impl_, name, without_value(std::move(done)), move);
}

void StreamGroups::exists(const RequestContext&, StreamGroupName name, Done<bool> done) {
  on_stream_group<bool>(
      *impl_, name,
      [done = std::move(done)](Result<bool> there) mutable {
        const bool unknown = !there && (there.error().code == Errc::unknown_group || there.error().code == Errc::unknown_topic);
        if (unknown) return done(false);
        done(std::move(there));
      },
      [](const QueuePartitionPtr& queue, Done<bool> answer) { answer(!queue->closed()); });
}

// --- Members.

void StreamGroups::add_member(const RequestContext&, StreamGroupName name, std::string member, Done<bool> done) {
  on_stream_group<bool>(*impl_, name, std::move(done), [member = std::move(member)](const QueuePartitionPtr& queue, Done<bool> answer) {
    if (auto refused = member_refusal(queue->window(), member)) return answer(*std::move(refused));
    queue->change<bool>([member](QueueWindow& window, Timestamp now) { return window.add_member(member, now); }, std::move(answer));
  });
}

void StreamGroups::remove_member(const RequestContext&, StreamGroupName name, std::string member, Done<std::uint64_t> done) {
  const auto remove = [member = std::move(member)](const QueuePartitionPtr& queue, Done<std::uint64_t> answer) {
    queue->change<std::uint64_t>([member](QueueWindow& window, Timestamp now) { return window.remove_member(member, true, now); },
                                 std::move(answer));
  };
  on_stream_group<std::uint64_t>(*impl_, name, std::move(done), remove);
}

// --- Acknowledgements.

void StreamGroups::ack(const RequestContext&, StreamGroupName name, std::vector<EntryId> ids, Done<std::uint64_t> done) {
  auto settle = [ids = std::move(ids)](const QueuePartitionPtr& queue, Done<std::uint64_t> answer) mutable {
    find_unfinished(queue, std::move(ids), [queue, answer = std::move(answer)](Result<std::vector<std::optional<Offset>>> found) mutable {
      if (!found) return answer(std::move(found).error());
      const auto each = [offsets = *std::move(found)](QueueWindow& window, Timestamp now) {
        std::uint64_t count = 0;
        for (const std::optional<Offset>& offset : offsets) {
          if (offset && window.ack(*offset, std::nullopt, 0, now) == Settled::ok) ++count;
        }
        return count;
      };
      queue->change<std::uint64_t>(each, std::move(answer));
    });
  };
  on_stream_group<std::uint64_t>(*impl_, name, std::move(done), std::move(settle));
}

}  // namespace tidemark::broker
