#pragma once

#include <optional>
#include <string>
#include <utility>

#include "protocol/kafka/codec/errors.h"

namespace tidemark::kafka {

/// Why one part of a request is not done: Kafka's code, and a sentence for people.
struct Refusal {
  ErrorCode code = ErrorCode::none;
  std::string message;
};

/// nullopt: nothing speaks against it.
using Verdict = std::optional<Refusal>;

/// Writes it into a part of a response. Sentences quote what the client sent, which may be long: no string of the protocol has more than
/// 32 767 bytes, and nobody reads that many.
template <class Part>
void put(Part& part, Refusal refusal) {
  constexpr std::size_t kMessageBytesMax = 500;
  part.error_code = refusal.code;
  if (refusal.message.size() > kMessageBytesMax) refusal.message.replace(kMessageBytesMax, std::string::npos, "...");
  part.error_message = std::move(refusal.message);
}

template <class Part>
void clear_error(Part& part) {
  part.error_code = ErrorCode::none;
  part.error_message.reset();
}

}  // namespace tidemark::kafka
