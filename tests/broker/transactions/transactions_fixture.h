#pragma once

#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/groups/groups.h"
#include "broker/transactions/transactions.h"
#include "tests/simulation/engine.h"

namespace tidemark::broker {

using namespace std::chrono_literals;
using simulation::CrashPolicy;
using simulation::Engine;
using simulation::SimulatedFileSystem;

inline std::uint64_t test_seed() {
  const char* const given = std::getenv("TIDEMARK_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
}

/// A batch of a transactional producer.
inline Slice transactional_batch(const ProducerIdentity& producer, std::int32_t base_sequence, const std::vector<std::string>& values) {
  BatchBuilder builder(
      {.producer_id = producer.id, .producer_epoch = producer.epoch, .base_sequence = base_sequence, .transactional = true});
  for (const std::string& value : values) {
    builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = 1'700'000'000'000, .headers = {}});
  }
  return builder.build();
}

/// Calls about transactions on a simulated engine; each waits for its answer.
class TransactionCalls {
 public:
  explicit TransactionCalls(Engine& engine) : engine_(engine) {}

  template <class T>
  std::shared_ptr<std::optional<Result<T>>> start(std::function<void(Broker&, Done<T>)> call) {
    return engine_.start<T>(std::move(call));
  }
  template <class T>
  Result<T> await(const std::shared_ptr<std::optional<Result<T>>>& answer) {
    engine_.runtime().run_until([&] { return answer->has_value(); });
    if (!*answer) return Error{Errc::internal, "no answer"};
    return **answer;
  }

  auto start_begin(const std::string& id, std::chrono::milliseconds timeout = 60s, std::optional<ProducerIdentity> expected = {}) {
    return start<ProducerIdentity>([=](Broker& broker, Done<ProducerIdentity> done) {
      broker.transactions().begin({}, {.id = id, .timeout = timeout, .expected = expected}, std::move(done));
    });
  }
  Result<ProducerIdentity> begin_once(const std::string& id, std::chrono::milliseconds timeout = 60s,
                                      std::optional<ProducerIdentity> expected = {}) {
    return await(start_begin(id, timeout, expected));
  }
  /// As clients do: again while the transaction before is being aborted.
  Result<ProducerIdentity> begin(const std::string& id, std::chrono::milliseconds timeout = 60s) {
    for (;;) {
      Result<ProducerIdentity> identity = begin_once(id, timeout);
      if (identity || identity.error().code != Errc::concurrent_transactions) return identity;
      engine_.runtime().advance(10ms);
    }
  }
  auto start_add(const std::string& id, const ProducerIdentity& producer, const std::vector<NamedPartition>& partitions) {
    return start<void>(
        [=](Broker& broker, Done<void> done) { broker.transactions().add_partitions({}, id, producer, partitions, std::move(done)); });
  }
  Status add(const std::string& id, const ProducerIdentity& producer, const std::vector<NamedPartition>& partitions) {
    return await(start_add(id, producer, partitions));
  }
  Status add_group(const std::string& id, const ProducerIdentity& producer, const std::string& group) {
    return await(
        start<void>([=](Broker& broker, Done<void> done) { broker.transactions().add_group({}, id, producer, group, std::move(done)); }));
  }
  auto start_append(const NamedPartition& where, const ProducerIdentity& producer, std::int32_t sequence,
                    const std::vector<std::string>& values) {
    return start<Appended>([=](Broker& broker, Done<Appended> done) {
      broker.append({}, {where.topic, where.partition}, transactional_batch(producer, sequence, values), std::move(done));
    });
  }
  Result<Appended> append(const NamedPartition& where, const ProducerIdentity& producer, std::int32_t sequence,
                          const std::vector<std::string>& values) {
    return await(start_append(where, producer, sequence, values));
  }
  auto start_commit_offset(const std::string& group, const ProducerIdentity& producer, const NamedPartition& where, std::int64_t offset) {
    CommitRequest request;
    request.group = group;
    request.epoch = -1;
    request.entries.push_back({.where = where, .offset = Offset{offset}, .leader_epoch = -1, .metadata = ""});
    return start<CommitReply>(
        [=](Broker& broker, Done<CommitReply> done) { broker.groups().commit_in_transaction({}, request, producer, std::move(done)); });
  }
  Status commit_offset(const std::string& group, const ProducerIdentity& producer, const NamedPartition& where, std::int64_t offset) {
    Result<CommitReply> reply = await(start_commit_offset(group, producer, where, offset));
    if (!reply) return std::move(reply).error();
    return reply->at(0);
  }
  auto start_end(const std::string& id, const ProducerIdentity& producer, bool commit) {
    return start<void>([=](Broker& broker, Done<void> done) { broker.transactions().end({}, id, producer, commit, std::move(done)); });
  }
  Status end(const std::string& id, const ProducerIdentity& producer, bool commit) { return await(start_end(id, producer, commit)); }
  Result<TransactionInfo> describe(const std::string& id) {
    return await(start<TransactionInfo>(
        [=](Broker& broker, Done<TransactionInfo> done) { broker.transactions().describe({}, id, std::move(done)); }));
  }
  Result<std::vector<ProducerActivity>> producers(const NamedPartition& where) {
    return await(start<std::vector<ProducerActivity>>([=](Broker& broker, Done<std::vector<ProducerActivity>> done) {
      broker.transactions().producers({}, {where.topic, where.partition}, std::move(done));
    }));
  }
  /// What the group has committed in the partition; nullopt: nothing, or there is no such group.
  std::optional<Groups::Committed> committed(const std::string& group, const NamedPartition& where) {
    const auto answer = start<std::vector<Groups::Committed>>(
        [=](Broker& broker, Done<std::vector<Groups::Committed>> done) { broker.groups().committed({}, group, {where}, std::move(done)); });
    const Result<std::vector<Groups::Committed>> all = await(answer);
    if (!all) return std::nullopt;
    return all->at(0);
  }

