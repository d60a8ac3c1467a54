// A member of a stream group that says what it does, one line each, so that a test can keep what the group was promised:
//
//     A partition                        assigned
//     L partition                        lost: somebody else has it already
//     R partition offset number          processed
//     K partition next                   everything below is committed
//     Z lag                              on SIGTERM, before closing: records of its partitions that are not done
//     X                                  closed, and what it had done is committed
//
// Every line ends with the time, in nanoseconds of a clock that all processes share.
//
//     group_worker HOST:PORT TOPIC GROUP

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>

#include <tidemark/client.h>

namespace {

std::atomic<bool> asked_to_stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // It is set by a signal.

/// One write a line: lines of the two threads that print must not mix.
void say(const std::string& text) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const std::string line = text + ' ' + std::to_string(std::chrono::nanoseconds(now).count()) + '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
}

long long number_in(std::string_view value) {
  constexpr std::string_view kPrefix = "record-";
  long long number = -1;
  if (value.starts_with(kPrefix)) std::from_chars(value.data() + kPrefix.size(), value.data() + value.size(), number);
  return number;
}

void process(tidemark::StreamConsumer& consumer, const tidemark::StreamConsumer::Messages& messages) {
  std::map<std::int32_t, tidemark::Offset> next;
  for (const tidemark::Message& message : messages) {
    say("R " + std::to_string(message.partition()) + ' ' + std::to_string(message.offset().value) + ' ' +
        std::to_string(number_in(message.value().value_or(""))));
    next[message.partition()] = message.offset() + 1;
  }
  std::fflush(stdout);
  consumer.done(messages);
  for (const auto& [partition, offset] : next) {
    const tidemark::Status committed = consumer.commit({std::string(messages.front().topic()), partition}, offset);
    if (committed)
      say("K " + std::to_string(partition) + ' ' + std::to_string(offset.value));
    else
      std::fprintf(stderr, "commit: %s\n", committed.error().to_string().c_str());
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::signal(SIGTERM, [](int) { asked_to_stop = true; });
  tidemark::ClientOptions where;
  where.server = argv[1];
  tidemark::Client client(where);
  tidemark::StreamOptions how;
  how.topics = {argv[2]};
  how.group = argv[3];
  how.session_timeout = std::chrono::seconds(6);
  how.commit_every = std::chrono::milliseconds(0);
  const auto each = [](const char* what, const tidemark::TopicPartitions& partitions) {
    for (const tidemark::TopicPartition& partition : partitions) say(std::string(what) + ' ' + std::to_string(partition.partition));
    std::fflush(stdout);
  };
  how.on_assigned = [&](const tidemark::TopicPartitions& partitions) { each("A", partitions); };
  how.on_lost = [&](const tidemark::TopicPartitions& partitions) { each("L", partitions); };
  auto consumer = client.stream_consumer(how);
  if (!consumer) {
    std::fprintf(stderr, "%s\n", consumer.error().to_string().c_str());
    return 1;
  }
  while (!asked_to_stop && std::ferror(stdout) == 0) {
    const auto messages = consumer->poll(std::chrono::milliseconds(100), 200);
    if (!messages) {
      std::fprintf(stderr, "poll: %s\n", messages.error().to_string().c_str());
      continue;
    }
    if (!messages->empty()) process(*consumer, *messages);
  }
  if (const auto lag = consumer->lag()) say("Z " + std::to_string(*lag));
  const tidemark::Status closed = consumer->close();
  if (closed)
    say("X");
  else
    std::fprintf(stderr, "close: %s\n", closed.error().to_string().c_str());
  return closed ? 0 : 1;
}
