#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/base/result.h"
#include "tidemark/client.h"

namespace tidemark::tools {

/// A stretch of a topic, [from, to) of each partition, read once. Either as it arrives (fast), or merged by record time, as replaying
/// time needs it; one partition's records keep their order in both.
class MergedReader {
 public:
  struct Options {
    Position from = Position::earliest();
    Position to = Position::latest();
    bool by_time = false;
  };
  /// Errors: unknown_topic, offset_out_of_range, invalid_argument.
  static Result<MergedReader> open(Client& client, const TopicDescription& topic, const Options& options);

  /// The next message; nullopt when all has been read. An error ends one partition and is told once; go on calling.
  Result<std::optional<Message>> next();
  /// Records in the stretch, as offsets count them: an upper bound.
  std::uint64_t total() const { return total_; }
  /// Makes a waiting next() answer `cancelled`; from any thread.
  void close();

 private:
  struct Source {
    Reader reader;
    std::optional<Message> head = std::nullopt;
  };
  explicit MergedReader(std::vector<Source> sources, std::uint64_t total) : sources_(std::move(sources)), total_(total) {}

  std::vector<Source> sources_;
  std::uint64_t total_ = 0;
};

}  // namespace tidemark::tools
