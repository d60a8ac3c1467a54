// Load on a Redis stream through hiredis, one figure a run, as JSON. The server is Redis or whoever speaks like it.
//
//     redis_load fill HOST:PORT KEY COUNT SIZE                         XADD, pipelined: entries/s
//     redis_load work HOST:PORT KEY WORKERS BATCH COUNT SIZE           XREADGROUP + XACK of COUNT entries that were put there before:
//     entries/s redis_load queue HOST:PORT KEY WORKERS BATCH COUNT SIZE RATE     the same while one publisher adds them, RATE a second (0:
//     as fast as it goes)
//
// A worker is a connection and a thread: it reads up to BATCH entries, acknowledges them in one XACK, waits for the answer, and reads on.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <hiredis/hiredis.h>

#include "bench/compare/queue_load.h"

namespace {

using namespace tidemark::bench;

constexpr std::size_t kInFlight = 1000;
constexpr const char* kGroup = "bench";

using Reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

class Connection {
 public:
  explicit Connection(const Address& address) : context_(redisConnect(address.host.c_str(), address.port), &redisFree) {
    if (!context_ || context_->err != 0) die("connect", context_ ? context_->errstr : "no memory");
  }
  void send(const std::vector<std::string_view>& words) {
    pointers_.clear();
    lengths_.clear();
    for (const std::string_view word : words) {
      pointers_.push_back(word.data());
      lengths_.push_back(word.size());
    }
    redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), pointers_.data(), lengths_.data());
  }
  /// Ends the program on an error reply.
  Reply receive() {
    void* reply = nullptr;
    if (redisGetReply(context_.get(), &reply) != REDIS_OK) die("read", context_->errstr);
    Reply owned(static_cast<redisReply*>(reply), &freeReplyObject);
    if (owned->type == REDIS_REPLY_ERROR) die("reply", owned->str);
    return owned;
  }
  Reply call(const std::vector<std::string_view>& words) {
    send(words);
    return receive();
  }

 private:
  std::unique_ptr<redisContext, decltype(&redisFree)> context_;
  std::vector<const char*> pointers_;
  std::vector<std::size_t> lengths_;
};

/// Adds all records of the run with up to kInFlight unanswered, or one by one where there is a rate.
void publish(Connection& connection, std::string_view key, QueueRun& run) {
  const std::size_t unanswered_max = run.paced() ? 1 : kInFlight;
  std::size_t unanswered = 0;
  for (std::size_t i = 0; i < run.count(); ++i) {
    connection.send({"XADD", key, "*", "v", run.next_value(i)});
    if (++unanswered < unanswered_max) continue;
    for (; unanswered > unanswered_max / 2; --unanswered) connection.receive();  // Half of them, so that writes and reads stay large.
  }
  for (; unanswered > 0; --unanswered) connection.receive();
}

/// The entries of an XREADGROUP reply of one stream; none where it timed out.
std::vector<std::pair<std::string_view, std::string_view>> entries(const redisReply& reply) {
  std::vector<std::pair<std::string_view, std::string_view>> found;
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 1) return found;
  const redisReply& list = *reply.element[0]->element[1];
  for (std::size_t i = 0; i < list.elements; ++i) {
    const redisReply& entry = *list.element[i];
    const redisReply& value = *entry.element[1]->element[1];
    found.emplace_back(std::string_view(entry.element[0]->str, entry.element[0]->len), std::string_view(value.str, value.len));
  }
  return found;
}

void work(Connection& connection, std::string_view key, const std::string& name, const std::string& batch, QueueRun& run) {
  while (!run.finished()) {
    const Reply reply = connection.call({"XREADGROUP", "GROUP", kGroup, name, "COUNT", batch, "BLOCK", "100", "STREAMS", key, ">"});
    const auto taken = entries(*reply);
    if (taken.empty()) continue;
    std::vector<std::string_view> ack = {"XACK", key, kGroup};
    for (const auto& [id, value] : taken) {
      if (!run.received(value)) die("entry", "not one of this run");
      ack.push_back(id);
    }
    const Reply settled = connection.call(ack);
    run.settled(static_cast<std::size_t>(settled->integer));
  }
}

int fill(const Address& server, std::string_view key, QueueRun& run) {
  Connection connection(server);
  run.begin();
  const auto began = Clock::now();
  publish(connection, key, run);
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  std::printf("{\"records\": %zu, \"seconds\": %.3f, \"records_per_second\": %.0f}\n", run.count(), seconds,
              static_cast<double>(run.count()) / seconds);
  return 0;
}

int run_group(const Address& server, std::string_view key, std::size_t workers, const std::string& batch, bool publishing, QueueRun& run) {
  Connection publisher(server);
  publisher.call({"XGROUP", "CREATE", key, kGroup, "0", "MKSTREAM"});
  std::vector<Connection> connections;
  for (std::size_t i = 0; i < workers; ++i) connections.emplace_back(server);
  run.begin();
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < workers; ++i) {
    threads.emplace_back([&, i] { work(connections[i], key, "worker-" + std::to_string(i), batch, run); });
  }
  if (publishing) publish(publisher, key, run);
  for (std::thread& thread : threads) thread.join();
  publisher.call({"XGROUP", "DESTROY", key, kGroup});
  run.print();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [&](int index) { return static_cast<std::size_t>(std::strtoull(argv[index], nullptr, 10)); };
  if (what == "fill" && argc == 6) {
    QueueRun run(number(4), number(5), 0);
    return fill(parse_address(argv[2]), argv[3], run);
  }
  if ((what == "work" && argc == 8) || (what == "queue" && argc == 9)) {
    const bool publishing = what == "queue";
    QueueRun run(number(6), number(7), publishing ? number(8) : 0);
    return run_group(parse_address(argv[2]), argv[3], number(4), argv[5], publishing, run);
  }
  std::fprintf(stderr, "usage: redis_load fill HOST:PORT KEY COUNT SIZE | work HOST:PORT KEY WORKERS BATCH COUNT SIZE | queue ... RATE\n");
  return 2;
}
