#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/queues/queues.h"
#include "storage/batch/record_batch.h"
#include "tests/simulation/engine_fixture.h"

namespace tidemark::broker {

using namespace std::chrono_literals;
using simulation::batch_of;
using simulation::CrashPolicy;
using simulation::Engine;
using simulation::EngineTest;
using simulation::SimulatedFileSystem;

/// A record as it was handed out.
struct Got {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::string value;
  std::uint32_t deliveries = 0;
  bool operator==(const Got&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Got& got) {
  return out << got.partition << ":" << got.offset << " '" << got.value << "' x" << got.deliveries;
}

/// Queue calls on a simulated engine; each waits for its answer.
class QueueCalls {
 public:
  explicit QueueCalls(Engine& engine) : engine_(engine) {}

  template <class T>
  std::shared_ptr<std::optional<Result<T>>> start(std::function<void(Queues&, Done<T>)> call) {
    return engine_.start<T>([call = std::move(call)](Broker& broker, Done<T> done) { call(broker.queues(), std::move(done)); });
  }
  template <class T>
  Result<T> ask(std::function<void(Queues&, Done<T>)> call) {
    const auto answer = start<T>(std::move(call));
    engine_.runtime().run_until([&] { return answer->has_value(); });
    if (!*answer) return Error{Errc::internal, "no answer"};
    return **answer;
  }

