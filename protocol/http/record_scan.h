#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/record_filter.h"
#include "protocol/http/ask.h"

namespace tidemark::http {

/// Reads records of a topic for somebody who looks at them: bounded, and never waiting for new ones. Decoding is done off the shard.
///
/// Each partition is read from its start on until `limit` records were found there, its end was reached, or its part of the bytes has been
/// read; what all of them gave is put in order of time and cut to `limit`. `next` says for each partition where to read on.
class RecordScan : public std::enable_shared_from_this<RecordScan> {
 public:
  static constexpr std::size_t kLimitMax = 1'000;
  static constexpr std::int32_t kPartitionsMax = 256;             ///< Of a topic whose partition is not named.
  static constexpr std::size_t kScanBytesMax = 32 * 1024 * 1024;  ///< Stored bytes read, over all partitions.
  static constexpr std::size_t kFieldBytesMax = 8 * 1024 * 1024;  ///< Keys, values and headers in the answer; what exceeds it is left out.

  struct Stretch {
    std::int32_t partition = 0;
    Offset from, to;  ///< Exclusive; both within the log.
  };
  struct Plan {
    std::string topic;
    std::vector<Stretch> stretches;
    std::size_t limit = 100;
    bool newest = false;  ///< When there are more than `limit`: keep the last ones instead of the first.
    std::shared_ptr<const broker::RecordFilter> filter;
  };

  static void run(const Ask& ask, Plan plan);
  /// The one record of a stretch of one offset; 404 when there is none.
  static void run_one(const Ask& ask, Plan plan);

 private:
  struct Found {
    std::int32_t partition = 0;
    std::int64_t offset = 0, timestamp_ms = -1;
    std::size_t bytes = 0;
    boost::json::object value;
  };
  struct Progress {
    Stretch stretch;
    Offset next;
    std::vector<Found> found;
    std::size_t bytes_read = 0;
    std::optional<Error> error;
  };

  RecordScan(const Ask& ask, Plan plan);
  void read_next();
  void decode(broker::ReadReply reply);
  Status take(Progress& progress, ByteView batch) const;
  void answer();
  void answer_one();

  const Ask ask_;
  const Plan plan_;
  std::vector<Progress> partitions_;
  std::size_t current_ = 0;
  bool one_ = false;
};

}  // namespace tidemark::http
