#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/state_log.h"
#include "storage/state_record.h"

/// Which records of the state log still matter. The same steps at append and at replay, so both come to the same books.
///
/// A stream's *live run* begins with its last finished snapshot, or with its first delta if it never had one, and goes on to its end;
/// records before it are dead, and so are the parts of a snapshot that was not finished before the stream's next delta or snapshot.
namespace tidemark::storage {

struct StatePlace {
  std::uint64_t file = 0;
  FilePosition position;
  auto operator<=>(const StatePlace&) const = default;
};

class StateStreams {
 public:
  StateStreams() = default;
  StateStreams(const StateStreams&) = delete;
  StateStreams& operator=(const StateStreams&) = delete;

  /// What the stream's next record gets.
  struct Next {
    std::uint64_t sequence = 1;
    bool begins = true;  ///< No live record yet.
  };
  Next next(const StreamKey& stream) const;
  /// A snapshot of the stream waits for its last part.
  bool snapshot_open(const StreamKey& stream) const;

  /// Takes up the next record of the log. corrupt_batch when it does not follow from what came before; the detail says why.
  Status add(const StateRecordFrame& record, StatePlace place);

  /// After replay: who wrote the parts of an unfinished snapshot is gone. corrupt_batch when a stream's live run has no beginning: files
  /// are missing. The detail names the stream, `place` its first record.
  Status finish_replay(StatePlace& place);

  /// Where the live run begins; nullopt for a stream without one.
  std::optional<StatePlace> live_start(const StreamKey& stream) const;
  std::uint64_t live_bytes() const { return live_bytes_; }
  /// The first file that a live record or an open snapshot needs; nullopt if none does.
  std::optional<std::uint64_t> first_needed_file() const;
  /// Streams whose first needed record lies in that file.
  std::vector<StreamKey> needing(std::uint64_t file) const;

 private:
  struct Stream {
    std::uint64_t sequence = 0;
    std::optional<StatePlace> live;
    bool has_beginning = true;  ///< False for a run whose first records were in files that are gone; a later record must kill it.
    std::uint64_t live_bytes = 0;
    std::optional<StatePlace> open_snapshot;
    std::uint64_t open_bytes = 0;

    std::optional<std::uint64_t> needed_file() const;
  };
  using Streams = std::unordered_map<StreamKey, Stream>;

  Status step(Stream& stream, const StateRecordFrame& record, StatePlace place);
  void start_run(Stream& stream, StatePlace place, std::uint64_t bytes, bool has_beginning);
  void move_need(const StreamKey& key, std::optional<std::uint64_t> from, std::optional<std::uint64_t> to);

  Streams streams_;
  std::map<std::uint64_t, std::unordered_set<const StreamKey*>> needs_;  ///< File -> keys in streams_, whose nodes do not move.
  std::uint64_t live_bytes_ = 0;
};

}  // namespace tidemark::storage
