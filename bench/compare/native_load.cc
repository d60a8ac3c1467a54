// Load on a broker through our own client, one figure a run, as JSON.
//
//     native_load ack SERVER TOPIC COUNT SIZE          one record at a time, each waited for: ms p50, p99
//     native_load produce SERVER TOPIC COUNT SIZE      as fast as the client takes them: records/s, MB/s
//     native_load consume SERVER TOPIC                 from earliest to the end at start: records/s, MB/s
//
// Values are random printable bytes, so that nothing can be gained by their content.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include <tidemark/client.h>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

[[noreturn]] void die(const tidemark::Error& error) {
  std::fprintf(stderr, "%s\n", error.to_string().c_str());
  std::exit(1);
}

/// A megabyte of printable noise; values are windows into it.
std::string noise() {
  std::mt19937_64 random(1);
  std::string text(1 << 20, ' ');
  for (char& c : text) c = static_cast<char>('!' + random() % 90);
  return text;
}

int run_ack(tidemark::Client& client, const std::string& topic, std::size_t count, std::size_t size) {
  auto producer = client.producer(topic);
  if (!producer) die(producer.error());
  const std::string source = noise();
  std::vector<double> samples;
  for (std::size_t i = 0; i < count; ++i) {
    tidemark::Record record;
    record.value = std::string_view(source).substr((i * 7919) % (source.size() - size), size);
    const auto began = Clock::now();
    const auto stored = producer->send(record);
    if (!stored) die(stored.error());
    samples.push_back(1000 * seconds_since(began));
  }
  std::sort(samples.begin(), samples.end());
  std::printf("{\"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", samples[samples.size() / 2], samples[samples.size() * 99 / 100]);
  return 0;
}

int run_produce(tidemark::Client& client, const std::string& topic, std::size_t count, std::size_t size) {
  tidemark::ProducerOptions options;
  options.batch_bytes = 256 * 1024;
  auto producer = client.producer(topic, options);
  if (!producer) die(producer.error());
  const std::string source = noise();
  std::atomic<std::size_t> failed = 0;
  const auto began = Clock::now();
  const double cpu_began = cpu_seconds();
  for (std::size_t i = 0; i < count; ++i) {
    tidemark::Record record;
    record.value = std::string_view(source).substr((i * 7919) % (source.size() - size), size);
    while (!producer->try_post(record)) std::this_thread::yield();
  }
  if (const auto flushed = producer->flush(); !flushed) die(flushed.error());
  const double seconds = seconds_since(began);
  std::printf("{\"records_per_second\": %.0f, \"mb_per_second\": %.1f, \"client_cpu_seconds\": %.3f, \"seconds\": %.3f, \"failed\": %zu}\n",
              static_cast<double>(count) / seconds, static_cast<double>(count * size) / 1e6 / seconds, cpu_seconds() - cpu_began, seconds,
              failed.load());
  return 0;
}

int run_consume(tidemark::Client& client, const std::string& topic) {
  tidemark::ReaderOptions options;
  options.from = tidemark::Position::earliest();
  options.to = tidemark::Position::latest();
  options.buffer_bytes = 32 * 1024 * 1024;
  const auto began = Clock::now();
  auto reader = client.reader(topic, options);
  if (!reader) die(reader.error());
  std::size_t records = 0;
  std::size_t bytes = 0;
  while (!reader->finished()) {
    const auto message = reader->next(std::chrono::seconds(10));
    if (!message) die(message.error());
    if (!*message) continue;
    ++records;
    bytes += (*message)->value().value_or("").size();
  }
  const double seconds = seconds_since(began);
  std::printf("{\"records\": %zu, \"records_per_second\": %.0f, \"mb_per_second\": %.1f, \"seconds\": %.3f}\n", records,
              static_cast<double>(records) / seconds, static_cast<double>(bytes) / 1e6 / seconds, seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (argc < 4) {
    std::fprintf(stderr, "usage: native_load ack|produce SERVER TOPIC COUNT SIZE | consume SERVER TOPIC\n");
    return 2;
  }
  tidemark::ClientOptions options;
  options.server = argv[2];
  tidemark::Client client(options);
  const std::string topic = argv[3];
  const auto number = [&](int index) { return static_cast<std::size_t>(std::strtoull(argv[index], nullptr, 10)); };
  if (what == "ack" && argc == 6) return run_ack(client, topic, number(4), number(5));
  if (what == "produce" && argc == 6) return run_produce(client, topic, number(4), number(5));
  if (what == "consume") return run_consume(client, topic);
  return 2;
}