  struct ReadValues {
    std::vector<std::string> values;
    Offset next;
    Offset last_stable;
    std::vector<AbortedTransaction> aborted;
  };
  /// Everything a reader of this isolation gets from `from` on; control records are left out.
  ReadValues read(const NamedPartition& where, Isolation isolation, std::optional<Offset> from = {}) {
    ReadValues all;
    const auto infos = engine_.describe(where.topic);
    EXPECT_TRUE(infos);
    all.next = from.value_or(infos ? infos->at(static_cast<std::size_t>(where.partition)).log_start : Offset{});
    for (;;) {
      ReadRequest request;
      request.isolation = isolation;
      request.bytes_max = 4096;
      const Result<ReadReply> reply = engine_.read(where.topic, where.partition, all.next, request);
      EXPECT_TRUE(reply) << reply.error().to_string();
      if (!reply) return all;
      all.last_stable = reply->last_stable;
      all.aborted.insert(all.aborted.end(), reply->aborted.begin(), reply->aborted.end());
      if (reply->next == all.next) return all;
      for (const Slice& slice : reply->batches) take(slice.view(), all);
      all.next = reply->next;
    }
  }

 private:
  static void take(ByteView rest, ReadValues& into) {
    while (!rest.empty()) {
      const Result<BatchHeader> header = BatchHeader::parse(rest);
      ASSERT_TRUE(header);
      Result<BatchReader> batch = BatchReader::open(rest.first(header->size_bytes()));
      ASSERT_TRUE(batch);
      RecordView record;
      while (!header->is_control()) {
        const Result<bool> more = batch->next(record);
        ASSERT_TRUE(more);
        if (!*more) break;
        if (record.offset >= into.next) into.values.push_back(tidemark::to_string(*record.value));
      }
      rest = rest.subspan(header->size_bytes());
    }
  }

  Engine& engine_;
};

}  // namespace tidemark::broker
