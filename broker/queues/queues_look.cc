#include <algorithm>
#include <set>
#include <utility>

#include "broker/groups/groups_impl.h"
#include "broker/queues/queues_impl.h"
#include "broker/queues/record_traits.h"
#include "storage/base/printable.h"
#include "storage/base/units.h"

/// Showing queue groups, and what an operator does to their records.
namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

/// One partition as it is shown, and who has something there.
struct PartitionLook {
  QueuePartitionInfo info;
  std::vector<QueueMemberInfo> members;
};

/// Fills in what has to be read: the age of the oldest record, the keys that block.
void complete(const std::shared_ptr<QueuePartition>& queue, const std::shared_ptr<Partition>& log, PartitionLook look,
              Done<PartitionLook> done) {
  std::vector<Offset> blocking;
  for (const QueuePartitionInfo::Blocked& blocked : look.info.blocked_keys) blocking.push_back(blocked.by);
  std::ranges::sort(blocking);
  queue->read_records(blocking, std::numeric_limits<std::size_t>::max(),
                      [queue, log, look = std::move(look), done = std::move(done)](Result<QueuePartition::Records> records) mutable {
                        if (records) {
                          for (const Slice& batch : records->batches) {
                            Result<BatchReader> reader = BatchReader::open(batch.view());
                            RecordView record;
                            while (reader) {
                              const Result<bool> has = reader->next(record);
                              if (!has || !*has) break;
                              for (QueuePartitionInfo::Blocked& blocked : look.info.blocked_keys) {
                                if (blocked.by == record.offset && record.key) blocked.key = as_text(*record.key);
                              }
                            }
                          }
                        }
                        PlaceQuery query;
                        query.at = look.info.floor;
                        log->look(query, [queue, look = std::move(look), done = std::move(done)](Result<PlaceReport> place) mutable {
                          const bool unfinished = look.info.floor < look.info.end || look.info.counts.unfinished() > 0;
                          if (place && unfinished) {
                            look.info.oldest = place->append_time;
                            look.info.oldest_estimated = place->estimated;
                          }
                          queue->answer<PartitionLook>(std::move(look), std::move(done));
                        });
                      });
}

void look_at(QueuesImpl& impl, QueuePartition& queue, bool full, Done<PartitionLook> done) {
  PartitionLook look{.info = queue.info(), .members = queue.window().members()};
  if (!full) look.info.blocked_keys.clear();
  auto& partitions = impl.broker.shards[impl.broker.current_shard()]->partitions;
  const auto log = partitions.find(queue.key());
  if (log == partitions.end()) return done(Error{Errc::unknown_topic, "the topic was deleted"});
  complete(queue.shared_from_this(), log->second, std::move(look), std::move(done));
}

