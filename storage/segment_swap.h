#pragma once

#include <string>
#include <vector>

#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/file_system.h"

/// Putting a rewritten segment in the place of one, or of several next to each other, so that a crash at any call leaves exactly the old or
/// exactly the new.
///
///     <base20>.log.cleaned, .idx.cleaned, .seal.cleaned   being written; durable with their names before anything else happens
///     <base20>.seal.swap                                  the decision: from its rename on the new segment counts, and says how far it
///                                                         reaches; what the other two still lack is made up by whoever finds it
///
/// Without a decision, `.cleaned` files are leftovers and go. The decision itself is the new seal; it gets its own name last.
namespace tidemark::storage {

inline constexpr std::string_view kCleanedSuffix = ".cleaned";
inline constexpr std::string_view kSwapSuffix = ".swap";

/// Takes the decision, durably. Pre: the three `.cleaned` files and their names are durable. Errors: io_error.
Status decide_swap(FileSystem& files, const std::string& directory, Offset base);
/// Carries a decided swap out; doing it again is fine. `absorbed`: bases of the further segments it takes the place of. Errors: io_error.
Status carry_out_swap(FileSystem& files, const std::string& directory, Offset base, const std::vector<Offset>& absorbed);

/// Before a log is opened: carries out what was decided and removes what was not. Reads the directory only if `names` has such a file.
/// True if anything was done. Errors: io_error.
Result<bool> finish_swaps(FileSystem& files, const std::string& directory, const std::vector<DirectoryEntry>& names);
/// The same, listing the directory first; one that is missing has none.
Status finish_swaps(FileSystem& files, const std::string& directory);

}  // namespace tidemark::storage
