#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>

#include <event_bus/service.h>
#include <tidemark/client.h>

namespace event_bus {
namespace {

using tidemark::Message;
using tidemark::Result;

std::atomic<bool> stopping = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void stop(int) { stopping = true; }

class Worker {
 public:
  Worker(const Service& service, tidemark::StreamConsumer consumer, tidemark::Producer producer)
      : service_(service), consumer_(std::move(consumer)), producer_(std::move(producer)) {}

  bool run() {
    while (!stopping && !failed_) {
      const Result<std::vector<Message>> messages = consumer_.poll(std::chrono::milliseconds(100));
      if (!messages) return told(messages.error());
      for (const Message& message : *messages) {
        if (!answer(message)) return false;
      }
    }
    // What was published is done, and close() commits it.
    if (const tidemark::Status flushed = producer_.flush(); !flushed) return told(flushed.error());
    if (const tidemark::Status closed = consumer_.close(); !closed) return told(closed.error());
    return !failed_;
  }

 private:
  bool answer(const Message& message) {
    const std::optional<Event> event = parse_value(message.value().value_or(""));
    if (!event || !message.key()) return told({tidemark::Errc::invalid_argument, "an event that is none"});
    const std::string value = to_value(event->step, service_.words[event->step]);
    // An event counts as done when the answer to it is on the disk: a crash in between repeats it, and nothing is lost.
    const auto published = [this, message](const Result<tidemark::Stored>& stored) {
      if (stored) {
        consumer_.done(message);
      } else {
        failed_ = true;
      }
    };
    while (!producer_.try_post({.key = message.key(), .value = value}, published)) {
      if (const tidemark::Status flushed = producer_.flush(); !flushed) return told(flushed.error());
    }
    return true;
  }
  bool told(const tidemark::Error& error) const {
    std::cerr << service_.group << ": " << error.to_string() << '\n';
    return false;
  }

  const Service& service_;
  tidemark::StreamConsumer consumer_;
  tidemark::Producer producer_;
  std::atomic<bool> failed_ = false;
};

}  // namespace

int run(const Service& service, int argc, char** argv) {
  std::signal(SIGTERM, stop);
  std::signal(SIGINT, stop);
  tidemark::ClientOptions options;
  options.server = argument(argc, argv, "--server").value_or(options.server);
  tidemark::StreamOptions stream;
  stream.group = service.group;
  stream.topics = {"orders"};
  stream.instance = argument(argc, argv, "--instance").value_or("");
  stream.session_timeout = std::chrono::seconds(10);
  stream.commit_every = std::chrono::milliseconds(200);
  options.client_id = stream.instance.empty() ? service.group : stream.instance;

  tidemark::Client client(options);
  Result<tidemark::Producer> producer = client.producer(service.output);
  if (!producer) {
    std::cerr << service.group << ": " << producer.error().to_string() << '\n';
    return 1;
  }
  Result<tidemark::StreamConsumer> consumer = client.stream_consumer(stream);
  if (!consumer) {
    std::cerr << service.group << ": " << consumer.error().to_string() << '\n';
    return 1;
  }
  return Worker(service, *std::move(consumer), *std::move(producer)).run() ? 0 : 1;
}

}  // namespace event_bus
