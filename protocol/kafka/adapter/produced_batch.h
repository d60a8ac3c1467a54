#pragma once

#include <optional>
#include <string>

#include "protocol/kafka/codec/errors.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace tidemark::kafka {

struct Refusal {
  ErrorCode code = ErrorCode::none;
  std::string message;
};

/// What Apache Kafka refuses, by looking at the header of a produced batch alone, with its codes: not exactly one batch, a magic that is
/// not 2, a codec the version does not know, a base offset other than 0, control batches, append time set by the client.
/// Everything else is the engine's to judge.
std::optional<Refusal> judge_produced_batch(const std::optional<Slice>& records, int version);

/// The engine's error as Kafka tells it to a producer. `records`: unchanged since the engine refused them.
ErrorCode produce_error(const Error& error, const std::optional<Slice>& records);

}  // namespace tidemark::kafka
