#include "protocol/native/adapter/transaction_handlers.h"

#include <limits>
#include <utility>

#include "broker/groups/groups.h"
#include "broker/transactions/transactions.h"
#include "protocol/native/adapter/group_values.h"

namespace tidemark::native {
namespace {

/// nullopt, and answered, when no producer can have that epoch: cut to its low bits it would be somebody else's.
std::optional<broker::ProducerIdentity> identity_of(const Request& request, std::int64_t id, std::int32_t epoch) {
  if (epoch >= 0 && epoch <= std::numeric_limits<std::int16_t>::max())
    return broker::ProducerIdentity{id, static_cast<std::int16_t>(epoch)};
  request.reply(Error{Errc::invalid_argument, "producer epoch " + std::to_string(epoch) + ": 0 to 32767"});
  return std::nullopt;
}

std::optional<broker::ProducerIdentity> identity_of(const Request& request, const wire::TransactionName& transaction) {
  return identity_of(request, transaction.producer_id(), transaction.producer_epoch());
}

/// The answer to a call that answers nothing but success.
template <class Reply>
broker::Done<void> answer_empty(const Request& request) {
  return [request](const Status& done) {
    if (!done) return request.reply(done.error());
    request.reply(Reply());
  };
}

}  // namespace

Status handle_begin_instance(const Request& request, const wire::BeginInstance& in) {
  broker::BeginTransactions begin;
  begin.id = in.transactional_id();
  begin.timeout = std::chrono::milliseconds(in.timeout_ms());
  if (in.has_expected()) {
    begin.expected = identity_of(request, in.expected().id(), in.expected().epoch());
    if (!begin.expected) return {};
  }
  request.broker().transactions().begin(
      request.context(), std::move(begin),
      answer<broker::ProducerIdentity>(request, [](const Request& asked, const broker::ProducerIdentity& identity) {
        wire::BeginInstanceReply reply;
        reply.set_producer_id(identity.id);
        reply.set_producer_epoch(identity.epoch);
        asked.reply(reply);
      }));
  return {};
}

Status handle_join_transaction(const Request& request, const wire::JoinTransaction& in) {
  const auto producer = identity_of(request, in.transaction());
  if (!producer) return {};
  std::vector<broker::NamedPartition> partitions;
  for (const wire::TopicPartitions& topic : in.partitions()) {
    if (!within_bounds(request, static_cast<int>(partitions.size()) + topic.partitions_size())) return {};
    for (const std::int32_t partition : topic.partitions()) partitions.push_back({topic.topic(), partition});
  }
  if (partitions.empty()) {
    request.reply(Error{Errc::invalid_argument, "no partition is named that is to join the transaction"});
    return {};
  }
  request.broker().transactions().add_partitions(request.context(), in.transaction().transactional_id(), *producer, std::move(partitions),
                                                 answer_empty<wire::JoinTransactionReply>(request));
  return {};
}

Status handle_commit_in_transaction(const Request& request, const wire::CommitInTransaction& in) {
  const auto producer = identity_of(request, in.transaction());
  if (!producer || !within_bounds(request, in.offsets().entries_size())) return {};
  broker::CommitRequest commit = to_commit(in.offsets());
  std::string group = commit.group;
  request.broker().transactions().add_group(request.context(), in.transaction().transactional_id(), *producer, std::move(group),
                                            [request, producer = *producer, commit = std::move(commit)](const Status& joined) mutable {
                                              if (!joined) return request.reply(joined.error());
                                              request.broker().groups().commit_in_transaction(
                                                  request.context(), std::move(commit), producer,
                                                  answer<broker::CommitReply>(request, reply_committed));
                                            });
  return {};
}

Status handle_end_transaction(const Request& request, const wire::EndTransaction& in) {
  const auto producer = identity_of(request, in.transaction());
  if (!producer) return {};
  const bool commit = in.outcome() == wire::EndTransaction::COMMIT;
  if (!commit && in.outcome() != wire::EndTransaction::ABORT) {
    request.reply(Error{Errc::invalid_argument, "a transaction ends with COMMIT or ABORT, not " + std::to_string(in.outcome())});
    return {};
  }
  request.broker().transactions().end(request.context(), in.transaction().transactional_id(), *producer, commit,
                                      answer_empty<wire::EndTransactionReply>(request));
  return {};
}

}  // namespace tidemark::native
