#include <algorithm>
#include <limits>

#include "broker/groups/groups_impl.h"
#include "storage/base/printable.h"

/// Moving a group: a plan first, then, if asked, the move, which is remembered and can be taken back.
namespace tidemark::broker {
namespace {

/// base + count, as far as numbers go: both may come from a client.
std::int64_t saturating_add(std::int64_t base, std::int64_t count) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(base, count, &sum)) return sum;
  return count < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

/// Where the target lies in one partition, before clamping; nullopt: it says nothing about this one.
std::optional<std::int64_t> target_in(const SeekTarget& target, std::optional<Offset> from, const PlaceReport& place,
                                      const std::map<NamedPartition, Offset>& others, const NamedPartition& where) {
  switch (target.kind) {
    case SeekTarget::Kind::earliest:
      return place.log_start.value;
    case SeekTarget::Kind::latest:
      return place.end.value;
    case SeekTarget::Kind::offset:
      return target.value;
    case SeekTarget::Kind::relative:
      return saturating_add(from.value_or(place.log_start).value, target.value);
    case SeekTarget::Kind::time:
      return place.by_time.value_or(place.end).value;
    case SeekTarget::Kind::after_start:
      return saturating_add(place.log_start.value, target.value);
    case SeekTarget::Kind::before_end:
      // The least number has no negative: one off does no harm so far out.
      return saturating_add(place.end.value, -std::max(target.value, -std::numeric_limits<std::int64_t>::max()));
    case SeekTarget::Kind::group: {
      const auto other = others.find(where);
      if (other == others.end()) return std::nullopt;
      return other->second.value;
    }
    case SeekTarget::Kind::committed:
      return from.value_or(place.log_start).value;
  }
  return std::nullopt;
}

std::optional<Offset> position_of(const StreamGroup::Progress* progress) {
  if (progress == nullptr) return std::nullopt;
  return progress->committed ? progress->committed->offset : progress->start;
}

std::string asker(const RequestContext& context) {
  return printable(context.client_id.empty() ? context.principal : context.principal + " (" + context.client_id + ")");
}

}  // namespace

void Groups::seek(const RequestContext& context, SeekRequest request, Done<SeekReply> done) {
  GroupsImpl* const impl = impl_.get();
  const auto start = [impl, context](SeekRequest asked, std::map<NamedPartition, Offset> others, Done<SeekReply> answer) {
    const std::string name = asked.group;
    impl->on_home<SeekReply>(name, std::move(answer),
                             [impl, context, asked = std::move(asked), others = std::move(others)](Done<SeekReply> home_answer) mutable {
                               impl->seek(context, std::move(asked), std::move(others), std::move(home_answer));
                             });
  };
  if (request.target.kind == SeekTarget::Kind::committed) {
    return done(Error{Errc::invalid_argument, "a group is always at its committed positions: name another target"});
  }
  if (request.target.kind != SeekTarget::Kind::group) return start(std::move(request), {}, std::move(done));
  const std::string other = request.target.group;
  committed(context, other, {},
            [start, request = std::move(request), done = std::move(done)](Result<std::vector<Committed>> positions) mutable {
              if (!positions) return done(std::move(positions).error());
              std::map<NamedPartition, Offset> others;
              for (const Committed& position : *positions) others.emplace(position.where, position.committed->offset);
              start(std::move(request), std::move(others), std::move(done));
            });
}

void GroupsImpl::seek(RequestContext context, SeekRequest request, std::map<NamedPartition, Offset> others, Done<SeekReply> done) {
  Result<GroupPtr> found = get(request.group);
  if (!found) return done(std::move(found).error());
  const TopicTable& table = topics(broker.current_shard());
  std::vector<const Topic*> wanted = (*found)->state.topics(table);
  if (request.topic) {
    const Topic* const topic = table.find(*request.topic);
    if (topic == nullptr) return done(broker.unknown_topic(*request.topic));
    wanted = {topic};
  }
  struct Target {
    NamedPartition name;
    PartitionKey key;
    std::optional<Offset> from;
  };
  std::vector<Target> targets;
  std::vector<PlaceQuestion> questions;
  for (const Topic* const topic : wanted) {
    for (std::int32_t p = 0; p < topic->partitions; ++p) {
      if (request.partition && *request.partition != p) continue;
      Target target{{topic->name, p}, {topic->id, p}, position_of((*found)->state.find({topic->id, p}))};
      if (request.target.kind == SeekTarget::Kind::group && !others.contains(target.name)) continue;
      PlaceQuery query;
      if (request.target.kind == SeekTarget::Kind::time) query.by_time_ms = request.target.value;
      questions.push_back({target.key, query});
      targets.push_back(std::move(target));
    }
  }
  if (targets.size() > kSeekRowsMax) {
    return done(Error{Errc::invalid_argument, "a seek moves at most " + std::to_string(kSeekRowsMax) + " partitions, not " +
                                                  std::to_string(targets.size()) + ": move one topic at a time"});
  }
  if (targets.empty()) return done(Error{Errc::unknown_partition, "the group has no such partition to move"});

  // Twice: first where the target lies, then how much of the log is between.
  broker.look_at(
      std::move(questions), [this, context = std::move(context), group = *found, request = std::move(request), others = std::move(others),
                             targets = std::move(targets), done = std::move(done)](std::vector<Result<PlaceReport>> places) mutable {
        SeekRecord record{.id = 0,
                          .time = {},
                          .who = asker(context),
                          .target = request.target.text,
                          .forced = request.force,
                          .undid = {},
                          .undone = {},
                          .rows = {}};
        std::vector<PlaceQuestion> distances;
        for (std::size_t i = 0; i < targets.size(); ++i) {
          if (!places[i]) return done(places[i].error());
          const std::optional<std::int64_t> wanted_at = target_in(request.target, targets[i].from, *places[i], others, targets[i].name);
          if (!wanted_at) continue;
          const Offset to = std::clamp(Offset{*wanted_at}, places[i]->log_start, places[i]->end);
          const Offset from = targets[i].from.value_or(places[i]->log_start);
          record.rows.push_back({.where = targets[i].name,
                                 .from = targets[i].from,
                                 .to = to,
                                 .records = to - from,
                                 .bytes = 0,
                                 .clamped = to.value != *wanted_at});
          distances.push_back({targets[i].key, {.at = from, .and_at = to, .by_time_ms = {}}});
        }
        broker.look_at(std::move(distances), [this, group, execute = request.execute, force = request.force, record = std::move(record),
                                              done = std::move(done)](std::vector<Result<PlaceReport>> between) mutable {
          for (std::size_t i = 0; i < between.size(); ++i) {
            if (!between[i]) return done(between[i].error());
            record.rows[i].bytes = between[i]->bytes;
          }
          if (!execute) return done(SeekReply{std::move(record.rows), false, 0});
          move(group, std::move(record), force, std::move(done));
        });
      });
}