std::string seconds_text(milliseconds duration) {
  return duration < milliseconds(10'000) ? format_duration(duration)
                                         : format_duration(std::chrono::duration_cast<std::chrono::seconds>(duration));
}

/// First that holds, as for stream groups.
void judge(const QueueInfo& queue, const QueuePartitionInfo& info, const Topic& topic, PartitionLag& lag) {
  if (*lag.lag == 0) return;
  const milliseconds behind = lag.lag_time.value_or(milliseconds(0));
  constexpr milliseconds kHeadroomMin{3'600'000};
  const bool members =
      std::ranges::any_of(queue.members, [](const QueueMember& member) { return member.connected || member.in_flight > 0; });
  const std::optional<milliseconds> retention = topic.effective.retention;
  if (retention && *retention > kHeadroomMin && *retention - behind < kHeadroomMin) {
    lag.verdict = Verdict::at_risk;
    lag.cause = "retention removes unfinished records in " + seconds_text(std::max(milliseconds(0), *retention - behind));
  } else if (info.stalled == "paused") {
    lag.verdict = Verdict::paused;
    lag.cause = "paused";
  } else if (!info.stalled.empty()) {
    lag.verdict = Verdict::stalled;
    lag.cause = info.stalled;
  } else if (!members) {
    lag.verdict = Verdict::stopped;
    lag.cause = "nobody works on it";
  } else if (behind > queue.effective.lag_objective) {
    lag.verdict = Verdict::slow;
    lag.cause = seconds_text(behind) + " behind, the objective is " + seconds_text(queue.effective.lag_objective);
    if (info.counts.retrying + info.counts.delayed > 0) {
      lag.cause += "; " + std::to_string(info.counts.retrying + info.counts.delayed) + " records are being retried";
    }
  }
}

std::vector<PartitionLag> lag_rows(const QueueInfo& queue, const Topic& topic, Timestamp now) {
  std::vector<PartitionLag> rows;
  for (const QueuePartitionInfo& info : queue.partitions) {
    PartitionLag row;
    row.group = queue.name.group;
    row.kind = GroupKind::queue;
    row.topic = queue.name.topic;
    row.partition = info.partition;
    row.floor = info.floor;
    row.log_start = info.log_start;
    row.end = info.end;
    row.waiting = info.waiting;
    row.in_flight = info.counts.in_flight;
    row.retrying = info.counts.retrying + info.counts.delayed + info.counts.dying;
    row.lag = static_cast<std::int64_t>(*row.waiting + *row.in_flight + *row.retrying);
    row.lag_time = milliseconds(0);
    if (*row.lag > 0 && info.oldest) {
      row.lag_time = std::max(milliseconds(0), now - *info.oldest);
      row.lag_time_estimated = info.oldest_estimated;
    }
    // A record has one owner, a partition may have many: the one with most of it is shown.
    std::uint64_t most = 0;
    for (const QueueMember& member : queue.members) {
      for (const auto& [partition, in_flight] : member.partitions) {
        if (partition != info.partition || in_flight <= most) continue;
        most = in_flight;
        row.member = member.member;
      }
    }
    judge(queue, info, topic, row);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

QueueCounts QueueInfo::counts() const {
  QueueCounts sum;
  for (const QueuePartitionInfo& info : partitions) {
    sum.waiting += info.waiting;
    sum.in_flight += info.counts.in_flight;
    sum.retrying += info.counts.retrying;
    sum.delayed += info.counts.delayed;
    sum.parked += info.counts.parked;
    sum.dying += info.counts.dying;
    sum.done += info.counts.done;
    sum.filtered += info.counts.filtered;
    sum.gone += info.counts.gone;
    sum.dead += info.counts.dead;
    sum.redelivered += info.counts.redelivered;
    sum.timed_out += info.counts.timed_out;
  }
  return sum;
}

void QueuesImpl::describe(const HomedQueuePtr& queue, Done<QueueInfo> done) {
  const auto& by_id = broker.shards[broker.current_shard()]->topics->by_id;
  const auto topic = by_id.find(queue->id.topic);
  if (topic == by_id.end()) return done(Error{Errc::unknown_topic, "the topic was deleted"});
  auto info = std::make_shared<QueueInfo>();
  info->name = {queue->id.group, topic->second->name};
  info->flavor = queue->flavor;
  info->created = queue->created;
  info->start = queue->start;
  info->settings = queue->settings;
  info->effective = *queue->effective;
  on_all_partitions<PartitionLook>(
      queue->id,
      [info, queue, done = std::move(done)](Result<std::vector<PartitionLook>> looks) mutable {
        if (!looks) return done(std::move(looks).error());
        std::map<std::string, QueueMember> members;
        for (const auto& [name, connected] : queue->connected) {
          QueueMember& member = members[name];
          member.client_id = connected.client_id;
          member.host = connected.host;
          member.connected = true;
        }
        for (PartitionLook& look : *looks) {
          for (const QueueMemberInfo& there : look.members) {
            QueueMember& member = members[there.name];
            if (member.created == Timestamp{} || there.created < member.created) member.created = there.created;
            member.seen = std::max(member.seen, there.seen);
            member.active = std::max(member.active, there.active);
            member.in_flight += there.in_flight;
            if (there.in_flight > 0) member.partitions.emplace_back(look.info.partition, there.in_flight);
          }
          info->partitions.push_back(std::move(look.info));
        }
        for (auto& [name, member] : members) {
          member.member = name;
          info->members.push_back(std::move(member));
        }
        done(std::move(*info));
      },
      [this](QueuePartition& partition, Done<PartitionLook> answer) { look_at(*this, partition, true, std::move(answer)); });
}

void Queues::describe(const RequestContext&, QueueName name, Done<QueueInfo> done) {
  QueuesImpl* const impl = impl_.get();
  impl->on_home<QueueInfo>(name, std::move(done),
                           [impl](const HomedQueuePtr& queue, Done<QueueInfo> answer) { impl->describe(queue, std::move(answer)); });
}

std::size_t QueuesImpl::homed_groups(std::size_t shard) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      shards[shard].homes, [](const auto& home) { return !home.second->removing && !is_internal_group(home.first.group); }));
}

