#include "protocol/kafka/adapter/topic_names.h"

#include <algorithm>

namespace tidemark::kafka {
namespace {

constexpr std::size_t kNameBytesMax = 249;

bool legal(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool can_collide(std::string_view name) { return name.find_first_of("._") != std::string_view::npos; }

std::string unified(std::string_view name) {
  std::string result(name);
  std::ranges::replace(result, '.', '_');
  return result;
}

}  // namespace

Status validate_kafka_topic_name(std::string_view name) {
  if (name.empty()) return Error{Errc::invalid_topic_name, "a topic name must not be empty"};
  if (name == "." || name == "..") return Error{Errc::invalid_topic_name, "a topic name must not be '.' or '..'"};
  if (name.size() > kNameBytesMax) {
    return Error{Errc::invalid_topic_name, "a topic name has at most 249 characters, this one has " + std::to_string(name.size())};
  }
  if (!std::ranges::all_of(name, legal)) {
    return Error{Errc::invalid_topic_name, "a topic name that Kafka clients can create has only [A-Za-z0-9._-]"};
  }
  return {};
}

CollidingNames::CollidingNames(const broker::TopicTable& topics) {
  for (const auto& [name, topic] : topics.by_name) {
    if (can_collide(name)) by_unified_name_.emplace(unified(name), name);
  }
}

std::string_view CollidingNames::find(std::string_view name) const {
  if (!can_collide(name)) return {};
  const auto found = by_unified_name_.find(unified(name));
  return found == by_unified_name_.end() ? std::string_view() : found->second;
}

}  // namespace tidemark::kafka
