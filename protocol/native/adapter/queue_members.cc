#include "protocol/native/adapter/queue_members.h"

#include <algorithm>
#include <utility>

#include "broker/queues/queues.h"
#include "protocol/native/adapter/group_values.h"
#include "protocol/native/adapter/queue_values.h"
#include "storage/base/log.h"
#include "storage/batch/repack.h"

namespace tidemark::native {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t kReceiveBytesDefault = 1024 * 1024;
constexpr std::uint32_t kReceiveBytesMax = 8 * 1024 * 1024;
constexpr std::uint32_t kReceiveWaitMaxMs = 30'000;
constexpr std::size_t kMemberNameBytesMax = 249;
/// Smaller batches are sent as they are: what could be left out is not worth the work.
constexpr std::size_t kSparseBytesMin = 4 * 1024;

std::vector<broker::OffsetRun> ascending(const std::vector<broker::TakenRun>& taken) {
  std::vector<broker::OffsetRun> runs;
  runs.reserve(taken.size());
  for (const broker::TakenRun& run : taken) runs.push_back(run.offsets);
  std::ranges::sort(runs, {}, &broker::OffsetRun::first);
  return runs;
}

/// Of [from, to), how many offsets are in `runs`, which ascend.
std::int64_t wanted_in(const std::vector<broker::OffsetRun>& runs, Offset from, Offset to) {
  std::int64_t wanted = 0;
  for (const broker::OffsetRun& run : runs) {
    wanted += std::max<std::int64_t>(0, std::min(run.first + run.count, to) - std::max(run.first, from));
  }
  return wanted;
}

/// The batch without most of the records that were not handed out, where they are more than half of it. A batch that cannot be read is
/// sent as it is: its reader will say what is wrong with it.
Slice without_others(const Slice& batch, const std::vector<broker::OffsetRun>& runs) {
  if (batch.size() < kSparseBytesMin) return batch;
  const Result<BatchHeader> header = BatchHeader::parse(batch.view());
  if (!header) return batch;
  const std::int64_t wanted = wanted_in(runs, header->base_offset, header->end_offset());
  if (header->record_count <= 2 * wanted) return batch;
  std::vector<OffsetRange> ranges;
  ranges.reserve(runs.size());
  for (const broker::OffsetRun& run : runs) ranges.push_back({run.first, run.first + run.count});
  Result<Slice> smaller = keep_records(batch.view(), ranges);
  return smaller ? *std::move(smaller) : batch;
}

/// The batches go along as attachments, in the order of the partitions.
wire::Received to_wire(broker::ReceiveReply& reply, std::vector<Slice>& attachments) {
  wire::Received out;
  out.set_lease_ms(static_cast<std::uint32_t>(reply.lease.count()));
  for (broker::ReceivedPartition& partition : reply.partitions) {
    wire::Received::Partition& to = *out.add_partitions();
    to.set_partition(partition.partition);
    for (const broker::TakenRun& taken : partition.runs) {
      wire::Received::Run& run = *to.add_runs();
      run.set_first(taken.offsets.first.value);
      run.set_count(taken.offsets.count);
      run.set_deliveries(taken.deliveries);
      run.set_failures(taken.failures);
    }
    const std::vector<broker::OffsetRun> runs = ascending(partition.runs);
    std::size_t bytes = 0;
    for (const Slice& batch : partition.batches) {
      attachments.push_back(without_others(batch, runs));
      bytes += attachments.back().size();
    }
    to.set_size(static_cast<std::uint32_t>(bytes));
  }
  return out;
}

std::size_t total_bytes(const std::vector<Slice>& slices) {
  std::size_t bytes = 0;
  for (const Slice& slice : slices) bytes += slice.size();
  return bytes;
}

}  // namespace

// --- Members.

