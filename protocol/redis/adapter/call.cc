#include "protocol/redis/adapter/call.h"

#include "protocol/redis/adapter/session_core.h"
#include "protocol/redis/adapter/transaction.h"

namespace tidemark::redis {

Call::Call(std::shared_ptr<SessionCore> session, std::shared_ptr<Transaction> transaction, std::uint64_t slot)
    : session_(std::move(session)),
      transaction_(std::move(transaction)),
      server_(session_->server()),
      shard_(session_->shard()),
      slot_(slot),
      protocol_(session_->protocol()) {}

broker::RequestContext Call::context() const {
  broker::RequestContext context;
  context.listener = "redis";
  context.client_id = session_->facts().name;
  context.correlation_id = slot_;
  return context;
}

bool Call::may_block() const { return transaction_ == nullptr && session_->taking_requests(); }

void Call::hold() const {
  if (transaction_ == nullptr) session_->hold(slot_);
}

void Call::block(UniqueFunction<void(Unblock)> unblock) const { session_->block(slot_, std::move(unblock)); }

void Call::look_again(const std::vector<std::string>& keys, std::function<void()> look) const {
  session_->look_again(slot_, keys, std::move(look));
}

void Call::look_over() const { session_->look_over(slot_); }

void Call::end_connection() const {
  if (transaction_ == nullptr) session_->end_after(slot_);
}

void Call::answer(std::string reply) const {
  if (transaction_ != nullptr)
    transaction_->answer(slot_, std::move(reply));
  else
    session_->answer(slot_, std::move(reply));
}

void Call::simple(std::string_view text) const {
  RespWriter out = writer();
  out.simple(text);
  reply(std::move(out));
}

void Call::integer(std::int64_t value) const {
  RespWriter out = writer();
  out.integer(value);
  reply(std::move(out));
}

void Call::bulk(std::string_view bytes) const {
  RespWriter out = writer();
  out.bulk(bytes);
  reply(std::move(out));
}

void Call::null() const {
  RespWriter out = writer();
  out.null();
  reply(std::move(out));
}

void Call::null_array() const {
  RespWriter out = writer();
  out.null_array();
  reply(std::move(out));
}

void Call::error(std::string_view text) const {
  RespWriter out = writer();
  out.error(text);
  server().statistics.error_replied(text);
  reply(std::move(out));
}

void Call::error(const Error& failure) const { error("ERR " + failure.to_string()); }

}  // namespace tidemark::redis
