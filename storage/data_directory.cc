#include "storage/data_directory.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "storage/base/crc32c.h"

namespace tidemark::storage {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSmallFileBytesMax = 4 * 1024 * 1024;
constexpr std::string_view kDeleted = ".deleted";

/// Our small files: magic u64, version u32, body, CRC-32C of all before it. A file is valid as a whole or not at all.
class SmallFileWriter {
 public:
  explicit SmallFileWriter(std::string_view magic) {
    CHECK(magic.size() == 8);
    put_bytes(as_bytes(magic));
    put(kVersion);
  }
  template <std::integral T>
  void put(T value) {
    bytes_.resize(bytes_.size() + sizeof value);
    store_le(bytes_.data() + bytes_.size() - sizeof value, value);
  }
  void put_bytes(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    put_bytes(as_bytes(text));
  }
  ByteVector finish() {
    put(crc32c(bytes_));
    return std::move(bytes_);
  }

 private:
  ByteVector bytes_;
};

class SmallFileReader {
 public:
  static Result<SmallFileReader> open(ByteView file, std::string_view magic) {
    if (file.size() < 16 || std::memcmp(file.data(), magic.data(), 8) != 0) return Error{Errc::corrupt_batch, "not such a file"};
    const std::size_t body = file.size() - 4;
    if (load_le<std::uint32_t>(file.data() + body) != crc32c(file.first(body))) return Error{Errc::corrupt_batch, "bad checksum"};
    if (load_le<std::uint32_t>(file.data() + 8) > kVersion) {
      return Error{Errc::foreign_data, "written by a newer version of Tidemark; use that version"};
    }
    return SmallFileReader(file.subspan(12, body - 12));
  }
  template <std::integral T>
  bool get(T& value) {
    if (rest_.size() < sizeof value) return false;
    value = load_le<T>(rest_.data());
    rest_ = rest_.subspan(sizeof value);
    return true;
  }
  bool get_bytes(void* into, std::size_t count) {
    if (rest_.size() < count) return false;
    std::memcpy(into, rest_.data(), count);
    rest_ = rest_.subspan(count);
    return true;
  }
  bool get_text(std::string& text) {
    std::uint32_t size = 0;
    if (!get(size) || rest_.size() < size) return false;
    text = to_string(rest_.first(size));
    rest_ = rest_.subspan(size);
    return true;
  }

 private:
  explicit SmallFileReader(ByteView rest) : rest_(rest) {}
  ByteView rest_;
};

constexpr std::string_view kIdentityMagic = "TDMKDATA";
constexpr std::string_view kTopicMagic = "TDMTOPIC";
constexpr std::string_view kCleanMagic = "TDMCLEAN";

ByteVector encode(const TopicFile& topic) {
  SmallFileWriter file(kTopicMagic);
  file.put_bytes(std::as_bytes(std::span(topic.id.bytes)));
  file.put(topic.partitions);
  file.put_text(topic.name);
  file.put(static_cast<std::uint32_t>(topic.config.size()));
  for (const auto& [key, value] : topic.config) {
    file.put_text(key);
    file.put_text(value);
  }
  return file.finish();
}

/// The error of a small file, with its path.
Error at(const std::string& path, const Error& error) { return {error.code, path + ": " + error.detail}; }

}  // namespace

DataDirectory::DataDirectory(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
DataDirectory::~DataDirectory() = default;

std::string DataDirectory::topic_directory(Uuid id) const { return path_ + "/topics/" + id.to_string(); }
std::string DataDirectory::partition_directory(Uuid id, std::int32_t partition) const {
  return topic_directory(id) + "/" + std::to_string(partition);
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(FileSystem& files, std::string path, Random& random) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(files, std::move(path)));
  const std::string& where = directory->path_;
  const Result<bool> exists = files.exists(where);
  if (!exists) return exists.error();
  if (!*exists) {
    if (Status made = files.create_directory(where); !made) return made.error();
  }
  if (Status ours = directory->check_ours(); !ours) return ours.error();  // Before a lock file is left in somebody else's directory.
  Result<std::unique_ptr<FileLock>> lock = files.lock(where + "/LOCK");
  if (!lock) {
    if (lock.error().code != Errc::locked) return lock.error();
    return Error{Errc::locked, where + " is in use by another tidemarkd; stop it, or choose another with --data-dir"};
  }
  directory->lock_ = *std::move(lock);
  // Names that a start killed before its own flush has left are only in memory, and all that is written from here on hangs on them.
  if (Status synced = files.sync_directory(parent_directory(where)); !synced) return synced.error();
  if (Status synced = files.sync_directory(where); !synced) return synced.error();
  const Result<bool> has_identity = files.exists(where + "/cluster");  // Asked under the lock.
  if (!has_identity) return has_identity.error();
  if (Status known = *has_identity ? directory->read_identity() : directory->create_identity(random); !known) return known.error();
  const std::string topics = where + "/topics";
  const Result<bool> has_topics = files.exists(topics);
  if (!has_topics) return has_topics.error();
  if (!*has_topics) {
    if (Status made = files.create_directory(topics); !made) return made.error();
    if (Status synced = files.sync_directory(where); !synced) return synced.error();
  }
  if (Status synced = files.sync_directory(topics); !synced) return synced.error();
  if (Status finished = directory->finish_removals(); !finished) return finished.error();
  if (Status whole = directory->check_state(); !whole) return whole.error();
  return directory;
}