void QueueMembers::join(const Request& request, const wire::JoinQueue& in) {
  const Member member{to_name(in.name()), in.member()};
  if (member.member.empty() || member.member.size() > kMemberNameBytesMax) {
    return request.reply(Error{Errc::invalid_argument, "a member's name has 1 to " + std::to_string(kMemberNameBytesMax) + " bytes"});
  }
  if (members_.size() + joining_.size() >= kMembersMax) {
    return request.reply(
        Error{Errc::overloaded, "this connection speaks for " + std::to_string(kMembersMax) + " members, the most allowed"});
  }
  if (members_.contains(member) || !joining_.insert(member).second) {
    return request.reply(Error{Errc::conflict, "this connection speaks for member '" + member.member + "' already"});
  }
  if (!in.create()) return start_join(request, member);
  const Result<broker::StartAt> start = to_start(in.start());
  if (!start) {
    joining_.erase(member);
    return request.reply(start.error());
  }
  broker::CreateQueueRequest create;
  create.name = member.name;
  create.start = *start;
  create.settings = to_config(in.settings());
  create.may_exist = true;
  request.broker().queues().create(request.context(), std::move(create), [this, request, member](const Result<broker::QueueInfo>& made) {
    if (made) return start_join(request, member);
    joining_.erase(member);
    request.reply(made.error());
  });
}

void QueueMembers::start_join(const Request& request, const Member& member) {
  request.broker().queues().join(request.context(), member.name, member.member, request.session->peer(),
                                 [this, request, member](const Result<broker::QueueInfo>& info) { joined(request, member, info); });
}

void QueueMembers::joined(const Request& request, const Member& member, const Result<broker::QueueInfo>& info) {
  joining_.erase(member);
  if (!info) return request.reply(info.error());
  members_.insert(member);
  if (over_) leave_all(false);  // It has not had anything.
  wire::JoinQueueReply reply;
  reply.set_lease_ms(static_cast<std::uint32_t>(info->effective.ack_timeout.count()));
  reply.set_partitions(static_cast<std::int32_t>(info->partitions.size()));
  request.reply(reply);
}

Status QueueMembers::check(const broker::QueueName& name, const std::string& member) const {
  if (members_.contains(Member{name, member})) return {};
  return Error{Errc::unknown_member,
               "this connection does not speak for member '" + member + "' of queue group '" + name.group + "' on " + name.topic};
}

void QueueMembers::leave(const Request& request, const wire::LeaveQueue& in) {
  const Member member{to_name(in.name()), in.member()};
  if (joining_.contains(member)) {
    return request.reply(Error{Errc::conflict, "member '" + member.member + "' is still joining: wait for the answer"});
  }
  if (members_.erase(member) == 0) return request.reply(wire::LeaveQueueReply());  // Gone already is as good.
  std::vector<std::shared_ptr<broker::PendingReads>> pending;
  for (const auto& [id, receive] : receives_) {
    if (receive->member == member && receive->pending) pending.push_back(receive->pending);
  }
  for (const auto& waiting : pending) waiting->cancel();  // Which may answer at once, and change the list.
  request.broker().queues().leave(request.context(), member.name, member.member, false, [request](const Status& left) {
    if (!left) return request.reply(left.error());
    request.reply(wire::LeaveQueueReply());
  });
}

void QueueMembers::leave_all(bool failed) {
  for (const Member& member : std::exchange(members_, {})) {
    session_.broker().queues().leave(session_.context(0), member.name, member.member, failed,
                                     [self = session_.shared_from_this(), member](const Status& left) {
                                       if (left || left.error().code == Errc::shutting_down) return;
                                       log_warn("member '" + printable(member.member) + "' of queue group '" +
                                                printable(member.name.group) + "' could not leave: " + left.error().to_string());
                                     });
  }
}

// --- Receives.

Status QueueMembers::judge(const Member& member, const wire::Receive& in) const {
  if (const Status known = check(member.name, member.member); !known) return known;
  if (in.records_max() == 0 || in.records_max() > broker::kReceiveRecordsMax) {
    return Error{Errc::invalid_argument, "records_max is 1 to " + std::to_string(broker::kReceiveRecordsMax)};
  }
  if (receives_.contains(in.receive())) {
    return Error{Errc::conflict, "receive " + std::to_string(in.receive()) + " waits on this connection already"};
  }
  if (receives_.size() >= kReceivesMax) {
    return Error{Errc::overloaded, std::to_string(receives_.size()) + " receives wait on this connection, the most allowed"};
  }
  return {};
}

