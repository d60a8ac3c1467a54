// Load on a broker through librdkafka, one figure a run, as JSON. Every peer gets the same client, so the difference is the broker.
//
//     kafka_load produce SERVER TOPIC PARTITIONS COUNT SIZE large|small    as fast as the client takes them, acks=all
//     kafka_load consume SERVER TOPIC PARTITIONS                           from the beginning to the end at start
//     kafka_load latency SERVER TOPIC COUNT SIZE RATE                      RATE records a second, send to receipt and send to ack
//
// The topic exists, with PARTITIONS partitions (latency uses partition 0). `large` waits 5 ms for batches up to 1 MB; `small` waits for
// nothing and sends at most 10 records a request. SERVER `--null` (produce only) is librdkafka's own mock broker in this process, which
// checks and keeps next to nothing: the client's ceiling. Its thread is not counted as CPU time of the client.
//
// Percentiles of produce are from the call to the delivery report under full load, so they are mostly the client's queue (10 000 records).
// Values are random printable bytes, so that nothing can be gained by their content.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace {

using Clock = std::chrono::steady_clock;
using Settings = std::vector<std::pair<std::string, std::string>>;

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

double mock_thread_seconds() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    double nanoseconds = 0;
    if (name == "rdk:mock" && std::ifstream(task.path() / "schedstat") >> nanoseconds) return nanoseconds / 1e9;
  }
  return 0;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime) - mock_thread_seconds();
}

/// A megabyte of printable noise; values are windows into it.
std::string noise() {
  std::mt19937_64 random(1);
  std::string text(1 << 20, ' ');
  for (char& c : text) c = static_cast<char>('!' + random() % 90);
  return text;
}

struct Samples {
  std::vector<double> milliseconds;

  std::string json(const char* prefix) {
    if (milliseconds.empty()) die("nothing was measured");
    std::sort(milliseconds.begin(), milliseconds.end());
    const auto at = [&](std::size_t per_mille) { return milliseconds[milliseconds.size() * per_mille / 1000]; };
    char text[200];
    std::snprintf(text, sizeof text, "\"%sp50_ms\": %.3f, \"%sp99_ms\": %.3f, \"%sp999_ms\": %.3f", prefix, at(500), prefix, at(990),
                  prefix, at(999));
    return text;
  }
};

/// What delivery reports say; librdkafka calls back only from within rd_kafka_poll() and rd_kafka_flush(), on the caller's thread.
struct Delivery {
  std::size_t delivered = 0;
  std::size_t failed = 0;
  Samples acks;
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& delivery = *static_cast<Delivery*>(opaque);
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (delivery.failed++ == 0) std::fprintf(stderr, "%s\n", rd_kafka_err2str(message->err));
    return;
  }
  if (delivery.delivered++ % 16 == 0 || message->_private != nullptr)
    delivery.acks.milliseconds.push_back(static_cast<double>(rd_kafka_message_latency(message)) / 1000);
}

struct Destroy {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
using Client = std::unique_ptr<rd_kafka_t, Destroy>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy>;

/// `delivery` is kept by the caller for as long as the client lives.
Client connect(rd_kafka_type_t type, const std::string& server, Settings settings, Delivery* delivery = nullptr) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  // Nagle's algorithm holds the ends of requests back for 40 ms, and would be all there is to measure.
  settings.emplace_back("socket.nagle.disable", "true");
  if (server == "--null")
    settings.emplace_back("test.mock.num.brokers", "1");
  else
    settings.emplace_back("bootstrap.servers", server);
  for (const auto& [key, value] : settings)
    if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) die(error);
  if (delivery != nullptr) {
    rd_kafka_conf_set_opaque(conf, delivery);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  }
  rd_kafka_t* client = rd_kafka_new(type, conf, error, sizeof error);
  if (client == nullptr) die(error);
  return Client(client);
}

Topic open_topic(const Client& client, const std::string& name) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client.get(), name.c_str(), nullptr);
  if (topic == nullptr) die(rd_kafka_err2str(rd_kafka_last_error()));
  return Topic(topic);
}

/// Returns when the client knows the partitions: connecting is not what is measured.
void wait_for_metadata(const Client& client, const Topic& topic, int partitions) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(client.get(), 0, topic.get(), &metadata, 10'000);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) die(rd_kafka_err2str(error));
  const int known = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
  rd_kafka_metadata_destroy(metadata);
  if (known != partitions) die("the topic has " + std::to_string(known) + " partitions");
}

