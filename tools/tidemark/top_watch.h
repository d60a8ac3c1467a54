#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "storage/base/result.h"
#include "tidemark/client.h"
#include "tools/tidemark/top_model.h"

namespace tidemark::tools {

/// Asks the broker for all a model wants.
Result<TopSample> take_sample(Client& client);

/// Does so again and again on a thread of its own, so that keys are answered while the broker is not.
class TopWatch {
 public:
  /// `client` outlives this. The next sample is asked for so long after the last one has come.
  TopWatch(Client& client, std::chrono::milliseconds interval);
  ~TopWatch();  ///< Closes the client: what is under way is cancelled.
  TopWatch(const TopWatch&) = delete;
  TopWatch& operator=(const TopWatch&) = delete;

  /// Readable when there is something to take().
  int descriptor() const { return event_; }
  /// The latest, once.
  std::optional<Result<TopSample>> take();

 private:
  void run(const std::stop_token& stop);

  Client& client_;
  const std::chrono::milliseconds interval_;
  int event_ = -1;  ///< eventfd
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::optional<Result<TopSample>> latest_;  ///< Under mutex_.
  std::jthread thread_;
};

}  // namespace tidemark::tools
