#include "protocol/http/group_metrics.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <tuple>

#include "protocol/http/json_text.h"

namespace tidemark::http {
namespace {

using broker::GroupKind;
using broker::LagRow;
using broker::Verdict;
using prometheus::MetricType;

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr std::array kVerdicts = {Verdict::ok,      Verdict::draining, Verdict::slow,   Verdict::stalled,
                                  Verdict::stopped, Verdict::rewound,  Verdict::paused, Verdict::at_risk};

double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000; }

/// Names that are a stream group's and a queue group's, too.
std::set<std::string> ambiguous_names(const MetricsSnapshot& snapshot) {
  std::set<std::string> streams, both;
  for (const GroupMetrics& group : snapshot.groups) {
    if (group.kind == GroupKind::stream) streams.insert(group.group);
  }
  for (const GroupMetrics& group : snapshot.groups) {
    if (group.kind == GroupKind::queue && streams.contains(group.group)) both.insert(group.group);
  }
  return both;
}

/// Labels of one value; whoever adds one keeps its bytes until the page has taken the value.
class Labels {
 public:
  Labels& with(std::string_view name, std::string_view value) {
    labels_.at(count_++) = {name, value};
    return *this;
  }
  operator std::span<const MetricsPage::Label>() const { return std::span(labels_).first(count_); }

 private:
  std::array<MetricsPage::Label, 4> labels_;
  std::size_t count_ = 0;
};

/// How groups are named in labels. Lasts no longer than the snapshot.
class Naming {
 public:
  explicit Naming(const MetricsSnapshot& snapshot) : ambiguous_(ambiguous_names(snapshot)) {
    for (const GroupMetrics& group : snapshot.groups) learn(group.group);
    for (std::size_t i = 0; i < snapshot.lag.size(); ++i) {
      if (i == 0 || snapshot.lag[i].at.group != snapshot.lag[i - 1].at.group) learn(snapshot.lag[i].at.group);
    }
  }

  /// Refers to `group`, `topic` and this object.
  Labels of(const std::string& group, GroupKind kind, const std::string* topic = nullptr) const {
    const auto rewritten = rewritten_.find(group);
    Labels labels;
    labels.with("group", rewritten == rewritten_.end() ? group : rewritten->second);
    if (topic != nullptr) labels.with("topic", *topic);
    if (ambiguous_.contains(group)) labels.with("kind", broker::to_string(kind));
    return labels;
  }

 private:
  void learn(const std::string& group) {
    std::string text = shown(group);
    if (text != group) rewritten_.emplace(group, std::move(text));
  }

