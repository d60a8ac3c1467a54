#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/simulation/simulated_runtime.h"

namespace tidemark::simulation {

/// The whole engine on a simulated disk, clock and runtime, with calls that wait for their answer. The disk is handed in, so that an
/// engine can be opened again on what another one left.
class Engine {
 public:
  struct Options {
    std::uint64_t seed = 1;
    std::size_t shards = 2;
    broker::BrokerOptions broker = small();
  };
  /// Bounds fit for tests: small segments would not be legal topic settings, so only caches and intervals are small.
  static broker::BrokerOptions small();

  explicit Engine(SimulatedFileSystem& disk, Options options);
  explicit Engine(SimulatedFileSystem& disk) : Engine(disk, Options{}) {}
  ~Engine();

  Status open();
  /// A stop in good order. The engine can be opened again.
  Status stop();
  /// The process dies: nothing more is written or answered.
  void die();
  /// What the wall clock shows at the next open(): the time that passes while nothing runs.
  void set_wall_at_open(Timestamp wall) { wall_at_open_ = wall; }
  bool is_open() const { return broker_ != nullptr; }

  broker::Broker& broker() { return *broker_; }
  SimulatedRuntime& runtime() { return *runtime_; }
  /// The error that told the process to end, if any.
  const std::optional<Error>& fatal() const { return fatal_; }

  // --- Verbs; each waits for its answer. An answer that never comes (the disk failed) is `internal: no answer`.
  Result<std::shared_ptr<const broker::Topic>> create(const std::string& topic, std::int32_t partitions = 1, broker::ConfigMap config = {});
  Result<std::shared_ptr<const broker::Topic>> alter(const std::string& topic, broker::ConfigMap changes);
  Status remove(const std::string& topic);
  Result<broker::Appended> append(const std::string& topic, std::int32_t partition, const std::vector<std::string>& values);
  Result<broker::Appended> append_batch(const std::string& topic, std::int32_t partition, Slice batch);
  Result<broker::ReadReply> read(const std::string& topic, std::int32_t partition, Offset from, broker::ReadRequest request = {});
  Result<Offset> trim(const std::string& topic, std::int32_t partition, Offset before);
  Result<broker::OffsetAt> find(const std::string& topic, std::int32_t partition, broker::OffsetQuery query, std::int64_t timestamp_ms = 0);
  Result<broker::ProducerIdentity> init_producer();
  Result<broker::JobInfo> create_replay(broker::ReplaySpec spec, bool dry_run = false);
  Result<broker::JobInfo> job(broker::JobId id);
  Result<std::vector<broker::JobInfo>> jobs();
  Result<broker::JobInfo> control(broker::JobId id, broker::JobAction action);
  /// Runs until the job has ended, for at most an hour of virtual time.
  Result<broker::JobInfo> finish_job(broker::JobId id);
  Result<std::vector<broker::PartitionInfo>> describe(const std::string& topic);
  Result<broker::BrokerStatus> status();

  struct ReadRecord {
    Offset offset;
    std::string value;
    bool operator==(const ReadRecord&) const = default;
  };
  /// Every record from the log start (or `from`) to the high watermark.
  Result<std::vector<ReadRecord>> read_all(const std::string& topic, std::int32_t partition, std::optional<Offset> from = {});
  std::vector<std::string> topics();

  /// Starts a call without waiting; run with runtime().
  template <class T>
  std::shared_ptr<std::optional<Result<T>>> start(std::function<void(broker::Broker&, broker::Done<T>)> call) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    runtime_->shard(0).post(
        [this, answer, call = std::move(call)] { call(*broker_, [answer](Result<T> result) { *answer = std::move(result); }); });
    return answer;
  }

 private:
  template <class T>
  Result<T> await(std::function<void(broker::Broker&, broker::Done<T>)> call) {
    const auto answer = start<T>(std::move(call));
    runtime_->run_until([&] { return answer->has_value(); });
    if (!*answer) return Error{Errc::internal, "no answer"};
    return **answer;
  }

  SimulatedFileSystem& disk_;
  const Options options_;
  std::uint64_t opens_ = 0;
  std::optional<Timestamp> wall_at_open_;
  std::unique_ptr<SimulatedRuntime> runtime_;
  std::unique_ptr<broker::Broker> broker_;
  std::optional<Error> fatal_;
};

/// One uncompressed batch of values without keys.
Slice batch_of(const std::vector<std::string>& values, std::int64_t timestamp_ms = 1'700'000'000'000);

}  // namespace tidemark::simulation