void Queues::list(const RequestContext&, std::optional<std::string> group, Done<std::vector<QueueInfo>> done) {
  QueuesImpl* const impl = impl_.get();
  Done<std::vector<QueueInfo>> sorted = [done = std::move(done)](Result<std::vector<QueueInfo>> infos) mutable {
    if (infos) std::ranges::sort(*infos, {}, &QueueInfo::name);
    done(std::move(infos));
  };
  from_all_shards<QueueInfo>(impl->broker, impl->shards, std::move(sorted), [impl, group](Done<std::vector<QueueInfo>> answer) {
    auto infos = std::make_shared<std::vector<QueueInfo>>();
    auto waiting = std::make_shared<Countdown>();
    waiting->done = [infos, answer = std::move(answer)]() mutable { answer(std::move(*infos)); };
    for (const auto& [id, queue] : impl->here().homes) {
      if (queue->removing || is_internal_group(id.group) || (group && id.group != *group)) continue;
      ++waiting->left;
      impl->describe(queue, [infos, waiting](Result<QueueInfo> info) {
        if (info) infos->push_back(*std::move(info));  // Else it went meanwhile.
        waiting->one_less();
      });
    }
    waiting->one_less();
  });
}

void Queues::lag(const RequestContext& context, std::optional<std::string> group, Done<std::vector<PartitionLag>> done) {
  list(context, std::move(group), [impl = impl_.get(), done = std::move(done)](Result<std::vector<QueueInfo>> queues) mutable {
    if (!queues) return done(std::move(queues).error());
    std::vector<PartitionLag> rows;
    for (const QueueInfo& queue : *queues) {
      const Topic* const topic = impl->broker.access.topics().find(queue.name.topic);
      if (topic == nullptr) continue;
      std::ranges::move(lag_rows(queue, *topic, impl->broker.runtime.clock().now()), std::back_inserter(rows));
    }
    done(std::move(rows));
  });
}

void Queues::pending(const RequestContext&, PendingQuery query, Done<std::vector<PendingRow>> done) {
  QueuesImpl& impl = *impl_;
  if (query.max == 0 || query.max > kPendingRowsMax) {
    return done(
        Error{Errc::invalid_argument, "max = " + std::to_string(query.max) + ": must lie in 1.." + std::to_string(kPendingRowsMax)});
  }
  Result<QueueId> id = impl.identify(query.name);
  if (!id) return done(std::move(id).error());
  unsigned states = 0;
  for (const EntryState state : query.states) states |= 1u << static_cast<unsigned>(state);
  const bool handed_out_only = query.states.empty();
  if (handed_out_only) states = ~1u;
  impl.on_all_partitions<std::vector<PendingRow>>(
      *id,
      [max = query.max, done = std::move(done)](Result<std::vector<std::vector<PendingRow>>> parts) mutable {
        if (!parts) return done(std::move(parts).error());
        std::vector<PendingRow> rows;
        for (std::vector<PendingRow>& part : *parts) std::ranges::move(part, std::back_inserter(rows));
        if (rows.size() > max) rows.resize(max);
        done(std::move(rows));
      },
      [query, states, handed_out_only](QueuePartition& queue, Done<std::vector<PendingRow>> answer) {
        std::vector<PendingRow> rows;
        if (query.partition && *query.partition != queue.key().partition) return answer(std::move(rows));
        const QueueWindow& window = queue.window();
        const Timestamp now = queue.now();
        std::optional<std::string_view> member;
        if (query.member) member = *query.member;
        window.visit(query.from, window.cursor(), states, member, [&](const PendingEntry& entry) {
          if (handed_out_only && entry.deliveries == 0 && entry.state == EntryState::available) return true;
          PendingRow row{.partition = queue.key().partition,
                         .offset = entry.offset,
                         .state = entry.state,
                         .member = std::string(entry.member),
                         .idle = std::nullopt,
                         .due = entry.due,
                         .deliveries = entry.deliveries,
                         .failures = entry.failures,
                         .reason = std::string(entry.reason)};
          if (entry.delivered != Timestamp{}) row.idle = std::max(milliseconds(0), now - entry.delivered);
          if (row.idle.value_or(milliseconds(0)) < query.older) return true;
          rows.push_back(std::move(row));
          return rows.size() < query.max;
        });
        queue.answer<std::vector<PendingRow>>(std::move(rows), std::move(answer));
      });
}

