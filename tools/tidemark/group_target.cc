#include "tools/tidemark/group_target.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/tidemark/output.h"

namespace tidemark::tools {
namespace {

bool of_kind(const GroupName& name, std::string_view kind) { return name.kind.empty() || name.kind == kind; }

/// The stream group of that name; nullopt when there is none.
Result<std::optional<GroupDescription>> find_stream_group(Client& client, const std::string& group) {
  Result<GroupDescription> found = client.groups().describe(group);
  if (found) return found->kind == "stream" ? std::optional(*std::move(found)) : std::nullopt;
  // A conflict: several queue groups have the name, and no stream group.
  if (found.error().code != Errc::unknown_group && found.error().code != Errc::conflict) return found.error();
  return std::optional<GroupDescription>();
}

/// The queue groups of that name that --topic leaves.
Result<std::vector<QueueDescription>> find_queues(Client& client, const GroupName& name) {
  Result<std::vector<QueueDescription>> queues = client.queues().list(name.group);
  if (!queues && queues.error().code == Errc::unknown_group) return std::vector<QueueDescription>();
  if (queues) std::erase_if(*queues, [&name](const QueueDescription& queue) { return !name.topic.empty() && queue.topic != name.topic; });
  return queues;
}

Error nothing_found(const GroupName& name) {
  const std::string kind = name.kind.empty() ? "" : name.kind + " ";
  const std::string on = name.topic.empty() ? "" : " on topic " + name.topic;
  return {.code = Errc::unknown_group, .detail = fmt::format("no {}group '{}'{}", kind, name.group, on)};
}

Error several_found(const GroupName& name, bool stream, const std::vector<QueueDescription>& queues) {
  std::vector<std::string> candidates;
  if (stream) candidates.emplace_back("a stream group (--kind stream)");
  for (const QueueDescription& queue : queues) {
    candidates.push_back(
        fmt::format("a queue group on {} ({}--topic {})", queue.topic, stream && !name.topic.empty() ? "--kind queue " : "", queue.topic));
  }
  return {.code = Errc::invalid_argument,
          .detail = fmt::format("there are {} groups '{}': {}", candidates.size(), name.group, fmt::join(candidates, ", "))};
}

}  // namespace

void add_group_choice(CLI::App& verb, GroupName& name) {
  verb.add_option("--topic", name.topic, "Of the groups of that name, the one on this topic")->type_name("TOPIC");
  verb.add_option("--kind", name.kind, "Of the groups of that name, the one of this kind: stream or queue")
      ->check(CLI::IsMember({"stream", "queue"}));
}

void add_group_name(CLI::App& verb, GroupName& name) {
  verb.add_option("group", name.group, "Name of the group")->required();
  add_group_choice(verb, name);
}

bool chosen(const GroupName& name, const GroupDescription& group) {
  return of_kind(name, group.kind) && (name.topic.empty() || std::ranges::find(group.topics, name.topic) != group.topics.end());
}

bool chosen(const GroupName& name, const QueueDescription& queue) {
  return of_kind(name, "queue") && (name.topic.empty() || name.topic == queue.topic);
}

Result<AnyGroup> find_group(Client& client, const GroupName& name) {
  std::vector<QueueDescription> queues;
  if (of_kind(name, "queue")) {
    Result<std::vector<QueueDescription>> found = find_queues(client, name);
    if (!found) return found.error();
    queues = *std::move(found);
  }
  std::optional<GroupDescription> stream;
  if (of_kind(name, "stream")) {
    Result<std::optional<GroupDescription>> found = find_stream_group(client, name.group);
    if (!found) return found.error();
    stream = *std::move(found);
    // A stream group that does not read the topic is not meant when there is a queue group on it.
    if (stream && !queues.empty() && !chosen(name, *stream)) stream.reset();
  }
  if (queues.size() + (stream ? 1 : 0) > 1) return several_found(name, stream.has_value(), queues);
  if (stream) return AnyGroup(*std::move(stream));
  if (!queues.empty()) return AnyGroup(std::move(queues.front()));
  return nothing_found(name);
}

Result<QueueDescription> find_queue(Client& client, const GroupName& name) {
  GroupName queue = name;
  queue.kind = "queue";
  Result<AnyGroup> found = find_group(client, queue);
  if (found) return std::get<QueueDescription>(*std::move(found));
  if (found.error().code != Errc::unknown_group) return found.error();
  const Result<std::optional<GroupDescription>> stream = find_stream_group(client, name.group);
  if (!stream || !*stream) return found.error();
  return Error{.code = Errc::invalid_argument,
               .detail = fmt::format("'{}' is a stream group; only queue groups hand out single records", name.group)};
}

Result<GroupDescription> find_stream(Client& client, const GroupName& name, std::string_view verb) {
  Result<AnyGroup> found = find_group(client, name);
  if (!found) return found.error();
  if (const auto* const queue = std::get_if<QueueDescription>(&*found)) {
    return Error{.code = Errc::invalid_argument,
                 .detail = fmt::format("'{}' on {} is a queue group; `group {}` is for stream groups", queue->group, queue->topic, verb)};
  }
  return std::get<GroupDescription>(*std::move(found));
}

}  // namespace tidemark::tools
