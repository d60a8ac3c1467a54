#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "storage/base/random.h"
#include "tests/simulation/file_contents.h"

namespace tidemark::simulation {

/// Names a file or directory of a simulated disk for as long as any name or handle leads to it; never used again.
using InodeId = std::uint64_t;

/// The names in one simulated directory: as seen now, and as the disk holds them. Every change is one entry of a list that sync() makes
/// durable; what becomes of the file's bytes is another matter (FileContents).
///
/// Power loss, policy random: each unsynced change happened or not, on its own. A rename may also be half done, so that both names lead
/// to the file; it never loses both. A rename into another directory is two changes, and may.
class DirectoryContents {
 public:
  using Entries = std::map<std::string, InodeId, std::less<>>;

  const Entries& entries() const { return current_; }
  const Entries& durable_entries() const { return durable_; }

  void link(const std::string& name, InodeId inode);
  void unlink(const std::string& name);
  void rename(const std::string& from, const std::string& to);

  void sync();
  /// After a failed sync the changes are still seen, and no later sync() makes them durable.
  void lose_unsynced();

  bool settled() const { return unsynced_.empty() && !lost_; }
  DirectoryContents after_power_loss(CrashPolicy policy, Random& random, unsigned keep_percent) const;

  /// Calls `visit(InodeId)` for everything that a name leads to now or may lead to after a crash.
  template <class Visit>
  void for_each_reference(Visit visit) const {
    for (const auto& [name, inode] : current_) visit(inode);
    for (const auto& [name, inode] : durable_) visit(inode);
    for (const Change& change : unsynced_) visit(change.inode);
  }

 private:
  struct Change {
    std::string unlinked;  ///< Empty: none.
    std::string linked;    ///< Empty: none. With `unlinked`: a rename.
    InodeId inode = 0;
  };

  static void apply(const Change& change, Entries& entries);
  void make(Change change);

  Entries current_;
  Entries durable_;
  std::vector<Change> unsynced_;
  bool lost_ = false;  ///< A failed sync left `current_` ahead of what sync() will ever write.
};

}  // namespace tidemark::simulation
