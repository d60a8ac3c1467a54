#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/src/client_core.h"
#include "client/src/partition_feeds.h"
#include "tidemark/reader.h"

namespace tidemark::detail {

/// Where one partition's reading starts and, exclusively, stops.
struct ReadRange {
  std::int32_t partition = 0;
  Offset from;
  std::optional<Offset> to;
};

/// The engine of a Reader: feeds of a fixed set of partitions, and who waits for what they bring.
class ReaderCore final : public Closable, public std::enable_shared_from_this<ReaderCore> {
 public:
  using Taken = Result<std::optional<Message>>;

  ReaderCore(std::shared_ptr<ClientCore> client, std::string topic, std::size_t buffer_bytes, const std::vector<ReadRange>& ranges);

  ~ReaderCore() override;
  ReaderCore(const ReaderCore&) = delete;
  ReaderCore& operator=(const ReaderCore&) = delete;

  /// Once, when it is owned by a shared_ptr.
  void start();
  Taken next(std::chrono::milliseconds wait);
  void async_next(std::shared_ptr<Pending<std::optional<Message>>> pending);

  bool finished() const;
  std::optional<Offset> position(std::int32_t partition) const;
  std::vector<std::int32_t> partitions() const;
  ClientCore& client() { return *client_; }

  void drain(Done<void> done) override { done({}); }
  void shutdown() override;

 private:
  void on_arrived();
  std::optional<Taken> take();
  void serve_waiter();
  bool finished_locked() const;
  Taken closed_answer() const;

  const std::shared_ptr<ClientCore> client_;
  const std::shared_ptr<PartitionFeeds> feeds_;
  std::map<std::int32_t, PartitionFeeds::Key> keys_;  ///< By partition; fixed.

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::optional<Taken> put_back_;  ///< Taken for an operation that was cancelled at that moment.
  std::shared_ptr<Pending<std::optional<Message>>> waiter_;
  bool closed_ = false;
};

}  // namespace tidemark::detail
