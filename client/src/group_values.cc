#include "client/src/group_values.h"

#include <algorithm>

#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

using std::chrono::milliseconds;

Timestamp time_from_wire(std::int64_t ms) { return Timestamp(milliseconds(ms)); }

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }

Timestamp moment(const Position& position) {
  if (position.kind == Position::Kind::time) return position.time;
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now()) - position.duration;
}

GroupSeekRow row_from_wire(const wire::SeekRow& row) {
  GroupSeekRow out{.where = {row.topic(), row.partition()},
                   .from = {},
                   .to = {},
                   .records = row.records(),
                   .bytes = row.bytes(),
                   .clamped = row.clamped()};
  if (row.has_from()) out.from = Offset{row.from()};
  if (row.has_to()) out.to = Offset{row.to()};
  return out;
}

GroupMemberDescription member_from_wire(const wire::GroupInfo::Member& member) {
  return GroupMemberDescription{.member = member.member(),
                                .instance = member.instance(),
                                .client_id = member.client_id(),
                                .host = member.host(),
                                .epoch = member.epoch(),
                                .partitions = partitions_from_wire(member.partitions()),
                                .revoking = partitions_from_wire(member.revoking()),
                                .last_seen = time_from_wire(member.last_seen_ms())};
}

}  // namespace

Position start_from_wire(const wire::StartAt& start) {
  switch (start.kind()) {
    case wire::StartAt::LATEST:
      return Position::latest();
    case wire::StartAt::OFFSET:
      return Position::at(start.value());
    case wire::StartAt::TIME:
      return Position::at_time(time_from_wire(start.value()));
    default:
      return Position::earliest();
  }
}

Status start_to_wire(const Position& position, wire::StartAt& start) {
  switch (position.kind) {
    case Position::Kind::earliest:
      start.set_kind(wire::StartAt::EARLIEST);
      return {};
    case Position::Kind::latest:
      start.set_kind(wire::StartAt::LATEST);
      return {};
    case Position::Kind::offset:
      start.set_kind(wire::StartAt::OFFSET);
      start.set_value(position.count);
      return {};
    case Position::Kind::time:
    case Position::Kind::ago:
      start.set_kind(wire::StartAt::TIME);
      start.set_value(to_ms(moment(position)));
      return {};
    case Position::Kind::committed:
    case Position::Kind::after_start:
    case Position::Kind::before_end:
      break;
  }
  return Error{Errc::invalid_argument,
               "a group starts at earliest, latest, an offset, a time or so long ago, not at " + tidemark::to_string(position)};
}

void partitions_to_wire(const TopicPartitions& sorted, google::protobuf::RepeatedPtrField<wire::TopicPartitions>& out) {
  for (const TopicPartition& where : sorted) {
    if (out.empty() || out.Get(out.size() - 1).topic() != where.topic) out.Add()->set_topic(where.topic);
    out.Mutable(out.size() - 1)->add_partitions(where.partition);
  }
}

TopicPartitions partitions_from_wire(const google::protobuf::RepeatedPtrField<wire::TopicPartitions>& in) {
  TopicPartitions all;
  for (const wire::TopicPartitions& topic : in) {
    for (const std::int32_t partition : topic.partitions()) all.push_back({topic.topic(), partition});
  }
  std::ranges::sort(all);
  all.erase(std::ranges::unique(all).begin(), all.end());
  return all;
}

void seek_to_wire(const GroupSeek& seek, wire::SeekGroup& out) {
  out.set_group(seek.group);
  if (seek.topic) out.set_topic(*seek.topic);
  if (seek.partition) out.set_partition(*seek.partition);
  out.set_execute(seek.execute);
  out.set_force(seek.force);
  if (!seek.to_group.empty()) {
    out.set_target(wire::SeekGroup::GROUP);
    out.set_other_group(seek.to_group);
    return out.set_text("group:" + seek.to_group);
  }
  out.set_text(tidemark::to_string(seek.to));
  out.set_value(seek.to.count);
  switch (seek.to.kind) {
    case Position::Kind::earliest:
      return out.set_target(wire::SeekGroup::EARLIEST);
    case Position::Kind::latest:
      return out.set_target(wire::SeekGroup::LATEST);
    case Position::Kind::committed:
      return out.set_target(wire::SeekGroup::COMMITTED);
    case Position::Kind::offset:
      return out.set_target(wire::SeekGroup::OFFSET);
    case Position::Kind::after_start:
      return out.set_target(wire::SeekGroup::AFTER_START);
    case Position::Kind::before_end:
      return out.set_target(wire::SeekGroup::BEFORE_END);
    case Position::Kind::time:
    case Position::Kind::ago:
      out.set_value(to_ms(moment(seek.to)));
      return out.set_target(wire::SeekGroup::TIME);
  }
}