namespace {

/// The entries an action means, in one partition.
std::vector<Offset> meant(const QueueAction& action, QueuePartition& queue) {
  const QueueWindow& window = queue.window();
  std::vector<Offset> offsets;
  const Timestamp now = queue.now();
  const std::set<std::pair<std::int32_t, Offset>> only(action.offsets.begin(), action.offsets.end());
  const auto state = [](EntryState one) { return 1u << static_cast<unsigned>(one); };
  const unsigned states = action.kind == QueueAction::Kind::release ? state(EntryState::acquired)
                          : action.kind == QueueAction::Kind::kick  ? state(EntryState::parked) | state(EntryState::delayed)
                                                                    : ~state(EntryState::acquired) & ~state(EntryState::dying) & ~1u;
  std::optional<std::string_view> member;
  if (action.member) member = *action.member;
  window.visit(Offset{}, window.cursor(), states, member, [&](const PendingEntry& entry) {
    if (!only.empty() && !only.contains({queue.key().partition, entry.offset})) return true;
    if (action.older.count() > 0 && now - entry.delivered < action.older) return true;
    offsets.push_back(entry.offset);
    return true;
  });
  return offsets;
}

std::uint64_t carry_out(const QueueAction& action, const std::vector<Offset>& offsets, QueuePartition& queue, Timestamp now) {
  QueueWindow& window = queue.window();
  if (action.kind == QueueAction::Kind::purge && action.offsets.empty()) return window.purge(queue.log_end());
  std::uint64_t records = 0;
  for (const Offset offset : offsets) {
    bool done = false;
    switch (action.kind) {
      case QueueAction::Kind::release:
        done = window.release(offset, std::nullopt, 0, false, now) == Settled::ok;
        break;
      case QueueAction::Kind::kick:
        done = window.kick(offset, now);
        break;
      case QueueAction::Kind::purge:
        done = window.dismiss(offset);
        break;
    }
    if (done) ++records;
  }
  return records;
}

}  // namespace

void Queues::act(const RequestContext&, QueueAction action, Done<QueueActionReply> done) {
  QueuesImpl& impl = *impl_;
  std::shared_ptr<const RecordFilter> filter;
  if (!action.match.empty()) {
    Result<RecordFilter> parsed = RecordFilter::parse(action.match, impl.broker.runtime.clock().now());
    if (!parsed) return done(std::move(parsed).error());
    filter = std::make_shared<const RecordFilter>(*std::move(parsed));
  }
  Result<QueueId> id = impl.identify(action.name);
  if (!id) return done(std::move(id).error());
  impl.on_all_partitions<std::uint64_t>(
      *id,
      [done = std::move(done)](Result<std::vector<std::uint64_t>> counts) mutable {
        if (!counts) return done(std::move(counts).error());
        QueueActionReply reply;
        for (const std::uint64_t count : *counts) reply.records += count;
        done(reply);
      },
      [action, filter, topic = action.name.topic](QueuePartition& queue, Done<std::uint64_t> answer) {
        std::vector<Offset> offsets = meant(action, queue);
        const auto go_on = [keep = queue.shared_from_this(), action](std::vector<Offset> chosen, Done<std::uint64_t> tell) {
          if (!action.execute) {
            std::uint64_t count = chosen.size();
            if (action.kind == QueueAction::Kind::purge && action.offsets.empty()) {
              count += static_cast<std::uint64_t>(std::max<std::int64_t>(0, keep->log_end() - keep->window().cursor()));
            }
            return tell(count);
          }
          keep->change<std::uint64_t>(
              [keep, action, chosen = std::move(chosen)](QueueWindow&, Timestamp now) { return carry_out(action, chosen, *keep, now); },
              std::move(tell));
        };
        if (!filter) return go_on(std::move(offsets), std::move(answer));
        queue.read_records(offsets, std::numeric_limits<std::size_t>::max(),
                           [keep = queue.shared_from_this(), go_on, filter, topic, offsets,
                            answer = std::move(answer)](Result<QueuePartition::Records> records) mutable {
                             if (!records) return answer(std::move(records).error());
                             const std::set<Offset> wanted(offsets.begin(), offsets.end());
                             std::vector<Offset> matching;
                             for (const Slice& batch : records->batches) {
                               Result<BatchReader> reader = BatchReader::open(batch.view());
                               RecordView record;
                               while (reader) {
                                 const Result<bool> has = reader->next(record);
                                 if (!has || !*has) break;
                                 if (wanted.contains(record.offset) && filter_matches(*filter, topic, keep->key().partition, record)) {
                                   matching.push_back(record.offset);
                                 }
                               }
                             }
                             go_on(std::move(matching), std::move(answer));
                           });
      });
}