/// Carries a plan out.
void GroupsImpl::move(const GroupPtr& group, SeekRecord record, bool force, Done<SeekReply> done) {
  if (group->removing) return done(Error{Errc::unknown_group, "the group was removed"});
  StreamGroup& state = group->state;
  if (group->has_members()) {
    if (!force) return done(live_members(group, "moved"));
    fence_all(group);
  }
  const Timestamp now = broker.runtime.clock().now();
  const std::uint64_t order = ++group->commit_order;  // Commits that were on their way are passed over.
  for (const SeekRow& row : record.rows) {
    const Result<PartitionKey> key = resolve(row.where);
    if (!key) continue;  // Deleted meanwhile.
    if (row.to)
      state.commit(*key, {*row.to, -1, "", now}, order);
    else
      state.forget(*key);
  }
  record.time = now;
  const SeekRecord& kept = state.add_seek(std::move(record));
  if (kept.undid) {
    if (SeekRecord* const undone = state.find_seek(*kept.undid)) {
      undone->undone = kept.id;
      state.seek_changed(undone->id);
    }
  }
  answer_settled(group, SeekReply{kept.rows, true, kept.id}, std::move(done));
}

void Groups::history(const RequestContext&, std::string name, Done<std::vector<SeekRecord>> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<std::vector<SeekRecord>>(name, std::move(done), [impl, name](Done<std::vector<SeekRecord>> answer) mutable {
    Result<GroupPtr> group = impl->get(name);
    if (!group) return answer(std::move(group).error());
    const std::deque<SeekRecord>& history = (*group)->state.history();
    impl->answer_settled(*group, std::vector<SeekRecord>(history.begin(), history.end()), std::move(answer));
  });
}

void Groups::undo(const RequestContext& context, std::string name, bool execute, bool force, Done<SeekReply> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<SeekReply>(name, std::move(done), [impl, context, name, execute, force](Done<SeekReply> answer) mutable {
    impl->undo(std::move(context), std::move(name), execute, force, std::move(answer));
  });
}

void GroupsImpl::undo(RequestContext context, std::string name, bool execute, bool force, Done<SeekReply> done) {
  Result<GroupPtr> group = get(name);
  if (!group) return done(std::move(group).error());
  const std::deque<SeekRecord>& history = (*group)->state.history();
  const auto last = std::find_if(history.rbegin(), history.rend(), [](const SeekRecord& seek) { return !seek.undid && !seek.undone; });
  if (last == history.rend()) return done(Error{Errc::not_found, "group '" + printable(name) + "' has no seek that could be taken back"});
  SeekRecord back{.id = 0,
                  .time = {},
                  .who = asker(context),
                  .target = "undo " + std::to_string(last->id),
                  .forced = force,
                  .undid = last->id,
                  .undone = {},
                  .rows = {}};
  for (const SeekRow& row : last->rows) {
    const Result<PartitionKey> key = resolve(row.where);
    if (!key) continue;
    const std::optional<Offset> now_at = position_of((*group)->state.find(*key));
    const std::int64_t records = now_at && row.from ? *row.from - *now_at : -row.records;
    back.rows.push_back({.where = row.where, .from = now_at, .to = row.from, .records = records, .bytes = row.bytes, .clamped = false});
  }
  if (!execute) return done(SeekReply{std::move(back.rows), false, 0});
  move(*group, std::move(back), force, std::move(done));
}

}  // namespace tidemark::broker
