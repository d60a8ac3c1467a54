// What a transaction costs beside the same records without one, through librdkafka, as JSON.
//
//     transaction_load SERVER|--null TOPIC PARTITIONS RECORDS SIZE ROUNDS both|plain|transaction
//
// Each round sends RECORDS records of SIZE bytes with an idempotent producer (acks=all) and flushes it, then the same records with a
// transactional producer, from begin to the answer to the commit; so both meet the same minute. The topic exists, with PARTITIONS
// partitions, all of which get records. `plain` and `transaction` do one of the two only, so that the broker's flushes can be counted.
// Nobody sends beside it. SERVER `--null` is librdkafka's own mock broker in this process, which keeps nothing and flushes nothing: the
// client's own share of the time.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "bench/compare/queue_load.h"

namespace tidemark::bench {
namespace {

constexpr int kTimeoutMs = 60'000;
constexpr std::size_t kNoiseBytes = 1 << 20;
constexpr std::size_t kWarmUpRounds = 10;

struct Destroy {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
};
using Client = std::unique_ptr<rd_kafka_t, Destroy>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy>;

void check(rd_kafka_resp_err_t error, std::string_view what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) die(what, rd_kafka_err2str(error));
}

/// Takes the error over; a null one is none.
void check(rd_kafka_error_t* error, std::string_view what) {
  const std::unique_ptr<rd_kafka_error_t, Destroy> owned(error);
  if (owned) die(what, rd_kafka_error_string(owned.get()));
}

/// One way to send a round's records, and how long each round took.
struct Sender {
  bool transactional = false;
  Client client{};
  Topic topic{};              ///< Goes before its client.
  std::size_t delivered = 0;  ///< Counted by delivery reports, on the thread that polls.
  std::vector<double> milliseconds{};

  void connect(const std::string& server, const std::string& topic_name, int partitions);
  void run_round(int partitions, std::size_t records, std::size_t size, std::string_view source);
  std::string json(std::size_t records);
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  check(message->err, "a record was not stored");
  ++static_cast<Sender*>(opaque)->delivered;
}

void Sender::connect(const std::string& server, const std::string& topic_name, int partitions) {
  char error[512];
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  const auto set = [&](const char* key, const std::string& value) {
    if (rd_kafka_conf_set(conf, key, value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) die(key, error);
  };
  if (server == "--null")
    set("test.mock.num.brokers", "1");
  else
    set("bootstrap.servers", server);
  set("socket.nagle.disable", "true");  // It holds the ends of requests back for 40 ms, and would be all there is to measure.
  set("enable.idempotence", "true");
  set("acks", "all");
  set("linger.ms", "5");  // A flush does not wait for it: a round's records of one partition are one batch.
  if (transactional) set("transactional.id", "transaction-load");
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  client.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error));
  if (!client) die("no client", error);
  if (rd_kafka_mock_cluster_t* mock = rd_kafka_handle_mock_cluster(client.get()))
    rd_kafka_mock_topic_create(mock, topic_name.c_str(), partitions, 1);
  topic.reset(rd_kafka_topic_new(client.get(), topic_name.c_str(), nullptr));
  if (!topic) check(rd_kafka_last_error(), topic_name);
  if (transactional) check(rd_kafka_init_transactions(client.get(), kTimeoutMs), "init_transactions");
}

void Sender::run_round(int partitions, std::size_t records, std::size_t size, std::string_view source) {
  const std::size_t before = delivered;
  const auto began = Clock::now();
  if (transactional) check(rd_kafka_begin_transaction(client.get()), "begin");
  for (std::size_t i = 0; i < records; ++i) {
    // Neither copied nor freed by librdkafka: the bytes outlive the round's flush.
    char* const value = const_cast<char*>(source.data() + (i * 7919) % (source.size() - size));
    const auto partition = static_cast<std::int32_t>(i % static_cast<std::size_t>(partitions));
    if (rd_kafka_produce(topic.get(), partition, 0, value, size, nullptr, 0, nullptr) != 0) check(rd_kafka_last_error(), "produce");
  }
  if (transactional)
    check(rd_kafka_commit_transaction(client.get(), kTimeoutMs), "commit");
  else
    check(rd_kafka_flush(client.get(), kTimeoutMs), "flush");
  milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
  if (delivered - before != records) die("records were lost", std::to_string(records - (delivered - before)));
}

std::string Sender::json(std::size_t records) {
  const double seconds = std::accumulate(milliseconds.begin(), milliseconds.end(), 0.0) / 1000;
  std::ranges::sort(milliseconds);
  const auto at = [&](std::size_t percent) { return milliseconds[milliseconds.size() * percent / 100]; };
  char text[200];
  std::snprintf(text, sizeof text, "\"%s\": {\"records_per_second\": %.0f, \"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}",
                transactional ? "transaction" : "plain", static_cast<double>(records * milliseconds.size()) / seconds, seconds, at(50),
                at(99));
  return text;
}

int run(const std::string& server, const std::string& topic, int partitions, std::size_t records, std::size_t size, std::size_t rounds,
        std::string_view what) {
  const std::string source = noise(kNoiseBytes);
  if (size == 0 || size >= source.size()) die("SIZE is 1 B to 1 MiB", std::to_string(size));
  Sender plain;
  Sender transactional{.transactional = true};
  std::vector<Sender*> senders;
  if (what != "transaction") senders.push_back(&plain);
  if (what != "plain") senders.push_back(&transactional);
  for (Sender* sender : senders) {
    sender->connect(server, topic, partitions);
    // The first rounds open connections and learn who leads what; they are not counted.
    for (std::size_t i = 0; i < kWarmUpRounds; ++i) sender->run_round(partitions, records, size, source);
    sender->milliseconds.clear();
  }
  for (std::size_t i = 0; i < rounds; ++i) {
    for (Sender* sender : senders) sender->run_round(partitions, records, size, source);
  }
  std::string figures;
  for (Sender* sender : senders) figures += sender->json(records) + ", ";
  std::printf("{%s\"rounds\": %zu, \"warm_up_rounds\": %zu}\n", figures.c_str(), rounds, kWarmUpRounds);
  return 0;
}

}  // namespace
}  // namespace tidemark::bench

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto number = [&](std::size_t index) { return static_cast<std::size_t>(std::strtoull(words[index].c_str(), nullptr, 10)); };
  if (words.size() != 7 || number(3) == 0 || number(5) == 0 || (words[6] != "both" && words[6] != "plain" && words[6] != "transaction")) {
    std::fprintf(stderr, "usage: transaction_load SERVER|--null TOPIC PARTITIONS RECORDS SIZE ROUNDS both|plain|transaction\n");
    return 2;
  }
  const int partitions = static_cast<int>(std::clamp<std::size_t>(number(2), 1, 10'000));
  return tidemark::bench::run(words[0], words[1], partitions, number(3), number(4), number(5), words[6]);
}
