#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/json/value.hpp>

#include "broker/broker.h"
#include "protocol/http/broker_link.h"
#include "protocol/http/router.h"

namespace tidemark::http {

/// A REST request on its way: what was asked, the broker to ask, and the way back. Copies are the same request. Made on shard 0 of the
/// broker, where the handler runs and its engine calls answer. Exactly one of the answers is given, from any thread.
class Ask {
 public:
  Ask(std::shared_ptr<BrokerLink> link, BrokerLink::Engine engine, Call call, UniqueFunction<void(Reply)> done);

  broker::Broker& broker() const { return *state_->engine.broker; }
  broker::LagMonitor& lag() const { return *state_->engine.lag; }
  broker::Runtime& runtime() const { return *state_->engine.runtime; }
  const ServerFacts& facts() const { return state_->link->facts(); }
  const Call& call() const { return state_->call; }
  const std::string& path_value(std::size_t i) const { return state_->call.path_values.at(i); }
  std::optional<std::string> query(const std::string& name) const;
  broker::RequestContext context() const;

  /// 200 with the value `make` gives, made on the disk pool: large values take milliseconds, which no shard has. `make` must not touch the
  /// broker.
  void reply(UniqueFunction<boost::json::value()> make, unsigned status = 200) const;
  void reply_empty() const;  ///< 204
  void answer(Reply reply) const { state_->done(std::move(reply)); }
  void refuse(const Error& error) const { refuse(problem_of(error)); }
  void refuse(const Problem& problem) const;

  /// For engine calls: an error is refused, a value goes on to `use`.
  template <class T, class Use>
  broker::Done<T> then(Use use) const {
    return [ask = *this, use = std::move(use)](Result<T> result) mutable {
      if (!result) return ask.refuse(result.error());
      if constexpr (std::is_void_v<T>) {
        use(ask);
      } else {
        use(ask, *std::move(result));
      }
    };
  }

 private:
  struct State {
    std::shared_ptr<BrokerLink> link;
    BrokerLink::Engine engine;
    Call call;
    UniqueFunction<void(Reply)> done;
  };
  std::shared_ptr<State> state_;
};

/// Begins one kind of request.
using AskHandler = void (*)(const Ask&);

/// The REST handlers, one table entry each. Every value is checked before the engine is asked; what is wrong is refused with 400 naming
/// field and rule.
void add_topic_routes(Router& router, const std::shared_ptr<BrokerLink>& link);
void add_record_routes(Router& router, const std::shared_ptr<BrokerLink>& link);
void add_produce_routes(Router& router, const std::shared_ptr<BrokerLink>& link);
void add_group_routes(Router& router, const std::shared_ptr<BrokerLink>& link);
void add_queue_routes(Router& router, const std::shared_ptr<BrokerLink>& link);
void add_replay_routes(Router& router, const std::shared_ptr<BrokerLink>& link);
void add_schedule_routes(Router& router, const std::shared_ptr<BrokerLink>& link);
void add_connection_routes(Router& router, const std::shared_ptr<BrokerLink>& link);
void add_status_routes(Router& router, const std::shared_ptr<BrokerLink>& link);

/// A route whose handler runs on shard 0; 503 while there is no broker.
void add_route(Router& router, const std::shared_ptr<BrokerLink>& link, std::string method, std::string path, AskHandler handler);

}  // namespace tidemark::http