namespace {

/// Where the target lies in this partition, from what the partition says.
Result<Offset> seek_target(const SeekTarget& target, const QueuePartitionInfo& info, const PlaceReport& place) {
  switch (target.kind) {
    case SeekTarget::Kind::earliest:
      return place.log_start;
    case SeekTarget::Kind::latest:
      return place.end;
    case SeekTarget::Kind::offset:
      return Offset{target.value};
    case SeekTarget::Kind::relative:
      return info.floor + target.value;
    case SeekTarget::Kind::time:
      return place.by_time.value_or(place.end);
    case SeekTarget::Kind::after_start:
      return place.log_start + target.value;
    case SeekTarget::Kind::before_end:
      return place.end - target.value;
    case SeekTarget::Kind::committed:
      return info.floor;
    case SeekTarget::Kind::group:
      break;
  }
  return Error{Errc::invalid_argument, "a queue group cannot be moved to another group's position"};
}

}  // namespace

void Queues::seek(const RequestContext&, SeekRequest request, Done<SeekReply> done) {
  QueuesImpl* const impl = impl_.get();
  if (!request.topic) return done(Error{Errc::invalid_argument, "a queue group is named by its topic as well"});
  const QueueName name{request.group, *request.topic};
  impl->on_home<SeekReply>(
      name, std::move(done), [impl, name, request = std::move(request)](const HomedQueuePtr& queue, Done<SeekReply> answer) mutable {
        if (request.execute && !request.force && !queue->connected.empty()) {
          return answer(Error{Errc::conflict, "queue group '" + printable(name.group) + "' has " + std::to_string(queue->connected.size()) +
                                                  " members connected, " + printable(queue->connected.begin()->first) + " among them"});
        }
        impl->on_all_partitions<std::optional<SeekRow>>(
            queue->id,
            [execute = request.execute, answer = std::move(answer)](Result<std::vector<std::optional<SeekRow>>> rows) mutable {
              if (!rows) return answer(std::move(rows).error());
              SeekReply reply{.rows = {}, .executed = execute, .id = 0};
              for (std::optional<SeekRow>& row : *rows) {
                if (row) reply.rows.push_back(*std::move(row));
              }
              answer(std::move(reply));
            },
            [impl, request, name](QueuePartition& partition, Done<std::optional<SeekRow>> told) {
              if (request.partition && *request.partition != partition.key().partition) return told(std::optional<SeekRow>());
              auto& partitions = impl->broker.shards[impl->broker.current_shard()]->partitions;
              const auto log = partitions.find(partition.key());
              if (log == partitions.end()) return told(Error{Errc::unknown_topic, "the topic was deleted"});
              PlaceQuery query;
              if (request.target.kind == SeekTarget::Kind::time) query.by_time_ms = request.target.value;
              log->second->look(
                  query, [keep = partition.shared_from_this(), request, name, told = std::move(told)](Result<PlaceReport> place) mutable {
                    if (!place) return told(std::move(place).error());
                    const QueuePartitionInfo info = keep->info();
                    const Result<Offset> target = seek_target(request.target, info, *place);
                    if (!target) return told(target.error());
                    SeekRow row;
                    row.where = {name.topic, info.partition};
                    row.from = info.floor;
                    row.to = std::clamp(*target, place->log_start, place->end);
                    row.clamped = *row.to != *target;
                    row.records = *row.to - *row.from;
                    if (!request.execute) return told(std::optional(std::move(row)));
                    keep->change<std::optional<SeekRow>>(
                        [row](QueueWindow& window, Timestamp) {
                          window.reset(*row.to);
                          return std::optional(row);
                        },
                        std::move(told));
                  });
            });
      });
}

}  // namespace tidemark::broker
