#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "storage/base/result.h"
#include "tidemark/client.h"

namespace tidemark::tools {

/// The shop of examples/event-bus with its services as threads, each with a connection of its own, and each with a trouble of its own:
///
/// | group     | kind   | what is wrong                                        | what is to be seen        |
/// | inventory | stream | slower than a sale, from which it has a backlog      | draining, with an ETA     |
/// | billing   | queue  | cannot bill some orders, which fail three times      | ok, with dead letters     |
/// | shipping  | queue  | its worker has taken what it may have, and hangs     | stalled                   |
/// | analytics | stream | its only member has left                             | stopped                   |
///
/// Services publish `stock-moves` and `invoices`; the order service also has `reminders` delivered later.
class DemoShop {
 public:
  struct Options {
    std::string server;
    double rate = 20;                             ///< Events of orders a second; inventory does twice as many.
    std::int64_t backlog = 6000;                  ///< Events of a sale. The next one comes when inventory is nearly done with the last one.
    std::chrono::milliseconds objective{10'000};  ///< `lag.objective` of all groups.
  };

  explicit DemoShop(Options options);
  DemoShop(const DemoShop&) = delete;
  DemoShop& operator=(const DemoShop&) = delete;
  ~DemoShop();  ///< close()

  /// Makes topics and groups, publishes the first sale, and sets the services to work. Error topic_exists, conflict: the broker has a
  /// topic or group of one of these names already; nothing is left then. Others as of Client.
  Status open();
  /// Ends the services. Once.
  void close();
  /// Removes the topics and groups that open() has made, with the dead letters. After close().
  Status remove();

  /// Why a service had to end; once there is one, it stays.
  Status failure() const;

 private:
  Status prepare();
  Status make_topics();
  Status make_groups();
  Status take_orders(std::stop_token stop);
  Status keep_inventory(const std::string& member, std::stop_token stop);
  Status bill(const std::string& member, std::stop_token stop);
  Status ship(std::stop_token stop);
  Status analyse(std::stop_token stop);

  Client connect(const std::string& client_id) const;
  /// The order service's next events, durable when it answers.
  Status publish(Producer& orders, Producer& reminders, std::int64_t events);
  void start(std::string service, std::function<Status(std::stop_token)> work);
  /// Waits until then; false: stopped.
  bool wait_until(std::chrono::steady_clock::time_point when, const std::stop_token& stop);

  const Options options_;
  std::vector<std::string> topics_;                          ///< Made by open().
  std::vector<std::string> streams_;                         ///< Likewise.
  std::vector<std::pair<std::string, std::string>> queues_;  ///< Likewise: group and topic.
  std::int64_t next_event_ = 0;                              ///< Of the order service.
  std::atomic<std::int64_t> published_ = 0;
  std::atomic<std::int64_t> moved_ = 0;  ///< Events inventory is done with.

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  Status failure_;  ///< Under mutex_.
  std::vector<std::jthread> services_;
};

}  // namespace tidemark::tools