  Result<QueueInfo> create(const QueueName& name, std::map<std::string, std::string> settings = {}, StartAt start = {}) {
    return ask<QueueInfo>([&](Queues& queues, Done<QueueInfo> done) {
      queues.create({}, {.name = name, .flavor = QueueFlavor::native, .start = start, .settings = settings, .may_exist = false},
                    std::move(done));
    });
  }
  Result<QueueInfo> alter(const QueueName& name, std::map<std::string, std::string> settings) {
    return ask<QueueInfo>([&](Queues& queues, Done<QueueInfo> done) { queues.alter({}, name, settings, std::move(done)); });
  }
  Status remove(const QueueName& name) {
    return ask<void>([&](Queues& queues, Done<void> done) { queues.remove({}, name, std::move(done)); });
  }
  Result<QueueInfo> describe(const QueueName& name) {
    return ask<QueueInfo>([&](Queues& queues, Done<QueueInfo> done) { queues.describe({}, name, std::move(done)); });
  }
  QueueCounts counts(const QueueName& name) {
    const Result<QueueInfo> info = describe(name);
    EXPECT_TRUE(info) << info.error().to_string();
    return info ? info->counts() : QueueCounts{};
  }
  static ReceiveRequest wants(const QueueName& name, const std::string& member, std::size_t max, std::chrono::milliseconds wait = 0ms) {
    ReceiveRequest request;
    request.name = name;
    request.member = member;
    request.records_max = max;
    request.wait = wait;
    return request;
  }
  Result<ReceiveReply> receive(ReceiveRequest request) {
    return ask<ReceiveReply>([&](Queues& queues, Done<ReceiveReply> done) { queues.receive({}, request, std::move(done)); });
  }
  std::vector<Got> got(const QueueName& name, const std::string& member, std::size_t max = 10) {
    const Result<ReceiveReply> reply = receive(wants(name, member, max));
    EXPECT_TRUE(reply) << reply.error().to_string();
    return reply ? records(*reply) : std::vector<Got>{};
  }
  static std::vector<Got> records(const ReceiveReply& reply) {
    std::vector<Got> all;
    for (const ReceivedPartition& part : reply.partitions) {
      std::map<std::int64_t, std::string> values;
      for (const Slice& batch : part.batches) {
        Result<BatchReader> reader = BatchReader::open(batch.view());
        EXPECT_TRUE(reader);
        RecordView record;
        while (*reader->next(record)) values[record.offset.value] = record.value ? std::string(as_text(*record.value)) : "(null)";
      }
      for (const TakenRun& run : part.runs) {
        for (std::int64_t i = 0; i < run.offsets.count; ++i) {
          const std::int64_t offset = run.offsets.first.value + i;
          EXPECT_TRUE(values.contains(offset)) << "no bytes for offset " << offset;
          all.push_back({part.partition, offset, values[offset], run.deliveries});
        }
      }
    }
    return all;
  }
  Result<SettleReply> settle(const QueueName& name, std::optional<std::string> member, std::vector<Settlement> settlements) {
    return ask<SettleReply>([&](Queues& queues, Done<SettleReply> done) { queues.settle({}, name, member, settlements, std::move(done)); });
  }
  /// ok, or why one record was not settled.
  std::string settle_one(const QueueName& name, const std::string& member, const Got& got, Settlement::Kind kind,
                         std::optional<std::chrono::milliseconds> delay = {}, std::string reason = "") {
    Settlement settlement;
    settlement.partition = got.partition;
    settlement.offsets = {Offset{got.offset}, 1};
    settlement.deliveries = got.deliveries;
    settlement.kind = kind;
    settlement.delay = delay;
    settlement.reason = std::move(reason);
    const Result<SettleReply> reply = settle(name, member, {settlement});
    if (!reply) return std::string(to_string(reply.error().code));
    if (!reply->failures.empty()) return std::string(to_string(reply->failures.front().error.code));
    return reply->settled == 1 ? "ok" : "nothing";
  }
  std::string ack(const QueueName& name, const std::string& member, const Got& got) {
    return settle_one(name, member, got, Settlement::Kind::ack);
  }
  std::string retry(const QueueName& name, const std::string& member, const Got& got, std::string reason = "it failed") {
    return settle_one(name, member, got, Settlement::Kind::retry, 0ms, std::move(reason));
  }
  Status leave(const QueueName& name, const std::string& member, bool failed) {
    return ask<void>([&](Queues& queues, Done<void> done) { queues.leave({}, name, member, failed, std::move(done)); });
  }
  Result<std::vector<PendingRow>> pending(PendingQuery query) {
    return ask<std::vector<PendingRow>>([&](Queues& queues, auto done) { queues.pending({}, query, std::move(done)); });
  }
  Result<std::uint64_t> act(QueueAction action) {
    const Result<QueueActionReply> reply =
        ask<QueueActionReply>([&](Queues& queues, Done<QueueActionReply> done) { queues.act({}, action, std::move(done)); });
    if (!reply) return reply.error();
    return reply->records;
  }
  Result<std::vector<DeadLetter>> letters(const std::string& group, std::size_t max = 100) {
    return ask<std::vector<DeadLetter>>([&](Queues& queues, auto done) { queues.show_dead_letters({}, group, max, std::move(done)); });
  }
  Result<RedriveReply> redrive(RedriveRequest request) {
    return ask<RedriveReply>([&](Queues& queues, Done<RedriveReply> done) { queues.redrive({}, request, std::move(done)); });
  }

 private:
  Engine& engine_;
};

class QueuesTest : public EngineTest {
 protected:
  SimulatedFileSystem& disk() { return *disk_; }
  Engine& engine() { return *engine_; }
  QueueCalls queues() { return QueueCalls(*engine_); }
  void passes(std::chrono::milliseconds time) { engine_->runtime().advance(time); }
  void make(const std::string& topic, const std::vector<std::string>& values, std::int32_t partitions = 1, ConfigMap config = {}) {
    ASSERT_TRUE(engine().create(topic, partitions, std::move(config)));
    if (!values.empty()) {
      ASSERT_TRUE(engine().append(topic, 0, values));
    }
  }
  /// One batch of records with keys.
  void append_keyed(const std::string& topic, const std::vector<std::pair<std::string, std::string>>& records) {
    BatchBuilder builder;
    for (const auto& [key, value] : records) {
      builder.add({.key = as_bytes(key), .value = as_bytes(value), .timestamp_ms = 1'700'000'000'000, .headers = {}});
    }
    ASSERT_TRUE(engine().append_batch(topic, 0, builder.build()));
  }
};

}  // namespace tidemark::broker
