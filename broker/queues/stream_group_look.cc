#include <algorithm>
#include <utility>

#include "broker/queues/stream_groups_impl.h"
#include "broker/steps.h"

/// What is pending, and what a group is.
namespace tidemark::broker {
namespace {

std::vector<HeldEntry> held_by(const QueuePartition& queue, QueueWindow& window, std::optional<std::string_view> member, std::size_t max) {
  std::vector<HeldEntry> held;
  if (max == 0) max = kStreamRowsMax;
  visit_pending(window, {}, member, [&](const PendingEntry& entry) {
    held.push_back(held_entry(queue, entry));
    return held.size() < max;
  });
  return held;
}

std::vector<StreamPendingRow> rows_of(std::vector<HeldEntry> held) {
  std::vector<StreamPendingRow> rows;
  rows.reserve(held.size());
  for (HeldEntry& one : held) rows.push_back(std::move(one.row));
  return rows;
}

std::optional<Offset> last_pending(QueueWindow& window) {
  const auto mask = [](EntryState state) { return 1U << static_cast<unsigned>(state); };
  const QueueCounts& counts = window.counts();
  if (counts.retrying == 0 || window.settings().redelivers) return window.last_of(mask(EntryState::acquired));
  if (counts.waiting == 0) return window.last_of(mask(EntryState::acquired) | mask(EntryState::available));
  // Some of what is available was never handed out: they have to be told apart.
  std::optional<Offset> last;
  visit_pending(window, {}, std::nullopt, [&last](const PendingEntry& entry) {
    last = entry.offset;
    return true;
  });
  return last;
}

/// Describes one group; ids and positions may have to be read.
class Describing : public std::enable_shared_from_this<Describing> {
 public:
  Describing(QueuePartitionPtr queue, StreamGroupsQuery query, Done<StreamGroupInfo> done)
      : queue_(std::move(queue)), query_(query), done_(std::move(done)) {}

  void run() {
    queue_->housekeeping();
    QueueWindow& window = queue_->window();
    info_.name = queue_->group();
    info_.pending = window.pending();
    for (const QueueMemberInfo& member : window.members()) {
      info_.members.push_back({.name = member.name, .seen = member.seen, .active = member.active, .pending = member.in_flight, .held = {}});
    }
    stream_position_of(queue_, [self = shared_from_this()](Result<StreamPosition> position) {
      if (!position) return self->done_(std::move(position).error());
      self->count(*position);
    });
  }

 private:
  void count(const StreamPosition& position) {
    stream_counters_of(queue_, [self = shared_from_this(), position](Result<StreamCounters> counters) {
      if (!counters) return self->done_(std::move(counters).error());
      const std::shared_ptr<Partition> log = self->queue_->partition();
      if (!log) return self->done_(Error{Errc::unknown_topic, "the topic was deleted"});
      StreamGroupInfo& info = self->info_;
      info.last_id = position.last_id;
      info.entries_read = position.entries_read;
      info.lag_of_redis = counters->lag(position);
      const Offset end = log->last_stable();
      const Offset from = std::clamp(self->queue_->window().cursor(), log->log_start(), end);
      info.lag =
          self->queue_->window().counts().waiting + static_cast<std::uint64_t>(end - from) - log->entries().deleted().count(from, end);
      if (!self->query_.held) return self->finish();
      self->name_next();
    });
  }

  /// The group's first, then each member's.
  void name_next() {
    steps_.run([this] {
      if (failed_ || next_ > info_.members.size()) {
        finish();
        return false;
      }
      const std::optional<std::string> member = next_ == 0 ? std::nullopt : std::optional(info_.members[next_ - 1].name);
      name_all(queue_, held_by(*queue_, queue_->window(), member, query_.held_max),
               [self = shared_from_this()](Result<std::vector<HeldEntry>> named) {
                 if (!named)
                   self->failed_ = std::move(named).error();
                 else
                   (self->next_ == 0 ? self->info_.held : self->info_.members[self->next_ - 1].held) = rows_of(*std::move(named));
                 ++self->next_;
                 if (self->steps_.ended()) self->name_next();
               });
      return true;
    });
  }

  void finish() {
    if (failed_) return done_(*failed_);
    if (queue_->closed()) return done_(Error{Errc::unknown_group, "the group was removed"});
    queue_->answer<StreamGroupInfo>(std::move(info_), std::move(done_));
  }

  const QueuePartitionPtr queue_;
  const StreamGroupsQuery query_;
  Done<StreamGroupInfo> done_;
  StreamGroupInfo info_;
  std::size_t next_ = 0;
  std::optional<Error> failed_;
  Steps steps_;
};

/// One group after another.
class Listing : public std::enable_shared_from_this<Listing> {
 public:
  Listing(std::vector<QueuePartitionPtr> queues, StreamGroupsQuery query, Done<std::vector<StreamGroupInfo>> done)
      : queues_(std::move(queues)), query_(query), done_(std::move(done)) {}

