#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "tidemark/record.h"

namespace tidemark::wire {
class Received;
}

namespace tidemark::detail {

/// The records of one Received.
struct Unpacked {
  struct Record {
    Message message;
    std::uint32_t deliveries = 0;
    std::uint32_t failures = 0;
  };
  /// Handed out, and not to be had: it did not come along, or its batch is damaged.
  struct Missing {
    std::int32_t partition = 0;
    Offset offset;
    std::uint32_t deliveries = 0;
    std::string reason;
  };
  std::vector<Record> records;  ///< In the order to work them off.
  std::vector<Missing> missing;
  std::optional<Error> error;  ///< protocol_error, and then no records; corrupt_batch for what is missing.
};

/// `records_max` is what was asked for: more than that is no answer to it. Nothing in the bytes is trusted.
Unpacked unpack_received(const std::shared_ptr<const std::string>& topic, const wire::Received& received, Slice batches,
                         std::size_t records_max);

}  // namespace tidemark::detail
