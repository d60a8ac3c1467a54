#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tools/tidemark/bench.h"
#include "tools/tidemark/bench_stamp.h"
#include "tools/tidemark/sender.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

constexpr std::string_view kGroup = "bench";
constexpr std::uint64_t kKeys = 1000;
/// One wait for records: how late a worker notices that it is over.
constexpr std::chrono::milliseconds kLook{100};
/// After the last record was acknowledged, workers wait so long for what is missing.
constexpr std::chrono::seconds kGrace{10};

/// The members of the group: one connection and one thread each, as if they were processes of their own.
class Workers {
 public:
  Workers(const std::string& topic, const BenchOptions& options, std::uint64_t run)
      : topic_(topic), options_(options), run_(run), seen_(options.records, false) {}
  ~Workers() {
    stop();
    join();
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  Status start(const Globals& globals) {
    for (std::size_t i = 0; i < options_.workers; ++i) {
      Result<Client> client = connect(globals);
      if (!client) return client.error();
      QueueOptions how{.group = std::string(kGroup), .topic = topic_, .member = fmt::format("worker-{}", i + 1), .create = false};
      how.prefetch = options_.prefetch;
      Result<QueueConsumer> consumer = client->queue_consumer(how);
      if (!consumer) return consumer.error();
      clients_.push_back(*std::move(client));
      threads_.emplace_back([this, worker = *std::move(consumer)]() mutable { work(worker); });
    }
    return {};
  }

  /// So many records were published: the workers end when they have them all, or nothing comes any more.
  void expect(std::uint64_t records) { wanted_ = records; }
  void stop() { stopped_ = true; }
  void join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  /// After join().
  void add_to(std::uint64_t published, BenchResult& result) const {
    result.latency = latency_;
    result.lost = published - std::min(published, distinct_);
    result.duplicated = duplicated_;
    result.records = acknowledged_;
    result.failed = refused_;
  }
  std::uint64_t acknowledged() const { return acknowledged_; }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void work(QueueConsumer& consumer) {
    std::optional<SteadyTime> give_up;
    while (!stopped_ && acknowledged_ < wanted_) {
      const Result<QueueConsumer::Messages> messages = consumer.receive(options_.receive_max, kLook);
      if (!messages) return fail(messages.error());
      const SteadyTime time = std::chrono::steady_clock::now();
      if (messages->empty()) {
        if (wanted_ == UINT64_MAX) continue;
        if (!give_up) give_up = time + kGrace;
        if (time >= *give_up) return;
        continue;
      }
      give_up.reset();
      take(*messages, time);
      const Result<SettleReport> settled = consumer.settle(*messages, Ack{});
      if (!settled) return fail(settled.error());
      acknowledged_ += settled->settled;
      refused_ += settled->failures.size();
    }
  }

  void take(const QueueConsumer::Messages& messages, SteadyTime time) {
    const std::lock_guard lock(mutex_);
    for (const QueueMessage& message : messages) {
      const std::optional<Stamp> stamp = read_stamp(message.value().value_or(""), run_);
      if (!stamp || stamp->number >= seen_.size()) continue;
      if (seen_[stamp->number]) {
        ++duplicated_;
        continue;
      }
      seen_[stamp->number] = true;
      ++distinct_;
      latency_.record(time - stamp->due);
    }
  }

  void fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = error;
    stopped_ = true;
  }

  const std::string topic_;
  const BenchOptions& options_;
  const std::uint64_t run_;
  std::atomic<bool> stopped_ = false;
  std::atomic<std::uint64_t> wanted_ = UINT64_MAX;  ///< Unknown while publishing goes on.
  std::atomic<std::uint64_t> acknowledged_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
  std::mutex mutex_;  ///< Guards what follows, up to the clients.
  std::vector<bool> seen_;
  std::uint64_t distinct_ = 0;
  std::uint64_t duplicated_ = 0;
  LatencyHistogram latency_;
  std::optional<Error> failure_;

  std::vector<Client> clients_;
  std::vector<std::thread> threads_;
};

