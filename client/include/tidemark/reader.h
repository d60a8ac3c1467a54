#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/result.h"
#include "tidemark/completion.h"
#include "tidemark/position.h"
#include "tidemark/record.h"

namespace tidemark {

namespace detail {
class ReaderCore;
}

struct ReaderOptions {
  Position from = Position::latest();
  /// Where to stop, exclusive, resolved per partition when the reader is made; latest() = the ends at that moment. nullopt: go on
  /// with what arrives later.
  std::optional<Position> to = std::nullopt;
  std::vector<std::int32_t> partitions = {};  ///< Empty: all the topic has when the reader is made.
  /// Bound on bytes sent by the broker and not yet taken with next(), over all partitions; a single batch may go beyond. Messages that
  /// the caller keeps are his own.
  std::size_t buffer_bytes = 4 * 1024 * 1024;
};

/// Reads a topic without a group: nothing is committed, every reader sees everything. Made by Client::reader().
///
/// One partition's messages come in offset order, none skipped and none repeated, also across reconnects; partitions are merged as they
/// arrive. Only what the broker shows as stored is ever seen. Control records are left out.
///
/// An error ends the partition it belongs to and is told once (its detail names the partition): offset_out_of_range when the
/// log start has moved past the reader or the start lies outside the log, quarantined, corrupt_batch, unknown_topic when the
/// topic was deleted. The other partitions go on. A lost connection is no error: the reader reconnects.
///
/// Thread-safe, but messages taken by several threads are in no order. One async_next at a time.
class Reader {
 public:
  /// The next message; nullopt when `wait` has passed without one, or at once when finished().
  Result<std::optional<Message>> next(std::chrono::milliseconds wait);

  /// The next message; nullopt when finished(). Error `conflict` if another async_next is waiting.
  template <CompletionToken<std::optional<Message>> Token = asio::deferred_t>
  auto async_next(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<std::optional<Message>>)>(
        [core = core_](auto handler) { start_next(core, Completion<std::optional<Message>>(std::move(handler))); }, token);
  }

  /// Every partition has reached `to`, or ended with an error that has been told.
  bool finished() const;
  /// The offset of the next message of that partition; nullopt for one that is not read here.
  std::optional<Offset> position(std::int32_t partition) const;
  std::vector<std::int32_t> partitions() const;

  /// Ends the subscription; a waiting next() answers `cancelled`. The last handle's destruction does the same.
  void close();

 private:
  friend class Client;
  explicit Reader(std::shared_ptr<detail::ReaderCore> core) : core_(std::move(core)) {}
  static void start_next(const std::shared_ptr<detail::ReaderCore>& core, Completion<std::optional<Message>> done);

  std::shared_ptr<detail::ReaderCore> core_;
};

}  // namespace tidemark
