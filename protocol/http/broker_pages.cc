#include "protocol/http/broker_pages.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "protocol/http/ask.h"
#include "protocol/http/console_pages.h"
#include "protocol/http/event_page.h"
#include "protocol/http/metrics_gathering.h"

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

void BrokerPages::metrics(std::string (*text)(const MetricsSnapshot&), UniqueFunction<void(Reply)> done) const {
  const BrokerLink::Engine now = link_->engine();
  if (now.broker == nullptr) return done(unavailable(now.absent_reason));
  broker::Executor& renderer = now.runtime->disk_pool();  // Thousands of series take milliseconds: not on a shard.
  gather_metrics(now, link_->facts(), [text, &renderer, done = std::move(done)](Result<MetricsSnapshot> snapshot) mutable {
    if (!snapshot) return done(unavailable(snapshot.error().to_string()));
    renderer.post([text, snapshot = *std::move(snapshot), done = std::move(done)]() mutable {
      done({.status = 200, .content_type = kMetricsContentType, .body = text(snapshot)});
    });
  });
}

Router rest_router(const std::shared_ptr<BrokerLink>& link) {
  Router router;
  add_topic_routes(router, link);
  add_record_routes(router, link);
  add_produce_routes(router, link);
  add_group_routes(router, link);
  add_queue_routes(router, link);
  add_replay_routes(router, link);
  add_schedule_routes(router, link);
  add_connection_routes(router, link);
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
  site.pages["/metrics"] = [self](Done done) { self->metrics(metrics_text, std::move(done)); };
  site.pages["/metrics/partitions"] = [self](Done done) { self->metrics(partition_metrics_text, std::move(done)); };
  site.pages["/metrics/kafka"] = [self](Done done) { self->metrics(kafka_metrics_text, std::move(done)); };
  site.events["/api/v1/events"] = [link = link_](Done done) { make_events(link, std::move(done)); };
  site.router = rest_router(link_);
  return site;
}

}  // namespace tidemark::http