void publish(Sender& sender, const BenchOptions& options, std::uint64_t run, const Interrupts& interrupts, const Workers& workers) {
  std::string value(options.size, '.');
  std::optional<RateLimiter> limiter;
  if (options.rate) limiter.emplace(*options.rate);
  ProgressBar progress("queue", options.records);
  for (std::uint64_t i = 0; i < options.records && !interrupts.interrupted(); ++i) {
    SteadyTime due = std::chrono::steady_clock::now();
    if (limiter) {
      const auto wait = limiter->reserve(options.size, due);
      due += wait;
      if (wait > std::chrono::nanoseconds(0) && !interrupts.sleep(wait)) return;
    }
    write_stamp(value, {run, i, due});
    const std::string key = std::to_string(i % kKeys);
    Record record{.value = value};
    if (options.ordering == "key") record.key = key;
    if (!sender.post(record, i)) return;
    progress.update(workers.acknowledged(), i * options.size);
  }
}

/// A group that lives as long as the benchmark.
class BenchQueue {
 public:
  static Result<BenchQueue> open(Client& client, const BenchTopic& topic, const BenchOptions& options) {
    const NewQueue queue{.group = std::string(kGroup),
                         .topic = topic.name(),
                         .start = Position::latest(),
                         .settings = {{"ordering", options.ordering}, {"dead.letter.topic", "none"}}};
    const Result<QueueDescription> made = client.queues().create(queue);
    if (!made) return made.error();
    return BenchQueue(client, topic.name());
  }
  BenchQueue(BenchQueue&& other) noexcept : client_(std::exchange(other.client_, nullptr)), topic_(std::move(other.topic_)) {}
  BenchQueue& operator=(BenchQueue&&) = delete;
  ~BenchQueue() {
    if (client_ == nullptr) return;
    if (const Status removed = client_->queues().remove(std::string(kGroup), topic_); !removed) {
      write_stderr(fmt::format("the queue group {} on {} is left behind: {}\n", kGroup, topic_, removed.error().to_string()));
    }
  }

 private:
  BenchQueue(Client& client, std::string topic) : client_(&client), topic_(std::move(topic)) {}
  Client* client_;
  std::string topic_;
};

}  // namespace

Exit bench_queue(const BenchOptions& options, const Globals& globals, Interrupts& interrupts) {
  if (options.size < Stamp::kBytes) return report_usage(fmt::format("--size: at least {} here", Stamp::kBytes), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<BenchTopic> topic = BenchTopic::open(*client, options);
  if (!topic) return report(topic.error(), globals.output);
  const Result<BenchQueue> queue = BenchQueue::open(*client, *topic, options);
  if (!queue) return report(queue.error(), globals.output);
  Result<Producer> producer = client->producer(topic->name(), options.producer);
  if (!producer) return report(producer.error(), globals.output);

  const std::uint64_t run = new_run();
  Workers workers(topic->name(), options, run);
  if (const Status started = workers.start(globals); !started) return report(started.error(), globals.output);
  Sender sender(*std::move(producer));
  const Interrupts::Listener listener(interrupts, [&sender, &workers] {
    sender.stop();
    workers.stop();
  });
  const Stopwatch stopwatch;
  publish(sender, options, run, interrupts, workers);
  sender.finish();
  const Sender::Totals totals = sender.totals();
  workers.expect(totals.records);
  workers.join();

  BenchResult result{.name = "queue", .topic = topic->name(), .durability = topic->durability()};
  result.seconds = stopwatch.seconds();
  result.workers = options.workers;
  result.batch = options.receive_max;
  workers.add_to(totals.records, result);
  result.bytes = result.records * options.size;
  result.failed += totals.failed;
  print_result(result, globals);
  if (interrupts.interrupted()) return Exit::interrupted;
  if (totals.first_error) return report(*totals.first_error, globals.output);
  if (workers.failure()) return report(*workers.failure(), globals.output);
  return *result.lost > 0 || *result.duplicated > 0 ? Exit::failed : Exit::done;
}

}  // namespace tidemark::tools
