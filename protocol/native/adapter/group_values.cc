#include "protocol/native/adapter/group_values.h"

#include <utility>

namespace tidemark::native {
namespace {

constexpr int kEntriesMax = 100'000;

}  // namespace

Result<broker::StartAt> to_start(const wire::StartAt& start) {
  if (start.kind() < wire::StartAt::EARLIEST || start.kind() > wire::StartAt::TIME) {
    return Error{Errc::invalid_argument, "unknown start " + std::to_string(start.kind())};
  }
  return broker::StartAt{static_cast<broker::StartAt::Kind>(start.kind()), start.value()};
}

void to_wire(const broker::StartAt& start, wire::StartAt& out) {
  out.set_kind(static_cast<wire::StartAt::Kind>(start.kind));
  out.set_value(start.value);
}

bool within_bounds(const Request& request, int entries) {
  if (entries <= kEntriesMax) return true;
  request.reply(
      Error{Errc::invalid_argument, "at most " + std::to_string(kEntriesMax) + " partitions a request, not " + std::to_string(entries)});
  return false;
}

broker::CommitRequest to_commit(const wire::CommitOffsets& in) {
  broker::CommitRequest commit{.group = in.group(), .member = in.member(), .epoch = in.epoch(), .instance = {}, .entries = {}};
  for (const auto& entry : in.entries()) {
    commit.entries.push_back({{entry.topic(), entry.partition()}, Offset{entry.offset()}, entry.leader_epoch(), entry.metadata()});
  }
  return commit;
}

void reply_committed(const Request& request, const broker::CommitReply& reply) {
  wire::CommitOffsetsReply out;
  for (const Status& status : reply) {
    auto& entry = *out.add_entries();
    if (!status) *entry.mutable_error() = to_wire(status.error());
  }
  request.reply(out);
}

Result<broker::SeekRequest> to_seek(const wire::SeekGroup& in) {
  if (in.target() < wire::SeekGroup::EARLIEST || in.target() > wire::SeekGroup::BEFORE_END) {
    return Error{Errc::invalid_argument, "unknown seek target " + std::to_string(in.target())};
  }
  broker::SeekRequest seek{.group = in.group(),
                           .topic = {},
                           .partition = {},
                           .target = {static_cast<broker::SeekTarget::Kind>(in.target()), in.value(), in.other_group(), in.text()},
                           .execute = in.execute(),
                           .force = in.force()};
  if (in.has_topic()) seek.topic = in.topic();
  if (in.has_partition()) seek.partition = in.partition();
  return seek;
}

void to_wire(const broker::SeekRow& row, wire::SeekRow& out) {
  out.set_topic(row.where.topic);
  out.set_partition(row.where.partition);
  if (row.from) out.set_from(row.from->value);
  if (row.to) out.set_to(row.to->value);
  out.set_records(row.records);
  out.set_bytes(row.bytes);
  out.set_clamped(row.clamped);
}

broker::Done<broker::SeekReply> answer_seek(const Request& request) {
  return answer<broker::SeekReply>(request, [](const Request& asked, const broker::SeekReply& reply) {
    wire::SeekReply out;
    for (const broker::SeekRow& row : reply.rows) to_wire(row, *out.add_rows());
    out.set_executed(reply.executed);
    out.set_id(reply.id);
    asked.reply(out);
  });
}

}  // namespace tidemark::native
