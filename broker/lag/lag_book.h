#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/lag/lag_series.h"
#include "broker/lag/lag_types.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace tidemark::broker {

/// The past of every group in every partition: one LagSeries each, in bounded memory. Pure state; whoever shares it locks it.
class LagBook {
 public:
  static constexpr std::size_t kSeriesMax = 40'000;  ///< Further ones are judged without a past.

  explicit LagBook(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// What a topic or group says of itself; without it the defaults hold.
  struct Terms {
    std::optional<std::chrono::milliseconds> objective;
    std::optional<std::chrono::milliseconds> retention;
  };

  /// A sample of all groups there are: what is not in it is forgotten. Answers the stream groups that went back since the last one.
  std::vector<std::string> add(std::span<const PartitionLag> rows, Timestamp now, SteadyTime steady);
  /// The last step back of the group was somebody's seek.
  void sought(std::string_view group);

  /// The row with its rates, estimates and the whole model's verdict.
  LagRow judged(PartitionLag row, const Terms& terms, Timestamp now, SteadyTime steady) const;
  /// A group (queue: on one topic, or on all if empty) from `since` on, over its partitions, oldest first. Rates are missing where
  /// partitions came or went.
  std::vector<LagPoint> history(GroupKind kind, std::string_view group, std::string_view topic, Timestamp since) const;

  std::size_t series() const { return series_.size(); }
  const LagResolution& resolution() const { return resolution_; }

  /// The file of docs/FILE_FORMAT.md, "lag-history".
  ByteVector encode() const;
  /// Takes over what an earlier process wrote; before the first add(). Error corrupt_batch: nothing was taken.
  Status restore(ByteView file);

 private:
  struct Key {
    GroupKind kind = GroupKind::stream;
    std::string group, topic;
    std::int32_t partition = 0;
    auto operator<=>(const Key&) const = default;
  };
  static Key key_of(const PartitionLag& row) { return {row.kind, row.group, row.topic, row.partition}; }
  void fit(std::size_t series);

  const std::size_t bytes_max_;
  LagResolution resolution_;
  std::map<Key, LagSeries> series_;
  std::uint64_t round_ = 0;
};

}  // namespace tidemark::broker
