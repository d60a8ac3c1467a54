#include "protocol/http/ask.h"

#include <boost/json/serialize.hpp>

namespace tidemark::http {

Ask::Ask(std::shared_ptr<BrokerLink> link, BrokerLink::Engine engine, Call call, UniqueFunction<void(Reply)> done)
    : state_(std::make_shared<State>(State{std::move(link), std::move(engine), std::move(call), std::move(done)})) {}

std::optional<std::string> Ask::query(const std::string& name) const {
  const auto found = state_->call.query.find(name);
  if (found == state_->call.query.end()) return std::nullopt;
  return found->second;
}

broker::RequestContext Ask::context() const {
  broker::RequestContext context;
  context.listener = "http";
  context.client_id = state_->call.peer;
  return context;
}

void Ask::reply(UniqueFunction<boost::json::value()> make, unsigned status) const {
  state_->engine.runtime->disk_pool().post([state = state_, make = std::move(make), status]() mutable {
    state->done({.status = status, .content_type = "application/json", .body = boost::json::serialize(make()) + "\n"});
  });
}

void Ask::reply_empty() const { state_->done({.status = 204, .content_type = "application/json", .body = {}}); }

void Ask::refuse(const Problem& problem) const { state_->done(to_reply(problem)); }

void add_route(Router& router, const std::shared_ptr<BrokerLink>& link, std::string method, std::string path, AskHandler handler) {
  router.add(std::move(method), std::move(path), [link, handler](Call call, UniqueFunction<void(Reply)> done) {
    BrokerLink::Engine engine = link->engine();
    if (engine.broker == nullptr) return done(to_reply(problem_of(Error{Errc::shutting_down, engine.absent_reason})));
    broker::Shard& shard = engine.runtime->shard(0);
    shard.post([handler, ask = Ask(link, std::move(engine), std::move(call), std::move(done))] { handler(ask); });
  });
}

}  // namespace tidemark::http
