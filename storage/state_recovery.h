#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/file_system.h"
#include "storage/state_log.h"
#include "storage/state_record.h"
#include "storage/state_streams.h"

/// Start-up of the state log: find out what is there, repair what a crash leaves, replay what lives. Used by StateLog::open() only.
namespace tidemark::storage {

/// Reads one state file from front to back in pieces, so memory is bounded by the largest record.
class StateFileReader {
 public:
  /// `file` must outlive the reader. `bytes`: where to stop, normally the file's size.
  StateFileReader(File& file, std::uint64_t bytes) : file_(file), bytes_(bytes) {}

  /// First of all. Errors: corrupt_batch, foreign_data, io_error; the detail begins "<path> at 0: ".
  Result<DecodedStateHeader> read_header();
  struct Read {
    StateRecordFrame record;  ///< Valid until the next call.
    FilePosition position;
  };
  /// nullopt exactly at the end. Errors as above; after one, position() is where the bad record begins.
  Result<std::optional<Read>> next();

  FilePosition position() const { return position_; }
  StateChain chain() const { return chain_; }

 private:
  Status fill(std::size_t bytes);  ///< At least `bytes` from position_ into the window, fewer only at the end.
  ByteView window() const { return ByteView(buffer_).subspan(start_); }
  Error error_here(const Error& error) const;

  File& file_;
  std::uint64_t bytes_;
  FilePosition position_;
  StateChain chain_ = 0;
  ByteVector buffer_;
  std::size_t start_ = 0;  ///< Of position_ in buffer_.
};

struct StateFileInfo {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;  ///< Verified end; the file's size.
};

struct RecoveredState {
  std::vector<StateFileInfo> files;  ///< Oldest first, without gaps; empty for a new log.
  std::unique_ptr<File> active;      ///< The last one, open for writing.
  StateChain chain = 0;              ///< At its end.
  std::unique_ptr<StateStreams> streams;
};

/// Verifies every record of every file, cuts a torn tail (kept aside as `<file>.torn-<position>`, the newest four), removes a file whose
/// creation was not finished, and makes what is left durable. May be run again after a crash inside. Errors: StateLog::open().
Result<RecoveredState> recover_state(FileSystem& files, const std::string& directory);

/// Calls `replay` for every live record in log order.
Status replay_state(FileSystem& files, const std::string& directory, const RecoveredState& state, const StateLog::Replay& replay);

}  // namespace tidemark::storage
