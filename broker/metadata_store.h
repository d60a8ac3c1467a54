#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/broker.h"
#include "broker/committer.h"
#include "broker/state.pb.h"

namespace tidemark::broker {

/// The broker's metadata: a small key-value store with revisions, kept in the stream `metadata` of the state log. Everything that names
/// things (topics and their configs today) changes only through get / watch / txn, so that another store can stand behind it one day.
///
/// Lives on one shard. A transaction is judged, recorded, and applied once it is flushed; one is under way at a time, so what get() shows
/// is durable and conditions hold when the change takes effect.
class MetadataStore {
 public:
  struct Entry {
    std::string value;
    std::uint64_t revision = 0;  ///< Of the transaction that wrote it last.
  };
  struct Condition {
    std::string key;
    std::uint64_t revision = 0;  ///< What the key must have now; 0: it must not exist.
  };
  struct Change {
    std::string key;
    std::optional<std::string> value;  ///< nullopt removes the key.
  };
  using Watcher = std::function<void(const std::vector<Change>& changes, std::uint64_t revision)>;

  MetadataStore() = default;
  /// Before the first txn(); the state log is replayed before the committer exists.
  void attach(Committer& committer, Shard& shard);

  const Entry* get(std::string_view key) const;
  /// All entries whose key starts with `prefix`, in key order.
  std::vector<std::pair<std::string, Entry>> list(std::string_view prefix) const;
  std::uint64_t revision() const { return revision_; }
  /// Called after each applied transaction, before its `done`.
  void watch(Watcher watcher) { watchers_.push_back(std::move(watcher)); }
  /// Answers the new revision. Errors: conflict naming the key, disk_full; nothing changed then.
  void txn(std::vector<Condition> conditions, std::vector<Change> changes, Done<std::uint64_t> done);

  /// Recovery: replays a record of the stream.
  Status replay(const storage::StateRecord& record);
  std::vector<storage::StateRecord> snapshot() const;

 private:
  struct Txn {
    std::vector<Condition> conditions;
    std::vector<Change> changes;
    Done<std::uint64_t> done;
  };
  void run_next();
  void apply(const std::vector<Change>& changes, std::uint64_t revision);

  Committer* committer_ = nullptr;
  Shard* shard_ = nullptr;
  std::map<std::string, Entry, std::less<>> entries_;
  std::uint64_t revision_ = 0;
  std::deque<Txn> waiting_;
  bool under_way_ = false;
  std::vector<Watcher> watchers_;
};

}  // namespace tidemark::broker
