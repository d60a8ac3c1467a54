#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/log.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"

namespace tidemark::storage {

/// One opening of a log: what Log::open() does, cut into its steps.
///
/// Below the checkpoint nothing is read, only listed. From the checkpoint on every batch is read from the disk itself and checked. Bad
/// bytes are a torn tail, cut and kept aside, if and only if they lie at or past the checkpoint, in the last segment that holds data, and
/// at most kGroupBytesMax bytes before its end: only there can an unflushed group be. Everything else is damage: its range is quarantined
/// and the log goes on behind it.
class LogRecovery {
 public:
  LogRecovery(FileCache& files, std::string directory, LogConfig config, LogHints hints, Timestamp now, const Log::OnBatch& on_batch,
              RecoveryReport& report);
  Result<std::unique_ptr<Log>> run();

 private:
  struct Found {
    Offset base;
    std::uint64_t bytes = 0;
    bool has_seal = false;
  };

  /// Lists the directory; removes what a crash left half-way.
  Status list_segments();
  /// Derived files of segments that were trimmed away, whose log file is gone already.
  Status remove_orphans(const std::vector<Offset>& bases, std::string_view suffix);
  /// Finishes the removal of segments that were trimmed away.
  Status remove_trimmed();
  /// Removes segments in which nothing was ever written and whose base offset is no longer the end; appends the one that still fits.
  Status settle_empty_segments(std::size_t first_empty);
  /// The number of the first segment that has to be looked at.
  std::size_t first_examined() const;
  /// A segment below the checkpoint, taken on trust.
  void trust(std::size_t i);
  /// Looks at a segment at or past the checkpoint, or the last one that holds data.
  Status examine(std::size_t i, bool last_with_data);
  Status examine_sealed(std::size_t i, const std::shared_ptr<Segment>& segment, const Seal& seal);
  /// A sealed segment that lost its end.
  Status judge_short_file(const Segment& segment, const Seal& seal, std::uint64_t file_bytes);
  Status examine_unsealed(std::size_t i, const std::shared_ptr<Segment>& segment, bool last_with_data);
  /// True if the last interval adds up, so that a clean log needs no scan.
  Result<bool> last_interval_matches(const Segment& segment);
  Result<ScanOutcome> scan(Segment& segment, ScanOptions options, SegmentIndex& index);
  Status cut_torn_tail(Segment& segment, FilePosition at, std::uint64_t file_bytes);
  Status sync(const Segment& segment);
  /// Compares the end that was found with what the checkpoint promised.
  void check_promised_end();
  void check_joint(Offset previous_end, const Found& found);
  void add_damage(Damage damage);
  /// Where in segment `base` the checked part ends: everything in a newer one is unchecked.
  FilePosition checked_until(Offset base) const;
  std::shared_ptr<Segment> make_segment(Offset base) const;
  Offset end_of(std::size_t i) const;

  FileCache& files_;
  FileSystem& file_system_;
  const std::string directory_;
  const LogHints hints_;
  const Timestamp now_;
  const Log::OnBatch& on_batch_;
  RecoveryReport& report_;
  std::unique_ptr<Log> log_;
  std::vector<Found> found_;
  bool names_unsynced_ = false;  ///< Something newer than the checkpoint: its name may not be durable yet.
  Offset end_;                   ///< Behind what was examined so far.
};

}  // namespace tidemark::storage
