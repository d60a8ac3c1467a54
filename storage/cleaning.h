#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch_judge.h"
#include "storage/clean_mark.h"
#include "storage/cleaned_writer.h"
#include "storage/cleaning_rules.h"
#include "storage/damage.h"
#include "storage/file_cache.h"
#include "storage/key_map.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "storage/segment_reader.h"

/// Rewriting sealed segments without the records that need not stay: log compaction, and entries that were deleted.
///
///     Log::plan_cleaning() -> Cleaning::step() ... swap -> Log::accept() -> SwapPlan::execute() -> Log::apply() ... done
///
/// First the keys of the dirty part are noted, then every segment from the log start on is read and, where something goes, written anew.
/// Offsets, times, leader epochs, producers and sequences stay what they were; segments keep the name of their first offset. The last batch
/// of a segment stays at least as a header, so no segment is ever empty. Damage met on the way leaves that segment as it is, and from there
/// on no tombstone goes in this cleaning.
///
/// A crash leaves the old or the new segment (storage/segment_swap.h), and what was done before it stays done: the next cleaning just finds
/// less to do.
namespace tidemark::storage {

/// One rewritten segment on its way into the place of others.
struct SwapPlan {
  struct Source {
    std::shared_ptr<Segment> segment;
    std::shared_ptr<const LoadedIndex> index;
  };
  std::string directory;
  std::vector<Source> sources;  ///< Adjoining, oldest first.
  std::shared_ptr<Segment> fresh;
  std::shared_ptr<const LoadedIndex> index;  ///< Of `fresh`.

  /// Blocking, after Log::accept(). Plans made before go on reading the old files. Any error is final for the log.
  Status execute(FileCache& files);
  /// Blocking, when Log::accept() refused: removes what was written.
  void abandon(FileSystem& files) const;
};

/// What a cleaning came to.
struct CleaningSummary {
  CleanMark mark;     ///< As written; compaction only.
  bool more = false;  ///< The map of keys was too small for all of it: cleaning again does the rest.
  CleaningCounts counts;
  std::vector<Damage> damage;      ///< Found on the way; the log must be told.
  std::vector<Damage> left_alone;  ///< Segments that were not touched, with the reason: known damage as well.
};

/// One cleaning under way. Calls may come from different threads, one after another.
class Cleaning {
 public:
  /// Made by Log::plan_cleaning(). `views`: frozen, sealed, durable segments next to each other, from the log start on. `before`: what
  /// the last compaction came to. `known_damage` is the log's.
  Cleaning(CleaningRules rules, std::string directory, std::vector<SegmentView> views, const CleanMark& before,
           const std::vector<Damage>& known_damage);
  Cleaning(const Cleaning&) = delete;
  Cleaning& operator=(const Cleaning&) = delete;

  enum class Next : std::uint8_t {
    step,  ///< There is more to do.
    swap,  ///< take_swap(), have it accepted and executed or abandoned, then go on.
    done,  ///< summary() is complete.
  };
  /// Blocking: works until about `bytes_max` were read and written, at least a little. Errors: disk_full, nothing is lost and another
  /// cleaning may try again; io_error on writing, final for the log. After an error, and in place of further steps at any time, abandon().
  Result<Next> step(FileCache& files, std::size_t bytes_max);
  SwapPlan take_swap();
  /// The log did not accept it: some of its segments have been trimmed away.
  void refused(const SwapPlan& plan) { pass_unread(plan.fresh->base); }
  /// Blocking: gives up what is half written.
  void abandon();

  const CleaningSummary& summary() const { return summary_; }
  /// Bytes read and written so far.
  std::uint64_t work() const { return summary_.counts.bytes_read + summary_.counts.bytes_written; }

 private:
  enum class Reading : std::uint8_t { sound, removed, unsound };
  enum class Phase : std::uint8_t { mapping, filtering, done };

  bool is_excluded(std::size_t i) const { return excluded_[i]; }
  void exclude(std::size_t i, Damage why);
  Result<Reading> open_reader(std::size_t i, FileCache& files);
  /// The next intervals of the segment being read, into `chunk_`.
  Result<Reading> read_chunk(std::size_t i, FileCache& files);
  Reading judge_read(std::size_t i, const Error& error);
  void unsound(std::size_t i, std::string_view reason);

  Result<Next> map_some(FileCache& files);
  /// False: the map is full.
  Result<bool> note_keys(ByteView batch, const BatchHeader& header);
  void restart_mapping();
  void begin_filtering();
  /// The segment `base` stays as it is.
  void pass_unread(Offset base);
  void choose_group();
  bool extend_group();
  Result<Next> filter_some(FileCache& files);
  Status filter_chunk(FileCache& files);
  Status write_batches(FileCache& files);
  void give_up_group();
  Result<Next> end_group(FileCache& files);
  Status finish(FileCache& files);

  const CleaningRules rules_;
  const std::string directory_;
  const std::vector<SegmentView> views_;
  const std::vector<Damage> none_known_;
  const CleanMark before_;
  Offset dirty_from_;
  Offset decided_below_;           ///< The map speaks of everything from dirty_from_ to here.
  Offset unread_from_{INT64_MAX};  ///< The first segment that was passed over.
  KeyMap keys_;
  std::vector<bool> excluded_;
  Phase phase_ = Phase::mapping;

  // The segment being read.
  std::size_t current_ = 0;
  std::optional<SegmentReader> reader_;
  std::vector<Damage> found_;
  std::size_t next_interval_ = 0;
  struct ChunkRead {
    SegmentReader::Chunk chunk;
    std::size_t first = 0;  ///< Intervals [first, past).
    std::size_t past = 0;
  } chunk_;

  // The segments being put together: [group_first_, group_past_).
  std::optional<BatchJudge> judge_;
  std::size_t group_first_ = 0;
  std::size_t group_past_ = 0;
  struct Piece {
    ByteView bytes;  ///< Of the chunk, or of `owner`.
    Slice owner;
    BatchHeader header;
    std::size_t interval = 0;
    bool starts_interval = false;
  };
  std::vector<Piece> pieces_;
  bool chunk_changed_ = false;
  std::optional<CleanedWriter> writer_;
  std::vector<SwapPlan::Source> sources_;
  std::optional<SwapPlan> swap_;

  CleaningSummary summary_;
};

}  // namespace tidemark::storage
