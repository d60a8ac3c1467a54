#include <algorithm>
#include <map>

#include "broker/groups/groups.h"
#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/json_text.h"

/// Topics: list, make, look at, alter, trim, remove.
namespace tidemark::http {
namespace {

namespace json = boost::json;
using broker::PartitionInfo;
using TopicPtr = std::shared_ptr<const broker::Topic>;

constexpr std::size_t kPartitionsMax = 10'000;

/// One topic and what is known of it.
struct TopicView {
  TopicPtr topic;
  std::vector<PartitionInfo> partitions;
  std::vector<std::string> groups;
};

json::object config_value(const broker::ConfigMap& config) {
  json::object object;
  for (const auto& [key, value] : config) object[key] = shown(value);
  return object;
}

json::object compaction_value(const broker::CompactionInfo& compaction) {
  json::object object;
  object["enabled"] = compaction.enabled;
  object["running"] = compaction.running;
  object["due"] = compaction.due;
  object["reason"] = shown(compaction.reason);
  object["dirty_ratio"] = compaction.dirty_ratio;
  object["dirty_bytes"] = compaction.dirty_bytes;
  object["clean_bytes"] = compaction.clean_bytes;
  object["clean_end"] = compaction.clean_end.value;
  object["cleanable_end"] = compaction.cleanable_end.value;
  object["last_ms"] = nullptr;
  object["next_tombstones_ms"] = nullptr;
  if (compaction.last_time) object["last_ms"] = compaction.last_time->time_since_epoch().count();
  if (compaction.next_tombstones_time) object["next_tombstones_ms"] = compaction.next_tombstones_time->time_since_epoch().count();
  return object;
}

json::object partition_value(const PartitionInfo& partition) {
  json::array quarantined;
  for (const storage::Damage& damage : partition.damage) {
    quarantined.push_back({{"file", shown(damage.file)},
                           {"position", damage.position.value},
                           {"from", damage.from.value},
                           {"to", damage.to.value},
                           {"reason", shown(damage.reason)}});
  }
  json::object object;
  object["partition"] = partition.partition;
  object["log_start"] = partition.log_start.value;
  object["end"] = partition.end.value;
  object["high_watermark"] = partition.high_watermark.value;
  object["bytes"] = partition.bytes;
  object["segments"] = partition.segments;
  object["state"] = shown(partition.state);
  object["quarantined"] = std::move(quarantined);
  object["compaction"] = compaction_value(partition.compaction);
  object["records_in"] = partition.records_in;
  object["bytes_in"] = partition.bytes_in;
  object["records_out"] = partition.records_out;
  object["bytes_out"] = partition.bytes_out;
  return object;
}

json::object topic_value(const TopicView& view) {
  std::int64_t records = 0;
  std::uint64_t bytes = 0;
  for (const PartitionInfo& partition : view.partitions) {
    records += partition.high_watermark - partition.log_start;
    bytes += partition.bytes;
  }
  const broker::Topic& topic = *view.topic;
  json::object object;
  object["name"] = shown(topic.name);
  object["id"] = topic.id.to_string();
  object["partitions"] = topic.partitions;
  object["records"] = records;
  object["bytes"] = bytes;
  object["durability"] = broker::to_string(topic.effective.durability);
  object["entry_id"] = topic.effective.entry_id == broker::EntryIdMode::time ? "time" : "offset";
  object["created_time"] = time_text(topic.created);
  object["created_ms"] = topic.created.time_since_epoch().count();
  object["config"] = config_value(topic.config);
  json::array groups;
  for (const std::string& group : view.groups) groups.emplace_back(shown(group));
  object["groups"] = std::move(groups);
  return object;
}

json::object topic_details(const TopicView& view) {
  json::object object = topic_value(view);
  json::object effective;
  for (const broker::ConfigKey& key : broker::topic_config_keys()) {
    const auto set = view.topic->config.find(std::string(key.name));
    effective[key.name] = set != view.topic->config.end() ? shown(set->second) : std::string(key.default_value);
  }
  object["effective_config"] = std::move(effective);
  json::array partitions;
  for (const PartitionInfo& partition : view.partitions) partitions.push_back(partition_value(partition));
  object["partition_list"] = std::move(partitions);
  return object;
}

/// The names of the groups that read each topic.
std::map<std::string, std::vector<std::string>> readers(const std::vector<broker::GroupInfo>& groups) {
  std::map<std::string, std::vector<std::string>> by_topic;
  for (const broker::GroupInfo& group : groups) {
    for (const std::string& topic : group.topics) by_topic[topic].push_back(group.name);
  }
  return by_topic;
}

/// Describes topics some at a time, so that ten thousand of them do not hold the shard up. Owns itself through the calls under way.
class Listing : public std::enable_shared_from_this<Listing> {
 public:
  Listing(Ask ask, std::vector<TopicView> views) : ask_(std::move(ask)), views_(std::move(views)) {}

  void describe_some() {
    constexpr std::size_t kAtATime = 64;
    under_way_ = 1;  // Our own, so that answers that come at once do not end the round early.
    for (; next_ < views_.size() && under_way_ <= kAtATime; ++next_) {
      ++under_way_;
      ask_.broker().describe(ask_.context(), views_[next_].topic->name, [self = shared_from_this(), at = next_](auto partitions) {
        if (partitions) self->views_[at].partitions = *std::move(partitions);  // One deleted meanwhile is shown empty.
        self->one_less();
      });
    }
    one_less();
  }

 private:
  void one_less() {
    if (--under_way_ > 0) return;
    if (next_ < views_.size()) return ask_.runtime().shard(0).post([self = shared_from_this()] { self->describe_some(); });
    ask_.reply([views = std::move(views_)] {
      json::array list;
      for (const TopicView& view : views) list.push_back(topic_value(view));
      return json::value(std::move(list));
    });
  }

