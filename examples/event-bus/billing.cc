// The billing service: each step of an order has its paper. Several workers share the orders as one queue, ordered by key: the events of
// one order are handed out one after the other, to whichever worker is free, and an order that fails holds up nobody else.
//
//     event-bus-billing [--server HOST:PORT] [--instance NAME] [--cannot-bill ORDER]      until SIGTERM
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include <event_bus/event.h>
#include <tidemark/client.h>
#include <unistd.h>

namespace {

using event_bus::argument;

constexpr std::array<std::string_view, event_bus::kSteps.size()> kPapers = {"quote", "invoice", "receipt"};
/// Orders this process works on at a time.
constexpr std::size_t kThreads = 8;

class Billing {
 public:
  /// `cannot_bill`: the fault of this service that the demo is about; empty: it has been mended.
  Billing(tidemark::Producer invoices, std::string cannot_bill) : invoices_(std::move(invoices)), cannot_bill_(std::move(cannot_bill)) {}

  /// Returns when the paper is on the disk, and only then is the event acknowledged: a crash in between repeats it, and nothing is lost.
  /// An exception makes it a failure: the event comes again, and after `delivery.limit` failures it goes to the dead letters with this
  /// text.
  void bill(const tidemark::QueueMessage& message) {
    const std::optional<event_bus::Event> event = event_bus::parse_value(message.value().value_or(""));
    if (!event || !message.key()) throw std::invalid_argument("an event that is none");
    if (*message.key() == cannot_bill_) throw std::runtime_error("no billing address for " + cannot_bill_);
    const std::string paper = event_bus::to_value(event->step, kPapers[event->step]);
    const tidemark::Result<tidemark::Stored> stored = invoices_.send({.key = message.key(), .value = paper});
    if (!stored) throw std::runtime_error(stored.error().to_string());
  }

 private:
  tidemark::Producer invoices_;
  const std::string cannot_bill_;
};

int told(const tidemark::Error& error) {
  std::cerr << "billing: " << error.to_string() << '\n';
  return 1;
}

/// Turns SIGTERM and Ctrl-C into a request to stop. Made before any other thread, so that all of them leave these signals to it.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::thread([this] {
      int signal = 0;
      sigwait(&signals_, &signal);
      stop_.request_stop();
    });
  }
  ~StopSignals() {
    if (!stop_.stop_requested()) ::kill(::getpid(), SIGTERM);
    thread_.join();
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  std::stop_token token() const { return stop_.get_token(); }

 private:
  sigset_t signals_;
  std::stop_source stop_;
  std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  const StopSignals stop;
  tidemark::ClientOptions options;
  options.server = argument(argc, argv, "--server").value_or(options.server);
  options.client_id = argument(argc, argv, "--instance").value_or("billing");
  tidemark::Client client(options);

  tidemark::Result<tidemark::Producer> invoices = client.producer("invoices");
  if (!invoices) return told(invoices.error());
  Billing billing(*std::move(invoices), argument(argc, argv, "--cannot-bill").value_or(""));

  tidemark::QueueOptions queue;
  queue.group = "billing";
  queue.topic = "orders";
  queue.member = argument(argc, argv, "--instance").value_or("");
  queue.settings = {{"ordering", "key"}, {"delivery.limit", "3"}, {"backoff", "20ms,100ms"}};  // The first worker makes the group.
  tidemark::Result<tidemark::QueueConsumer> consumer = client.queue_consumer(queue);
  if (!consumer) return told(consumer.error());

  const auto run = consumer->run([&billing](const tidemark::QueueMessage& message) { billing.bill(message); }, kThreads, stop.token());
  if (!run) return told(run.error());
  if (const tidemark::Status closed = consumer->close(); !closed) return told(closed.error());
  return 0;
}
