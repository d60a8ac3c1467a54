#include "protocol/native/adapter/schedule_handlers.h"

#include "broker/schedule/schedule.h"

namespace tidemark::native {
namespace {

constexpr std::uint32_t kPageDefault = 100;

void to_wire(const broker::ScheduledInfo& info, wire::ScheduledInfo& out) {
  out.set_id(info.id.to_string());
  out.set_topic(info.topic);
  if (info.partition) out.set_partition(*info.partition);
  out.set_due_ms(info.due.time_since_epoch().count());
  out.set_state(std::string(broker::to_string(info.state)));
  out.set_reason(printable(info.reason));
}

}  // namespace

Status handle_list_scheduled(const Request& request, const wire::ListScheduled& list) {
  broker::ScheduleQuery query;
  query.topic = list.topic();
  query.page = list.page();
  query.limit = list.limit() == 0 ? kPageDefault : list.limit();
  request.broker().schedule().list(request.context(), std::move(query),
                                   answer<broker::SchedulePage>(request, [](const Request& asked, const broker::SchedulePage& page) {
                                     wire::ListScheduledReply reply;
                                     for (const broker::ScheduledInfo& info : page.records) to_wire(info, *reply.add_records());
                                     reply.set_next(page.next);
                                     asked.reply(reply);
                                   }));
  return {};
}

Status handle_cancel_scheduled(const Request& request, const wire::CancelScheduled& cancel) {
  const std::optional<broker::ScheduledId> id = broker::ScheduledId::parse(cancel.id());
  if (!id) {
    request.reply(Error{Errc::invalid_argument, "`" + printable(cancel.id()) + "` is no id of a scheduled record, such as 3-1042"});
    return {};
  }
  request.broker().schedule().cancel(request.context(), *id,
                                     answer<broker::ScheduledInfo>(request, [](const Request& asked, const broker::ScheduledInfo& info) {
                                       wire::ScheduledInfo reply;
                                       to_wire(info, reply);
                                       asked.reply(reply);
                                     }));
  return {};
}

Status handle_schedule_status(const Request& request, const wire::ScheduleStatus&) {
  request.broker().schedule().status(
      request.context(), answer<broker::ScheduleStatus>(request, [](const Request& asked, const broker::ScheduleStatus& status) {
        wire::ScheduleStatusReply reply;
        for (const broker::ScheduleCount& count : status.topics) {
          auto& topic = *reply.add_topics();
          topic.set_topic(count.topic);
          topic.set_waiting(count.waiting);
          topic.set_failed(count.failed);
        }
        reply.set_waiting(status.waiting);
        reply.set_failed(status.failed);
        reply.set_records_max(status.records_max);
        reply.set_index_bytes(status.index_bytes);
        reply.set_moved(status.moved);
        reply.set_damaged(status.damaged);
        if (status.next_due) reply.set_next_due_ms(status.next_due->time_since_epoch().count());
        asked.reply(reply);
      }));
  return {};
}

}  // namespace tidemark::native