Status DataDirectory::check_ours() const {
  const Result<std::vector<DirectoryEntry>> entries = files_.list(path_);
  if (!entries) return entries.error();
  if (std::ranges::find(*entries, "cluster", &DirectoryEntry::name) != entries->end()) return {};
  const auto is_left_by_first_start = [](const DirectoryEntry& entry) {
    return entry.name == "LOCK" || entry.name == "cluster.tmp" || entry.name == "lost+found";  // The last: a disk of its own.
  };
  if (std::ranges::all_of(*entries, is_left_by_first_start)) return {};
  return Error{Errc::foreign_data, path_ + " is not empty and not a Tidemark data directory; choose another with --data-dir"};
}

/// The state log is there before the first topic is. Without it a start would come up empty and look well.
Status DataDirectory::check_state() const {
  const Result<std::vector<Uuid>> topics = list_topics();
  if (!topics) return topics.error();
  if (topics->empty()) return {};
  const Result<bool> exists = files_.exists(state_directory());
  if (!exists) return exists.error();
  if (*exists) {
    const Result<std::vector<DirectoryEntry>> entries = files_.list(state_directory());
    if (!entries) return entries.error();
    if (std::ranges::any_of(*entries, [](const DirectoryEntry& entry) { return entry.name.ends_with(".state"); })) return {};
  }
  return Error{Errc::corrupt_batch, state_directory() + " holds no state log, but there are topics; restore it from a backup"};
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::inspect(FileSystem& files, std::string path) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(files, std::move(path)));
  const Result<bool> exists = files.exists(directory->path_ + "/cluster");
  if (!exists) return exists.error();
  if (!*exists) return Error{Errc::not_found, directory->path_ + " is not a Tidemark data directory"};
  if (Status known = directory->read_identity(); !known) return known.error();
  return directory;
}

Status DataDirectory::read_identity() {
  const std::string file = path_ + "/cluster";
  const Result<ByteVector> bytes = read_file(files_, file, kSmallFileBytesMax);
  if (!bytes) return bytes.error();
  Result<SmallFileReader> reader = SmallFileReader::open(*bytes, kIdentityMagic);
  if (!reader) return at(file, reader.error());
  if (!reader->get_bytes(cluster_id_.bytes.data(), cluster_id_.bytes.size())) return Error{Errc::corrupt_batch, file + ": too short"};
  return {};
}

Status DataDirectory::create_identity(Random& random) {
  const std::uint64_t high = random();
  cluster_id_ = Uuid::from_random(high, random());
  SmallFileWriter file(kIdentityMagic);
  file.put_bytes(std::as_bytes(std::span(cluster_id_.bytes)));
  return replace_file(files_, path_ + "/cluster", file.finish());
}

// --- Topics.

Status DataDirectory::create_topic(const TopicFile& topic) {
  const std::string directory = topic_directory(topic.id);
  if (Status made = files_.create_directory(directory); !made) return made;
  Status ready = write_topic_file(topic);
  if (ready) ready = files_.sync_directory(path_ + "/topics");
  if (ready) return {};
  // Best effort: the directory is empty of records, the next start would remove it as well.
  if (const Status removed = remove_topic(topic.id); !removed)
    ready = Error{ready.error().code, ready.error().detail + "; " + removed.error().detail};
  return ready;
}

Status DataDirectory::write_topic_file(const TopicFile& topic) {
  return replace_file(files_, topic_directory(topic.id) + "/topic", encode(topic));
}

Result<TopicFile> DataDirectory::read_topic_file(Uuid id) const {
  const std::string file = topic_directory(id) + "/topic";
  const Result<ByteVector> bytes = read_file(files_, file, kSmallFileBytesMax);
  if (!bytes) return bytes.error();
  Result<SmallFileReader> reader = SmallFileReader::open(*bytes, kTopicMagic);
  if (!reader) return at(file, reader.error());
  TopicFile topic;
  std::uint32_t settings = 0;
  bool whole = reader->get_bytes(topic.id.bytes.data(), topic.id.bytes.size()) && reader->get(topic.partitions) &&
               reader->get_text(topic.name) && reader->get(settings);
  for (std::uint32_t i = 0; whole && i < settings; ++i) {
    auto& [key, value] = topic.config.emplace_back();
    whole = reader->get_text(key) && reader->get_text(value);
  }
  if (!whole) return Error{Errc::corrupt_batch, file + ": too short"};
  if (topic.id != id) return Error{Errc::corrupt_batch, file + ": belongs to topic " + topic.id.to_string()};
  return topic;
}

