#include "broker/topic.h"

#include <algorithm>
#include <array>

#include "storage/base/closest_word.h"

namespace tidemark::broker {
namespace {

constexpr bool allowed_in_name(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == ':' || c == '{' ||
         c == '}' || c == '/' || c == '-';
}

}  // namespace

std::string_view to_string(Durability durability) {
  switch (durability) {
    case Durability::fsync:
      return "fsync";
    case Durability::interval:
      return "interval";
    case Durability::os:
      return "os";
  }
  return "fsync";
}

Status validate_topic_name(std::string_view name) {
  if (name.empty() || name.size() > 249) {
    return Error{Errc::invalid_topic_name, "a topic name has 1 to 249 bytes, this one has " + std::to_string(name.size())};
  }
  if (name == "." || name == "..") return Error{Errc::invalid_topic_name, "'" + std::string(name) + "' is not a topic name"};
  if (!std::ranges::all_of(name, allowed_in_name)) {
    return Error{Errc::invalid_topic_name, "a topic name has only [A-Za-z0-9._:{}/-]"};
  }
  return {};
}

bool is_internal_topic(std::string_view name) {
  constexpr std::array<std::string_view, 3> kReserved = {"__consumer_offsets", "__transaction_state", "__share_group_state"};
  return name.starts_with("__tidemark_") || std::ranges::find(kReserved, name) != kReserved.end();
}

const Topic* TopicTable::find(std::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second.get();
}

std::string TopicTable::suggestion(std::string_view name) const {
  constexpr std::size_t kNamesMax = 10'000;  // A suggestion is a courtesy: it must not cost more than the request.
  ClosestWord closest(name);
  std::size_t looked_at = 0;
  for (const auto& [other, topic] : by_name) {
    if (++looked_at > kNamesMax) break;
    if (!is_internal_topic(other)) closest.offer(other);
  }
  return closest.best();
}

}  // namespace tidemark::broker