  const std::set<std::string> ambiguous_;
  std::map<std::string, std::string> rewritten_;  ///< Names that are not shown as they are: few, so that looking them up costs nothing.
};

/// One group on one topic.
struct OnTopic {
  std::int64_t lag = 0;
  std::chrono::milliseconds lag_time{0};
  std::optional<double> drain_seconds;
  bool never_drains = false;
  std::optional<std::chrono::milliseconds> headroom;
  std::optional<std::uint64_t> in_flight;
};
using Place = std::tuple<GroupKind, std::string, std::string>;

std::map<Place, OnTopic> by_topic(const std::vector<LagRow>& rows) {
  std::map<Place, OnTopic> sums;
  for (const LagRow& row : rows) {
    const broker::PartitionLag& at = row.at;
    if (!at.lag) continue;
    OnTopic& sum = sums[{at.kind, at.group, at.topic}];
    sum.lag += *at.lag;
    if (at.lag_time) sum.lag_time = std::max(sum.lag_time, *at.lag_time);
    if (row.eta_seconds) sum.drain_seconds = std::max(sum.drain_seconds.value_or(0), *row.eta_seconds);
    if (*at.lag > 0 && !row.eta_seconds) sum.never_drains = true;
    if (row.headroom) sum.headroom = std::min(sum.headroom.value_or(*row.headroom), *row.headroom);
    if (at.in_flight) sum.in_flight = sum.in_flight.value_or(0) + *at.in_flight;
  }
  return sums;
}

void add_lag(MetricsPage& page, const MetricsSnapshot& snapshot, const Naming& naming) {
  const std::map<Place, OnTopic> sums = by_topic(snapshot.lag);
  const auto family = [&](const char* name, const char* help, auto of) {
    page.family(name, MetricType::Gauge, help);
    for (const auto& [place, sum] : sums) {
      const std::optional<double> value = of(sum);
      if (value) page.value(*value, naming.of(std::get<1>(place), std::get<0>(place), &std::get<2>(place)));
    }
  };
  using Value = std::optional<double>;
  family("tidemark_group_lag_records", "Records the group has not finished.",
         [](const OnTopic& sum) -> Value { return static_cast<double>(sum.lag); });
  family("tidemark_group_lag_seconds", "Age of the oldest record the group has not finished; 0 when there is none.",
         [](const OnTopic& sum) -> Value { return seconds(sum.lag_time); });
  family("tidemark_group_drain_seconds", "Estimate of when the group will be done; +Inf: not at this pace.",
         [](const OnTopic& sum) -> Value { return sum.never_drains ? kNever : sum.drain_seconds.value_or(0); });
  family("tidemark_group_retention_headroom_seconds", "Until retention removes the oldest unfinished record; +Inf: it never does.",
         [](const OnTopic& sum) -> Value { return sum.headroom ? seconds(*sum.headroom) : kNever; });
  family("tidemark_group_in_flight_records", "Records handed out and not settled.", [](const OnTopic& sum) -> Value {
    if (!sum.in_flight) return std::nullopt;
    return static_cast<double>(*sum.in_flight);
  });
}

void add_status(MetricsPage& page, const MetricsSnapshot& snapshot, const Naming& naming) {
  // Queue groups of one name on several topics share a series: the worst of them.
  std::map<std::pair<std::string, GroupKind>, broker::LagSummary> worst;
  for (broker::LagSummary& summary : broker::summarize(snapshot.lag)) {
    const auto [place, fresh] = worst.try_emplace({summary.group, summary.kind}, summary);
    if (!fresh && broker::severity(summary.verdict) > broker::severity(place->second.verdict)) place->second = std::move(summary);
  }
  page.family("tidemark_group_status", MetricType::Gauge,
              "1 for the verdict on the group, 0 for the others; the group takes its worst partition's.");
  for (const auto& [name, summary] : worst) {
    for (const Verdict verdict : kVerdicts) {
      page.value(verdict == summary.verdict ? 1.0 : 0.0, naming.of(name.first, name.second).with("status", broker::to_string(verdict)));
    }
  }
  page.family("tidemark_group_lag_objective_seconds", MetricType::Gauge, "The setting lag.objective of the group.");
  for (const auto& [name, summary] : worst) page.value(seconds(summary.objective), naming.of(name.first, name.second));
}

void add_members(MetricsPage& page, const MetricsSnapshot& snapshot, const Naming& naming) {
  std::map<std::pair<std::string, GroupKind>, std::pair<std::size_t, std::uint64_t>> sums;
  for (const GroupMetrics& group : snapshot.groups) {
    auto& [members, skipped] = sums[{group.group, group.kind}];
    members += group.members;
    skipped += group.skipped_records;
  }
  page.family("tidemark_group_members", MetricType::Gauge, "Members of the group.");
  for (const auto& [name, sum] : sums) page.value(static_cast<double>(sum.first), naming.of(name.first, name.second));
  page.family("tidemark_group_skipped_records_total", MetricType::Counter, "Records that retention removed before the group read them.");
  for (const auto& [name, sum] : sums) {
    if (name.second == GroupKind::stream) page.value(static_cast<double>(sum.second), naming.of(name.first, name.second));
  }
}

void add_queue_counts(MetricsPage& page, const MetricsSnapshot& snapshot, const Naming& naming) {
  const auto family = [&](const char* name, MetricType type, const char* help, std::uint64_t broker::QueueCounts::*count) {
    page.family(name, type, help);
    for (const GroupMetrics& group : snapshot.groups) {
      if (group.counts) page.value(static_cast<double>((*group.counts).*count), naming.of(group.group, group.kind, &group.topic));
    }
  };
  using Counts = broker::QueueCounts;
  family("tidemark_group_acks_total", MetricType::Counter, "Records acknowledged since the group began.", &Counts::done);
  family("tidemark_group_redeliveries_total", MetricType::Counter, "Hand-outs of records that had been handed out before.",
         &Counts::redelivered);
  family("tidemark_group_timeouts_total", MetricType::Counter, "Hand-outs that were not settled in time.", &Counts::timed_out);
  family("tidemark_group_dead_lettered_total", MetricType::Counter, "Records given to the dead letters.", &Counts::dead);
  family("tidemark_group_parked_records", MetricType::Gauge, "Records set aside until somebody says otherwise.", &Counts::parked);
}

}  // namespace