  void run() {
    steps_.run([this] {
      if (failed_ || next_ == queues_.size()) {
        failed_ ? done_(*failed_) : done_(std::move(infos_));
        return false;
      }
      const auto take = [self = shared_from_this()](Result<StreamGroupInfo> info) {
        // One that was removed meanwhile is not there.
        if (info)
          self->infos_.push_back(*std::move(info));
        else if (info.error().code != Errc::unknown_group)
          self->failed_ = std::move(info).error();
        if (self->steps_.ended()) self->run();
      };
      std::make_shared<Describing>(queues_[next_++], query_, take)->run();
      return true;
    });
  }

 private:
  const std::vector<QueuePartitionPtr> queues_;
  const StreamGroupsQuery query_;
  Done<std::vector<StreamGroupInfo>> done_;
  std::vector<StreamGroupInfo> infos_;
  std::size_t next_ = 0;
  std::optional<Error> failed_;
  Steps steps_;
};

}  // namespace

void StreamGroups::pending(const RequestContext&, StreamGroupName name, Done<StreamPending> done) {
  const auto look = [](const QueuePartitionPtr& queue, Done<StreamPending> answer) {
    queue->housekeeping();
    QueueWindow& window = queue->window();
    StreamPending pending;
    pending.total = window.pending();
    for (const QueueMemberInfo& member : window.members()) {
      if (member.in_flight > 0) pending.members.emplace_back(member.name, member.in_flight);
    }
    std::vector<HeldEntry> ends = held_by(*queue, window, std::nullopt, 1);
    if (const std::optional<Offset> last = last_pending(window); last && !ends.empty()) {
      if (const std::optional<PendingEntry> entry = window.entry(*last)) ends.push_back(held_entry(*queue, *entry));
    }
    name_all(queue, std::move(ends),
             [queue, pending = std::move(pending), answer = std::move(answer)](Result<std::vector<HeldEntry>> named) mutable {
               if (!named) return answer(std::move(named).error());
               if (queue->closed()) return answer(Error{Errc::unknown_group, "the group was removed"});
               if (!named->empty()) {
                 pending.first = named->front().id;
                 pending.last = named->back().id;
               }
               queue->answer<StreamPending>(std::move(pending), std::move(answer));
             });
  };
  on_stream_group<StreamPending>(*impl_, name, std::move(done), look);
}

void StreamGroups::pending_rows(const RequestContext&, StreamGroupName name, StreamPendingQuery query,
                                Done<std::vector<StreamPendingRow>> done) {
  const auto look = [query](const QueuePartitionPtr& queue, Offset from, Done<std::vector<StreamPendingRow>> answer) {
    std::vector<HeldEntry> held;
    const std::size_t most = std::min(query.count, kStreamRowsMax);
    std::optional<std::string_view> member;
    if (query.member) member = *query.member;
    if (most > 0) {
      visit_pending(queue->window(), from, member, [&](const PendingEntry& entry) {
        HeldEntry one = held_entry(*queue, entry);
        if (one.id > query.last) return false;
        if (one.row.idle >= query.idle || one.row.idle == kNobodyHas) held.push_back(std::move(one));
        return held.size() < most;
      });
    }
    name_all(queue, std::move(held), [queue, last = query.last, answer = std::move(answer)](Result<std::vector<HeldEntry>> named) mutable {
      if (!named) return answer(std::move(named).error());
      if (queue->closed()) return answer(Error{Errc::unknown_group, "the group was removed"});
      std::erase_if(*named, [last](const HeldEntry& one) { return one.id > last; });
      queue->answer<std::vector<StreamPendingRow>>(rows_of(*std::move(named)), std::move(answer));
    });
  };
  const auto start = [look, first = query.first](const QueuePartitionPtr& queue, Done<std::vector<StreamPendingRow>> answer) {
    queue->housekeeping();
    first_from(queue, first, [look, queue, answer = std::move(answer)](Result<Offset> from) mutable {
      if (!from) return answer(std::move(from).error());
      look(queue, *from, std::move(answer));
    });
  };
  on_stream_group<std::vector<StreamPendingRow>>(*impl_, name, std::move(done), start);
}

void StreamGroups::list(const RequestContext&, TopicPartition where, StreamGroupsQuery query, Done<std::vector<StreamGroupInfo>> done) {
  const auto look = [impl = impl_, query](Partition& partition, Done<std::vector<StreamGroupInfo>> answer) {
    std::vector<QueuePartitionPtr> queues;
    const auto found = impl->here().partitions.find(partition.key());
    if (found != impl->here().partitions.end()) {
      for (const auto& [name, queue] : found->second) {
        if (!is_internal_group(name)) queues.push_back(queue);
      }
    }
    std::make_shared<Listing>(std::move(queues), query, std::move(answer))->run();
  };
  impl_->broker.on_partition<std::vector<StreamGroupInfo>>(where, std::move(done), look);
}

void StreamGroups::describe(const RequestContext&, StreamGroupName name, Done<StreamGroupInfo> done) {
  on_stream_group<StreamGroupInfo>(*impl_, name, std::move(done), [](const QueuePartitionPtr& queue, Done<StreamGroupInfo> answer) {
    std::make_shared<Describing>(queue, StreamGroupsQuery{}, std::move(answer))->run();
  });
}

}  // namespace tidemark::broker
