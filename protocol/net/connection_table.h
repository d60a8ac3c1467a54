#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"

namespace tidemark::net {

/// The open connections of all listeners of a process, for those who look at them and end one. Thread-safe; touched when a connection
/// comes, is named and goes, not per request. Every entry keeps the table alive.
class ConnectionTable : public std::enable_shared_from_this<ConnectionTable> {
 public:
  struct Row {
    std::uint64_t id = 0;   ///< Never given twice by one process; later connections have larger ones.
    std::string listener;   ///< "native", "kafka", "redis", "http".
    std::string peer;       ///< "127.0.0.1:50188"
    std::string client_id;  ///< As it calls itself; any bytes. Empty: it has not said.
    Timestamp opened{};
  };

  /// One connection, in the table as long as this lives.
  class Entry {
   public:
    Entry(std::shared_ptr<ConnectionTable> table, std::uint64_t id) : table_(std::move(table)), id_(id) {}
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    /// At most the first kClientIdBytesMax bytes are kept.
    void set_client_id(std::string_view client_id);
    /// How to end the connection; called at most once, from any thread, and never under the table's lock. Until it is set, nobody can.
    void set_end(UniqueFunction<void()> end);

   private:
    const std::shared_ptr<ConnectionTable> table_;
    const std::uint64_t id_;
  };

  static constexpr std::size_t kClientIdBytesMax = 256;

  std::shared_ptr<Entry> enter(std::string listener, std::string peer, Timestamp now);
  /// By id, those above `after`, at most `max`. `listener` empty: of all.
  std::vector<Row> list(std::string_view listener, std::uint64_t after, std::size_t max) const;
  /// Asks the connection to end; it is gone a moment later. Error not_found.
  Status end(std::uint64_t id);

 private:
  struct Place {
    Row row;
    UniqueFunction<void()> end;
  };

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Place> places_;
  std::uint64_t next_id_ = 1;
};

}  // namespace tidemark::net
