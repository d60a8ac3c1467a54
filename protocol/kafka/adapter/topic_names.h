#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "broker/topic.h"
#include "storage/base/result.h"

namespace tidemark::kafka {

/// Kafka's rule for the name of a new topic: 1-249 of [A-Za-z0-9._-], not "." or "..". The engine allows more; such topics are made by
/// other protocols and used by any. Error invalid_topic_name says what is wrong.
Status validate_kafka_topic_name(std::string_view name);

/// Names that differ only in '.' and '_' would have one name in Kafka's metrics, so a topic is not created beside such another.
class CollidingNames {
 public:
  explicit CollidingNames(const broker::TopicTable& topics);
  /// The existing topic that `name` collides with; empty when there is none.
  std::string_view find(std::string_view name) const;

 private:
  std::unordered_map<std::string, std::string_view> by_unified_name_;  ///< The names live as long as the table.
};

}  // namespace tidemark::kafka
