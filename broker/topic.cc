#include "broker/topic.h"

#include <algorithm>
#include <array>

namespace tidemark::broker {
namespace {

constexpr bool allowed_in_name(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == ':' || c == '{' ||
         c == '}' || c == '/' || c == '-';
}

/// Edits (insert, delete, replace) from one word to the other; two rows suffice.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
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
  const std::size_t allowed = std::max<std::size_t>(1, name.size() / 3);
  std::string best;
  std::size_t best_distance = allowed + 1;
  std::size_t looked_at = 0;
  for (const auto& [other, topic] : by_name) {
    if (++looked_at > kNamesMax) break;
    if (other.size() > name.size() + allowed || name.size() > other.size() + allowed || is_internal_topic(other)) continue;
    const std::size_t distance = edit_distance(name, other);
    if (distance < best_distance) {
      best = other;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace tidemark::broker
