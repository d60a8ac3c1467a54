#include "protocol/native/adapter/queue_handlers.h"

#include <utility>

#include "broker/queues/queues.h"
#include "protocol/native/adapter/queue_members.h"
#include "protocol/native/adapter/queue_values.h"

namespace tidemark::native {
namespace {

Status handle_join(const Request& request, const wire::JoinQueue& in) {
  request.session->queue_members().join(request, in);
  return {};
}

Status handle_leave(const Request& request, const wire::LeaveQueue& in) {
  request.session->queue_members().leave(request, in);
  return {};
}

Status handle_receive(const Request& request, const wire::Receive& in) {
  request.session->queue_members().receive(request, in);
  return {};
}

broker::Done<broker::SettleReply> answer_settled(const Request& request) {
  return answer<broker::SettleReply>(request, [](const Request& asked, const broker::SettleReply& reply) {
    wire::SettleReply out;
    to_wire(reply, out);
    asked.reply(out);
  });
}

Status handle_settle(const Request& request, const wire::Settle& in) {
  Result<std::vector<broker::Settlement>> settlements = to_settlements(in.settlements(), false);
  if (!settlements) {
    request.reply(settlements.error());
    return {};
  }
  std::optional<std::string> member;
  if (in.has_member()) member = in.member();
  const Status known = member ? request.session->queue_members().check(to_name(in.name()), *member) : Status();
  if (!known) {
    request.reply(known.error());
    return {};
  }
  request.broker().queues().settle(request.context(), to_name(in.name()), std::move(member), *std::move(settlements),
                                   answer_settled(request));
  return {};
}

Status handle_extend(const Request& request, const wire::ExtendLease& in) {
  Result<std::vector<broker::Settlement>> entries = to_settlements(in.entries(), true);
  const Status known = request.session->queue_members().check(to_name(in.name()), in.member());
  if (!entries || !known) {
    request.reply(entries ? known.error() : entries.error());
    return {};
  }
  request.broker().queues().extend(request.context(), to_name(in.name()), in.member(), *std::move(entries), answer_settled(request));
  return {};
}

}  // namespace

Status dispatch_queue(const Request& request) {
  switch (request.header.type) {
    case FrameType::join_queue:
      return decode_and(request, handle_join);
    case FrameType::leave_queue:
      return decode_and(request, handle_leave);
    case FrameType::receive:
      return decode_and(request, handle_receive);
    case FrameType::settle:
      return decode_and(request, handle_settle);
    case FrameType::extend_lease:
      return decode_and(request, handle_extend);
    default:
      return dispatch_queue_admin(request);
  }
}

}  // namespace tidemark::native
