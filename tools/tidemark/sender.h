#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "tidemark/producer.h"

namespace tidemark::tools {

/// Posts records as fast as the broker takes them and keeps count of the answers: what produce, replay and the benchmarks share.
/// post() and finish() have one caller; answers come on the client's thread.
class Sender {
 public:
  struct PartitionRange {
    std::int64_t first = -1;
    std::int64_t last = -1;
  };
  struct Totals {
    std::uint64_t records = 0;  ///< Acknowledged.
    std::uint64_t bytes = 0;    ///< Of their keys and values.
    std::uint64_t failed = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t scheduled = 0;  ///< Of the records: those that wait for their time.
    std::string durability;       ///< Empty until something was stored.
    std::map<std::int32_t, PartitionRange> partitions;
    std::optional<Error> first_error;
    bool maybe_done = false;  ///< Some failed record may be stored all the same.
  };
  struct Answer {
    std::uint64_t tag = 0;
    std::int32_t partition = -1;
    std::int64_t offset = -1;
    std::int64_t timestamp_ms = -1;
    bool duplicate = false;
    std::string scheduled = {};  ///< Its id, if it waits for its time.
    std::int64_t due_ms = -1;
    std::optional<Error> error = std::nullopt;
  };
  /// Called in the order of post(), with a lock held: it must not call the sender.
  using OnAnswer = std::function<void(const Answer&)>;

  explicit Sender(Producer producer, OnAnswer on_answer = {});
  /// Pre: finish() was called, or the client is closed: no answer is under way.
  ~Sender() = default;
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  /// Waits while the producer's buffer is full. False, and nothing is posted, once the sender is stopped. `tag` comes back in the answer.
  bool post(const Record& record, std::uint64_t tag);
  /// Counts a record that never reached the producer, in its place in the order.
  void refuse(std::uint64_t tag, Error error);
  /// Ends waiting in post(); safe from any thread.
  void stop();
  /// True when going on is useless: the broker is out of reach, or stop() was called.
  bool stopped() const;
  /// Waits until everything posted is answered. What failed stands in the totals.
  void finish();

  Totals totals() const;

 private:
  struct Pending {
    std::uint64_t bytes = 0;
    bool answered = false;
    Answer answer = {};
  };
  void answered(std::uint64_t sequence, const Result<Stored>& result);
  void settle(Pending& pending, const Result<Stored>& result);
  void deliver_in_order();

  Producer producer_;
  OnAnswer on_answer_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Pending> pending_;       ///< Posted, oldest first; bounded by the producer's buffer.
  std::uint64_t first_sequence_ = 0;  ///< Of pending_.front().
  std::uint64_t answers_ = 0;
  bool waiting_ = false;
  bool stopped_ = false;
  Totals totals_;
};

/// The exit code of a run that sent records, by what failed: nothing 0; an unknown outcome 7; all of it, the code of the first error;
/// else 8.
enum class Exit : int;
Exit exit_code(const Sender::Totals& totals);
/// "100000 records, 12.3 MB, 0.8 s, fsync", and what failed or was a duplicate, if anything.
std::string summary(const Sender::Totals& totals, double seconds);

}  // namespace tidemark::tools
