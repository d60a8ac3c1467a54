#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "storage/base/clock.h"
#include "tidemark/client.h"

/// What `tidemark top` knows: what the broker says of this moment, and what only several moments tell.
namespace tidemark::tools {

/// The broker's answers, asked for at about the same time.
struct TopSample {
  SteadyTime at{};
  BrokerStatus status;
  std::vector<GroupDescription> groups;
  std::vector<QueueDescription> queues;
  std::vector<GroupPartitionLag> lags;
  std::vector<TopicDescription> topics;
  std::vector<DeadLetterSummary> letters;
};

struct TopMember {
  std::string member;
  std::string client_id;  ///< Empty: not connected.
  std::string host;
  std::string group;
  std::string kind;   ///< "stream" | "queue"
  std::string holds;  ///< "orders:0-3", "12 in flight"
  Timestamp seen{};
};

struct TopGroup {
  std::string name;
  std::string kind;
  std::string topics;  ///< Space-separated.
  std::string verdict;
  std::string cause;
  std::optional<std::int64_t> lag;
  std::optional<double> lag_seconds, eta_seconds, headroom_seconds;
  std::optional<double> in_rate, out_rate;  ///< Records a second, smoothed over some ten seconds; nullopt before the second sample.
  std::vector<double> trend;                ///< Its lag, sample by sample, the latest last; at most TopModel::kTrendMax.
  std::vector<GroupPartitionLag> partitions;
  std::vector<TopMember> members;
  std::optional<QueueCounts> counts;  ///< Queue groups.
};

struct TopTopic {
  TopicDescription about;
  std::optional<double> in_rate;    ///< As of a group. Removal by retention hides as many records that came in the same moment.
  std::vector<std::string> groups;  ///< Who reads it.
  std::string verdict;              ///< The worst of theirs; empty without any.
};

/// Grows by samples; keeps no more than the latest one and, for each group in it, a bounded trend.
class TopModel {
 public:
  static constexpr std::size_t kTrendMax = 120;

  void add(TopSample sample);

  bool empty() const { return samples_ == 0; }
  SteadyTime sampled() const { return sampled_; }
  const BrokerStatus& status() const { return status_; }
  const std::vector<TopGroup>& groups() const { return groups_; }
  const std::vector<TopTopic>& topics() const { return topics_; }
  const std::vector<DeadLetterSummary>& letters() const { return letters_; }
  std::vector<TopMember> members() const;
  std::optional<double> in_rate() const;   ///< Over all topics.
  std::optional<double> out_rate() const;  ///< Over all groups: records finished.

 private:
  /// By kind, name and, of queue groups, topic.
  using GroupKey = std::tuple<std::string, std::string, std::string>;
  struct Flow {
    std::int64_t in = 0, out = 0;  ///< Counted from some beginning.
    std::optional<double> in_rate, out_rate;
    std::vector<double> trend;
  };
  static void advance(Flow& flow, std::int64_t in, std::int64_t out, double seconds);
  TopGroup make_group(const GroupKey& key, std::vector<GroupPartitionLag> partitions, double seconds, std::map<GroupKey, Flow>& flows);
  void add_groups(const TopSample& sample, double seconds);
  void add_topics(TopSample& sample, double seconds);

  std::uint64_t samples_ = 0;
  SteadyTime sampled_{};
  BrokerStatus status_;
  std::vector<TopGroup> groups_;
  std::vector<TopTopic> topics_;
  std::vector<DeadLetterSummary> letters_;
  std::map<GroupKey, Flow> group_flows_;
  std::map<std::string, Flow> topic_flows_;
};

}  // namespace tidemark::tools