void add_groups(MetricsPage& page, const MetricsSnapshot& snapshot) {
  const Naming naming(snapshot);
  add_lag(page, snapshot, naming);
  add_status(page, snapshot, naming);
  add_members(page, snapshot, naming);
  add_queue_counts(page, snapshot, naming);
}

void add_group_partitions(MetricsPage& page, const MetricsSnapshot& snapshot) {
  const Naming naming(snapshot);
  const auto family = [&](const char* name, const char* help, auto of) {
    page.family(name, MetricType::Gauge, help);
    for (const LagRow& row : snapshot.lag) {
      const std::optional<double> value = of(row);
      if (!value) continue;
      page.value(*value, naming.of(row.at.group, row.at.kind, &row.at.topic).with("partition", std::to_string(row.at.partition)));
    }
  };
  using Value = std::optional<double>;
  family("tidemark_group_partition_lag_records", "Records the group has not finished in the partition.", [](const LagRow& row) -> Value {
    if (!row.at.lag) return std::nullopt;
    return static_cast<double>(*row.at.lag);
  });
  family("tidemark_group_partition_lag_seconds", "Age of the oldest of them.", [](const LagRow& row) -> Value {
    if (!row.at.lag || !row.at.lag_time) return std::nullopt;
    return seconds(*row.at.lag_time);
  });
  family("tidemark_group_partition_floor_offset", "Everything below is finished.", [](const LagRow& row) -> Value {
    if (!row.at.floor) return std::nullopt;
    return static_cast<double>(row.at.floor->value);
  });
}

std::string kafka_metrics_text(const MetricsSnapshot& snapshot) {
  MetricsPage page;
  page.family("kafka_brokers", MetricType::Gauge, "Number of brokers.");
  page.value(1.0);
  page.family("kafka_topic_partitions", MetricType::Gauge, "Number of partitions of the topic.");
  for (const TopicMetrics& topic : snapshot.topics) {
    page.value(static_cast<std::uint64_t>(topic.partitions.size()), {{"topic", topic.topic}});
  }
  const auto partitions = [&](const char* name, const char* help, auto of) {
    page.family(name, MetricType::Gauge, help);
    for (const TopicMetrics& topic : snapshot.topics) {
      for (const broker::PartitionInfo& partition : topic.partitions) {
        page.value(static_cast<double>(of(partition)), {{"topic", topic.topic}, {"partition", std::to_string(partition.partition)}});
      }
    }
  };
  partitions("kafka_topic_partition_current_offset", "End offset of the partition.",
             [](const auto& info) { return info.high_watermark.value; });
  partitions("kafka_topic_partition_oldest_offset", "First offset kept of the partition.",
             [](const auto& info) { return info.log_start.value; });

  const auto groups = [&](const char* name, const char* help, auto of) {
    page.family(name, MetricType::Gauge, help);
    for (const LagRow& row : snapshot.lag) {
      if (row.at.kind != GroupKind::stream || !row.at.lag || !row.at.floor) continue;
      page.value(static_cast<double>(of(row.at)),
                 {{"consumergroup", shown(row.at.group)}, {"topic", row.at.topic}, {"partition", std::to_string(row.at.partition)}});
    }
  };
  groups("kafka_consumergroup_current_offset", "Committed offset.", [](const auto& at) { return at.floor->value; });
  groups("kafka_consumergroup_lag", "Records the group is behind in the partition.", [](const auto& at) { return *at.lag; });
  page.family("kafka_consumergroup_lag_sum", MetricType::Gauge, "Records the group is behind in the topic.");
  for (const auto& [place, sum] : by_topic(snapshot.lag)) {
    if (std::get<0>(place) != GroupKind::stream) continue;
    page.value(static_cast<double>(sum.lag), {{"consumergroup", shown(std::get<1>(place))}, {"topic", std::get<2>(place)}});
  }
  page.family("kafka_consumergroup_members", MetricType::Gauge, "Members of the group.");
  for (const GroupMetrics& group : snapshot.groups) {
    if (group.kind == GroupKind::stream) page.value(static_cast<std::uint64_t>(group.members), {{"consumergroup", shown(group.group)}});
  }
  return page.text();
}

}  // namespace tidemark::http
