#include "broker/lag/lag_book.h"

#include <algorithm>
#include <set>

namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

/// A group at one time.
struct Moment {
  std::size_t partitions = 0;
  std::int64_t end = 0, done = 0;
  std::uint64_t lag_deciseconds = 0, in_flight = 0, retrying = 0;
};

}  // namespace

void LagBook::fit(std::size_t series) {
  const LagResolution wanted = LagResolution::fitting(series, bytes_max_);
  // Finer again only when there is room to spare: a group that comes and goes must not thin the others again and again.
  const bool finer = wanted.coarse < resolution_.coarse;
  if (wanted == resolution_ || (finer && LagResolution::fitting(series * 2, bytes_max_).coarse >= resolution_.coarse)) return;
  resolution_ = wanted;
  if (finer) return;
  for (auto& [key, one] : series_) one.thin(resolution_);
}

std::vector<std::string> LagBook::add(std::span<const PartitionLag> rows, Timestamp now, SteadyTime steady) {
  ++round_;
  std::set<std::string> went_back;
  fit(std::min(kSeriesMax, std::max(rows.size(), std::size_t{1})));
  for (const PartitionLag& row : rows) {
    if (!row.lag) continue;
    Key key = key_of(row);
    auto found = series_.find(key);
    if (found == series_.end()) {
      if (series_.size() >= kSeriesMax) continue;
      found = series_.emplace(std::move(key), LagSeries{}).first;
    }
    found->second.round = round_;
    if (found->second.add(row, now, steady, resolution_).went_back) went_back.insert(row.group);
  }
  std::erase_if(series_, [this](const auto& entry) { return entry.second.round != round_; });
  return {went_back.begin(), went_back.end()};
}

void LagBook::sought(std::string_view group) {
  const Key first{GroupKind::stream, std::string(group), {}, 0};
  for (auto at = series_.lower_bound(first); at != series_.end() && at->first.kind == first.kind && at->first.group == group; ++at) {
    at->second.sought();
  }
}

LagRow LagBook::judged(PartitionLag row, const Terms& terms, Timestamp now, SteadyTime steady) const {
  LagRow judged;
  judged.objective = terms.objective.value_or(judged.objective);
  LagEvidence evidence;
  if (const auto found = series_.find(key_of(row)); found != series_.end()) evidence = found->second.evidence(row, now, steady);
  judged.in_rate = evidence.in_rate.value_or(0);
  judged.out_rate = evidence.out_rate.value_or(0);
  const std::optional<double> rate = drain_rate(evidence);
  if (rate && row.lag.value_or(0) > 0) judged.eta_seconds = static_cast<double>(*row.lag) / *rate;
  if (terms.retention && row.lag_time) judged.headroom = std::max(milliseconds(0), *terms.retention - *row.lag_time);
  Judgement verdict = judge(row, evidence, judged.objective, now);
  row.verdict = verdict.verdict;
  row.cause = std::move(verdict.cause);
  judged.at = std::move(row);
  return judged;
}

std::vector<LagPoint> LagBook::history(GroupKind kind, std::string_view group, std::string_view topic, Timestamp since) const {
  std::map<Timestamp, Moment> moments;  // All partitions are sampled together.
  const Key first{kind, std::string(group), {}, 0};
  for (auto at = series_.lower_bound(first); at != series_.end() && at->first.kind == kind && at->first.group == group; ++at) {
    if (!topic.empty() && at->first.topic != topic) continue;
    for (const LagSample& sample : at->second.samples()) {
      if (sample.time < since) continue;
      Moment& moment = moments[sample.time];
      ++moment.partitions;
      moment.end += sample.end;
      moment.done += sample.done;
      moment.lag_deciseconds = std::max<std::uint64_t>(moment.lag_deciseconds, sample.lag_deciseconds);
      moment.in_flight += sample.in_flight;
      moment.retrying += sample.retrying;
    }
  }
  std::vector<LagPoint> points;
  points.reserve(moments.size());
  const Moment* before = nullptr;
  for (const auto& [time, moment] : moments) {
    LagPoint& point = points.emplace_back();
    point.time = time;
    point.lag = moment.end - moment.done;
    point.lag_time = milliseconds(moment.lag_deciseconds * 100);
    point.in_flight = moment.in_flight;
    point.retrying = moment.retrying;
    if (before != nullptr && moment.partitions == before->partitions && moment.end >= before->end) {
      const double seconds = std::chrono::duration<double>(time - points[points.size() - 2].time).count();
      point.in_rate = static_cast<double>(moment.end - before->end) / seconds;
      point.out_rate = static_cast<double>(std::max<std::int64_t>(0, moment.done - before->done)) / seconds;
    }
    before = &moment;
  }
  return points;
}

}  // namespace tidemark::broker
