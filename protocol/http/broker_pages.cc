#include "protocol/http/broker_pages.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "protocol/http/ask.h"
#include "protocol/http/console_pages.h"

namespace tidemark::http {
namespace {

broker::RequestContext context() {
  broker::RequestContext context;
  context.listener = "http";
  return context;
}

Reply readiness_reply(const std::vector<std::string>& reasons) {
  boost::json::array list;
  for (const std::string& reason : reasons) list.emplace_back(reason);
  const boost::json::object body = {{"ready", reasons.empty()}, {"reasons", std::move(list)}};
  return {.status = reasons.empty() ? 200u : 503u, .content_type = "application/json", .body = boost::json::serialize(body) + "\n"};
}

Reply unavailable(const std::string& reason) { return {.status = 503, .body = reason + "\n"}; }

/// Gathers a snapshot on one shard: status first, then the topics, some at a time, so that ten thousand of them do not hold the shard up.
/// Owns itself through the calls under way.
class Gathering : public std::enable_shared_from_this<Gathering> {
 public:
  using Done = UniqueFunction<void(Result<MetricsSnapshot>)>;

  Gathering(broker::Broker& broker, broker::Shard& shard, MetricsSnapshot begun, Done done)
      : broker_(broker), shard_(shard), snapshot_(std::move(begun)), done_(std::move(done)) {}

  void start() {
    broker_.status(context(), [self = shared_from_this()](Result<broker::BrokerStatus> status) {
      if (!status) return self->done_(status.error());
      self->snapshot_.status = *std::move(status);
      self->table_ = self->broker_.topics();
      self->next_ = self->table_->by_name.begin();
      self->describe_some();
    });
  }

 private:
  static constexpr std::size_t kAtATime = 64;

  void describe_some() {
    under_way_ = 1;  // Our own, so that answers that come at once do not end the round early.
    for (; next_ != table_->by_name.end() && under_way_ <= kAtATime; ++next_) {
      if (snapshot_.topics.size() + under_way_ > BrokerPages::kTopicsMax) {
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
  broker::Shard& shard_;
  MetricsSnapshot snapshot_;
  Done done_;
  std::shared_ptr<const broker::TopicTable> table_;
  decltype(broker::TopicTable::by_name)::const_iterator next_;
  std::size_t under_way_ = 0;
};

}  // namespace

void BrokerPages::readiness(UniqueFunction<void(Reply)> done) const {
  const BrokerLink::Engine now = link_->engine();
  if (now.broker == nullptr) return done(readiness_reply({now.absent_reason}));
  now.runtime->shard(0).post([broker = now.broker, done = std::move(done)]() mutable {
    broker->status(context(), [done = std::move(done)](Result<broker::BrokerStatus> status) mutable {
      if (!status) return done(readiness_reply({status.error().to_string()}));
      if (status->read_only_reason) return done(readiness_reply({"appends are refused: " + *status->read_only_reason}));
      done(readiness_reply({}));
    });
  });
}

void BrokerPages::metrics(bool by_partition, UniqueFunction<void(Reply)> done) const {
  const BrokerLink::Engine now = link_->engine();
  if (now.broker == nullptr) return done(unavailable(now.absent_reason));
  MetricsSnapshot begun;
  const ServerFacts& facts = link_->facts();
  begun.version = facts.version;
  begun.started = facts.started;
  if (facts.connections) begun.connections = facts.connections();
  broker::Executor& renderer = now.runtime->disk_pool();  // Thousands of series take milliseconds: not on a shard.
  auto render = [by_partition, &renderer, done = std::move(done)](Result<MetricsSnapshot> snapshot) mutable {
    if (!snapshot) return done(unavailable(snapshot.error().to_string()));
    renderer.post([by_partition, snapshot = *std::move(snapshot), done = std::move(done)]() mutable {
      const std::string text = by_partition ? partition_metrics_text(snapshot) : metrics_text(snapshot);
      done({.status = 200, .content_type = kMetricsContentType, .body = text});
    });
  };
  broker::Shard& shard = now.runtime->shard(0);
  const auto gathering = std::make_shared<Gathering>(*now.broker, shard, std::move(begun), std::move(render));
  shard.post([gathering] { gathering->start(); });
}

Router rest_router(const std::shared_ptr<BrokerLink>& link) {
  Router router;
  add_topic_routes(router, link);
  add_group_routes(router, link);
  add_status_routes(router, link);
  return router;
}

Site BrokerPages::site() {
  using Done = UniqueFunction<void(Reply)>;
  const std::shared_ptr<BrokerPages> self = shared_from_this();
  Site site;
  site.pages = console_pages();
  site.pages["/healthz"] = [](Done done) { done({.status = 200, .body = "ok\n"}); };
  site.pages["/readyz"] = [self](Done done) { self->readiness(std::move(done)); };
  site.pages["/metrics"] = [self](Done done) { self->metrics(false, std::move(done)); };
  site.pages["/metrics/partitions"] = [self](Done done) { self->metrics(true, std::move(done)); };
  site.router = rest_router(link_);
  return site;
}

}  // namespace tidemark::http
