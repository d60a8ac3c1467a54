#include "protocol/redis/adapter/transaction.h"

#include <utility>

#include "protocol/redis/adapter/call.h"

namespace tidemark::redis {

Transaction::Transaction(std::shared_ptr<const Call> exec, std::vector<Request> requests, std::function<void()> ended)
    : exec_(std::move(exec)),
      requests_(std::move(requests)),
      ended_(std::move(ended)),
      uses_(requests_.size()),
      replies_(requests_.size()) {}

void Transaction::run(const Call& exec, std::vector<Request> requests, std::function<void()> ended) {
  const std::shared_ptr<Transaction> transaction(
      new Transaction(std::make_shared<const Call>(exec), std::move(requests), std::move(ended)));
  if (transaction->requests_.empty()) {
    transaction->ended_();
    RespWriter reply = exec.writer();
    reply.array(0);
    return exec.reply(std::move(reply));
  }
  transaction->pump();
}

void Transaction::pump() {
  if (std::exchange(pumping_, true)) return;
  const std::shared_ptr<Transaction> self = shared_from_this();
  while (started_ < requests_.size() && in_flight_.may_begin(requests_[started_])) {
    const std::size_t n = started_++;
    uses_[n] = in_flight_.begin(requests_[n]);
    requests_[n].command->handler(Call(exec_->session_, self, n), requests_[n]);
  }
  pumping_ = false;
  if (answered_ < requests_.size()) return;
  ended_();
  RespWriter reply = exec_->writer();
  reply.array(replies_.size());
  for (const std::string& one : replies_) reply.raw(one);
  exec_->reply(std::move(reply));
}

void Transaction::answer(std::uint64_t n, std::string reply) {
  replies_[n] = std::move(reply);
  in_flight_.end(uses_[n]);
  ++answered_;
  pump();
}

}  // namespace tidemark::redis
