#include "protocol/redis/adapter/call.h"

#include "protocol/redis/adapter/transaction.h"

namespace tidemark::redis {

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
