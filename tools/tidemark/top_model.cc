#include "tools/tidemark/top_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "tools/tidemark/group_view.h"

namespace tidemark::tools {
namespace {

constexpr double kSmoothSeconds = 10;

void smooth(std::optional<double>& rate, double now, double seconds) {
  rate = rate ? *rate + (now - *rate) * (1 - std::exp(-seconds / kSmoothSeconds)) : now;
}

/// "orders:0-3,7 stock:1"
std::string ranges_text(const TopicPartitions& partitions) {
  std::string text;
  for (std::size_t i = 0; i < partitions.size();) {
    std::size_t last = i;
    while (last + 1 < partitions.size() && partitions[last + 1].topic == partitions[i].topic &&
           partitions[last + 1].partition == partitions[last].partition + 1) {
      ++last;
    }
    const bool same_topic = i > 0 && partitions[i - 1].topic == partitions[i].topic;
    text += same_topic ? "," : (text.empty() ? "" : " ") + partitions[i].topic + ":";
    text +=
        last == i ? fmt::format("{}", partitions[i].partition) : fmt::format("{}-{}", partitions[i].partition, partitions[last].partition);
    i = last + 1;
  }
  return text.empty() ? "nothing" : text;
}

/// Positive when `a` needs somebody more than `b`.
bool worse(std::string_view a, std::string_view b) {
  const auto of = [](std::string_view verdict) {
    GroupDescription group;
    group.verdict = verdict;
    return group;
  };
  if (b.empty()) return true;
  const GroupDescription both[] = {of(a), of(b)};
  return a != b && worst_verdict(both) == a;
}

}  // namespace

void TopModel::advance(Flow& flow, std::int64_t in, std::int64_t out, double seconds) {
  if (seconds > 0) {
    // What is taken away, by retention or by a seek, is no negative traffic.
    smooth(flow.in_rate, static_cast<double>(std::max<std::int64_t>(in - flow.in, 0)) / seconds, seconds);
    smooth(flow.out_rate, static_cast<double>(std::max<std::int64_t>(out - flow.out, 0)) / seconds, seconds);
  }
  flow.in = in;
  flow.out = out;
}

void TopModel::add(TopSample sample) {
  const double seconds = samples_++ == 0 ? 0 : std::chrono::duration<double>(sample.at - sampled_).count();
  sampled_ = sample.at;
  add_groups(sample, seconds);
  add_topics(sample, seconds);
  status_ = std::move(sample.status);
  letters_ = std::move(sample.letters);
}

TopGroup TopModel::make_group(const GroupKey& key, std::vector<GroupPartitionLag> partitions, double seconds,
                              std::map<GroupKey, Flow>& flows) {
  TopGroup group;
  std::tie(group.kind, group.name, group.topics) = key;
  std::int64_t ends = 0, finished = 0;
  bool catches_up = true;
  for (const GroupPartitionLag& row : partitions) {
    ends += row.end.value;
    finished += row.lag ? row.end.value - *row.lag : 0;
    if (row.lag.value_or(0) > 0 && !row.eta_seconds) catches_up = false;
    if (row.eta_seconds) group.eta_seconds = std::max(group.eta_seconds.value_or(0), *row.eta_seconds);
    if (row.headroom_seconds)
      group.headroom_seconds = std::min(group.headroom_seconds.value_or(*row.headroom_seconds), *row.headroom_seconds);
  }
  if (!catches_up) group.eta_seconds.reset();

  const auto known = group_flows_.find(key);
  Flow flow = known == group_flows_.end() ? Flow() : std::move(known->second);
  advance(flow, ends, finished, known == group_flows_.end() ? 0 : seconds);
  group.in_rate = flow.in_rate;
  group.out_rate = flow.out_rate;
  group.partitions = std::move(partitions);
  flows[key] = std::move(flow);
  return group;
}

void TopModel::add_groups(const TopSample& sample, double seconds) {
  std::map<GroupKey, std::vector<GroupPartitionLag>> rows;
  for (const GroupPartitionLag& row : sample.lags) {
    rows[{row.kind, row.group, row.kind == "queue" ? row.where.topic : std::string()}].push_back(row);
  }
  std::map<GroupKey, Flow> flows;
  groups_.clear();
  const auto finish = [&flows, this](TopGroup group, const GroupKey& key) {
    std::vector<double>& trend = flows[key].trend;
    trend.push_back(static_cast<double>(group.lag.value_or(0)));
    if (trend.size() > kTrendMax) trend.erase(trend.begin());
    group.trend = trend;
    groups_.push_back(std::move(group));
  };
  for (const GroupDescription& about : sample.groups) {
    if (about.kind == "queue") continue;  // Described with more detail below.
    const GroupKey key{about.kind, about.name, ""};
    TopGroup group = make_group(key, std::move(rows[key]), seconds, flows);
    group.topics = fmt::format("{}", fmt::join(about.topics, " "));
    group.verdict = about.verdict;
    group.cause = about.cause;
    group.lag = about.lag;
    group.lag_seconds = about.lag_seconds;
    for (const GroupMemberDescription& member : about.members) {
      group.members.push_back({member.instance.empty() ? member.member : member.instance, member.client_id, member.host, about.name,
                               about.kind, ranges_text(member.partitions), member.last_seen});
    }
    finish(std::move(group), key);
  }
  for (const QueueDescription& about : sample.queues) {
    const GroupKey key{"queue", about.group, about.topic};
    TopGroup group = make_group(key, std::move(rows[key]), seconds, flows);
    group.verdict = about.verdict;
    group.cause = about.cause;
    group.lag = about.lag;
    group.lag_seconds = about.lag_seconds;
    group.counts = about.counts();
    for (const QueueMemberDescription& member : about.members) {
      group.members.push_back(
          {member.member, member.client_id, member.host, about.group, "queue", fmt::format("{} in flight", member.in_flight), member.seen});
    }
    finish(std::move(group), key);
  }
  group_flows_ = std::move(flows);
}

void TopModel::add_topics(TopSample& sample, double seconds) {
  std::map<std::string, Flow> flows;
  topics_.clear();
  for (TopicDescription& about : sample.topics) {
    const auto known = topic_flows_.find(about.name);
    Flow flow = known == topic_flows_.end() ? Flow() : std::move(known->second);
    advance(flow, about.records, 0, known == topic_flows_.end() ? 0 : seconds);
    TopTopic topic;
    topic.in_rate = flow.in_rate;
    flows[about.name] = std::move(flow);
    topic.about = std::move(about);
    topics_.push_back(std::move(topic));
  }
  std::map<std::string_view, TopTopic*> by_name;
  for (TopTopic& topic : topics_) by_name[topic.about.name] = &topic;
  for (const TopGroup& group : groups_) {
    std::string_view rest = group.topics;
    while (!rest.empty()) {
      const std::string_view name = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), name.size() + 1));
      const auto topic = by_name.find(name);
      if (topic == by_name.end()) continue;
      topic->second->groups.push_back(group.name);
      if (worse(group.verdict, topic->second->verdict)) topic->second->verdict = group.verdict;
    }
  }
  topic_flows_ = std::move(flows);
}

std::vector<TopMember> TopModel::members() const {
  std::vector<TopMember> all;
  for (const TopGroup& group : groups_) all.insert(all.end(), group.members.begin(), group.members.end());
  return all;
}

std::optional<double> TopModel::in_rate() const {
  std::optional<double> sum;
  for (const TopTopic& topic : topics_) {
    if (topic.in_rate) sum = sum.value_or(0) + *topic.in_rate;
  }
  return sum;
}

std::optional<double> TopModel::out_rate() const {
  std::optional<double> sum;
  for (const TopGroup& group : groups_) {
    if (group.out_rate) sum = sum.value_or(0) + *group.out_rate;
  }
  return sum;
}

}  // namespace tidemark::tools