Status DataDirectory::remove_topic(Uuid id) {
  const std::string directory = topic_directory(id);
  const Result<bool> exists = files_.exists(directory);
  if (!exists) return exists.error();
  if (!*exists) return {};
  const std::string leaving = directory + std::string(kDeleted);
  if (Status renamed = files_.rename(directory, leaving); !renamed) return renamed;
  if (Status synced = files_.sync_directory(path_ + "/topics"); !synced) return synced;
  if (Status removed = remove_tree(leaving); !removed) return removed;
  return files_.sync_directory(path_ + "/topics");
}

Status DataDirectory::finish_removals() {
  const Result<std::vector<DirectoryEntry>> entries = files_.list(path_ + "/topics");
  if (!entries) return entries.error();
  for (const DirectoryEntry& entry : *entries) {
    if (!entry.is_directory || !entry.name.ends_with(kDeleted)) continue;
    const std::string id = entry.name.substr(0, entry.name.size() - kDeleted.size());
    if (!Uuid::parse(id)) continue;  // Not ours to remove.
    if (Status removed = remove_tree(path_ + "/topics/" + entry.name); !removed) return removed;
    // A rename cut short by a power loss may leave both names, for one directory. Ids are never used again, so the old one goes too.
    const std::string before = path_ + "/topics/" + id;
    const Result<bool> exists = files_.exists(before);
    if (!exists) return exists.error();
    if (!*exists) continue;
    if (Status removed = remove_tree(before); !removed) return removed;
  }
  return {};
}

Status DataDirectory::remove_tree(const std::string& directory) {
  const Result<std::vector<DirectoryEntry>> entries = files_.list(directory);
  if (!entries) return entries.error();
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = directory + "/" + entry.name;
    if (Status removed = entry.is_directory ? remove_tree(path) : files_.remove(path); !removed) return removed;
  }
  return files_.remove_directory(directory);
}

Result<std::vector<Uuid>> DataDirectory::list_topics() const {
  const Result<std::vector<DirectoryEntry>> entries = files_.list(path_ + "/topics");
  if (!entries) return entries.error();
  std::vector<Uuid> topics;
  for (const DirectoryEntry& entry : *entries) {
    const std::optional<Uuid> id = Uuid::parse(entry.name);
    if (entry.is_directory && id) topics.push_back(*id);
  }
  return topics;
}

Result<bool> DataDirectory::topic_has_records(Uuid id) const {
  const Result<std::vector<DirectoryEntry>> partitions = files_.list(topic_directory(id));
  if (!partitions) return partitions.error();
  for (const DirectoryEntry& partition : *partitions) {
    if (!partition.is_directory) continue;
    const Result<std::vector<DirectoryEntry>> segments = files_.list(topic_directory(id) + "/" + partition.name);
    if (!segments) return segments.error();
    if (std::ranges::any_of(*segments, [](const DirectoryEntry& entry) { return entry.name.ends_with(".log"); })) return true;
  }
  return false;
}

// --- Clean stops.

Status DataDirectory::write_clean_marker(StateLogPosition end) {
  SmallFileWriter file(kCleanMagic);
  file.put(end.file);
  file.put(end.position.value);
  file.put_text(files_.boot_id());
  return replace_file(files_, path_ + "/clean", file.finish());
}

Result<std::optional<StateLogPosition>> DataDirectory::read_clean_marker() const {
  const Result<ByteVector> bytes = read_file(files_, path_ + "/clean", kSmallFileBytesMax);
  if (!bytes) {
    if (bytes.error().code == Errc::not_found) return std::optional<StateLogPosition>();
    return bytes.error();
  }
  StateLogPosition end;
  Result<SmallFileReader> reader = SmallFileReader::open(*bytes, kCleanMagic);
  if (!reader || !reader->get(end.file) || !reader->get(end.position.value)) return std::optional<StateLogPosition>();
  return std::optional(end);
}

Result<std::optional<StateLogPosition>> DataDirectory::take_clean_marker() {
  Result<std::optional<StateLogPosition>> marker = read_clean_marker();
  if (!marker) return marker;
  const Result<bool> exists = files_.exists(path_ + "/clean");
  if (!exists) return exists.error();
  if (!*exists) return marker;
  if (const Status removed = files_.remove(path_ + "/clean"); !removed) return removed.error();
  if (const Status synced = files_.sync_directory(path_); !synced) return synced.error();
  return marker;
}

}  // namespace tidemark::storage
