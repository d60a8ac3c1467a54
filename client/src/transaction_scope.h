#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/src/pending.h"

namespace tidemark::detail {

/// What a producer asks of the transactions that its records belong to.
class TransactionScope {
 public:
  virtual ~TransactionScope() = default;
  /// The partitions are to join transaction `number`, before records are sent there. Called and answered with no lock held.
  virtual void join(std::uint64_t number, const std::string& topic, const std::vector<std::int32_t>& partitions, Done<void> done) = 0;
};

}  // namespace tidemark::detail
