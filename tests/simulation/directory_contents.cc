#include "tests/simulation/directory_contents.h"

#include "storage/base/check.h"

namespace tidemark::simulation {

void DirectoryContents::link(const std::string& name, InodeId inode) { make({.unlinked = {}, .linked = name, .inode = inode}); }

void DirectoryContents::unlink(const std::string& name) {
  CHECK(current_.contains(name));
  make({.unlinked = name, .linked = {}, .inode = current_.at(name)});
}

void DirectoryContents::rename(const std::string& from, const std::string& to) {
  CHECK(current_.contains(from));
  make({.unlinked = from, .linked = to, .inode = current_.at(from)});
}

void DirectoryContents::make(Change change) {
  apply(change, current_);
  unsynced_.push_back(std::move(change));
}

void DirectoryContents::apply(const Change& change, Entries& entries) {
  if (!change.unlinked.empty()) entries.erase(change.unlinked);
  if (!change.linked.empty()) entries[change.linked] = change.inode;
}

void DirectoryContents::sync() {
  for (const Change& change : unsynced_) apply(change, durable_);
  unsynced_.clear();
}

void DirectoryContents::lose_unsynced() {
  lost_ = lost_ || !unsynced_.empty();
  unsynced_.clear();
}

DirectoryContents DirectoryContents::after_power_loss(CrashPolicy policy, Random& random, unsigned keep_percent) const {
  DirectoryContents after;
  after.durable_ = durable_;
  for (const Change& change : unsynced_) {
    if (policy == CrashPolicy::drop_all) continue;
    Change happened = change;
    if (policy == CrashPolicy::random && random() % 100 >= keep_percent) {
      const bool is_rename = !change.unlinked.empty() && !change.linked.empty();
      if (!is_rename || random() % 2 == 0) continue;
      happened.unlinked.clear();  // Both names.
    }
    apply(happened, after.durable_);
  }
  after.current_ = after.durable_;
  return after;
}

}  // namespace tidemark::simulation
