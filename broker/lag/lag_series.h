#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "broker/lag/lag_verdict.h"
#include "storage/base/clock.h"

namespace tidemark::broker {

/// What one sample keeps.
struct LagSample {
  Timestamp time{};
  std::int64_t end = 0;   ///< In offsets.
  std::int64_t done = 0;  ///< end - lag.
  std::uint32_t lag_deciseconds = 0;
  std::uint32_t in_flight = 0;
  std::uint32_t retrying = 0;
  bool operator==(const LagSample&) const = default;
};

/// How much is kept: the last hour every 5 s, the last day every minute, the last 30 days every 15 minutes, each of them `coarse` times
/// coarser, so that very many series fit into the same memory.
struct LagResolution {
  static constexpr std::size_t kTiers = 3;
  static constexpr std::array kIntervals{std::chrono::seconds(5), std::chrono::seconds(60), std::chrono::seconds(900)};
  static constexpr std::array<std::size_t, kTiers> kPoints{720, 1440, 2880};
  static constexpr std::size_t kPointsMin = 4;
  static constexpr std::uint32_t kCoarseMax = 1024;

  std::uint32_t coarse = 1;  ///< A power of two.
  std::chrono::seconds interval(std::size_t tier) const { return kIntervals[tier] * coarse; }
  std::size_t points(std::size_t tier) const { return std::max(kPointsMin, kPoints[tier] / coarse); }
  /// Of one series when it is full.
  std::size_t bytes() const;
  /// The finest one with which `series` of them fit into `bytes_max`.
  static LagResolution fitting(std::size_t series, std::size_t bytes_max);
  bool operator==(const LagResolution&) const = default;
};

/// One group in one partition over time: rings of samples, rates, and what the verdict wants to know of the past. Pure state.
class LagSeries {
 public:
  /// What add() found.
  struct Step {
    bool went_back = false;  ///< The position did; Rewind stands until told otherwise by sought().
  };
  /// `row.lag` must be known. Samples come in order of `steady`; one whose wall time does not ascend changes rates only.
  Step add(const PartitionLag& row, Timestamp now, SteadyTime steady, const LagResolution& resolution);
  /// The last step back was somebody's seek.
  void sought();
  LagEvidence evidence(const PartitionLag& row, Timestamp now, SteadyTime steady) const;

  /// Everything kept, ascending: each stretch of time from the finest tier that has it.
  std::vector<LagSample> samples() const;
  /// Samples of an earlier process, oldest first; before the first add().
  void restore(const std::vector<LagSample>& samples, const LagResolution& resolution);
  /// Drops what is too fine or too much for `resolution`.
  void thin(const LagResolution& resolution);

  std::uint64_t round = 0;  ///< The owner's: when the series was seen last.

 private:
  void keep(const LagSample& sample, const LagResolution& resolution);
  void update_rates(const LagSample& sample, SteadyTime steady);

  /// Ascending in time; a vector that drops from its front in chunks is smaller than a deque and as cheap here.
  std::array<std::vector<LagSample>, LagResolution::kTiers> tiers_;
  std::optional<double> in_rate_, out_rate_;
  // Of the sample before.
  std::int64_t end_ = 0, done_ = 0;
  SteadyTime steady_{};
  bool owned_ = false;
  bool begun_ = false;

  std::optional<SteadyTime> moved_, moved_alone_;
  SteadyTime watched_since_{};
  std::int64_t done_most_ = 0;
  std::optional<LagEvidence::Rewind> rewind_;
};

}  // namespace tidemark::broker
