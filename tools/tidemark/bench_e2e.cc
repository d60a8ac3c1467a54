#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tools/tidemark/bench.h"
#include "tools/tidemark/bench_stamp.h"
#include "tools/tidemark/sender.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

/// Takes what arrives until everything sent is there, or nothing more comes.
class Receiver {
 public:
  Receiver(Reader reader, std::uint64_t run, std::uint64_t records) : reader_(std::move(reader)), run_(run), seen_(records, false) {
    thread_ = std::thread([this] { receive(); });
  }
  ~Receiver() {
    reader_.close();
    if (thread_.joinable()) thread_.join();
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  /// All that was acknowledged should be there a moment later; what is not by then is lost. Reads the results into `result`.
  void finish(std::uint64_t sent, BenchResult& result) {
    wanted_ = sent;
    thread_.join();
    result.latency = latency_;
    result.lost = sent - std::min(sent, distinct_);
    result.duplicated = duplicated_;
    if (failed_) write_stderr("tidemark: " + failed_->detail + "\n");
  }

 private:
  static constexpr std::chrono::milliseconds kLook{100};
  static constexpr std::chrono::seconds kGrace{10};

  void receive() {
    std::optional<SteadyTime> give_up;
    while (distinct_ < wanted_) {
      const Result<std::optional<Message>> next = reader_.next(kLook);
      const SteadyTime time = std::chrono::steady_clock::now();
      if (!next) {
        failed_ = next.error();
        return;
      }
      if (*next) {
        take(**next, time);
        continue;
      }
      if (wanted_ == UINT64_MAX) continue;
      if (!give_up) give_up = time + kGrace;
      if (time >= *give_up) return;
    }
  }

  void take(const Message& message, SteadyTime time) {
    const std::optional<Stamp> stamp = read_stamp(message.value().value_or(""), run_);
    if (!stamp || stamp->number >= seen_.size()) return;
    if (seen_[stamp->number]) {
      ++duplicated_;
      return;
    }
    seen_[stamp->number] = true;
    ++distinct_;
    latency_.record(time - stamp->due);
  }

  Reader reader_;
  std::uint64_t run_;
  std::vector<bool> seen_;
  std::atomic<std::uint64_t> wanted_ = UINT64_MAX;  ///< Unknown while sending goes on.
  std::uint64_t distinct_ = 0;
  std::uint64_t duplicated_ = 0;
  LatencyHistogram latency_;
  std::optional<Error> failed_;
  std::thread thread_;
};

}  // namespace

Exit bench_e2e(const BenchOptions& options, const Globals& globals, Interrupts& interrupts) {
  if (options.size < Stamp::kBytes) return report_usage(fmt::format("--size: at least {} here", Stamp::kBytes), globals.output);
  const double per_second =
      options.rate->unit == Rate::Unit::records ? options.rate->per_second : options.rate->per_second / static_cast<double>(options.size);
  const auto records = static_cast<std::uint64_t>(per_second * std::chrono::duration<double>(options.duration).count());
  if (records == 0 || records > 100'000'000) return report_usage("--rate times --duration is not 1 to 10^8 records", globals.output);

  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<BenchTopic> topic = BenchTopic::open(*client, options);
  if (!topic) return report(topic.error(), globals.output);
  Result<Reader> reader = client->reader(topic->name(), {.from = Position::latest()});
  if (!reader) return report(reader.error(), globals.output);
  Result<Producer> producer = client->producer(topic->name(), options.producer);
  if (!producer) return report(producer.error(), globals.output);

  const std::uint64_t run = new_run();
  BenchResult result{.name = "e2e", .topic = topic->name(), .durability = topic->durability()};
  Receiver receiver(*std::move(reader), run, records);
  Sender sender(*std::move(producer));
  const Interrupts::Listener listener(interrupts, [&sender] { sender.stop(); });
  const Stopwatch stopwatch;
  {
    std::string value(options.size, '.');
    ProgressBar progress("e2e", records);
    const SteadyTime started = std::chrono::steady_clock::now();
    for (std::uint64_t i = 0; i < records; ++i) {
      // Due by the plan, whatever happened to the records before: that is what corrects for coordinated omission.
      const SteadyTime due = started + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                           std::chrono::duration<double>(static_cast<double>(i) / per_second));
      const auto wait = due - std::chrono::steady_clock::now();
      if (wait > std::chrono::nanoseconds(0) && !interrupts.sleep(wait)) break;
      write_stamp(value, {run, i, due});
      if (!sender.post({.value = value}, i)) break;
      progress.update(i, i * options.size);
    }
  }
  sender.finish();
  result.seconds = stopwatch.seconds();
  const Sender::Totals totals = sender.totals();
  result.records = totals.records;
  result.bytes = totals.bytes;
  result.failed = totals.failed;
  receiver.finish(totals.records, result);
  print_result(result, globals);
  if (interrupts.interrupted()) return Exit::interrupted;
  if (totals.first_error) return report(*totals.first_error, globals.output);
  return *result.lost > 0 || *result.duplicated > 0 ? Exit::failed : Exit::done;
}

}  // namespace tidemark::tools
