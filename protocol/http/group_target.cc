#include "protocol/http/group_target.h"

#include "broker/groups/groups.h"
#include "broker/queues/queues.h"

namespace tidemark::http {
namespace {

void refuse_streams(const Ask& ask) {
  ask.refuse(Problem{.status = 400,
                     .code = "invalid_argument",
                     .detail = "'" + ask.path_value(0) + "' is a stream group; this is for queue groups",
                     .field = "group",
                     .rule = "a queue group"});
}

void choose_queue(const Ask& ask, const GroupActions& actions, const std::vector<broker::QueueInfo>& queues) {
  const std::optional<std::string> topic = ask.query("topic");
  std::string topics;
  const broker::QueueInfo* chosen = nullptr;
  std::size_t fitting = 0;
  for (const broker::QueueInfo& queue : queues) {
    if (topic && queue.name.topic != *topic) continue;
    topics += (topics.empty() ? "" : ", ") + queue.name.topic;
    chosen = &queue;
    ++fitting;
  }
  const std::string& name = ask.path_value(0);
  if (fitting == 0) return ask.refuse(Error{Errc::unknown_group, "no group '" + name + "'" + (topic ? " on '" + *topic + "'" : "")});
  if (fitting > 1) return ask.refuse(Error{Errc::conflict, "there are queue groups '" + name + "' on " + topics + ": name the topic"});
  actions.queue(ask, chosen->name);
}

void find_queue(const Ask& ask, GroupActions actions) {
  ask.broker().queues().list(ask.context(), ask.path_value(0),
                             ask.then<std::vector<broker::QueueInfo>>(
                                 [actions = std::move(actions)](const Ask& again, const std::vector<broker::QueueInfo>& queues) {
                                   choose_queue(again, actions, queues);
                                 }));
}

}  // namespace

void with_group(const Ask& ask, GroupActions actions) {
  const std::optional<std::string> kind = ask.query("kind");
  if (kind && *kind != "stream" && *kind != "queue") {
    return ask.refuse(Problem{
        .status = 400, .code = "invalid_argument", .detail = "kind must be stream or queue", .field = "kind", .rule = "stream or queue"});
  }
  if (!actions.stream) actions.stream = refuse_streams;
  if (kind && *kind == "stream") return actions.stream(ask);
  if (kind || ask.query("topic")) return find_queue(ask, std::move(actions));
  ask.broker().groups().describe(ask.context(), ask.path_value(0),
                                 [ask, actions = std::move(actions)](const Result<broker::GroupInfo>& group) {
                                   if (group) return actions.stream(ask);
                                   if (group.error().code != Errc::unknown_group) return ask.refuse(group.error());
                                   find_queue(ask, actions);
                                 });
}

}  // namespace tidemark::http
