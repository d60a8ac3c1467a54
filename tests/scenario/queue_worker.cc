// A member of a queue group that says what it does, one line each, so that a test can keep what the group was promised:
//
//     R partition offset number key deliveries      received, and processed
//     K partition offset                            its acknowledgement is confirmed
//     T partition offset                            confirmed: it is to come again
//     F partition offset                            refused: it had been taken back
//     U partition offset                            nobody knows: the connection was lost
//     X                                             closed
//
// Every line ends with the time, in nanoseconds of a clock that all processes share. One record in 13 fails the first time, one in 17 is
// given back.
//
//     queue_worker HOST:PORT TOPIC GROUP MEMBER

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <set>
#include <string>

#include <tidemark/client.h>

namespace {

using tidemark::QueueConsumer;
using tidemark::QueueMessage;

constexpr std::size_t kReceiveMax = 20;

std::atomic<bool> asked_to_stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // It is set by a signal.

void say(const std::string& text) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const std::string line = text + ' ' + std::to_string(std::chrono::nanoseconds(now).count()) + '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
}

std::string place(std::int32_t partition, tidemark::Offset offset) {
  return std::to_string(partition) + ' ' + std::to_string(offset.value);
}

long long number_in(std::string_view value) {
  constexpr std::string_view kPrefix = "record-";
  long long number = -1;
  if (value.starts_with(kPrefix)) std::from_chars(value.data() + kPrefix.size(), value.data() + value.size(), number);
  return number;
}

/// Settles them all the same way, and says what came of it.
void settle(QueueConsumer& consumer, const QueueConsumer::Messages& messages, tidemark::Settlement how, const std::string& confirmed) {
  if (messages.empty()) return;
  const auto report = consumer.settle(messages, std::move(how));
  if (!report) std::fprintf(stderr, "settle: %s\n", report.error().to_string().c_str());
  std::set<std::pair<std::int32_t, std::int64_t>> refused, unknown;
  if (report) {
    for (const auto& failure : report->failures) {
      auto& where = failure.error.maybe_done ? unknown : refused;
      where.emplace(failure.partition, failure.offset.value);
      std::fprintf(stderr, "settle %d %lld: %s\n", failure.partition, static_cast<long long>(failure.offset.value),
                   failure.error.to_string().c_str());
    }
  }
  for (const QueueMessage& message : messages) {
    const std::pair key(message.partition(), message.offset().value);
    const bool lost = !report || unknown.contains(key);
    say((lost ? "U " : refused.contains(key) ? "F " : confirmed + ' ') + place(message.partition(), message.offset()));
  }
}

void process(QueueConsumer& consumer, const QueueConsumer::Messages& messages) {
  QueueConsumer::Messages done, failed, given_back;
  for (const QueueMessage& message : messages) {
    const long long number = number_in(message.value().value_or(""));
    say("R " + place(message.partition(), message.offset()) + ' ' + std::to_string(number) + ' ' +
        std::string(message.key().value_or("-1")) + ' ' + std::to_string(message.deliveries()));
    const bool first = message.deliveries() == 1;
    (first && number % 13 == 0 ? failed : first && number % 17 == 0 ? given_back : done).push_back(message);
  }
  std::fflush(stdout);
  settle(consumer, done, tidemark::Ack{}, "K");
  settle(consumer, failed, tidemark::Retry{.delay = std::chrono::milliseconds(5), .reason = "one in thirteen"}, "T");
  settle(consumer, given_back, tidemark::Release{}, "T");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  std::signal(SIGTERM, [](int) { asked_to_stop = true; });
  tidemark::ClientOptions where;
  where.server = argv[1];
  tidemark::Client client(where);
  tidemark::QueueOptions how{.group = argv[3], .topic = argv[2], .member = argv[4], .create = false};
  how.prefetch = kReceiveMax;
  auto consumer = client.queue_consumer(how);
  if (!consumer) {
    std::fprintf(stderr, "%s\n", consumer.error().to_string().c_str());
    return 1;
  }
  while (!asked_to_stop && std::ferror(stdout) == 0) {
    const auto messages = consumer->receive(kReceiveMax, std::chrono::milliseconds(100));
    if (!messages) {
      std::fprintf(stderr, "receive: %s\n", messages.error().to_string().c_str());
      continue;
    }
    process(*consumer, *messages);
  }
  const tidemark::Status closed = consumer->close();
  if (closed)
    say("X");
  else
    std::fprintf(stderr, "close: %s\n", closed.error().to_string().c_str());
  return closed ? 0 : 1;
}
