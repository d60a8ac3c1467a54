#include "protocol/native/adapter/group_handlers.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "broker/groups/groups.h"
#include "broker/queues/queues.h"
#include "protocol/native/adapter/group_values.h"
#include "protocol/native/adapter/queue_values.h"

namespace tidemark::native {
namespace {

using native::to_wire;
using Named = std::vector<broker::NamedPartition>;
using Partitions = google::protobuf::RepeatedPtrField<wire::TopicPartitions>;

constexpr std::uint32_t kSessionTimeoutDefaultMs = 45'000;
constexpr std::uint32_t kRebalanceTimeoutDefaultMs = 60'000;

Named to_named(const Partitions& topics) {
  Named named;
  for (const wire::TopicPartitions& topic : topics) {
    for (const std::int32_t partition : topic.partitions()) named.push_back({topic.topic(), partition});
  }
  return named;
}

/// Names of one topic stand together.
void to_wire(const Named& named, Partitions& topics) {
  for (const broker::NamedPartition& where : named) {
    if (topics.empty() || topics.Get(topics.size() - 1).topic() != where.topic) topics.Add()->set_topic(where.topic);
    topics.Mutable(topics.size() - 1)->add_partitions(where.partition);
  }
}

Status handle_heartbeat(const Request& request, const wire::GroupHeartbeat& in) {
  const Result<broker::StartAt> start = to_start(in.start());
  if (!start) {
    request.reply(start.error());
    return {};
  }
  const auto or_default = [](std::uint32_t value, std::uint32_t otherwise) {
    return std::chrono::milliseconds(value == 0 ? otherwise : value);
  };
  broker::HeartbeatRequest heartbeat{.group = in.group(),
                                     .member = in.member(),
                                     .epoch = in.epoch(),
                                     .instance = in.instance(),
                                     .client_host = request.session->peer(),
                                     .session_timeout = or_default(in.session_timeout_ms(), kSessionTimeoutDefaultMs),
                                     .rebalance_timeout = or_default(in.rebalance_timeout_ms(), kRebalanceTimeoutDefaultMs),
                                     .subscription = {},
                                     .owned = {},
                                     .start = *start};
  if (in.has_subscription()) {
    heartbeat.subscription = {{in.subscription().topics().begin(), in.subscription().topics().end()}, in.subscription().regex()};
  }
  if (in.has_owned()) heartbeat.owned = to_named(in.owned().partitions());
  // The member may have come back on another connection by then: a closed session takes no push.
  const auto news = [session = std::weak_ptr(request.session), group = in.group(), member = in.member()] {
    const std::shared_ptr<SessionCore> open = session.lock();
    if (!open || open->closed()) return;
    wire::GroupNews message;
    message.set_group(group);
    message.set_member(member);
    open->push(FrameType::group_news, message);
  };
  request.broker().groups().heartbeat(
      request.context(), std::move(heartbeat), news,
      answer<broker::HeartbeatReply>(request, [](const Request& asked, const broker::HeartbeatReply& reply) {
        wire::GroupHeartbeatReply out;
        out.set_epoch(reply.epoch);
        out.set_interval_ms(static_cast<std::uint32_t>(reply.interval.count()));
        if (reply.assignment) to_wire(*reply.assignment, *out.mutable_assignment()->mutable_partitions());
        asked.reply(out);
      }));
  return {};
}

Status handle_leave(const Request& request, const wire::LeaveGroup& in) {
  request.broker().groups().leave(request.context(), in.group(), in.member(), !in.comes_back(), [request](Status left) {
    if (!left) return request.reply(left.error());
    request.reply(wire::LeaveGroupReply());
  });
  return {};
}

Status handle_commit(const Request& request, const wire::CommitOffsets& in) {
  if (!within_bounds(request, in.entries_size())) return {};
  request.broker().groups().commit(request.context(), to_commit(in), answer<broker::CommitReply>(request, reply_committed));
  return {};
}

Status handle_positions(const Request& request, const wire::GroupPositions& in) {
  if (!within_bounds(request, in.entries_size())) return {};
  broker::PositionsRequest positions{.group = in.group(), .member = in.member(), .epoch = in.epoch(), .entries = {}};
  for (const auto& entry : in.entries()) {
    positions.entries.push_back({{entry.topic(), entry.partition()}, {}});
    if (entry.has_at()) positions.entries.back().at = Offset{entry.at()};
  }
  request.broker().groups().positions(
      request.context(), std::move(positions),
      answer<broker::PositionsReply>(request, [](const Request& asked, const broker::PositionsReply& reply) {
        wire::GroupPositionsReply out;
        for (const Result<broker::GroupPosition>& position : reply) {
          auto& entry = *out.add_entries();
          if (!position) {
            *entry.mutable_error() = native::to_wire(position.error());
            continue;
          }
          entry.set_offset(position->offset.value);
          entry.set_leader_epoch(position->leader_epoch);
          entry.set_source(static_cast<wire::GroupPositionsReply::Source>(position->source));
          entry.set_skipped(position->skipped);
        }
        asked.reply(out);
      }));
  return {};
}

// --- Looking and changing.

void to_wire(const broker::GroupInfo& info, wire::GroupInfo& out) {
  out.set_group(info.name);
  out.set_kind(std::string(broker::to_string(info.kind)));
  out.set_protocol(std::string(broker::to_string(info.protocol)));
  out.set_state(info.state);
  out.set_epoch(info.epoch);
  out.set_created_ms(to_ms(info.created));
  to_wire(info.start, *out.mutable_start());
  for (const auto& [key, value] : info.settings) {
    auto& entry = *out.add_settings();
    entry.set_key(printable(key));
    entry.set_value(printable(value));
  }
  for (const std::string& topic : info.topics) out.add_topics(topic);
  for (const broker::MemberInfo& member : info.members) {
    auto& to = *out.add_members();
    to.set_member(member.member);
    to.set_instance(member.instance);
    to.set_client_id(member.client_id);
    to.set_host(member.host);
    to.set_epoch(member.epoch);
    to_wire(member.partitions, *to.mutable_partitions());
    to_wire(member.revoking, *to.mutable_revoking());
    to.set_last_seen_ms(to_ms(member.last_seen));
  }
  out.set_skipped_records(info.skipped_records);
  out.set_clamped_positions(info.clamped_positions);
}

using Described = std::vector<wire::GroupInfo>;
using Encode = std::function<void(const Request&, Described)>;
using LagRows = std::vector<broker::LagRow>;

/// Group descriptions with their lag: the worst verdict of their partitions, and that one's cause.
void add_lags(const LagRows& rows, Described& groups) {
  const std::vector<broker::LagSummary> summaries = broker::summarize(rows);
  for (wire::GroupInfo& group : groups) {
    group.set_verdict("ok");
    for (const broker::LagSummary& lag : summaries) {
      if (lag.group != group.group() || broker::to_string(lag.kind) != group.kind()) continue;
      if (lag.kind == broker::GroupKind::queue && lag.topic != group.topics(0)) continue;
      group.set_verdict(std::string(broker::to_string(lag.verdict)));
      group.set_cause(printable(lag.cause));
      if (lag.lag) group.set_lag(*lag.lag);
      if (lag.lag_time) group.set_lag_seconds(to_seconds(*lag.lag_time));
      if (lag.eta_seconds) group.set_eta_seconds(*lag.eta_seconds);
      if (lag.headroom) group.set_headroom_seconds(to_seconds(*lag.headroom));
    }
  }
}

/// No such group is no rows: there may be one of the other kind by that name.
Result<std::vector<broker::PartitionLag>> or_none(Result<std::vector<broker::PartitionLag>> rows) {
  if (!rows && rows.error().code == Errc::unknown_group) return std::vector<broker::PartitionLag>();
  return rows;
}

/// As of this moment: rows without a past.
LagRows momentary(std::vector<broker::PartitionLag> rows) {
  LagRows lags(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) lags[i].at = std::move(rows[i]);
  return lags;
}

/// Lags of stream groups, then of queue groups; `name` nullopt: of all.
void ask_lags(const Request& request, const std::optional<std::string>& name, broker::Done<LagRows> done) {
  if (broker::LagMonitor* const lag = request.session->facts().lag) return lag->rows(request.context(), name, std::move(done));
  request.broker().groups().lag(
      request.context(), name, [request, name, done = std::move(done)](Result<std::vector<broker::PartitionLag>> of_streams) mutable {
        const Status known = of_streams ? Status() : Status(of_streams.error());
        of_streams = or_none(std::move(of_streams));
        if (!of_streams) return done(of_streams.error());
        request.broker().queues().lag(
            request.context(), name,
            [known, rows = *std::move(of_streams), done = std::move(done)](Result<std::vector<broker::PartitionLag>> of_queues) mutable {
              const bool nothing = !of_queues || of_queues->empty();
              of_queues = or_none(std::move(of_queues));
              if (!of_queues) return done(of_queues.error());
              if (!known && nothing) return done(known.error());
              std::ranges::move(*of_queues, std::back_inserter(rows));
              done(momentary(std::move(rows)));
            });
      });
}

void reply_with_lag(const Request& request, Described groups, const std::optional<std::string>& name, Encode encode) {
  ask_lags(request, name, [request, groups = std::move(groups), encode = std::move(encode)](const Result<LagRows>& rows) mutable {
    if (!rows && rows.error().code != Errc::unknown_group) return request.reply(rows.error());
    add_lags(rows ? *rows : LagRows(), groups);
    encode(request, std::move(groups));
  });
}

template <class Info>
Described described(const std::vector<Info>& infos) {
  Described groups(infos.size());
  for (std::size_t i = 0; i < infos.size(); ++i) to_wire(infos[i], groups[i]);
  return groups;
}

void reply_group(const Request& request, Described one) {
  const std::string name = one.front().group();
  reply_with_lag(request, std::move(one), name, [](const Request& again, const Described& groups) { again.reply(groups.front()); });
}

broker::Done<broker::GroupInfo> answer_info(const Request& request) {
  return answer<broker::GroupInfo>(request, [](const Request& asked, const broker::GroupInfo& info) {
    Described one(1);
    to_wire(info, one.front());
    reply_group(asked, std::move(one));
  });
}

Status handle_create(const Request& request, const wire::CreateGroup& in) {
  const Result<broker::StartAt> start = to_start(in.start());
  if (!start) {
    request.reply(start.error());
    return {};
  }
  request.broker().groups().create(
      request.context(),
      {.name = in.group(), .topics = {in.topics().begin(), in.topics().end()}, .start = *start, .settings = to_config(in.settings())},
      answer_info(request));
  return {};
}

Status handle_alter(const Request& request, const wire::AlterGroup& in) {
  request.broker().groups().alter(request.context(), in.group(), to_config(in.settings()), answer_info(request));
  return {};
}

Status handle_delete(const Request& request, const wire::DeleteGroup& in) {
  request.broker().groups().remove(request.context(), in.group(), [request](Status removed) {
    if (!removed) return request.reply(removed.error());
    request.reply(wire::DeleteGroupReply());
  });
  return {};
}

/// Stream groups, then queue groups.
Status handle_list(const Request& request, const wire::ListGroups&) {
  const auto reply = [](const Request& asked, Described groups) {
    wire::ListGroupsReply out;
    for (wire::GroupInfo& info : groups) *out.add_groups() = std::move(info);
    asked.reply(out);
  };
  const auto add_queues = [reply](const Request& asked, const std::vector<broker::GroupInfo>& infos) {
    asked.broker().queues().list(
        asked.context(), std::nullopt,
        answer<std::vector<broker::QueueInfo>>(
            asked, [groups = described(infos), reply](const Request& again, const std::vector<broker::QueueInfo>& queues) mutable {
              std::ranges::move(described(queues), std::back_inserter(groups));
              reply_with_lag(again, std::move(groups), std::nullopt, reply);
            }));
  };
  request.broker().groups().list(request.context(), answer<std::vector<broker::GroupInfo>>(request, add_queues));
  return {};
}

/// A stream group, or else the one queue group of that name.
Status handle_describe(const Request& request, const wire::DescribeGroup& in) {
  const auto describe_queue = [name = in.group()](const Request& asked, const Error& unknown) {
    const auto choose = [name, unknown](const Request& again, const std::vector<broker::QueueInfo>& queues) {
      if (queues.empty()) return again.reply(unknown);
      if (queues.size() == 1) return reply_group(again, described(queues));
      std::string topics;
      for (const broker::QueueInfo& queue : queues) topics += (topics.empty() ? "" : ", ") + queue.name.topic;
      again.reply(Error{Errc::conflict, "there are queue groups '" + name + "' on " + topics + ": name the topic"});
    };
    asked.broker().queues().list(asked.context(), name, answer<std::vector<broker::QueueInfo>>(asked, choose));
  };
  request.broker().groups().describe(request.context(), in.group(), [request, describe_queue](const Result<broker::GroupInfo>& info) {
    if (!info && info.error().code == Errc::unknown_group) return describe_queue(request, info.error());
    if (!info) return request.reply(info.error());
    Described one(1);
    to_wire(*info, one.front());
    reply_group(request, std::move(one));
  });
  return {};
}

Status handle_lag(const Request& request, const wire::GroupLag& in) {
  std::optional<std::string> name;
  if (in.has_group()) name = in.group();
  const auto encode = [](const Request& asked, const LagRows& rows) {
    wire::GroupLagReply reply;
    for (const broker::LagRow& judged : rows) {
      const broker::PartitionLag& row = judged.at;
      auto& entry = *reply.add_entries();
      entry.set_group(row.group);
      entry.set_kind(std::string(broker::to_string(row.kind)));
      entry.set_topic(row.topic);
      entry.set_partition(row.partition);
      if (row.floor) entry.set_floor(row.floor->value);
      entry.set_log_start(row.log_start.value);
      entry.set_end(row.end.value);
      if (row.lag) entry.set_lag(*row.lag);
      if (row.lag_time) entry.set_lag_seconds(to_seconds(*row.lag_time));
      entry.set_lag_estimated(row.lag_time_estimated);
      entry.set_member(row.member);
      entry.set_verdict(std::string(broker::to_string(row.verdict)));
      entry.set_cause(row.cause);
      if (row.waiting) entry.set_waiting(*row.waiting);
      if (row.in_flight) entry.set_in_flight(*row.in_flight);
      if (row.retrying) entry.set_retrying(*row.retrying);
      if (judged.eta_seconds) entry.set_eta_seconds(*judged.eta_seconds);
      if (judged.headroom) entry.set_headroom_seconds(to_seconds(*judged.headroom));
    }
    asked.reply(reply);
  };
  ask_lags(request, name, answer<LagRows>(request, encode));
  return {};
}

// --- Moving.

Status handle_seek(const Request& request, const wire::SeekGroup& in) {
  Result<broker::SeekRequest> seek = to_seek(in);
  if (!seek) {
    request.reply(seek.error());
    return {};
  }
  request.broker().groups().seek(request.context(), *std::move(seek), answer_seek(request));
  return {};
}

Status handle_history(const Request& request, const wire::GroupHistory& in) {
  const auto encode = [](const Request& asked, const std::vector<broker::SeekRecord>& seeks) {
    wire::GroupHistoryReply reply;
    for (const broker::SeekRecord& seek : seeks) {
      auto& out = *reply.add_seeks();
      out.set_id(seek.id);
      out.set_time_ms(to_ms(seek.time));
      out.set_who(printable(seek.who));
      out.set_target(seek.target);
      out.set_forced(seek.forced);
      if (seek.undid) out.set_undid(*seek.undid);
      if (seek.undone) out.set_undone(*seek.undone);
      for (const broker::SeekRow& row : seek.rows) to_wire(row, *out.add_rows());
    }
    asked.reply(reply);
  };
  request.broker().groups().history(request.context(), in.group(), answer<std::vector<broker::SeekRecord>>(request, encode));
  return {};
}

Status handle_undo(const Request& request, const wire::UndoSeek& in) {
  request.broker().groups().undo(request.context(), in.group(), in.execute(), in.force(), answer_seek(request));
  return {};
}

}  // namespace

Status dispatch_group(const Request& request) {
  switch (request.header.type) {
    case FrameType::group_heartbeat:
      return decode_and(request, handle_heartbeat);
    case FrameType::leave_group:
      return decode_and(request, handle_leave);
    case FrameType::commit_offsets:
      return decode_and(request, handle_commit);
    case FrameType::group_positions:
      return decode_and(request, handle_positions);
    case FrameType::create_group:
      return decode_and(request, handle_create);
    case FrameType::alter_group:
      return decode_and(request, handle_alter);
    case FrameType::delete_group:
      return decode_and(request, handle_delete);
    case FrameType::list_groups:
      return decode_and(request, handle_list);
    case FrameType::describe_group:
      return decode_and(request, handle_describe);
    case FrameType::group_lag:
      return decode_and(request, handle_lag);
    case FrameType::seek_group:
      return decode_and(request, handle_seek);
    case FrameType::group_history:
      return decode_and(request, handle_history);
    case FrameType::undo_seek:
      return decode_and(request, handle_undo);
    default:
      return Error{Errc::internal, "no request about groups"};
  }
}

}  // namespace tidemark::native
