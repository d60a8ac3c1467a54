#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/dedup_window.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"

namespace tidemark::broker {

/// What a partition has to heed in a batch beside its bytes; by the index of the record in it.
struct AppendPlan {
  /// Records that are not stored here. Where others of the batch are, theirs offsets stay empty; the producer's sequences are used up.
  std::vector<bool> left_out;
  std::vector<std::optional<DedupId>> ids;
  bool drop_duplicates = true;  ///< False: ids are noted, and every record is stored.

  bool has_ids() const {
    for (const auto& id : ids) {
      if (id) return true;
    }
    return false;
  }
};

/// What became of the records of a batch that were not simply stored.
struct PublishDetails {
  struct Duplicate {
    std::int32_t record = 0;  ///< Index in the batch.
    Offset offset;            ///< Of the first record with that id.
  };
  struct Scheduled {
    std::int32_t record = 0;
    std::string id;  ///< As ScheduledId prints.
    Timestamp due{};
    bool duplicate = false;  ///< It was there already.
  };
  std::vector<Duplicate> duplicates;
  std::vector<Scheduled> scheduled;
};

}  // namespace tidemark::broker