GroupDescription group_from_wire(const wire::GroupInfo& info) {
  GroupDescription group{.name = info.group(),
                         .kind = info.kind(),
                         .protocol = info.protocol(),
                         .state = info.state(),
                         .epoch = info.epoch(),
                         .created = time_from_wire(info.created_ms()),
                         .start = start_from_wire(info.start()),
                         .settings = {},
                         .topics = {info.topics().begin(), info.topics().end()},
                         .members = {},
                         .skipped_records = info.skipped_records(),
                         .clamped_positions = info.clamped_positions(),
                         .verdict = info.verdict(),
                         .cause = info.cause(),
                         .lag = {},
                         .lag_seconds = {}};
  for (const wire::ConfigEntry& entry : info.settings()) group.settings[entry.key()] = entry.value();
  for (const wire::GroupInfo::Member& member : info.members()) group.members.push_back(member_from_wire(member));
  if (info.has_lag()) group.lag = info.lag();
  if (info.has_lag_seconds()) group.lag_seconds = info.lag_seconds();
  if (info.has_eta_seconds()) group.eta_seconds = info.eta_seconds();
  if (info.has_headroom_seconds()) group.headroom_seconds = info.headroom_seconds();
  return group;
}

std::vector<GroupPartitionLag> lag_from_wire(const wire::GroupLagReply& reply) {
  std::vector<GroupPartitionLag> all;
  for (const wire::GroupLagReply::Entry& entry : reply.entries()) {
    GroupPartitionLag& lag = all.emplace_back();
    lag.group = entry.group();
    lag.kind = entry.kind();
    lag.where = {entry.topic(), entry.partition()};
    if (entry.has_floor()) lag.floor = Offset{entry.floor()};
    lag.log_start = Offset{entry.log_start()};
    lag.end = Offset{entry.end()};
    if (entry.has_lag()) lag.lag = entry.lag();
    if (entry.has_lag_seconds()) lag.lag_seconds = entry.lag_seconds();
    lag.lag_estimated = entry.lag_estimated();
    lag.member = entry.member();
    lag.verdict = entry.verdict();
    lag.cause = entry.cause();
    if (entry.has_waiting()) lag.waiting = entry.waiting();
    if (entry.has_in_flight()) lag.in_flight = entry.in_flight();
    if (entry.has_retrying()) lag.retrying = entry.retrying();
    if (entry.has_eta_seconds()) lag.eta_seconds = entry.eta_seconds();
    if (entry.has_headroom_seconds()) lag.headroom_seconds = entry.headroom_seconds();
  }
  return all;
}

GroupSeekPlan plan_from_wire(const wire::SeekReply& reply) {
  GroupSeekPlan plan{.rows = {}, .executed = reply.executed(), .id = reply.id()};
  for (const wire::SeekRow& row : reply.rows()) plan.rows.push_back(row_from_wire(row));
  return plan;
}

std::vector<GroupSeekRecord> history_from_wire(const wire::GroupHistoryReply& reply) {
  std::vector<GroupSeekRecord> all;
  for (const wire::GroupHistoryReply::Seek& seek : reply.seeks()) {
    GroupSeekRecord& record = all.emplace_back();
    record.id = seek.id();
    record.time = time_from_wire(seek.time_ms());
    record.who = seek.who();
    record.target = seek.target();
    record.forced = seek.forced();
    if (seek.has_undid()) record.undid = seek.undid();
    if (seek.has_undone()) record.undone = seek.undone();
    for (const wire::SeekRow& row : seek.rows()) record.rows.push_back(row_from_wire(row));
  }
  return all;
}

}  // namespace tidemark::detail
