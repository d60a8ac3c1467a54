#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/batch/record_batch.h"

/// Records on their way out (views) and in (messages that own their bytes). Keys, values and header values are bytes of any kind; a
/// missing one (null) differs from an empty one.
namespace tidemark {

namespace detail {
class FetchedBatch;
}

struct Header {
  std::string_view name;
  std::optional<std::string_view> value = std::nullopt;
};

/// What to send. A view: the bytes are copied when the operation starts (the call itself; for a lazy token such as asio::deferred, the
/// co_await), so nothing has to stay alive after that.
struct Record {
  std::optional<std::string_view> key = std::nullopt;
  std::optional<std::string_view> value = std::nullopt;
  std::span<const Header> headers = {};
  std::optional<Timestamp> timestamp = std::nullopt;     ///< Record time; nullopt: now.
  std::optional<std::int32_t> partition = std::nullopt;  ///< nullopt: the producer's partitioner chooses.

  // What the broker is asked to do beside storing it. These travel as record headers (tidemark-delay, ...), which count for the record's
  // size.
  std::optional<std::chrono::milliseconds> delay = std::nullopt;  ///< Deliver so long after it has arrived; at most ten years.
  std::optional<Timestamp> deliver_at = std::nullopt;             ///< Deliver then; not with `delay`. In the past: refused.
  /// 1 to 256 bytes. Within the topic's dedup window, only the first record of a partition with this id is stored. Give the record a
  /// partition or a key, or repeats may go elsewhere.
  std::optional<std::string_view> dedup_id = std::nullopt;
  std::optional<int> priority = std::nullopt;  ///< 0 to 9, for queue groups; higher comes earlier.
};

/// The broker's answer to a sent record: it is stored as durably as the topic asks, and `durability` says how durable that is.
struct Stored {
  std::string topic = {};
  std::int32_t partition = 0;
  Offset offset{-1};            ///< -1: scheduled; or stored so long ago by an earlier attempt that the broker no longer knows where.
  Timestamp timestamp{};        ///< Record time.
  bool duplicate = false;       ///< An earlier attempt, or a record with its dedup id, was stored; it is there once.
  std::string durability = {};  ///< "fsync" | "interval" | "os"
  std::string scheduled = {};   ///< It waits for its time under this id, with which it can be cancelled; empty: it has its offset.
  Timestamp due{};              ///< Of a scheduled record.
};

/// One record as read. Shares the buffer it came in: copies and moves are cheap, may cross threads, and outlive reader and client. The
/// views live as long as any copy of the message.
class Message {
 public:
  Message() = default;  ///< Empty; only for assigning to.

  std::string_view topic() const;
  std::int32_t partition() const;
  Offset offset() const { return record_.offset; }
  Timestamp timestamp() const;  ///< Record time.
  std::optional<std::string_view> key() const;
  std::optional<std::string_view> value() const;
  /// In the order they were sent, doubles kept.
  std::vector<Header> headers() const;
  /// The last header of that name that has a value.
  std::optional<std::string_view> header(std::string_view name) const;

 private:
  friend class detail::FetchedBatch;
  std::shared_ptr<const detail::FetchedBatch> batch_;
  RecordView record_;
};

}  // namespace tidemark
