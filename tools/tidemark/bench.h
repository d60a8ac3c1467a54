#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/random.h"
#include "tidemark/client.h"
#include "tools/tidemark/latency_histogram.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/rate.h"

namespace tidemark::tools {

/// What the benchmarks against a broker share. Without a topic of its own each makes one and removes it at the end.
struct BenchOptions {
  std::string topic = {};
  std::uint64_t records = 100'000;
  std::uint64_t size = 100;  ///< Bytes of a value.
  std::int32_t partitions = 1;
  std::string durability = "fsync";
  bool keep = false;  ///< Do not remove the topic.
  ProducerOptions producer;
  std::optional<Rate> rate;
  std::chrono::milliseconds duration{10'000};  ///< e2e only.
  bool one_outstanding = false;                ///< produce only: each record waits for the answer to the one before.
  // queue only.
  std::size_t workers = 8;
  std::size_t receive_max = 100;  ///< Records a worker receives, and acknowledges, at a time.
  std::size_t prefetch = 0;       ///< Records that may lie ready for a worker.
  std::string ordering = "none";
};

struct FsyncOptions {
  std::string directory = ".";
  std::uint64_t writes = 1000;
  std::uint64_t size = 4096;
  bool preallocate = false;
};

Exit bench_produce(const BenchOptions& options, const Globals& globals, Interrupts& interrupts);
/// Loads the topic first when it makes one.
Exit bench_consume(const BenchOptions& options, const Globals& globals, Interrupts& interrupts);
/// From the moment a record was due to the moment a live reader has it.
Exit bench_e2e(const BenchOptions& options, const Globals& globals, Interrupts& interrupts);
/// Publishes and works off a queue group at the same time; every acknowledgement is waited for until it is durable. From the moment a
/// record was due to the moment a worker has it.
Exit bench_queue(const BenchOptions& options, const Globals& globals, Interrupts& interrupts);
/// What the disk itself does: append, fdatasync, again. No broker.
Exit bench_fsync(const FsyncOptions& options, const Globals& globals, Interrupts& interrupts);

/// The topic a benchmark runs on; removes it if it made it.
class BenchTopic {
 public:
  static Result<BenchTopic> open(Client& client, const BenchOptions& options);
  BenchTopic(BenchTopic&& other) noexcept;
  BenchTopic& operator=(BenchTopic&&) = delete;
  ~BenchTopic();

  const std::string& name() const { return description_.name; }
  const std::string& durability() const { return description_.durability; }
  bool made() const { return made_; }

 private:
  BenchTopic(Client& client, TopicDescription description, bool made, bool keep)
      : client_(&client), description_(std::move(description)), made_(made), keep_(keep) {}
  Client* client_;
  TopicDescription description_;
  bool made_;
  bool keep_;
};

/// Random text cut from one pool, so that making values costs nothing and compression finds no whole repeats.
class RandomValues {
 public:
  explicit RandomValues(std::size_t size);
  std::string_view next();

 private:
  std::size_t size_;
  std::string pool_;
  std::size_t at_ = 0;
};

/// What came out of a run; printed as a table line or as JSON.
struct BenchResult {
  std::string name = {};
  std::string topic = {};
  std::string durability = {};
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t failed = 0;
  double seconds = 0;
  LatencyHistogram latency = {};  ///< Left out when empty.
  std::optional<std::uint64_t> lost = std::nullopt;
  std::optional<std::uint64_t> duplicated = std::nullopt;
  std::optional<std::size_t> workers = std::nullopt;
  std::optional<std::size_t> batch = std::nullopt;  ///< Records acknowledged at a time.
};
void print_result(const BenchResult& result, const Globals& globals);

}  // namespace tidemark::tools
