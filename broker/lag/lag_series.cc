#include "broker/lag/lag_series.h"

#include <algorithm>
#include <cmath>

#include "storage/base/check.h"

namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

/// Of the averages; long enough that a batch a few seconds does not look like a stop.
constexpr double kRateSeconds = 60;
/// After a longer silence the averages begin anew.
constexpr double kGapSeconds = 300;
constexpr std::chrono::minutes kSlopeSpan{10};
/// Beside the points: the object itself, its names and its place in a table.
constexpr std::size_t kSeriesOverhead = 512;

/// Multiples of the interval since 1970, so that all series of a tier have their samples at the same times.
std::int64_t slot(Timestamp time, std::chrono::seconds interval) {
  return time.time_since_epoch().count() / std::chrono::milliseconds(interval).count();
}

std::uint32_t clamped(std::uint64_t value) { return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX)); }

LagSample sample_of(const PartitionLag& row, Timestamp now) {
  const milliseconds behind = std::max(milliseconds(0), row.lag_time.value_or(milliseconds(0)));
  return {.time = now,
          .end = row.end.value,
          .done = row.end.value - *row.lag,
          .lag_deciseconds = clamped(static_cast<std::uint64_t>(behind.count() / 100)),
          .in_flight = clamped(row.in_flight.value_or(0)),
          .retrying = clamped(row.retrying.value_or(0))};
}

/// Keeps the first sample of each slot.
void coarsen(std::vector<LagSample>& samples, std::chrono::seconds interval) {
  std::size_t kept = 0;
  for (const LagSample& sample : samples) {
    if (kept > 0 && slot(samples[kept - 1].time, interval) == slot(sample.time, interval)) continue;
    samples[kept++] = sample;
  }
  samples.resize(kept);
}

void drop_front(std::vector<LagSample>& samples, std::size_t keep) {
  if (samples.size() > keep) samples.erase(samples.begin(), samples.end() - static_cast<std::ptrdiff_t>(keep));
}

}  // namespace

std::size_t LagResolution::bytes() const {
  std::size_t all = kSeriesOverhead;
  for (std::size_t tier = 0; tier < kTiers; ++tier) all += (points(tier) + points(tier) / 8) * sizeof(LagSample);
  return all;
}

LagResolution LagResolution::fitting(std::size_t series, std::size_t bytes_max) {
  LagResolution resolution;
  while (resolution.coarse < kCoarseMax && resolution.bytes() * series > bytes_max) resolution.coarse *= 2;
  return resolution;
}

LagSeries::Step LagSeries::add(const PartitionLag& row, Timestamp now, SteadyTime steady, const LagResolution& resolution) {
  CHECK(row.lag.has_value());
  const LagSample sample = sample_of(row, now);
  Step step;
  if (begun_ && sample.end < end_) *this = LagSeries{};  // Another log under the same name.
  if (begun_) {
    update_rates(sample, steady);
    step.went_back = sample.done < done_ && row.kind == GroupKind::stream;  // A queue may give records back.
    if (step.went_back) {
      // Where it had come to, even over several steps back.
      rewind_ = LagEvidence::Rewind{Offset{std::max(done_most_, done_)}, now};
    } else if (sample.done > done_) {
      moved_ = steady;
      if (!owned_ && row.member.empty()) moved_alone_ = steady;
    }
  } else {
    watched_since_ = steady;
    done_most_ = sample.done;
  }
  done_most_ = std::max(done_most_, sample.done);
  if (rewind_ && sample.done >= rewind_->from.value) rewind_.reset();
  end_ = sample.end;
  done_ = sample.done;
  steady_ = steady;
  owned_ = !row.member.empty();
  begun_ = true;
  keep(sample, resolution);
  return step;
}

void LagSeries::sought() {
  rewind_.reset();
  done_most_ = done_;
}

void LagSeries::update_rates(const LagSample& sample, SteadyTime steady) {
  const double seconds = std::chrono::duration<double>(steady - steady_).count();
  if (seconds <= 0) return;
  if (seconds > kGapSeconds) {
    in_rate_.reset();
    out_rate_.reset();
  }
  const double share = 1 - std::exp(-seconds / kRateSeconds);
  const auto average = [&](std::optional<double>& rate, std::int64_t count) {
    const double fresh = static_cast<double>(count) / seconds;
    rate = rate ? *rate + (fresh - *rate) * share : fresh;
  };
  average(in_rate_, sample.end - end_);
  average(out_rate_, std::max<std::int64_t>(0, sample.done - done_));
}

void LagSeries::keep(const LagSample& sample, const LagResolution& resolution) {
  for (std::size_t tier = 0; tier < LagResolution::kTiers; ++tier) {
    std::vector<LagSample>& samples = tiers_[tier];
    if (!samples.empty()) {
      if (sample.time <= samples.back().time) continue;  // The clock was set back.
      if (slot(sample.time, resolution.interval(tier)) == slot(samples.back().time, resolution.interval(tier))) continue;
    }
    const std::size_t most = resolution.points(tier);
    if (samples.size() >= most + most / 8) drop_front(samples, most - 1);
    samples.push_back(sample);
  }
}

LagEvidence LagSeries::evidence(const PartitionLag& row, Timestamp now, SteadyTime steady) const {
  LagEvidence evidence;
  if (!begun_) return evidence;
  evidence.in_rate = in_rate_;
  evidence.out_rate = out_rate_;
  evidence.rewind = rewind_;
  // Since the last sample it may have moved, too.
  const bool moved_since = row.lag && row.end.value - *row.lag > done_;
  const auto ago = [&](SteadyTime then) { return std::chrono::duration_cast<milliseconds>(steady - then); };
  evidence.unmoved = moved_since ? milliseconds(0) : ago(moved_.value_or(watched_since_));
  if (moved_alone_) evidence.moved_alone = ago(*moved_alone_);
  if (moved_since && !owned_ && row.member.empty()) evidence.moved_alone = milliseconds(0);
  for (const std::vector<LagSample>& samples : tiers_) {
    const auto after = std::ranges::upper_bound(samples, now - kSlopeSpan, {}, &LagSample::time);
    if (after == samples.begin() || !row.lag_time) continue;
    const LagSample& then = *std::prev(after);
    const double seconds = std::chrono::duration<double>(now - then.time).count();
    if (seconds > 3 * std::chrono::duration<double>(kSlopeSpan).count()) continue;  // A gap: it says nothing of the last minutes.
    const double grown = std::chrono::duration<double>(*row.lag_time).count() - static_cast<double>(then.lag_deciseconds) / 10;
    evidence.slope = grown / seconds;
    break;
  }
  return evidence;
}

std::vector<LagSample> LagSeries::samples() const {
  std::vector<LagSample> all;
  for (std::size_t tier = LagResolution::kTiers; tier-- > 0;) {
    const std::vector<LagSample>& samples = tiers_[tier];
    if (samples.empty()) continue;
    while (!all.empty() && all.back().time >= samples.front().time) all.pop_back();
    all.insert(all.end(), samples.begin(), samples.end());
  }
  return all;
}

void LagSeries::restore(const std::vector<LagSample>& samples, const LagResolution& resolution) {
  for (const LagSample& sample : samples) keep(sample, resolution);
}

void LagSeries::thin(const LagResolution& resolution) {
  for (std::size_t tier = 0; tier < LagResolution::kTiers; ++tier) {
    coarsen(tiers_[tier], resolution.interval(tier));
    drop_front(tiers_[tier], resolution.points(tier));
    tiers_[tier].shrink_to_fit();
  }
}

}  // namespace tidemark::broker
