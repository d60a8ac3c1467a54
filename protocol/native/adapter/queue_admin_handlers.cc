#include <cmath>
#include <utility>

#include "broker/queues/queues.h"
#include "protocol/native/adapter/group_values.h"
#include "protocol/native/adapter/queue_handlers.h"
#include "protocol/native/adapter/queue_values.h"

namespace tidemark::native {
namespace {

constexpr std::size_t kLettersMax = 10'000;
constexpr std::uint32_t kLettersDefault = 20;

using Infos = std::vector<broker::QueueInfo>;

/// Queue groups with their lag, which is asked for after them.
void reply_with_lag(const Request& request, const Infos& infos, std::optional<std::string> group,
                    std::function<void(const Request&, std::vector<wire::QueueInfo>)> encode) {
  std::vector<wire::QueueInfo> queues(infos.size());
  for (std::size_t i = 0; i < infos.size(); ++i) to_wire(infos[i], queues[i]);
  request.broker().queues().lag(
      request.context(), std::move(group),
      [request, queues = std::move(queues), encode = std::move(encode)](const Result<std::vector<broker::PartitionLag>>& rows) mutable {
        if (!rows) return request.reply(rows.error());
        for (wire::QueueInfo& queue : queues) add_lag(*rows, queue);
        encode(request, std::move(queues));
      });
}

broker::Done<broker::QueueInfo> answer_info(const Request& request) {
  return answer<broker::QueueInfo>(request, [](const Request& asked, broker::QueueInfo& info) {
    std::string group = info.name.group;
    Infos one;
    one.push_back(std::move(info));
    reply_with_lag(asked, one, std::move(group),
                   [](const Request& again, const std::vector<wire::QueueInfo>& queues) { again.reply(queues.front()); });
  });
}

Status handle_create(const Request& request, const wire::CreateQueue& in) {
  const Result<broker::StartAt> start = to_start(in.start());
  if (!start) {
    request.reply(start.error());
    return {};
  }
  broker::CreateQueueRequest create;
  create.name = to_name(in.name());
  create.start = *start;
  create.settings = to_config(in.settings());
  request.broker().queues().create(request.context(), std::move(create), answer_info(request));
  return {};
}

Status handle_alter(const Request& request, const wire::AlterQueue& in) {
  request.broker().queues().alter(request.context(), to_name(in.name()), to_config(in.settings()), answer_info(request));
  return {};
}

Status handle_delete(const Request& request, const wire::DeleteQueue& in) {
  request.broker().queues().remove(request.context(), to_name(in.name()), [request](const Status& removed) {
    if (!removed) return request.reply(removed.error());
    request.reply(wire::DeleteQueueReply());
  });
  return {};
}

Status handle_describe(const Request& request, const wire::DescribeQueue& in) {
  request.broker().queues().describe(request.context(), to_name(in.name()), answer_info(request));
  return {};
}

Status handle_list(const Request& request, const wire::ListQueues& in) {
  std::optional<std::string> group;
  if (in.has_group()) group = in.group();
  request.broker().queues().list(request.context(), group, answer<Infos>(request, [group](const Request& asked, const Infos& infos) {
                                   reply_with_lag(asked, infos, group, [](const Request& again, std::vector<wire::QueueInfo> queues) {
                                     wire::ListQueuesReply reply;
                                     for (wire::QueueInfo& queue : queues) *reply.add_queues() = std::move(queue);
                                     again.reply(reply);
                                   });
                                 }));
  return {};
}

// --- What is unfinished.

Status handle_pending(const Request& request, const wire::QueuePending& in) {
  Result<broker::PendingQuery> query = to_query(in);
  if (!query) {
    request.reply(query.error());
    return {};
  }
  const auto encode = [](const Request& asked, const std::vector<broker::PendingRow>& rows) {
    wire::QueuePendingReply reply;
    for (const broker::PendingRow& row : rows) to_wire(row, *reply.add_rows());
    asked.reply(reply);
  };
  request.broker().queues().pending(request.context(), *std::move(query), answer<std::vector<broker::PendingRow>>(request, encode));
  return {};
}

Status handle_act(const Request& request, const wire::QueueAct& in) {
  Result<broker::QueueAction> action = to_action(in);
  if (!action) {
    request.reply(action.error());
    return {};
  }
  request.broker().queues().act(request.context(), *std::move(action),
                                answer<broker::QueueActionReply>(request, [](const Request& asked, const broker::QueueActionReply& done) {
                                  wire::QueueActReply reply;
                                  reply.set_records(done.records);
                                  asked.reply(reply);
                                }));
  return {};
}

Status handle_seek(const Request& request, const wire::SeekQueue& in) {
  Result<broker::SeekRequest> seek = to_seek(in.seek());
  if (seek && !seek->topic) seek = Error{Errc::invalid_argument, "a queue group is named by its name and its topic: the topic is missing"};
  if (!seek) {
    request.reply(seek.error());
    return {};
  }
  request.broker().queues().seek(request.context(), *std::move(seek), answer_seek(request));
  return {};
}

// --- Dead letters.

Status handle_list_letters(const Request& request, const wire::ListDeadLetters& in) {
  std::optional<std::string> group;
  if (in.has_group()) group = in.group();
  const auto encode = [](const Request& asked, const std::vector<broker::DeadLetterSummary>& summaries) {
    wire::ListDeadLettersReply reply;
    for (const broker::DeadLetterSummary& summary : summaries) to_wire(summary, *reply.add_summaries());
    asked.reply(reply);
  };
  request.broker().queues().dead_letters(request.context(), std::move(group),
                                         answer<std::vector<broker::DeadLetterSummary>>(request, encode));
  return {};
}

Status handle_show_letters(const Request& request, const wire::ShowDeadLetters& in) {
  if (in.max() > kLettersMax) {
    request.reply(Error{Errc::invalid_argument, "at most " + std::to_string(kLettersMax) + " letters a request"});
    return {};
  }
  const auto encode = [](const Request& asked, const std::vector<broker::DeadLetter>& letters) {
    wire::ShowDeadLettersReply reply;
    for (const broker::DeadLetter& letter : letters) to_wire(letter, *reply.add_letters());
    asked.reply(reply);
  };
  request.broker().queues().show_dead_letters(request.context(), in.group(), in.max() == 0 ? kLettersDefault : in.max(),
                                              answer<std::vector<broker::DeadLetter>>(request, encode));
  return {};
}

Status handle_redrive(const Request& request, const wire::Redrive& in) {
  if (!std::isfinite(in.records_per_second()) || in.records_per_second() < 0) {
    request.reply(Error{Errc::invalid_argument, "records_per_second is a number from 0 on"});
    return {};
  }
  broker::RedriveRequest redrive;
  redrive.group = in.group();
  if (in.has_topic()) redrive.topic = in.topic();
  redrive.match = in.match();
  redrive.max = in.max();
  redrive.records_per_second = in.records_per_second();
  if (in.has_to()) redrive.to = in.to();
  redrive.dry_run = in.dry_run();
  request.broker().queues().redrive(request.context(), std::move(redrive),
                                    answer<broker::RedriveReply>(request, [](const Request& asked, const broker::RedriveReply& done) {
                                      wire::RedriveReply reply;
                                      reply.set_matched(done.matched);
                                      reply.set_redriven(done.redriven);
                                      reply.set_gone(done.gone);
                                      reply.set_skipped(done.skipped);
                                      asked.reply(reply);
                                    }));
  return {};
}

Status handle_purge_letters(const Request& request, const wire::PurgeDeadLetters& in) {
  request.broker().queues().purge_dead_letters(request.context(), in.group(),
                                               answer<std::uint64_t>(request, [](const Request& asked, std::uint64_t letters) {
                                                 wire::PurgeDeadLettersReply reply;
                                                 reply.set_letters(letters);
                                                 asked.reply(reply);
                                               }));
  return {};
}

}  // namespace

Status dispatch_queue_admin(const Request& request) {
  switch (request.header.type) {
    case FrameType::create_queue:
      return decode_and(request, handle_create);
    case FrameType::alter_queue:
      return decode_and(request, handle_alter);
    case FrameType::delete_queue:
      return decode_and(request, handle_delete);
    case FrameType::describe_queue:
      return decode_and(request, handle_describe);
    case FrameType::list_queues:
      return decode_and(request, handle_list);
    case FrameType::queue_pending:
      return decode_and(request, handle_pending);
    case FrameType::queue_act:
      return decode_and(request, handle_act);
    case FrameType::seek_queue:
      return decode_and(request, handle_seek);
    case FrameType::list_dead_letters:
      return decode_and(request, handle_list_letters);
    case FrameType::show_dead_letters:
      return decode_and(request, handle_show_letters);
    case FrameType::redrive:
      return decode_and(request, handle_redrive);
    case FrameType::purge_dead_letters:
      return decode_and(request, handle_purge_letters);
    default:
      return Error{Errc::internal, "no request about queue groups"};
  }
}

}  // namespace tidemark::native
