#include <algorithm>
#include <map>

#include <re2/re2.h>

#include "broker/groups/groups.h"
#include "broker/transactions/transactions.h"
#include "protocol/kafka/adapter/fencing.h"
#include "protocol/kafka/adapter/gather.h"
#include "protocol/kafka/adapter/group_errors.h"
#include "protocol/kafka/adapter/handlers.h"
#include "storage/base/log.h"

/// Transactions (KIP-98, KIP-360, KIP-447, KIP-664), first protocol.
namespace tidemark::kafka {
namespace {

// The first versions whose clients know PRODUCER_FENCED; older ones get INVALID_PRODUCER_EPOCH.
constexpr int kInitFenced = 4;
constexpr int kTransactionFenced = 2;

ErrorCode transaction_error(const Error& error, bool knows_fenced) {
  switch (error.code) {
    case Errc::producer_fenced:
      return knows_fenced ? ErrorCode::producer_fenced : ErrorCode::invalid_producer_epoch;
    case Errc::shutting_down:
    case Errc::disk_full:
    case Errc::io_error:
    case Errc::overloaded:
      return ErrorCode::coordinator_not_available;  // Retried after looking for the coordinator again.
    default:
      return to_wire(error.code);
  }
}

broker::ProducerIdentity producer_of(std::int64_t id, std::int16_t epoch) { return {id, epoch}; }

}  // namespace

void handle(const Call& call, InitProducerIdRequest request) {
  InitProducerIdResponse response;
  const bool half_named = (request.producer_id == -1) != (request.producer_epoch == -1);
  if (half_named || (request.transactional_id && request.transactional_id->empty())) {
    response.error_code = ErrorCode::invalid_request;
    return call.reply(response);
  }
  if (request.transactional_id) {
    broker::BeginTransactions begin;
    begin.id = *std::move(request.transactional_id);
    begin.timeout = std::chrono::milliseconds(request.transaction_timeout_ms);
    if (request.producer_id != -1) begin.expected = producer_of(request.producer_id, request.producer_epoch);
    return call.broker().transactions().begin(call.context(), std::move(begin), [call](Result<broker::ProducerIdentity> identity) {
      InitProducerIdResponse answer;
      if (identity) {
        answer.producer_id = identity->id;
        answer.producer_epoch = identity->epoch;
      } else {
        answer.error_code = transaction_error(identity.error(), call.version() >= kInitFenced);
      }
      call.reply(answer);
    });
  }
  call.broker().init_producer(call.context(), [call](Result<broker::ProducerIdentity> identity) {
    InitProducerIdResponse answer;
    if (identity) {
      answer.producer_id = identity->id;
      answer.producer_epoch = identity->epoch;
    } else {
      log_warn("no producer id: " + identity.error().to_string());
      answer.error_code = ErrorCode::coordinator_load_in_progress;  // On this one all clients try again.
    }
    call.reply(answer);
  });
}

// --- What joins a transaction.

void handle(const Call& call, AddPartitionsToTxnRequest request) {
  const std::shared_ptr<const broker::TopicTable> topics = call.broker().topics();
  AddPartitionsToTxnResponse response;
  std::vector<broker::NamedPartition> partitions;
  bool any_unknown = false;
  for (const auto& topic : request.v3_and_below_topics) {
    const broker::Topic* const known = topics->find(topic.name);
    auto& out = response.results_by_topic_v3_and_below.emplace_back();
    out.name = topic.name;
    for (const std::int32_t number : topic.partitions) {
      const bool exists = known != nullptr && number >= 0 && number < known->partitions;
      auto& part = out.results_by_partition.emplace_back();
      part.partition_index = number;
      part.partition_error_code = exists ? ErrorCode::operation_not_attempted : ErrorCode::unknown_topic_or_partition;
      any_unknown = any_unknown || !exists;
      partitions.push_back({topic.name, number});
    }
  }
  if (any_unknown) return call.reply(response);  // All or none.
  call.broker().transactions().add_partitions(
      call.context(), std::move(request.v3_and_below_transactional_id),
      producer_of(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch), std::move(partitions),
      [call, response = std::move(response)](Status added) mutable {
        const ErrorCode code = added ? ErrorCode::none : transaction_error(added.error(), call.version() >= kTransactionFenced);
        for (auto& topic : response.results_by_topic_v3_and_below) {
          for (auto& part : topic.results_by_partition) part.partition_error_code = code;
        }
        call.reply(response);
      });
}

void handle(const Call& call, AddOffsetsToTxnRequest request) {
  AddOffsetsToTxnResponse refused;
  if (!legal_group_id(request.group_id)) {
    refused.error_code = ErrorCode::invalid_group_id;
    return call.reply(refused);
  }
  call.broker().transactions().add_group(call.context(), std::move(request.transactional_id),
                                         producer_of(request.producer_id, request.producer_epoch), std::move(request.group_id),
                                         [call](const Status& added) {
                                           AddOffsetsToTxnResponse response;
                                           if (!added)
                                             response.error_code = transaction_error(added.error(), call.version() >= kTransactionFenced);
                                           call.reply(response);
                                         });
}

namespace {

ErrorCode offset_error(const Error& error, std::int32_t generation) {
  switch (error.code) {
    case Errc::unknown_group:  // Only a member can miss it: others make it.
      return generation >= 0 ? ErrorCode::illegal_generation : ErrorCode::unknown_member_id;
    case Errc::not_owner:
    case Errc::conflict:
      return ErrorCode::unknown_member_id;
    default:
      return group_error(error);
  }
}

}  // namespace

void handle(const Call& call, TxnOffsetCommitRequest request) {
  broker::CommitRequest commit;
  commit.group = request.group_id;
  commit.member = request.member_id;
  commit.epoch = request.generation_id;
  commit.instance = request.group_instance_id;
  TxnOffsetCommitResponse response;
  std::vector<std::pair<std::size_t, std::size_t>> places;  // Of each entry: topic and partition in the response.
  const bool legal = legal_group_id(request.group_id);
  for (TxnOffsetCommitRequest::Topic& topic : request.topics) {
    TxnOffsetCommitResponse::Topic& out = response.topics.emplace_back();
    out.name = topic.name;
    for (TxnOffsetCommitRequest::Partition& partition : topic.partitions) {
      TxnOffsetCommitResponse::Partition& answer = out.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      if (!legal) {
        answer.error_code = ErrorCode::invalid_group_id;
      } else if (partition.committed_metadata && partition.committed_metadata->size() > broker::kCommitMetadataBytesMax) {
        answer.error_code = ErrorCode::offset_metadata_too_large;
      } else {
        commit.entries.push_back({{topic.name, partition.partition_index},
                                  Offset{partition.committed_offset},
                                  partition.committed_leader_epoch,
                                  partition.committed_metadata.value_or("")});
        places.emplace_back(response.topics.size() - 1, out.partitions.size() - 1);
      }
    }
  }
  if (!legal) return call.reply(response);
  const std::int32_t generation = request.generation_id;
  const broker::ProducerIdentity producer = producer_of(request.producer_id, request.producer_epoch);
  call.broker().groups().commit_in_transaction(
      call.context(), std::move(commit), producer,
      [call, generation, producer, id = std::move(request.transactional_id), response = std::move(response),
       places = std::move(places)](Result<broker::CommitReply> committed) mutable {
        if (committed) {
          for (std::size_t i = 0; i < places.size(); ++i) {
            const Status& one = (*committed)[i];
            if (!one) response.topics[places[i].first].partitions[places[i].second].error_code = offset_error(one.error(), generation);
          }
          return call.reply(response);
        }
        judge_fencing(call, id, producer, std::move(committed).error(),
                      [call, generation, response = std::move(response), places = std::move(places)](const Error& refused) mutable {
                        const ErrorCode code = offset_error(refused, generation);
                        for (const auto& [topic, partition] : places) response.topics[topic].partitions[partition].error_code = code;
                        call.reply(response);
                      });
      });
}

// --- The end.

void handle(const Call& call, EndTxnRequest request) {
  call.broker().transactions().end(call.context(), std::move(request.transactional_id),
                                   producer_of(request.producer_id, request.producer_epoch), request.committed,
                                   [call](const Status& ended) {
                                     EndTxnResponse response;
                                     if (!ended)
                                       response.error_code = transaction_error(ended.error(), call.version() >= kTransactionFenced);
                                     call.reply(response);
                                   });
}

/// Markers are the broker's own to write; Kafka takes them from other brokers and from those with rights on the cluster.
void handle(const Call& call, WriteTxnMarkersRequest request) {
  WriteTxnMarkersResponse response;
  for (const WriteTxnMarkersRequest::Marker& marker : request.markers) {
    WriteTxnMarkersResponse::Marker& out = response.markers.emplace_back();
    out.producer_id = marker.producer_id;
    for (const WriteTxnMarkersRequest::Topic& topic : marker.topics) {
      WriteTxnMarkersResponse::Topic& to = out.topics.emplace_back();
      to.name = topic.name;
      for (const std::int32_t number : topic.partition_indexes) {
        WriteTxnMarkersResponse::Partition& part = to.partitions.emplace_back();
        part.partition_index = number;
        part.error_code = ErrorCode::cluster_authorization_failed;
      }
    }
  }
  call.reply(response);
}

// --- Looking.

namespace {

std::int64_t start_ms(const broker::TransactionInfo& info) { return info.started ? info.started->time_since_epoch().count() : -1; }

void fill(const broker::TransactionInfo& info, DescribeTransactionsResponse::Transaction& out) {
  out.transaction_state = std::string(to_string(info.state));
  out.transaction_timeout_ms = static_cast<std::int32_t>(info.timeout.count());
  out.transaction_start_time_ms = start_ms(info);
  out.producer_id = info.producer.id;
  out.producer_epoch = info.producer.epoch;
  for (const broker::NamedPartition& where : info.partitions) {
    if (out.topics.empty() || out.topics.back().topic != where.topic) out.topics.emplace_back().topic = where.topic;
    out.topics.back().partitions.push_back(where.partition);
  }
}

}  // namespace

void handle(const Call& call, DescribeTransactionsRequest request) {
  const auto gather = Gather<DescribeTransactionsResponse>::begin(call);
  for (std::string& id : request.transactional_ids) {
    const std::size_t i = gather->response.transaction_states.size();
    gather->response.transaction_states.emplace_back().transactional_id = id;
    call.broker().transactions().describe(
        call.context(), std::move(id),
        gather->part<broker::TransactionInfo>([i](DescribeTransactionsResponse& response, Result<broker::TransactionInfo> info) {
          DescribeTransactionsResponse::Transaction& out = response.transaction_states[i];
          if (info)
            fill(*info, out);
          else
            out.error_code =
                info.error().code == Errc::not_found ? ErrorCode::transactional_id_not_found : transaction_error(info.error(), true);
        }));
  }
  gather->end_part();
}

void handle(const Call& call, ListTransactionsRequest request) {
  ListTransactionsResponse response;
  std::vector<broker::TransactionState> states;
  for (std::string& name : request.state_filters) {
    if (const auto state = broker::parse_transaction_state(name))
      states.push_back(*state);
    else
      response.unknown_state_filters.push_back(std::move(name));
  }
  std::shared_ptr<const re2::RE2> pattern;
  if (request.transactional_id_pattern && !request.transactional_id_pattern->empty()) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1024 * 1024);
    pattern = std::make_shared<const re2::RE2>(*request.transactional_id_pattern, options);
    if (!pattern->ok()) {
      response.error_code = ErrorCode::invalid_regular_expression;
      return call.reply(response);
    }
  }
  // Only unknown states were asked for.
  if (states.empty() && !request.state_filters.empty()) return call.reply(response);
  call.broker().transactions().list(
      call.context(),
      [call, pattern, states = std::move(states), producers = std::move(request.producer_id_filters), duration = request.duration_filter,
       response = std::move(response)](Result<std::vector<broker::TransactionInfo>> all) mutable {
        if (!all) {
          response.error_code = transaction_error(all.error(), true);
          return call.reply(response);
        }
        const std::int64_t now = call.runtime().clock().now().time_since_epoch().count();
        for (const broker::TransactionInfo& info : *all) {
          if (!states.empty() && std::ranges::find(states, info.state) == states.end()) continue;
          if (!producers.empty() && std::ranges::find(producers, info.producer.id) == producers.end()) continue;
          if (duration >= 0 && (!info.started || now - start_ms(info) <= duration)) continue;
          if (pattern && !re2::RE2::FullMatch(info.id, *pattern)) continue;
          response.transaction_states.push_back({info.id, info.producer.id, std::string(to_string(info.state))});
        }
        call.reply(response);
      });
}

