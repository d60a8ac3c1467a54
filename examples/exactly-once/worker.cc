// Books payments: consume, transform, produce, exactly once. Several of them share the work; each may be killed at any moment.
//
//     exactly-once-worker --name NAME [--server HOST:PORT]      until SIGTERM; no two at a time may have the same name
#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include <exactly_once/payment.h>
#include <tidemark/client.h>

namespace {

using namespace std::chrono_literals;
using tidemark::Error;
using tidemark::Message;
using tidemark::Result;
using tidemark::Status;

constexpr int kRewindAttempts = 100;

std::atomic<bool> stopping = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void stop(int) { stopping = true; }

class Worker {
 public:
  Worker(std::string name, tidemark::StreamConsumer consumer, tidemark::TransactionalProducer producer)
      : name_(std::move(name)), consumer_(std::move(consumer)), producer_(std::move(producer)) {}

  bool run() {
    while (!stopping) {
      const Result<std::vector<Message>> payments = consumer_.poll(100ms, 100);
      if (!payments) return told(payments.error());
      if (payments->empty()) continue;
      const Status booked = book(*payments);
      if (!booked && !start_over(*payments, booked.error())) return false;
    }
    const Status left = consumer_.close();
    return left || told(left.error());
  }

 private:
  /// Bookings and the position behind the payments become visible together, or neither does.
  Status book(const std::vector<Message>& payments) {
    if (Status begun = producer_.begin(); !begun) return begun;
    for (const Message& message : payments) {
      const std::optional<exactly_once::Payment> payment = exactly_once::parse_payment(message.value().value_or(""));
      if (!payment) return Error{tidemark::Errc::invalid_argument, "a payment that is none"};
      const std::string booking = exactly_once::booking_of(*payment);
      const Status sent = producer_.send(exactly_once::kBookings, {.key = message.key(), .value = booking});
      if (!sent) return sent;
    }
    if (Status positioned = producer_.commit_offsets(consumer_, payments); !positioned) return positioned;
    Status committed = producer_.commit();
    // The answer was lost: the commit may have been decided, and only asking again tells.
    while (!committed && committed.error().maybe_done && !committed.error().fatal() && !stopping) committed = producer_.commit();
    return committed;
  }

  /// Nothing of it has happened: the payments are to come again, here or, where a partition was taken away, at whoever has it now.
  bool start_over(const std::vector<Message>& payments, const Error& why) {
    told(why);
    if (why.fatal()) return false;  // Another worker of this name has come, or this one was too slow: it has nothing to say any more.
    if (const Status aborted = producer_.abort(); !aborted && aborted.error().code != tidemark::Errc::invalid_transaction_state) {
      return told(aborted.error());
    }
    consumer_.done(payments);  // Lets go of those that are to be handed over.
    for (const tidemark::TopicPartition& where : consumer_.assignment()) {
      Status sought = consumer_.seek(where, tidemark::Position::committed());
      for (int i = 0; i < kRewindAttempts && !sought && sought.error().retriable(); ++i) {
        sought = consumer_.seek(where, tidemark::Position::committed());
      }
      if (!sought && sought.error().code != tidemark::Errc::not_owner) return told(sought.error());
    }
    return true;
  }

  bool told(const Error& error) const {
    std::cerr << name_ << ": " << error.to_string() << '\n';
    return false;
  }

  const std::string name_;
  tidemark::StreamConsumer consumer_;
  tidemark::TransactionalProducer producer_;
};

template <class T>
bool made(const Result<T>& result) {
  if (!result) std::cerr << "exactly-once-worker: " << result.error().to_string() << '\n';
  return result.has_value();
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGTERM, stop);
  std::signal(SIGINT, stop);
  const std::optional<std::string> name = exactly_once::argument(argc, argv, "--name");
  if (!name) {
    std::cerr << "exactly-once-worker: --name NAME is missing\n";
    return 2;
  }
  tidemark::ClientOptions options;
  options.server = exactly_once::argument(argc, argv, "--server").value_or(options.server);
  options.client_id = *name;
  options.reconnect_backoff_max = 200ms;
  tidemark::Client client(options);

  // The producer first: it ends what a predecessor of this name has left open, and the consumer need not wait for its time-out.
  tidemark::TransactionalOptions transactions;
  transactions.id = *name;
  transactions.timeout = 10s;
  const Result<tidemark::TransactionalProducer> producer = client.transactional_producer(transactions);
  if (!made(producer)) return 1;

  tidemark::StreamOptions payments;
  payments.group = "bookkeepers";
  payments.topics = {std::string(exactly_once::kPayments)};
  payments.transactional = true;
  payments.instance = *name;  // Back after a crash, it has its partitions again at once.
  const Result<tidemark::StreamConsumer> consumer = client.stream_consumer(payments);
  if (!made(consumer)) return 1;
  return Worker(*name, *consumer, *producer).run() ? 0 : 1;
}
