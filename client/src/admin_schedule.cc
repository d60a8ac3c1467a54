#include <utility>

#include "client/src/client_core.h"
#include "client/src/pending.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"
#include "tidemark/admin.h"

namespace tidemark {
namespace {

using detail::Connection;
using detail::Done;
using detail::OnLoss;
using native::FrameType;

ScheduledRecord from_wire(const wire::ScheduledInfo& in) {
  ScheduledRecord record;
  record.id = in.id();
  record.topic = in.topic();
  if (in.has_partition()) record.partition = in.partition();
  record.due = Timestamp(std::chrono::milliseconds(in.due_ms()));
  record.state = in.state();
  record.reason = in.reason();
  return record;
}

void list_scheduled(Connection& connection, std::string_view topic, std::string_view page, std::uint32_t limit, Done<ScheduledPage> done) {
  wire::ListScheduled list;
  list.set_topic(std::string(topic));
  list.set_page(std::string(page));
  list.set_limit(limit);
  detail::call<wire::ListScheduledReply>(connection, FrameType::list_scheduled, list, OnLoss::repeat,
                                         [done = std::move(done)](Result<wire::ListScheduledReply> reply) mutable {
                                           if (!reply) return done(std::move(reply).error());
                                           ScheduledPage found;
                                           for (const wire::ScheduledInfo& info : reply->records())
                                             found.records.push_back(from_wire(info));
                                           found.next = reply->next();
                                           done(std::move(found));
                                         });
}

void cancel_scheduled(Connection& connection, std::string_view id, Done<ScheduledRecord> done) {
  wire::CancelScheduled cancel;
  cancel.set_id(std::string(id));
  // A second one would answer not_found, though the first had done it.
  detail::call<wire::ScheduledInfo>(connection, FrameType::cancel_scheduled, cancel, OnLoss::fail_if_sent,
                                    [done = std::move(done)](Result<wire::ScheduledInfo> reply) mutable {
                                      if (!reply) return done(std::move(reply).error());
                                      done(from_wire(*reply));
                                    });
}

void count_scheduled(Connection& connection, Done<std::vector<ScheduleCount>> done) {
  detail::call<wire::ScheduleStatusReply>(connection, FrameType::schedule_status, wire::ScheduleStatus(), OnLoss::repeat,
                                          [done = std::move(done)](Result<wire::ScheduleStatusReply> reply) mutable {
                                            if (!reply) return done(std::move(reply).error());
                                            std::vector<ScheduleCount> counts;
                                            for (const auto& topic : reply->topics())
                                              counts.push_back({topic.topic(), topic.waiting(), topic.failed()});
                                            done(std::move(counts));
                                          });
}

}  // namespace

Result<ScheduledPage> Admin::list_scheduled(std::string_view topic, std::string_view page, std::uint32_t limit) {
  return core_->block<ScheduledPage>(
      [&](auto done) { tidemark::list_scheduled(*core_->connection(), topic, page, limit, std::move(done)); });
}

Result<ScheduledRecord> Admin::cancel_scheduled(std::string_view id) {
  return core_->block<ScheduledRecord>([&](auto done) { tidemark::cancel_scheduled(*core_->connection(), id, std::move(done)); });
}

Result<std::vector<ScheduleCount>> Admin::count_scheduled() {
  return core_->block<std::vector<ScheduleCount>>([&](auto done) { tidemark::count_scheduled(*core_->connection(), std::move(done)); });
}

void Admin::start_list_scheduled(const Core& core, std::string topic, std::string page, std::uint32_t limit,
                                 Completion<ScheduledPage> done) {
  tidemark::list_scheduled(*core->connection(), topic, page, limit, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_cancel_scheduled(const Core& core, std::string id, Completion<ScheduledRecord> done) {
  tidemark::cancel_scheduled(*core->connection(), id, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_count_scheduled(const Core& core, Completion<std::vector<ScheduleCount>> done) {
  tidemark::count_scheduled(*core->connection(), detail::as_done(std::move(done), core->executor()));
}

}  // namespace tidemark
