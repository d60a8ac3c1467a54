#include "broker/lag/lag_verdict.h"

#include <cmath>
#include <cstdio>

#include "storage/base/units.h"

namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSilence{60'000};
constexpr double kSlopeMax = 0.1;
constexpr milliseconds kWorthASlope{10'000};
constexpr double kRateMin = 0.001;

std::string rate_text(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, rate < 10 ? "%.1f/s" : "%.0f/s", rate);
  return text;
}

std::string rates_text(const LagEvidence& evidence) {
  if (!evidence.in_rate || !evidence.out_rate) return {};
  return "; " + rate_text(*evidence.in_rate) + " in, " + rate_text(*evidence.out_rate) + " out";
}

std::string behind_text(milliseconds behind, milliseconds objective) {
  return short_duration(behind) + " behind, the objective is " + short_duration(objective);
}

bool moved_lately(const std::optional<milliseconds>& ago) { return ago && *ago < kSilence; }

}  // namespace

std::string short_duration(milliseconds duration) {
  return duration < milliseconds(10'000) ? format_duration(duration)
                                         : format_duration(std::chrono::duration_cast<std::chrono::seconds>(duration));
}

std::optional<double> drain_rate(const LagEvidence& evidence) {
  if (!evidence.in_rate || !evidence.out_rate) return std::nullopt;
  const double rate = *evidence.out_rate - *evidence.in_rate;
  if (rate < kRateMin) return std::nullopt;
  return rate;
}

Judgement judge(const PartitionLag& row, const LagEvidence& evidence, milliseconds objective, Timestamp now) {
  const Judgement said{row.verdict, row.cause};
  if (row.verdict == Verdict::at_risk || row.verdict == Verdict::paused) return said;
  if (!row.lag || *row.lag == 0) return said;
  const milliseconds behind = row.lag_time.value_or(milliseconds(0));
  const bool late = behind > objective;
  if (row.verdict == Verdict::stopped && !moved_lately(evidence.moved_alone)) {
    Judgement stopped = said;
    if (evidence.unmoved && *evidence.unmoved >= kSilence) stopped.cause += "; nothing finished for " + short_duration(*evidence.unmoved);
    return stopped;
  }
  if (evidence.rewind) {
    return {Verdict::rewound, "the position went back from " + std::to_string(evidence.rewind->from.value) + " " +
                                  short_duration(now - evidence.rewind->at) + " ago, without a seek"};
  }
  if (row.verdict == Verdict::stalled) return said;
  if (late && evidence.unmoved && *evidence.unmoved >= kSilence) {
    return {Verdict::stalled, "nothing finished for " + short_duration(*evidence.unmoved) + ", " + behind_text(behind, objective)};
  }
  if (late) {
    if (const std::optional<double> rate = drain_rate(evidence)) {
      const milliseconds left(std::llround(static_cast<double>(*row.lag) / *rate * 1000));
      return {Verdict::draining, behind_text(behind, objective) + rates_text(evidence) + "; done in about " + short_duration(left)};
    }
    const std::string more = row.verdict == Verdict::slow && !row.cause.empty() ? row.cause : behind_text(behind, objective);
    return {Verdict::slow, more + rates_text(evidence)};
  }
  if (evidence.slope && *evidence.slope > kSlopeMax && behind >= kWorthASlope) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", *evidence.slope * 60);
    return {Verdict::slow, "the lag time grows by " + std::string(text) + " a minute" + rates_text(evidence)};
  }
  return {Verdict::ok, row.verdict == Verdict::ok ? row.cause : std::string()};
}

}  // namespace tidemark::broker
