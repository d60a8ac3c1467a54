#include "broker/metadata_store.h"

namespace tidemark::broker {
namespace {

storage::StateRecord to_record(const state::MetadataChange& change, storage::StateRecordType type) {
  storage::StateRecord record{.stream = {storage::StreamKind::metadata, ""}, .type = type, .last_part = true, .sequence = 0, .payload = {}};
  record.payload.resize(change.ByteSizeLong());
  CHECK(change.SerializeToArray(record.payload.data(), static_cast<int>(record.payload.size())));
  return record;
}

}  // namespace

void MetadataStore::attach(Committer& committer, Shard& shard) {
  committer_ = &committer;
  shard_ = &shard;
}

const MetadataStore::Entry* MetadataStore::get(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<std::pair<std::string, MetadataStore::Entry>> MetadataStore::list(std::string_view prefix) const {
  std::vector<std::pair<std::string, Entry>> result;
  for (auto entry = entries_.lower_bound(prefix); entry != entries_.end() && entry->first.starts_with(prefix); ++entry) {
    result.emplace_back(entry->first, entry->second);
  }
  return result;
}

void MetadataStore::txn(std::vector<Condition> conditions, std::vector<Change> changes, Done<std::uint64_t> done) {
  waiting_.push_back({std::move(conditions), std::move(changes), std::move(done)});
  run_next();
}

void MetadataStore::run_next() {
  while (!under_way_ && !waiting_.empty()) {
    Txn txn = std::move(waiting_.front());
    waiting_.pop_front();
    const Condition* broken = nullptr;
    for (const Condition& condition : txn.conditions) {
      const Entry* const entry = get(condition.key);
      if ((entry == nullptr ? 0 : entry->revision) != condition.revision) broken = &condition;
    }
    if (broken != nullptr) {
      txn.done(Error{Errc::conflict, "'" + broken->key + "' changed meanwhile"});
      continue;
    }
    const std::uint64_t revision = revision_ + 1;
    state::MetadataChange record;
    record.set_revision(revision);
    for (const Change& change : txn.changes) {
      if (!change.value) {
        record.add_removals(change.key);
        continue;
      }
      auto& put = *record.add_puts();
      put.set_key(change.key);
      put.set_value(*change.value);
    }
    under_way_ = true;
    std::vector<storage::StateRecord> records;
    records.push_back(to_record(record, storage::StateRecordType::delta));
    committer_->submit(std::move(records), *shard_, [this, revision, txn = std::move(txn)](Status recorded) mutable {
      under_way_ = false;
      if (recorded) {
        apply(txn.changes, revision);
        for (const Watcher& watcher : watchers_) watcher(txn.changes, revision);
        txn.done(revision);
      } else {
        txn.done(std::move(recorded).error());
      }
      run_next();
    });
  }
}

void MetadataStore::apply(const std::vector<Change>& changes, std::uint64_t revision) {
  revision_ = revision;
  for (const Change& change : changes) {
    if (change.value)
      entries_[change.key] = {*change.value, revision};
    else
      entries_.erase(change.key);
  }
}

Status MetadataStore::replay(const storage::StateRecord& record) {
  state::MetadataChange change;
  if (!change.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) {
    return Error{Errc::corrupt_batch, "a metadata record does not decode"};
  }
  if (record.type == storage::StateRecordType::snapshot) entries_.clear();
  revision_ = change.revision();
  for (const auto& put : change.puts()) entries_[put.key()] = {put.value(), change.revision()};
  for (const std::string& key : change.removals()) entries_.erase(key);
  return {};
}

std::vector<storage::StateRecord> MetadataStore::snapshot() const {
  constexpr std::size_t kPartBytes = 1024 * 1024;
  std::vector<storage::StateRecord> parts;
  state::MetadataChange change;
  change.set_revision(revision_);
  const auto finish_part = [&] {
    parts.push_back(to_record(change, parts.empty() ? storage::StateRecordType::snapshot : storage::StateRecordType::snapshot_more));
    parts.back().last_part = false;
    change.clear_puts();
  };
  std::size_t bytes = 0;
  for (const auto& [key, entry] : entries_) {
    auto& put = *change.add_puts();
    put.set_key(key);
    put.set_value(entry.value);
    bytes += key.size() + entry.value.size() + 8;
    if (bytes < kPartBytes) continue;
    finish_part();
    bytes = 0;
  }
  finish_part();
  parts.back().last_part = true;
  return parts;
}

}  // namespace tidemark::broker
