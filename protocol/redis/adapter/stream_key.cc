#include "protocol/redis/adapter/stream_key.h"

#include "broker/entries/entries.h"
#include "protocol/redis/codec/resp_request.h"

namespace tidemark::redis {

StreamKey find_stream(broker::Broker& broker, std::string_view key) {
  StreamKey found;
  const std::size_t hash = key.rfind('#');
  std::string_view name = key;
  std::optional<std::uint64_t> partition = 0;
  if (hash != std::string_view::npos) {
    found.bare = false;
    name = key.substr(0, hash);
    partition = parse_unsigned(key.substr(hash + 1));
  }
  if (!partition || !broker::validate_topic_name(name)) {
    found.state = StreamKey::State::illegal;
    found.problem = "ERR invalid key: a topic name has 1 to 249 bytes of [A-Za-z0-9._:{}/-]";
    return found;
  }
  found.where.topic = name;
  const std::shared_ptr<const broker::TopicTable> topics = broker.topics();
  const broker::Topic* const topic = topics->find(name);
  if (topic == nullptr || *partition >= static_cast<std::uint64_t>(topic->partitions)) return found;
  if (topic->effective.entry_id == broker::EntryIdMode::time && !broker::is_internal_topic(name) && !broker.entries().key(name))
    return found;
  if (found.bare && topic->partitions > 1) {
    found.state = StreamKey::State::several;
    found.problem = "ERR topic '" + found.where.topic + "' has " + std::to_string(topic->partitions) +
                    " partitions: address one of them as " + found.where.topic + "#0 to " + found.where.topic + "#" +
                    std::to_string(topic->partitions - 1);
    return found;
  }
  found.state = StreamKey::State::found;
  found.where.partition = static_cast<std::int32_t>(*partition);
  return found;
}

}  // namespace tidemark::redis
