#include <algorithm>
#include <cstdio>

#include "broker/groups/groups_impl.h"
#include "storage/base/units.h"

/// How far groups are behind. The numbers come from the group's home shard (floors) and the partitions' shards (ends, append times).
namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSilence{60'000};  ///< Without a commit while there is lag: stalled.
constexpr milliseconds kHeadroomMin{3'600'000};

struct Row {
  GroupPtr group;
  PartitionKey where;
  PartitionLag lag;
  Timestamp committed_at{};
  std::optional<milliseconds> retention;
};

std::string seconds_text(milliseconds duration) {
  return duration < milliseconds(10'000) ? format_duration(duration)
                                         : format_duration(std::chrono::duration_cast<std::chrono::seconds>(duration));
}

/// First that holds; reference: the lag model in docs/OPERATIONS.md.
void judge(const Row& row, const PlaceReport& place, Timestamp now, PartitionLag& lag) {
  if (!lag.lag) {
    lag.cause = lag.member.empty() ? "nothing committed yet, no member reads it" : "nothing committed yet";
    lag.verdict = lag.member.empty() && place.end > place.log_start ? Verdict::stopped : Verdict::ok;
    return;
  }
  if (*lag.lag == 0) return;
  const milliseconds behind = lag.lag_time.value_or(milliseconds(0));
  if (row.retention && *row.retention > kHeadroomMin && *row.retention - behind < kHeadroomMin) {
    lag.verdict = Verdict::at_risk;
    lag.cause = "retention removes unread records in " + seconds_text(std::max(milliseconds(0), *row.retention - behind));
  } else if (*lag.floor < place.log_start) {
    lag.verdict = Verdict::at_risk;
    lag.cause = std::to_string(place.log_start - *lag.floor) + " records were removed before they were read";
  } else if (lag.member.empty()) {
    lag.verdict = Verdict::stopped;
    lag.cause = "no member reads this partition";
  } else if (place.quarantined) {
    lag.verdict = Verdict::stalled;
    lag.cause = "offset " + std::to_string(lag.floor->value) + " is damaged on disk and quarantined";
  } else if (behind > row.group->state.effective().lag_objective && now - row.committed_at > kSilence) {
    lag.verdict = Verdict::stalled;
    lag.cause = "nothing committed for " + seconds_text(now - row.committed_at);
  } else if (behind > row.group->state.effective().lag_objective) {
    lag.verdict = Verdict::slow;
    lag.cause = seconds_text(behind) + " behind, the objective is " + seconds_text(row.group->state.effective().lag_objective);
  }
}

/// The rows of one group, floors and members filled in.
void add_rows(const GroupPtr& group, const std::map<PartitionKey, std::string>& classic_owners, const TopicTable& topics,
              std::vector<Row>& rows) {
  for (const Topic* const topic : group->state.topics(topics)) {
    for (std::int32_t p = 0; p < topic->partitions; ++p) {
      Row row{.group = group, .where = {topic->id, p}, .lag = {}, .committed_at = {}, .retention = topic->effective.retention};
      row.lag.group = group->state.name();
      row.lag.topic = topic->name;
      row.lag.partition = p;
      row.lag.member = group->state.members().owner(row.where);
      if (const auto owner = classic_owners.find(row.where); owner != classic_owners.end()) row.lag.member = owner->second;
      const StreamGroup::Progress* const progress = group->state.find(row.where);
      if (progress != nullptr && progress->committed) {
        row.lag.floor = progress->committed->offset;
        row.committed_at = progress->committed->time;
      }
      rows.push_back(std::move(row));
    }
  }
}

/// What the partition says of where the group is in it.
void fill(Row& row, const PlaceReport& place, Timestamp now) {
  PartitionLag& lag = row.lag;
  lag.log_start = place.log_start;
  lag.end = place.end;
  if (lag.floor) {
    StreamGroup::Progress* const progress = row.group->state.find(row.where);
    lag.lag = std::max<std::int64_t>(0, place.end - *lag.floor);
    std::optional<StreamGroup::Progress::Known> known;
    if (progress != nullptr && progress->known && progress->known->floor == *lag.floor) known = progress->known;
    if (place.append_time) known = {*lag.floor, *place.append_time, place.estimated};
    // Of a floor below the log start it is the oldest record left that counts, which changes: nothing to keep.
    if (progress != nullptr && *lag.floor >= place.log_start) progress->known = known;
    lag.lag_time = milliseconds(0);
    if (*lag.lag > 0 && known) {
      lag.lag_time = std::max(milliseconds(0), now - known->append_time);
      lag.lag_time_estimated = known->estimated;
    }
  }
  judge(row, place, now, lag);
}

}  // namespace

void GroupsImpl::lag_here(std::optional<std::string> name, Done<std::vector<PartitionLag>> done) {
  std::vector<GroupPtr> groups;
  if (name) {
    Result<GroupPtr> group = get(*name);
    if (!group) return done(std::move(group).error());
    groups.push_back(*group);
  } else {
    groups = groups_here();
  }
  std::vector<Row> rows;
  const TopicTable& topic_table = topics(broker.current_shard());
  for (const GroupPtr& group : groups) add_rows(group, classic_owners(group), topic_table, rows);

  std::vector<PlaceQuestion> questions;
  questions.reserve(rows.size());
  for (const Row& row : rows) {
    const StreamGroup::Progress* const progress = row.group->state.find(row.where);
    const bool known = progress != nullptr && progress->known && row.lag.floor && progress->known->floor == *row.lag.floor;
    PlaceQuery query;
    query.at = row.lag.floor;
    query.time_known = known;
    questions.push_back({row.where, query});
  }
  broker.look_at(std::move(questions), [this, groups = std::move(groups), rows = std::move(rows),
                                        done = std::move(done)](std::vector<Result<PlaceReport>> places) mutable {
    std::vector<PartitionLag> lags;
    lags.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!places[i]) continue;  // The topic was deleted meanwhile.
      fill(rows[i], *places[i], broker.runtime.clock().now());
      lags.push_back(std::move(rows[i].lag));
    }
    // Floors and members are shown once they are flushed.
    answer_settled(groups, std::move(lags), std::move(done));
  });
}

}  // namespace tidemark::broker
