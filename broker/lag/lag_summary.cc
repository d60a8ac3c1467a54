#include <algorithm>
#include <map>

#include "broker/lag/lag_types.h"

namespace tidemark::broker {
namespace {

/// What is being added up.
struct Sum {
  LagSummary summary;
  bool some_never_done = false;
  std::map<std::string, std::int64_t> by_member;
};

template <class T>
void add(std::optional<T>& sum, const std::optional<T>& value) {
  if (value) sum = sum.value_or(T{}) + *value;
}

/// A partition a few moments behind holds up no estimate: it is behind because records keep coming.
constexpr std::chrono::milliseconds kMoments{5'000};

void add_row(const LagRow& row, Sum& sum) {
  LagSummary& summary = sum.summary;
  const PartitionLag& at = row.at;
  if (severity(at.verdict) > severity(summary.verdict) || (summary.verdict == Verdict::ok && summary.cause.empty())) {
    summary.verdict = std::max(summary.verdict, at.verdict, [](Verdict a, Verdict b) { return severity(a) < severity(b); });
    summary.cause = at.cause.empty() ? "" : at.topic + ":" + std::to_string(at.partition) + ": " + at.cause;
  }
  add(summary.lag, at.lag);
  add(summary.waiting, at.waiting);
  add(summary.in_flight, at.in_flight);
  add(summary.retrying, at.retrying);
  if (at.lag_time) summary.lag_time = std::max(summary.lag_time.value_or(std::chrono::milliseconds(0)), *at.lag_time);
  if (row.headroom) summary.headroom = std::min(summary.headroom.value_or(*row.headroom), *row.headroom);
  if (row.eta_seconds) summary.eta_seconds = std::max(summary.eta_seconds.value_or(0), *row.eta_seconds);
  if (at.lag.value_or(0) > 0 && !row.eta_seconds && at.lag_time.value_or(kMoments) >= kMoments) sum.some_never_done = true;
  summary.in_rate += row.in_rate;
  summary.out_rate += row.out_rate;
  summary.objective = row.objective;
  if (!at.member.empty()) sum.by_member[at.member] += at.lag.value_or(0);
}

std::optional<double> skew_of(const std::map<std::string, std::int64_t>& by_member) {
  std::int64_t most = 0, all = 0;
  for (const auto& [member, lag] : by_member) {
    most = std::max(most, lag);
    all += lag;
  }
  if (by_member.size() < 2 || all == 0) return std::nullopt;
  return static_cast<double>(most) * static_cast<double>(by_member.size()) / static_cast<double>(all);
}

}  // namespace

std::vector<LagSummary> summarize(std::span<const LagRow> rows) {
  std::vector<Sum> sums;
  std::map<std::tuple<GroupKind, std::string_view, std::string_view>, std::size_t> known;
  for (const LagRow& row : rows) {
    const std::string_view topic = row.at.kind == GroupKind::queue ? std::string_view(row.at.topic) : std::string_view();
    const auto [place, fresh] = known.try_emplace({row.at.kind, row.at.group, topic}, sums.size());
    if (fresh) {
      Sum& sum = sums.emplace_back();
      sum.summary.group = row.at.group;
      sum.summary.kind = row.at.kind;
      sum.summary.topic = topic;
    }
    add_row(row, sums[place->second]);
  }
  std::vector<LagSummary> summaries;
  summaries.reserve(sums.size());
  for (Sum& sum : sums) {
    if (sum.some_never_done) sum.summary.eta_seconds.reset();
    sum.summary.skew = skew_of(sum.by_member);
    summaries.push_back(std::move(sum.summary));
  }
  return summaries;
}

}  // namespace tidemark::broker