  const Ask ask_;
  std::vector<TopicView> views_;
  std::size_t next_ = 0;
  std::size_t under_way_ = 0;
};

void list_topics(const Ask& ask) {
  if (const Status known = query_has_only(ask.call(), {"internal"}); !known) return ask.refuse(known.error());
  const bool internal = ask.query("internal") == "true";
  ask.broker().groups().list(ask.context(), ask.then<std::vector<broker::GroupInfo>>([internal](const Ask& again, auto groups) {
    const auto by_topic = readers(groups);
    std::vector<TopicView> views;
    for (const auto& [name, topic] : again.broker().topics()->by_name) {
      if (broker::is_internal_topic(name) && !internal) continue;
      TopicView& view = views.emplace_back();
      view.topic = topic;
      if (const auto found = by_topic.find(name); found != by_topic.end()) view.groups = found->second;
    }
    std::make_shared<Listing>(again, std::move(views))->describe_some();
  }));
}

/// Answers with everything about one topic.
void reply_with_topic(const Ask& ask, const std::string& name, unsigned status) {
  ask.broker().groups().list(ask.context(), ask.then<std::vector<broker::GroupInfo>>([name, status](const Ask& again, auto groups) {
    again.broker().describe(
        again.context(), name,
        again.then<std::vector<PartitionInfo>>([name, status, groups = readers(groups)](const Ask& asked, auto partitions) mutable {
          const auto topics = asked.broker().topics();
          const auto found = topics->by_name.find(name);
          if (found == topics->by_name.end()) return asked.refuse(Error{Errc::unknown_topic, "topic '" + name + "' was deleted"});
          TopicView view{found->second, std::move(partitions), std::move(groups[name])};
          asked.reply([view = std::move(view)] { return json::value(topic_details(view)); }, status);
        }));
  }));
}

void show_topic(const Ask& ask) { reply_with_topic(ask, ask.path_value(0), 200); }

void create_topic(const Ask& ask) {
  Body body(ask.call());
  broker::TopicSpec spec;
  spec.name = body.text("name");
  if (body.has("partitions")) spec.partitions = static_cast<std::int32_t>(body.integer_or("partitions", 1, kPartitionsMax, 1));
  spec.config = body.settings("config");
  std::erase_if(spec.config, [](const auto& setting) { return setting.second.empty(); });  // null: as if it were not there.
  const bool dry_run = body.flag_or("dry_run", false);
  if (body.problem()) return ask.refuse(*body.problem());
  if (dry_run) {
    Result<broker::Topic> judged = ask.broker().judge(spec);
    if (!judged) return ask.refuse(judged.error());
    TopicView view{std::make_shared<broker::Topic>(*std::move(judged)), {}, {}};
    return ask.reply([view = std::move(view)] { return json::value(topic_details(view)); });
  }
  ask.broker().create_topic(ask.context(), std::move(spec),
                            ask.then<TopicPtr>([](const Ask& again, const TopicPtr& topic) { reply_with_topic(again, topic->name, 201); }));
}

void alter_topic(const Ask& ask) {
  Body body(ask.call());
  broker::ConfigMap changes = body.settings("config");
  std::optional<std::int32_t> partitions;
  if (body.has("partitions")) partitions = static_cast<std::int32_t>(body.integer_or("partitions", 1, kPartitionsMax, 1));
  if (changes.empty() && !partitions) body.wrong("config", "settings to change, unless partitions is given");
  if (body.problem()) return ask.refuse(*body.problem());
  // Settings first: they are judged as a whole, and partitions cannot be taken back.
  const std::string name = ask.path_value(0);
  ask.broker().alter_topic(
      ask.context(), name, std::move(changes), ask.then<TopicPtr>([partitions](const Ask& again, const TopicPtr& topic) {
        if (!partitions || *partitions == topic->partitions) return reply_with_topic(again, topic->name, 200);
        again.broker().add_partitions(
            again.context(), topic->name, *partitions,
            again.then<TopicPtr>([](const Ask& asked, const TopicPtr& grown) { reply_with_topic(asked, grown->name, 200); }));
      }));
}

void delete_topic(const Ask& ask) {
  ask.broker().delete_topic(ask.context(), ask.path_value(0), ask.then<void>([](const Ask& again) { again.reply_empty(); }));
}

void trim_topic(const Ask& ask) {
  Body body(ask.call());
  const auto partition = static_cast<std::int32_t>(body.integer_or("partition", 0, kPartitionsMax, 0));
  const std::int64_t before = body.integer_or("before", 0, INT64_MAX, -1);
  if (before < 0) body.wrong("before", "an offset: records below it go");
  if (body.problem()) return ask.refuse(*body.problem());
  ask.broker().trim(ask.context(), {ask.path_value(0), partition}, Offset{before},
                    ask.then<Offset>([partition](const Ask& again, Offset start) {
                      again.reply([topic = again.path_value(0), partition, start] {
                        return json::value({{"topic", shown(topic)}, {"partition", partition}, {"log_start", start.value}});
                      });
                    }));
}

}  // namespace

void add_topic_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/topics", list_topics);
  add_route(router, link, "POST", "/api/v1/topics", create_topic);
  add_route(router, link, "GET", "/api/v1/topics/{topic}", show_topic);
  add_route(router, link, "PATCH", "/api/v1/topics/{topic}", alter_topic);
  add_route(router, link, "DELETE", "/api/v1/topics/{topic}", delete_topic);
  add_route(router, link, "POST", "/api/v1/topics/{topic}/trim", trim_topic);
}

}  // namespace tidemark::http