void send(const Client& client, const Topic& topic, int partition, std::string_view value, void* mark) {
  // Neither copied nor freed by librdkafka: the bytes outlive the client's flush.
  while (rd_kafka_produce(topic.get(), partition, 0, const_cast<char*>(value.data()), value.size(), nullptr, 0, mark) != 0) {
    if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) die(rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_poll(client.get(), 10);
  }
}

void finish(const Client& client, const Delivery& delivery, std::size_t count) {
  const rd_kafka_resp_err_t error = rd_kafka_flush(client.get(), 60'000);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) die(rd_kafka_err2str(error));
  if (delivery.failed != 0 || delivery.delivered != count) die(std::to_string(count - delivery.delivered) + " records were not stored");
}

int run_produce(const std::string& server, const std::string& name, int partitions, std::size_t count, std::size_t size, bool large) {
  const std::string source = noise();
  if (size == 0 || size >= source.size()) die("SIZE is 1 B to 1 MiB");
  Settings settings{{"acks", "all"}, {"queue.buffering.max.messages", "10000"}, {"queue.buffering.max.kbytes", "262144"}};
  if (large) {
    settings.insert(settings.end(), {{"linger.ms", "5"}, {"batch.num.messages", "10000"}, {"batch.size", "1000000"}});
    settings[1].second = "200000";
  } else {
    settings.insert(settings.end(), {{"linger.ms", "0"}, {"batch.num.messages", "10"}});
  }
  Delivery delivery;
  const Client client = connect(RD_KAFKA_PRODUCER, server, settings, &delivery);
  if (rd_kafka_mock_cluster_t* mock = rd_kafka_handle_mock_cluster(client.get()))
    rd_kafka_mock_topic_create(mock, name.c_str(), partitions, 1);
  const Topic topic = open_topic(client, name);
  wait_for_metadata(client, topic, partitions);
  const auto began = Clock::now();
  const double cpu_began = cpu_seconds();
  for (std::size_t i = 0; i < count; ++i) {
    const int partition = static_cast<int>(i % static_cast<std::size_t>(partitions));
    send(client, topic, partition, std::string_view(source).substr((i * 7919) % (source.size() - size), size), nullptr);
    if (i % 256 == 0) rd_kafka_poll(client.get(), 0);
  }
  finish(client, delivery, count);
  const double seconds = seconds_since(began);
  std::printf(
      "{\"records\": %zu, \"bytes\": %zu, \"records_per_second\": %.0f, \"mb_per_second\": %.1f, %s, \"client_cpu_seconds\": %.3f, "
      "\"seconds\": %.3f}\n",
      count, count * size, static_cast<double>(count) / seconds, static_cast<double>(count * size) / 1e6 / seconds,
      delivery.acks.json("").c_str(), cpu_seconds() - cpu_began, seconds);
  return 0;
}

int run_consume(const std::string& server, const std::string& name, int partitions) {
  const Client client = connect(RD_KAFKA_CONSUMER, server,
                                {{"queued.min.messages", "1000000"},
                                 {"queued.max.messages.kbytes", "131072"},
                                 {"fetch.message.max.bytes", "4194304"},
                                 {"fetch.wait.max.ms", "100"}});
  const Topic topic = open_topic(client, name);
  wait_for_metadata(client, topic, partitions);
  std::int64_t wanted = 0;
  for (int partition = 0; partition < partitions; ++partition) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    const auto error = rd_kafka_query_watermark_offsets(client.get(), name.c_str(), partition, &low, &high, 10'000);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) die(rd_kafka_err2str(error));
    wanted += high - low;
  }
  const Queue queue(rd_kafka_queue_new(client.get()));
  const auto began = Clock::now();
  const double cpu_began = cpu_seconds();
  for (int partition = 0; partition < partitions; ++partition)
    if (rd_kafka_consume_start_queue(topic.get(), partition, RD_KAFKA_OFFSET_BEGINNING, queue.get()) != 0)
      die(rd_kafka_err2str(rd_kafka_last_error()));
  std::vector<rd_kafka_message_t*> messages(10'000);
  std::int64_t records = 0;
  std::size_t bytes = 0;
  while (records < wanted) {
    // Returns when all that is asked for is there, not with the first: asking for more than there is would add the time-out.
    const std::size_t asked = std::min(messages.size(), static_cast<std::size_t>(wanted - records));
    const ssize_t taken = rd_kafka_consume_batch_queue(queue.get(), 10'000, messages.data(), asked);
    if (taken <= 0) die("nothing came for ten seconds");
    for (rd_kafka_message_t* message : std::span(messages).first(static_cast<std::size_t>(taken))) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) die(rd_kafka_message_errstr(message));
      ++records;
      bytes += message->len;
      rd_kafka_message_destroy(message);
    }
  }
  const double seconds = seconds_since(began);
  const double cpu = cpu_seconds() - cpu_began;
  for (int partition = 0; partition < partitions; ++partition) rd_kafka_consume_stop(topic.get(), partition);
  std::printf(
      "{\"records\": %lld, \"bytes\": %zu, \"records_per_second\": %.0f, \"mb_per_second\": %.1f, \"client_cpu_seconds\": %.3f, "
      "\"seconds\": %.3f}\n",
      static_cast<long long>(records), bytes, static_cast<double>(records) / seconds, static_cast<double>(bytes) / 1e6 / seconds, cpu,
      seconds);
  return 0;
}

/// Values begin with the time they were sent at, so that sender and receiver share nothing but the broker.
std::string stamped(std::size_t size) {
  std::string value(size, 'x');
  const std::int64_t now = Clock::now().time_since_epoch().count();
  std::memcpy(value.data(), &now, sizeof now);
  return value;
}

int run_latency(const std::string& server, const std::string& name, std::size_t count, std::size_t size, std::size_t rate) {
  if (size < sizeof(std::int64_t) || rate == 0) die("SIZE is at least 8 bytes, RATE at least 1");
  Delivery delivery;
  const Client producer = connect(RD_KAFKA_PRODUCER, server, {{"acks", "all"}, {"linger.ms", "0"}}, &delivery);
  const Topic out = open_topic(producer, name);
  wait_for_metadata(producer, out, 1);
  const Client consumer = connect(RD_KAFKA_CONSUMER, server, {{"fetch.wait.max.ms", "500"}, {"fetch.min.bytes", "1"}});
  const Topic in = open_topic(consumer, name);
  wait_for_metadata(consumer, in, 1);
  if (rd_kafka_consume_start(in.get(), 0, RD_KAFKA_OFFSET_BEGINNING) != 0) die(rd_kafka_err2str(rd_kafka_last_error()));

  // The first records open connections and the long poll; they are not counted.
  const std::size_t warm_up = rate;
  std::vector<std::string> values(warm_up + count);
  Samples received;
  std::thread receiver([&] {
    for (std::size_t i = 0; i < values.size(); ++i) {
      rd_kafka_message_t* message = rd_kafka_consume(in.get(), 0, 10'000);
      if (message == nullptr) die("nothing came for ten seconds");
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        --i;
      } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        die(rd_kafka_message_errstr(message));
      } else if (i >= warm_up) {
        std::int64_t sent = 0;
        std::memcpy(&sent, message->payload, sizeof sent);
        received.milliseconds.push_back(1000 * seconds_since(Clock::time_point(Clock::duration(sent))));
      }
      rd_kafka_message_destroy(message);
    }
  });
  const auto began = Clock::now();
  const double cpu_began = cpu_seconds();
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::this_thread::sleep_until(began + std::chrono::nanoseconds(i * 1'000'000'000 / rate));
    values[i] = stamped(size);
    send(producer, out, 0, values[i], &values[i]);
    rd_kafka_poll(producer.get(), 0);
  }
  finish(producer, delivery, values.size());
  receiver.join();
  const double cpu = cpu_seconds() - cpu_began;
  auto& acks = delivery.acks.milliseconds;
  acks.erase(acks.begin(), acks.begin() + static_cast<std::ptrdiff_t>(warm_up));
  rd_kafka_consume_stop(in.get(), 0);
  std::printf("{\"records\": %zu, %s, %s, \"client_cpu_seconds\": %.3f, \"seconds\": %.3f}\n", count, received.json("").c_str(),
              delivery.acks.json("ack_").c_str(), cpu, seconds_since(began));
  return 0;
}

int usage() {
  std::fprintf(stderr,
               "usage: kafka_load produce SERVER|--null TOPIC PARTITIONS COUNT SIZE large|small\n"
               "                  consume SERVER TOPIC PARTITIONS\n"
               "                  latency SERVER TOPIC COUNT SIZE RATE\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto number = [&](std::size_t index) { return static_cast<std::size_t>(std::strtoull(words[index].c_str(), nullptr, 10)); };
  if (words.size() < 4) return usage();
  const std::string& what = words[0];
  const int partitions = static_cast<int>(std::clamp<std::size_t>(number(3), 1, 10'000));
  if (what == "produce" && words.size() == 7 && (words[6] == "large" || words[6] == "small"))
    return run_produce(words[1], words[2], partitions, number(4), number(5), words[6] == "large");
  if (words[1] == "--null") return usage();
  if (what == "consume" && words.size() == 4) return run_consume(words[1], words[2], partitions);
  if (what == "latency" && words.size() == 6) return run_latency(words[1], words[2], number(3), number(4), number(5));
  return usage();
}
