#include "client/src/queue_values.h"

#include <algorithm>
#include <utility>

#include "client/src/group_values.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"

namespace tidemark {

QueueCounts& QueueCounts::operator+=(const QueueCounts& other) {
  waiting += other.waiting;
  in_flight += other.in_flight;
  retrying += other.retrying;
  delayed += other.delayed;
  parked += other.parked;
  dying += other.dying;
  done += other.done;
  filtered += other.filtered;
  gone += other.gone;
  dead += other.dead;
  redelivered += other.redelivered;
  timed_out += other.timed_out;
  return *this;
}

QueueCounts QueueDescription::counts() const {
  QueueCounts all;
  for (const QueuePartition& partition : partitions) all += partition.counts;
  return all;
}

namespace detail {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRetryDelayMax = std::chrono::hours(24 * 30);
constexpr std::size_t kReasonBytesMax = 1024;

Timestamp time_from_wire(std::int64_t ms) { return Timestamp(milliseconds(ms)); }

std::uint64_t to_wire_ms(milliseconds duration) { return static_cast<std::uint64_t>(std::max<milliseconds::rep>(duration.count(), 0)); }

QueueCounts counts_from_wire(const wire::QueueCounts& counts) {
  return QueueCounts{.waiting = counts.waiting(),
                     .in_flight = counts.in_flight(),
                     .retrying = counts.retrying(),
                     .delayed = counts.delayed(),
                     .parked = counts.parked(),
                     .dying = counts.dying(),
                     .done = counts.done(),
                     .filtered = counts.filtered(),
                     .gone = counts.gone(),
                     .dead = counts.dead(),
                     .redelivered = counts.redelivered(),
                     .timed_out = counts.timed_out()};
}

QueuePartition partition_from_wire(const wire::QueueInfo::Partition& in) {
  QueuePartition out;
  out.partition = in.partition();
  out.log_start = Offset{in.log_start()};
  out.end = Offset{in.end()};
  out.floor = Offset{in.floor()};
  out.cursor = Offset{in.cursor()};
  out.counts = counts_from_wire(in.counts());
  if (in.has_oldest_ms()) out.oldest = time_from_wire(in.oldest_ms());
  out.oldest_estimated = in.oldest_estimated();
  out.stalled = in.stalled();
  for (const auto& key : in.blocked()) {
    out.blocked_keys.push_back({.key = key.key(), .by = Offset{key.by()}, .state = key.state(), .waiting = key.waiting()});
  }
  out.memory_bytes = in.memory_bytes();
  return out;
}

QueueMemberDescription member_from_wire(const wire::QueueInfo::Member& in) {
  QueueMemberDescription out{.member = in.member(),
                             .client_id = in.client_id(),
                             .host = in.host(),
                             .connected = in.connected(),
                             .created = time_from_wire(in.created_ms()),
                             .seen = time_from_wire(in.seen_ms()),
                             .active = time_from_wire(in.active_ms()),
                             .in_flight = in.in_flight(),
                             .partitions = {}};
  for (const auto& partition : in.partitions()) out.partitions.emplace_back(partition.partition(), partition.in_flight());
  return out;
}

}  // namespace

Status check_settlement(const Settlement& how) {
  const auto* const retry = std::get_if<Retry>(&how);
  if (retry == nullptr || !retry->delay) return {};
  if (*retry->delay >= milliseconds(0) && *retry->delay <= kRetryDelayMax) return {};
  return Error{Errc::invalid_argument, "a retry is delayed for 0 to 30 days"};
}

Settlement bounded(Settlement how) {
  if (auto* const retry = std::get_if<Retry>(&how)) retry->reason.resize(std::min(retry->reason.size(), kReasonBytesMax));
  if (auto* const reject = std::get_if<Reject>(&how)) reject->reason.resize(std::min(reject->reason.size(), kReasonBytesMax));
  return how;
}

void settlement_to_wire(const Settlement& how, wire::Settlement& out) {
  if (std::holds_alternative<Release>(how)) out.set_kind(wire::Settlement::RELEASE);
  if (const auto* const reject = std::get_if<Reject>(&how)) {
    out.set_kind(wire::Settlement::REJECT);
    out.set_reason(reject->reason);
  }
  if (const auto* const retry = std::get_if<Retry>(&how)) {
    out.set_kind(wire::Settlement::RETRY);
    out.set_reason(retry->reason);
    if (retry->delay) out.set_delay_ms(to_wire_ms(*retry->delay));
  }
}

Status settlements_to_wire(const std::vector<QueueSettlement>& settlements, wire::Settle& out) {
  for (const QueueSettlement& settlement : settlements) {
    if (const Status sound = check_settlement(settlement.how); !sound) return sound;
    if (settlement.count < 1) return Error{Errc::invalid_argument, "a settlement of no records"};
    wire::Settlement& run = *out.add_settlements();
    run.set_partition(settlement.partition);
    run.set_first(settlement.first.value);
    run.set_count(settlement.count);
    settlement_to_wire(bounded(settlement.how), run);
  }
  return {};
}

SettleReport report_from_wire(const wire::SettleReply& reply) {
  SettleReport report;
  report.settled = reply.settled();
  for (const wire::SettleReply::Failure& failure : reply.failures()) {
    report.failures.push_back(
        {.partition = failure.partition(), .offset = Offset{failure.offset()}, .error = error_from_wire(failure.error())});
  }
  return report;
}

QueueDescription queue_from_wire(const wire::QueueInfo& info) {
  QueueDescription queue;
  queue.group = info.name().group();
  queue.topic = info.name().topic();
  queue.flavor = info.flavor();
  queue.created = time_from_wire(info.created_ms());
  queue.start = start_from_wire(info.start());
  for (const wire::ConfigEntry& entry : info.settings()) queue.settings[entry.key()] = entry.value();
  for (const wire::ConfigEntry& entry : info.effective()) queue.effective[entry.key()] = entry.value();
  for (const auto& partition : info.partitions()) queue.partitions.push_back(partition_from_wire(partition));
  for (const auto& member : info.members()) queue.members.push_back(member_from_wire(member));
  queue.verdict = info.verdict();
  queue.cause = info.cause();
  queue.lag = info.lag();
  queue.lag_seconds = info.lag_seconds();
  return queue;
}

std::vector<QueueDescription> queues_from_wire(const wire::ListQueuesReply& reply) {
  std::vector<QueueDescription> queues;
  for (const wire::QueueInfo& info : reply.queues()) queues.push_back(queue_from_wire(info));
  return queues;
}

void pending_to_wire(const QueuePendingQuery& query, wire::QueuePending& out) {
  out.mutable_name()->set_group(query.group);
  out.mutable_name()->set_topic(query.topic);
  if (query.partition) out.set_partition(*query.partition);
  if (query.member) out.set_member(*query.member);
  for (const std::string& state : query.states) out.add_states(state);
  out.set_older_ms(to_wire_ms(query.older));
  out.set_from(query.from.value);
  out.set_max(static_cast<std::uint32_t>(std::min<std::size_t>(query.max, UINT32_MAX)));
}

std::vector<QueuePendingRow> pending_from_wire(const wire::QueuePendingReply& reply) {
  std::vector<QueuePendingRow> rows;
  for (const wire::QueuePendingReply::Row& in : reply.rows()) {
    QueuePendingRow& row = rows.emplace_back();
    row.partition = in.partition();
    row.offset = Offset{in.offset()};
    row.state = in.state();
    row.member = in.member();
    if (in.has_idle_ms()) row.idle = milliseconds(static_cast<milliseconds::rep>(in.idle_ms()));
    if (in.has_due_ms()) row.due = time_from_wire(in.due_ms());
    row.deliveries = in.deliveries();
    row.failures = in.failures();
    row.reason = in.reason();
  }
  return rows;
}

void action_to_wire(const QueueAction& action, wire::QueueAct& out) {
  out.mutable_name()->set_group(action.group);
  out.mutable_name()->set_topic(action.topic);
  switch (action.kind) {
    case QueueAction::Kind::release:
      out.set_kind(wire::QueueAct::RELEASE);
      break;
    case QueueAction::Kind::kick:
      out.set_kind(wire::QueueAct::KICK);
      break;
    case QueueAction::Kind::purge:
      out.set_kind(wire::QueueAct::PURGE);
      break;
  }
  if (action.member) out.set_member(*action.member);
  out.set_older_ms(to_wire_ms(action.older));
  for (const auto& [partition, offset] : action.offsets) {
    wire::QueueAct::At& at = *out.add_offsets();
    at.set_partition(partition);
    at.set_offset(offset.value);
  }
  out.set_match(action.match);
  out.set_execute(action.execute);
}

std::vector<DeadLetterSummary> letters_from_wire(const wire::ListDeadLettersReply& reply) {
  std::vector<DeadLetterSummary> summaries;
  for (const wire::ListDeadLettersReply::Summary& in : reply.summaries()) {
    DeadLetterSummary& summary = summaries.emplace_back();
    summary.group = in.name().group();
    summary.topic = in.name().topic();
    summary.letters_topic = in.topic();
    summary.letters = in.letters();
    if (in.has_oldest_ms()) summary.oldest = time_from_wire(in.oldest_ms());
    if (in.has_newest_ms()) summary.newest = time_from_wire(in.newest_ms());
    for (const auto& reason : in.reasons()) summary.reasons.emplace_back(reason.reason(), reason.letters());
  }
  return summaries;
}

std::vector<DeadLetter> letters_from_wire(const wire::ShowDeadLettersReply& reply) {
  std::vector<DeadLetter> letters;
  for (const wire::ShowDeadLettersReply::Letter& in : reply.letters()) {
    DeadLetter& letter = letters.emplace_back();
    letter.where = {in.topic(), in.partition()};
    letter.offset = Offset{in.offset()};
    letter.group = in.from().group();
    letter.from = {in.from().topic(), in.from_partition()};
    letter.from_offset = Offset{in.from_offset()};
    letter.reason = in.reason();
    letter.deliveries = in.deliveries();
    letter.failures = in.failures();
    letter.member = in.member();
    letter.died = time_from_wire(in.died_ms());
    if (in.timestamp_ms() >= 0) letter.timestamp = time_from_wire(in.timestamp_ms());
    if (in.has_key()) letter.key = in.key();
    if (in.has_value()) letter.value = in.value();
    for (const auto& header : in.headers()) {
      letter.headers.emplace_back(header.name(), header.has_value() ? std::optional(header.value()) : std::nullopt);
    }
  }
  return letters;
}

}  // namespace detail
}  // namespace tidemark
