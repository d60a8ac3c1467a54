// The order service: customers place, pay and receive orders. Events of one order have its number as their key, so they keep their order.
//
//     event-bus-order [--server HOST:PORT] [--orders N] [--rate EVENTS_PER_SECOND]      without --orders it goes on until SIGTERM
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <limits>
#include <thread>

#include <event_bus/event.h>
#include <tidemark/client.h>

namespace {

/// Orders under way at the same time: their events mingle.
constexpr std::int64_t kOpenOrders = 50;

std::atomic<bool> stopping = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void stop(int) { stopping = true; }

class OrderService {
 public:
  OrderService(tidemark::Producer producer, double rate) : producer_(std::move(producer)), pause_(1.0 / rate) {}

  bool run(std::int64_t orders) {
    const auto last_step = static_cast<std::int64_t>(event_bus::kSteps.size()) - 1;
    // Each order is one step further when kOpenOrders others have begun. After SIGTERM those that are open are finished.
    for (std::int64_t now = 0; now < orders + last_step * kOpenOrders; ++now) {
      if (stopping && orders > now) orders = now;
      for (std::int64_t step = 0; step <= last_step; ++step) {
        const std::int64_t order = now - step * kOpenOrders;
        if (order >= 0 && order < orders && !publish(order, static_cast<std::size_t>(step))) return false;
      }
    }
    const tidemark::Status flushed = producer_.flush();
    if (!flushed) std::cerr << "order: " << flushed.error().to_string() << '\n';
    return flushed && !failed_;
  }

 private:
  bool publish(std::int64_t order, std::size_t step) {
    if (!stopping) std::this_thread::sleep_until(next_);
    next_ = std::max(next_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(pause_),
                     std::chrono::steady_clock::now() - std::chrono::seconds(1));
    const std::string key = "order-" + std::to_string(order);
    const std::string value = event_bus::to_value(step, event_bus::kSteps[step]);
    const auto note = [this](const tidemark::Result<tidemark::Stored>& stored) {
      if (!stored) failed_ = true;
    };
    while (!producer_.try_post({.key = key, .value = value}, note)) {
      if (const tidemark::Status flushed = producer_.flush(); !flushed) return false;
    }
    return !failed_;
  }

  tidemark::Producer producer_;
  const std::chrono::duration<double> pause_;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now();
  std::atomic<bool> failed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGTERM, stop);
  std::signal(SIGINT, stop);
  tidemark::ClientOptions options;
  options.server = event_bus::argument(argc, argv, "--server").value_or(options.server);
  options.client_id = "order";
  const std::string orders = event_bus::argument(argc, argv, "--orders").value_or("");
  const double rate = std::stod(event_bus::argument(argc, argv, "--rate").value_or("1000"));

  tidemark::Client client(options);
  tidemark::Result<tidemark::Producer> producer = client.producer("orders");
  if (!producer) {
    std::cerr << "order: " << producer.error().to_string() << '\n';
    return 1;
  }
  OrderService service(*std::move(producer), rate);
  return service.run(orders.empty() ? std::numeric_limits<std::int64_t>::max() / 2 : std::stoll(orders)) ? 0 : 1;
}
