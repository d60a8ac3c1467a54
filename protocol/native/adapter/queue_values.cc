#include "protocol/native/adapter/queue_values.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "broker/groups/groups.h"
#include "protocol/native/adapter/group_values.h"
#include "storage/base/time_text.h"
#include "storage/base/units.h"

namespace tidemark::native {
namespace {

using std::chrono::milliseconds;

Error invalid(std::string detail) { return {Errc::invalid_argument, std::move(detail)}; }

std::optional<broker::EntryState> state_named(std::string_view name) {
  using enum broker::EntryState;
  for (const broker::EntryState state : {available, acquired, delayed, parked, dying}) {
    if (broker::to_string(state) == name) return state;
  }
  return std::nullopt;
}

std::optional<broker::Settlement::Kind> to_kind(wire::Settlement::Kind kind) {
  switch (kind) {
    case wire::Settlement::ACK:
      return broker::Settlement::Kind::ack;
    case wire::Settlement::RETRY:
      return broker::Settlement::Kind::retry;
    case wire::Settlement::RELEASE:
      return broker::Settlement::Kind::release;
    case wire::Settlement::REJECT:
      return broker::Settlement::Kind::reject;
    default:
      return std::nullopt;
  }
}

void to_wire(const broker::QueueName& name, wire::QueueName& out) {
  out.set_group(name.group);
  out.set_topic(name.topic);
}

void to_wire(const broker::QueueCounts& counts, wire::QueueCounts& out) {
  out.set_waiting(counts.waiting);
  out.set_in_flight(counts.in_flight);
  out.set_retrying(counts.retrying);
  out.set_delayed(counts.delayed);
  out.set_parked(counts.parked);
  out.set_dying(counts.dying);
  out.set_done(counts.done);
  out.set_filtered(counts.filtered);
  out.set_gone(counts.gone);
  out.set_dead(counts.dead);
  out.set_redelivered(counts.redelivered);
  out.set_timed_out(counts.timed_out);
}

void to_wire(const broker::QueuePartitionInfo& info, wire::QueueInfo::Partition& out) {
  out.set_partition(info.partition);
  out.set_log_start(info.log_start.value);
  out.set_end(info.end.value);
  out.set_floor(info.floor.value);
  out.set_cursor(info.cursor.value);
  to_wire(info.counts, *out.mutable_counts());
  out.mutable_counts()->set_waiting(info.waiting);
  if (info.oldest) out.set_oldest_ms(to_ms(*info.oldest));
  out.set_oldest_estimated(info.oldest_estimated);
  out.set_stalled(printable(info.stalled));
  for (const auto& key : info.blocked_keys) {
    auto& blocked = *out.add_blocked();
    blocked.set_key(key.key);
    blocked.set_by(key.by.value);
    blocked.set_state(std::string(broker::to_string(key.state)));
    blocked.set_waiting(key.waiting);
  }
  out.set_memory_bytes(info.memory_bytes);
}

void to_wire(const broker::QueueMember& member, wire::QueueInfo::Member& out) {
  out.set_member(member.member);
  out.set_client_id(member.client_id);
  out.set_host(member.host);
  out.set_connected(member.connected);
  out.set_created_ms(to_ms(member.created));
  out.set_seen_ms(to_ms(member.seen));
  out.set_active_ms(to_ms(member.active));
  out.set_in_flight(member.in_flight);
  for (const auto& [partition, in_flight] : member.partitions) {
    auto& in = *out.add_partitions();
    in.set_partition(partition);
    in.set_in_flight(in_flight);
  }
}

void add_settings(const std::map<std::string, std::string>& settings, google::protobuf::RepeatedPtrField<wire::ConfigEntry>& out) {
  for (const auto& [key, value] : settings) {
    wire::ConfigEntry& entry = *out.Add();
    entry.set_key(printable(key));
    entry.set_value(printable(value));
  }
}

std::string to_text(broker::QueueFlavor flavor) {
  switch (flavor) {
    case broker::QueueFlavor::native:
      return "native";
    case broker::QueueFlavor::redis:
      return "redis";
    case broker::QueueFlavor::share:
      return "share";
  }
  return "native";
}

std::string to_text(broker::Ordering ordering) {
  switch (ordering) {
    case broker::Ordering::none:
      return "none";
    case broker::Ordering::key:
      return "key";
    case broker::Ordering::single:
      return "single";
  }
  return "none";
}

std::string to_text(const broker::Backoff& backoff) {
  std::string steps;
  for (const milliseconds step : backoff.steps) steps += (steps.empty() ? "" : ",") + format_duration(step);
  if (!steps.empty()) return steps;
  if (backoff.first.count() == 0) return "none";
  return format_duration(backoff.first) + ".." + format_duration(backoff.most);
}

/// Every setting as it counts, in the form in which it is set.
std::map<std::string, std::string> in_effect(const broker::QueueSettings& settings) {
  std::map<std::string, std::string> all{
      {"ack.timeout", format_duration(settings.ack_timeout)},
      {"delivery.limit", std::to_string(settings.delivery_limit)},
      {"backoff", to_text(settings.backoff)},
      {"dead.letter.topic", settings.dead_letter_topic.empty() ? "none" : settings.dead_letter_topic},
      {"max.pending", std::to_string(settings.max_pending)},
      {"max.pending.member", std::to_string(settings.max_pending_member)},
      {"ordering", to_text(settings.ordering)},
      {"on.dead", settings.on_dead == broker::OnDead::stop ? "stop" : "continue"},
      {"lookahead", std::to_string(settings.lookahead)},
      {"filter", settings.filter},
      {"late.acks", settings.fence_late_acks ? "refuse" : "accept"},
      {"redelivery", settings.redelivers ? "on" : "off"},
      {"limit.counts", settings.count_deliveries ? "deliveries" : "failures"},
      {"lag.objective", format_duration(settings.lag_objective)},
  };
  if (settings.paused) all["paused.until"] = settings.paused_until ? format_time(*settings.paused_until) : "forever";
  return all;
}

/// Error invalid_argument unless 0 <= first, 1 <= count and all of them are offsets.
Result<broker::OffsetRun> to_run(std::int64_t first, std::int64_t count) {
  if (count == 0) count = 1;
  if (first < 0 || count < 0 || count > std::numeric_limits<std::int64_t>::max() - first) {
    return invalid("no offsets: " + std::to_string(count) + " from " + std::to_string(first) + " on");
  }
  return broker::OffsetRun{Offset{first}, count};
}

}  // namespace

milliseconds to_duration(std::uint64_t ms) {
  constexpr std::uint64_t longest = std::uint64_t{1} << 50;  // 35 000 years; added to any time of ours it overflows nothing.
  return milliseconds(static_cast<milliseconds::rep>(std::min(ms, longest)));
}

Result<std::vector<broker::Settlement>> to_settlements(const google::protobuf::RepeatedPtrField<wire::Settlement>& in, bool leases) {
  std::vector<broker::Settlement> settlements;
  settlements.reserve(static_cast<std::size_t>(in.size()));
  std::size_t offsets = 0;
  for (const wire::Settlement& from : in) {
    const std::optional<broker::Settlement::Kind> kind = to_kind(from.kind());
    if (!kind) return invalid("unknown kind of settlement " + std::to_string(from.kind()));
    const Result<broker::OffsetRun> run = to_run(from.first(), from.count());
    if (!run) return run.error();
    if (static_cast<std::uint64_t>(run->count) > broker::kSettlementsMax - offsets) {
      return invalid("a request settles at most " + std::to_string(broker::kSettlementsMax) + " records");
    }
    offsets += static_cast<std::size_t>(run->count);
    broker::Settlement& to = settlements.emplace_back();
    to.partition = from.partition();
    to.offsets = *run;
    to.deliveries = from.deliveries();
    to.kind = *kind;
    to.reason = from.reason();
    if (!from.has_delay_ms()) continue;
    to.delay = to_duration(from.delay_ms());
    if (leases && (to.delay->count() == 0 || *to.delay > broker::kLeaseMax)) return invalid("a lease has 1 ms to 12 h");
    if (!leases && to.kind != broker::Settlement::Kind::retry) return invalid("only a retry has a delay");
    if (!leases && *to.delay > broker::kRetryDelayMax) return invalid("a retry is delayed for at most 30 days");
  }
  return settlements;
}

void to_wire(const broker::SettleReply& reply, wire::SettleReply& out) {
  out.set_settled(reply.settled);
  for (const broker::SettleReply::Failure& failure : reply.failures) {
    auto& to = *out.add_failures();
    to.set_partition(failure.partition);
    to.set_offset(failure.offset.value);
    *to.mutable_error() = native::to_wire(failure.error);
  }
}

void to_wire(const broker::QueueInfo& info, wire::QueueInfo& out) {
  to_wire(info.name, *out.mutable_name());
  out.set_flavor(to_text(info.flavor));
  out.set_created_ms(to_ms(info.created));
  to_wire(info.start, *out.mutable_start());
  add_settings(info.settings, *out.mutable_settings());
  add_settings(in_effect(info.effective), *out.mutable_effective());
  for (const auto& partition : info.partitions) to_wire(partition, *out.add_partitions());
  for (const broker::QueueMember& member : info.members) to_wire(member, *out.add_members());
}

void add_lag(const std::vector<broker::PartitionLag>& rows, wire::QueueInfo& out) {
  auto worst = broker::Verdict::ok;
  out.set_verdict("ok");
  for (const broker::PartitionLag& row : rows) {
    if (row.group != out.name().group() || row.topic != out.name().topic()) continue;
    if (broker::severity(row.verdict) > broker::severity(worst)) {
      worst = row.verdict;
      out.set_verdict(std::string(broker::to_string(row.verdict)));
      out.set_cause(row.cause.empty() ? "" : row.topic + ":" + std::to_string(row.partition) + ": " + row.cause);
    }
    if (row.lag) out.set_lag(out.lag() + *row.lag);
    if (row.lag_time) out.set_lag_seconds(std::max(out.lag_seconds(), to_seconds(*row.lag_time)));
  }
}

void to_wire(const broker::QueueInfo& info, wire::GroupInfo& out) {
  const bool connected = std::ranges::any_of(info.members, &broker::QueueMember::connected);
  out.set_group(info.name.group);
  out.set_kind(std::string(broker::to_string(broker::GroupKind::queue)));
  out.set_protocol(std::string(broker::to_string(connected ? broker::GroupProtocol::native : broker::GroupProtocol::none)));
  out.set_state(connected ? "stable" : "empty");
  out.set_created_ms(to_ms(info.created));
  to_wire(info.start, *out.mutable_start());
  add_settings(info.settings, *out.mutable_settings());
  out.add_topics(info.name.topic);
  for (const broker::QueueMember& member : info.members) {
    auto& to = *out.add_members();
    to.set_member(member.member);
    to.set_client_id(member.client_id);
    to.set_host(member.host);
    to.set_last_seen_ms(to_ms(member.seen));
  }
}

Result<broker::PendingQuery> to_query(const wire::QueuePending& in) {
  broker::PendingQuery query;
  query.name = to_name(in.name());
  if (in.has_partition()) query.partition = in.partition();
  if (in.has_member()) query.member = in.member();
  for (const std::string& name : in.states()) {
    const std::optional<broker::EntryState> state = state_named(name);
    if (!state) return invalid("no state of a record: '" + name + "'; there are available, acquired, delayed, parked and dying");
    query.states.push_back(*state);
  }
  query.older = to_duration(in.older_ms());
  query.from = Offset{std::max<std::int64_t>(in.from(), 0)};
  if (in.max() > broker::kPendingRowsMax) return invalid("at most " + std::to_string(broker::kPendingRowsMax) + " records a request");
  if (in.max() > 0) query.max = in.max();
  return query;
}

void to_wire(const broker::PendingRow& row, wire::QueuePendingReply::Row& out) {
  out.set_partition(row.partition);
  out.set_offset(row.offset.value);
  out.set_state(std::string(broker::to_string(row.state)));
  out.set_member(row.member);
  if (row.idle) out.set_idle_ms(static_cast<std::uint64_t>(std::max<milliseconds::rep>(row.idle->count(), 0)));
  if (row.due) out.set_due_ms(to_ms(*row.due));
  out.set_deliveries(row.deliveries);
  out.set_failures(row.failures);
  out.set_reason(row.reason);
}

Result<broker::QueueAction> to_action(const wire::QueueAct& in) {
  broker::QueueAction action;
  action.name = to_name(in.name());
  if (in.kind() < wire::QueueAct::RELEASE || in.kind() > wire::QueueAct::PURGE) {
    return invalid("unknown action on a queue group: " + std::to_string(in.kind()));
  }
  action.kind = static_cast<broker::QueueAction::Kind>(in.kind());
  if (in.has_member()) action.member = in.member();
  action.older = to_duration(in.older_ms());
  if (static_cast<std::size_t>(in.offsets_size()) > broker::kSettlementsMax) {
    return invalid("at most " + std::to_string(broker::kSettlementsMax) + " offsets a request");
  }
  for (const auto& at : in.offsets()) {
    const Result<broker::OffsetRun> run = to_run(at.offset(), 1);
    if (!run) return run.error();
    action.offsets.emplace_back(at.partition(), run->first);
  }
  action.match = in.match();
  action.execute = in.execute();
  return action;
}

void to_wire(const broker::DeadLetterSummary& summary, wire::ListDeadLettersReply::Summary& out) {
  to_wire(summary.name, *out.mutable_name());
  out.set_topic(summary.topic);
  out.set_letters(summary.letters);
  if (summary.oldest) out.set_oldest_ms(to_ms(*summary.oldest));
  if (summary.newest) out.set_newest_ms(to_ms(*summary.newest));
  for (const auto& [reason, letters] : summary.reasons) {
    auto& to = *out.add_reasons();
    to.set_reason(reason);
    to.set_letters(letters);
  }
}

void to_wire(const broker::DeadLetter& letter, wire::ShowDeadLettersReply::Letter& out) {
  out.set_topic(letter.topic);
  out.set_partition(letter.partition);
  out.set_offset(letter.offset.value);
  to_wire(letter.from, *out.mutable_from());
  out.mutable_from()->set_topic(printable(letter.from.topic));  // From a header, which anybody may have written.
  out.set_from_partition(letter.from_partition);
  out.set_from_offset(letter.from_offset.value);
  out.set_reason(letter.reason);
  out.set_deliveries(letter.deliveries);
  out.set_failures(letter.failures);
  out.set_member(letter.member);
  out.set_died_ms(to_ms(letter.died));
  out.set_timestamp_ms(letter.timestamp_ms);
  if (letter.key) out.set_key(letter.key->data(), letter.key->size());
  if (letter.value) out.set_value(letter.value->data(), letter.value->size());
  for (const auto& [name, value] : letter.headers) {
    auto& to = *out.add_headers();
    to.set_name(name);
    if (value) to.set_value(value->data(), value->size());
  }
}

}  // namespace tidemark::native