void handle(const Call& call, DescribeProducersRequest request) {
  const auto gather = Gather<DescribeProducersResponse>::begin(call);
  for (const DescribeProducersRequest::Topic& topic : request.topics) {
    const std::size_t t = gather->response.topics.size();
    gather->response.topics.emplace_back().name = topic.name;
    for (const std::int32_t number : topic.partition_indexes) {
      const std::size_t p = gather->response.topics[t].partitions.size();
      gather->response.topics[t].partitions.emplace_back().partition_index = number;
      using Activities = std::vector<broker::ProducerActivity>;
      call.broker().transactions().producers(
          call.context(), {topic.name, number},
          gather->part<Activities>([t, p](DescribeProducersResponse& response, Result<Activities> producers) {
            DescribeProducersResponse::Partition& out = response.topics[t].partitions[p];
            if (!producers) {
              out.error_code = to_wire(producers.error().code);
              out.error_message = producers.error().detail.substr(0, 500);
              return;
            }
            for (const broker::ProducerActivity& one : *producers) {
              DescribeProducersResponse::Producer& producer = out.active_producers.emplace_back();
              producer.producer_id = one.producer.id;
              producer.producer_epoch = one.producer.epoch;
              producer.last_sequence = one.last_sequence;
              producer.last_timestamp = one.last_append.time_since_epoch().count();
              producer.coordinator_epoch = -1;
              if (one.transaction_start) producer.current_txn_start_offset = one.transaction_start->value;
            }
          }));
    }
  }
  gather->end_part();
}

}  // namespace tidemark::kafka
