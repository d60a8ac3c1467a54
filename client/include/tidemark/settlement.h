#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/base/offset.h"
#include "storage/base/result.h"

/// What becomes of a record that a queue group has handed out.
namespace tidemark {

/// Done: it is not handed out again.
struct Ack {};
/// Failed: it is handed out again after `delay`, or dies when it has failed as often as the group's `delivery.limit` allows.
struct Retry {
  std::optional<std::chrono::milliseconds> delay = std::nullopt;  ///< 0 to 30 days; nullopt: the group's `backoff`.
  std::string reason = {};                                        ///< For people; cut after 1024 bytes.
};
/// Hopeless: to the dead letters at once (where the group has none, it is parked).
struct Reject {
  std::string reason = {};  ///< For people; cut after 1024 bytes.
};
/// Given back unworked: others may have it at once, and it does not count as a failure.
struct Release {};

using Settlement = std::variant<Ack, Retry, Reject, Release>;

/// How the settling of many records went: each on its own.
struct SettleReport {
  struct Failure {
    std::int32_t partition = 0;
    Offset offset;
    Error error;
  };
  std::uint64_t settled = 0;
  std::vector<Failure> failures;  ///< Nothing changed for these.
};

}  // namespace tidemark