void QueueMembers::receive(const Request& request, const wire::Receive& in) {
  const Member member{to_name(in.name()), in.member()};
  if (const Status sound = judge(member, in); !sound) return request.reply(sound.error());
  const auto receive = std::make_shared<Receive>();
  receive->id = in.receive();
  receive->member = member;
  receive->bytes_max = in.bytes_max() == 0 ? kReceiveBytesDefault : std::min(in.bytes_max(), kReceiveBytesMax);
  if (bytes_waited_for_ + receive->bytes_max > session_.limits().bytes_in_flight_max) {
    return request.reply(Error{Errc::overloaded, "the receives of this connection wait for " + std::to_string(bytes_waited_for_) +
                                                     " bytes already; the most is " +
                                                     std::to_string(session_.limits().bytes_in_flight_max)});
  }
  bytes_waited_for_ += receive->bytes_max;
  receives_.emplace(receive->id, receive);
  request.reply(wire::ReceiveReply());

  broker::ReceiveRequest look;
  look.name = member.name;
  look.member = member.member;
  look.records_max = in.records_max();
  look.bytes_max = receive->bytes_max;
  look.wait = milliseconds(std::min(in.wait_ms(), kReceiveWaitMaxMs));
  std::shared_ptr<broker::PendingReads> pending = session_.broker().queues().receive(
      session_.context(request.header.correlation), std::move(look),
      [self = session_.shared_from_this(), this, receive](Result<broker::ReceiveReply> reply) { received(receive, std::move(reply)); });
  if (const auto found = receives_.find(in.receive()); found != receives_.end() && found->second == receive) {
    receive->pending = std::move(pending);
  }
}

void QueueMembers::cancel(std::uint32_t id) {
  const auto found = receives_.find(id);
  if (found == receives_.end()) return;
  const std::shared_ptr<broker::PendingReads> pending = found->second->pending;  // It may answer at once, and be let go.
  if (pending) pending->cancel();
}

void QueueMembers::finish(const ReceivePtr& receive) {
  receive->pending.reset();
  if (std::exchange(receive->ended, true)) return;
  receives_.erase(receive->id);
  bytes_waited_for_ -= receive->bytes_max;
}

void QueueMembers::received(const ReceivePtr& receive, Result<broker::ReceiveReply> reply) {
  const bool wanted = !receive->ended && members_.contains(receive->member);
  const bool told = !receive->ended;
  finish(receive);
  if (!reply && (reply.error().code == Errc::unknown_group || reply.error().code == Errc::unknown_topic)) {
    members_.erase(receive->member);  // Removed under it: it may join what comes in its place.
  }
  if (reply && !wanted) {
    give_back(receive->member, *reply);
    reply->partitions.clear();
  }
  if (!told) return;
  wire::Received out;
  std::vector<Slice> attachments;
  if (reply) {
    out = to_wire(*reply, attachments);
    if (kFrameHeaderBytes + out.ByteSizeLong() + total_bytes(attachments) > kFrameBytesMax) {
      give_back(receive->member, *reply);
      attachments.clear();
      reply = Error{Errc::frame_too_large, "what was found does not fit a frame of " + std::to_string(kFrameBytesMax) + " bytes"};
    }
  }
  if (!reply) {
    out.Clear();
    *out.mutable_error() = native::to_wire(reply.error());
  }
  out.set_receive(receive->id);
  session_.push(FrameType::received, out, std::move(attachments));
}

/// Handed out to a member that has left by now, or cannot be told.
void QueueMembers::give_back(const Member& member, const broker::ReceiveReply& reply) {
  std::vector<broker::Settlement> releases;
  for (const broker::ReceivedPartition& partition : reply.partitions) {
    for (const broker::TakenRun& run : partition.runs) {
      broker::Settlement& release = releases.emplace_back();
      release.partition = partition.partition;
      release.offsets = run.offsets;
      release.deliveries = run.deliveries;
      release.kind = broker::Settlement::Kind::release;
    }
  }
  if (releases.empty()) return;
  session_.broker().queues().settle(session_.context(0), member.name, member.member, std::move(releases),
                                    [self = session_.shared_from_this()](const Result<broker::SettleReply>&) {
                                      // Whatever is left of it comes back with its lease.
                                    });
}

void QueueMembers::end_all(const Error& error) {
  for (const auto& [id, receive] : receives_) {
    wire::Received out;
    out.set_receive(id);
    *out.mutable_error() = native::to_wire(error);
    session_.push(FrameType::received, out);
  }
  over_ = true;
  leave_all(false);
  clear();
}

void QueueMembers::clear() {
  over_ = true;
  for (const auto& [id, receive] : std::exchange(receives_, {})) {
    receive->ended = true;
    if (const auto pending = std::exchange(receive->pending, nullptr)) pending->cancel();
  }
  bytes_waited_for_ = 0;
  leave_all(true);
}

}  // namespace tidemark::native
