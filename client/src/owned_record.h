#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidemark/record.h"

namespace tidemark::detail {

/// A record with bytes of its own, for one that has to wait.
class OwnedRecord {
 public:
  explicit OwnedRecord(const Record& record);

  /// Its views, and those in `headers`, last as long as this object stays where it is.
  Record view(std::vector<Header>& headers) const;

 private:
  std::optional<std::string> key_, value_;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers_;
  std::optional<Timestamp> timestamp_;
  std::optional<std::int32_t> partition_;
  std::optional<std::chrono::milliseconds> delay_;
  std::optional<Timestamp> deliver_at_;
  std::optional<std::string> dedup_id_;
  std::optional<int> priority_;
};

}  // namespace tidemark::detail
