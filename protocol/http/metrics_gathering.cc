#include "protocol/http/metrics_gathering.h"

#include <memory>
#include <set>

#include "broker/groups/groups.h"
#include "broker/queues/queues.h"

namespace tidemark::http {
namespace {

broker::RequestContext context() {
  broker::RequestContext context;
  context.listener = "http";
  return context;
}

/// Status first, then the groups, then the topics. Owns itself through the calls under way.
class Gathering : public std::enable_shared_from_this<Gathering> {
 public:
  using Done = UniqueFunction<void(Result<MetricsSnapshot>)>;

  Gathering(broker::Broker& broker, broker::LagMonitor& lag, broker::Shard& shard, MetricsSnapshot begun, Done done)
      : broker_(broker), lag_(lag), shard_(shard), snapshot_(std::move(begun)), done_(std::move(done)) {}

  void start() {
    broker_.status(context(), [self = shared_from_this()](Result<broker::BrokerStatus> status) {
      if (!status) return self->done_(status.error());
      self->snapshot_.status = *std::move(status);
      self->list_groups();
    });
  }

 private:
  static constexpr std::size_t kAtATime = 64;

  void list_groups() {
    broker_.groups().list(context(), [self = shared_from_this()](Result<std::vector<broker::GroupInfo>> groups) {
      if (!groups) return self->done_(groups.error());
      for (const broker::GroupInfo& group : *groups) {
        self->add({.group = group.name,
                   .kind = broker::GroupKind::stream,
                   .topic = {},
                   .members = group.members.size(),
                   .skipped_records = group.skipped_records,
                   .counts = {}});
      }
      self->list_queues();
    });
  }

  void list_queues() {
    broker_.queues().list(context(), std::nullopt, [self = shared_from_this()](Result<std::vector<broker::QueueInfo>> queues) {
      if (!queues) return self->done_(queues.error());
      for (const broker::QueueInfo& queue : *queues) {
        self->add({.group = queue.name.group,
                   .kind = broker::GroupKind::queue,
                   .topic = queue.name.topic,
                   .members = queue.members.size(),
                   .skipped_records = 0,
                   .counts = queue.counts()});
      }
      self->ask_lag();
    });
  }

  void add(GroupMetrics group) {
    if (snapshot_.groups.size() >= kGroupsWithMetricsMax) {
      ++snapshot_.groups_left_out;
    } else {
      snapshot_.groups.push_back(std::move(group));
    }
  }

  void ask_lag() {
    lag_.rows(context(), std::nullopt, [self = shared_from_this()](Result<std::vector<broker::LagRow>> rows) {
      if (!rows) return self->done_(rows.error());
      self->snapshot_.lag = *std::move(rows);
      if (self->snapshot_.groups_left_out > 0) self->leave_out_lag();
      self->table_ = self->broker_.topics();
      self->next_ = self->table_->by_name.begin();
      self->describe_some();
    });
  }

  /// Of groups over the bound.
  void leave_out_lag() {
    std::set<std::pair<broker::GroupKind, std::string>> kept;
    for (const GroupMetrics& group : snapshot_.groups) kept.emplace(group.kind, group.group);
    std::erase_if(snapshot_.lag, [&kept](const broker::LagRow& row) { return !kept.contains({row.at.kind, row.at.group}); });
  }

  void describe_some() {
    under_way_ = 1;  // Our own, so that answers that come at once do not end the round early.
    for (; next_ != table_->by_name.end() && under_way_ <= kAtATime; ++next_) {
      if (snapshot_.topics.size() + under_way_ > kTopicsWithMetricsMax) {
        ++snapshot_.topics_left_out;
        continue;
      }
      ++under_way_;
      broker_.describe(context(), next_->first, [self = shared_from_this(), name = next_->first](auto partitions) {
        // A topic deleted meanwhile has no metrics.
        if (partitions) self->snapshot_.topics.push_back({name, *std::move(partitions)});
        self->finish_one();
      });
    }
    finish_one();
  }

  void finish_one() {
    if (--under_way_ > 0) return;
    if (next_ == table_->by_name.end()) return done_(std::move(snapshot_));
    shard_.post([self = shared_from_this()] { self->describe_some(); });
  }

  broker::Broker& broker_;
  broker::LagMonitor& lag_;
  broker::Shard& shard_;
  MetricsSnapshot snapshot_;
  Done done_;
  std::shared_ptr<const broker::TopicTable> table_;
  decltype(broker::TopicTable::by_name)::const_iterator next_;
  std::size_t under_way_ = 0;
};

}  // namespace

void gather_metrics(const BrokerLink::Engine& engine, const ServerFacts& facts, UniqueFunction<void(Result<MetricsSnapshot>)> done) {
  MetricsSnapshot begun;
  begun.version = facts.version;
  begun.started = facts.started;
  if (facts.connections) begun.connections = facts.connections();
  broker::Shard& shard = engine.runtime->shard(0);
  const auto gathering = std::make_shared<Gathering>(*engine.broker, *engine.lag, shard, std::move(begun), std::move(done));
  shard.post([gathering] { gathering->start(); });
}

}  // namespace tidemark::http
