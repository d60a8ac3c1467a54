#include "protocol/kafka/adapter/fencing.h"

#include "broker/transactions/transactions.h"

namespace tidemark::kafka {

void judge_fencing(const Call& call, const std::optional<std::string>& transactional_id, const broker::ProducerIdentity& producer,
                   Error refused, UniqueFunction<void(Error)> done) {
  if (refused.code != Errc::invalid_transaction_state || !transactional_id) return done(std::move(refused));
  call.broker().transactions().describe(
      call.context(), *transactional_id,
      [producer, refused = std::move(refused), done = std::move(done)](Result<broker::TransactionInfo> now) mutable {
        if (!now || now->producer.id != producer.id || now->producer.epoch <= producer.epoch) return done(std::move(refused));
        done(Error{Errc::stale_producer_epoch, "producer " + std::to_string(producer.id) + " epoch " + std::to_string(producer.epoch) +
                                                   " was replaced by epoch " + std::to_string(now->producer.epoch)});
      });
}

}  // namespace tidemark::kafka
