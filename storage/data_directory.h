#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/random.h"
#include "storage/base/result.h"
#include "storage/base/uuid.h"
#include "storage/file_system.h"
#include "storage/state_log.h"

/// The layout of a data directory, and who may use it.
///
///     LOCK                     held by the process that serves it
///     cluster                  identity: magic, version, UUID; its presence makes a directory ours
///     clean                    written by a stop in good order, removed by the next start
///     state/                   the state log
///     topics/<uuid>/topic      name, id, partitions and settings for tools; the metadata is what counts
///     topics/<uuid>/<p>/       the log of partition p; made with its first segment
///     topics/<uuid>.deleted/   on its way out
namespace tidemark::storage {

/// What the `topic` file says.
struct TopicFile {
  std::string name;
  Uuid id;
  std::int32_t partitions = 1;
  std::vector<std::pair<std::string, std::string>> config;
  bool operator==(const TopicFile&) const = default;
};

class DataDirectory {
 public:
  /// Blocking. Locks `path`, making it a data directory first if it is missing or empty. A crash at any point leaves nothing, or a
  /// directory that the next open() completes. Errors: locked; foreign_data when something else is in it, or a newer version wrote it;
  /// corrupt_batch when the identity is damaged, or the state log is missing while there are topics; disk_full, io_error, denied.
  static Result<std::unique_ptr<DataDirectory>> open(FileSystem& files, std::string path, Random& random);
  /// For tools: takes no lock and writes nothing. Errors: not_found when it is no data directory, foreign_data.
  static Result<std::unique_ptr<DataDirectory>> inspect(FileSystem& files, std::string path);
  ~DataDirectory();

  const std::string& path() const { return path_; }
  Uuid cluster_id() const { return cluster_id_; }
  std::string state_directory() const { return path_ + "/state"; }
  std::string topic_directory(Uuid id) const;
  std::string partition_directory(Uuid id, std::int32_t partition) const;

  /// Makes the topic's directory and file, durably. Errors: disk_full, io_error; nothing remains then.
  Status create_topic(const TopicFile& topic);
  /// Replaces the file after a change.
  Status write_topic_file(const TopicFile& topic);
  Result<TopicFile> read_topic_file(Uuid id) const;
  /// Removes a topic's directory with everything in it; no effect when it is gone. A crash in between is finished by the next open().
  Status remove_topic(Uuid id);
  /// Topic directories present, in no order.
  Result<std::vector<Uuid>> list_topics() const;
  /// True if any partition of the topic has a segment file.
  Result<bool> topic_has_records(Uuid id) const;

  /// After everything is flushed: where the state log ends, so that a marker which outlives a later write is known as stale.
  Status write_clean_marker(StateLogPosition end);
  /// Reads the marker and removes it, durably. nullopt when there is none or it does not decode.
  Result<std::optional<StateLogPosition>> take_clean_marker();
  /// Reads it without removing it.
  Result<std::optional<StateLogPosition>> read_clean_marker() const;

 private:
  DataDirectory(FileSystem& files, std::string path);
  Status check_ours() const;
  Status check_state() const;
  Status read_identity();
  Status create_identity(Random& random);
  Status finish_removals();
  Status remove_tree(const std::string& directory);

  FileSystem& files_;
  const std::string path_;
  Uuid cluster_id_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace tidemark::storage
