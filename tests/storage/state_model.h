#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/state_log.h"

namespace tidemark::storage {

/// What the streams of a state log hold: the payloads since the last finished snapshot, by stream id.
using StreamContents = std::map<std::string, std::vector<std::string>>;

inline StateRecord make_record(StateRecordType type, std::string id, std::string_view payload, bool last_part = true) {
  const ByteView bytes = as_bytes(payload);
  return {.stream = {StreamKind::group, std::move(id)},
          .type = type,
          .last_part = last_part,
          .sequence = 0,
          .payload = ByteVector(bytes.begin(), bytes.end())};
}

inline StateRecord delta(std::string id, std::string_view payload) { return make_record(StateRecordType::delta, std::move(id), payload); }
inline StateRecord snapshot(std::string id, std::string_view payload, bool last_part = true) {
  return make_record(StateRecordType::snapshot, std::move(id), payload, last_part);
}
inline StateRecord snapshot_more(std::string id, std::string_view payload, bool last_part) {
  return make_record(StateRecordType::snapshot_more, std::move(id), payload, last_part);
}
inline StateRecord deleted(std::string id) { return make_record(StateRecordType::deleted, std::move(id), {}); }

/// The log's meaning, the simple way: applied to every record that was written, in order.
class StateModel {
 public:
  void apply(const StateRecord& record) {
    const std::string& id = record.stream.id;
    const std::string payload = to_string(record.payload);
    switch (record.type) {
      case StateRecordType::delta:
        unfinished_.erase(id);
        contents_[id].push_back(payload);
        return;
      case StateRecordType::snapshot:
        unfinished_[id] = {payload};
        break;
      case StateRecordType::snapshot_more:
        unfinished_[id].push_back(payload);
        break;
      case StateRecordType::deleted:
        unfinished_.erase(id);
        contents_.erase(id);
        return;
    }
    if (!record.last_part) return;
    contents_[id] = std::move(unfinished_[id]);
    unfinished_.erase(id);
  }
  /// A restart: whoever wrote the parts of a snapshot is gone.
  void forget_unfinished() { unfinished_.clear(); }
  bool has_unfinished(const std::string& id) const { return unfinished_.contains(id); }
  const StreamContents& contents() const { return contents_; }

 private:
  StreamContents contents_;
  std::map<std::string, std::vector<std::string>> unfinished_;
};

/// What an owner does with replayed records: a snapshot starts anew, everything else is added. Nothing else is to be known about the log.
class Replayed {
 public:
  Status add(const StateRecord& record) {
    std::vector<std::string>& stream = contents_[record.stream.id];
    if (record.type == StateRecordType::snapshot) stream.clear();
    if (record.type == StateRecordType::deleted) return Error{Errc::internal, "a deleted stream was replayed"};
    std::uint64_t& sequence = sequences_[record.stream.id];
    if (record.sequence <= sequence) return Error{Errc::internal, "sequences do not ascend"};
    sequence = record.sequence;
    stream.push_back(to_string(record.payload));
    ++records_;
    return {};
  }
  const StreamContents& contents() const { return contents_; }
  std::size_t records() const { return records_; }

 private:
  StreamContents contents_;
  std::map<std::string, std::uint64_t> sequences_;
  std::size_t records_ = 0;
};

}  // namespace tidemark::storage
