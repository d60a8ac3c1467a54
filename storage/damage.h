#pragma once

#include <string>
#include <vector>

#include "storage/base/offset.h"

namespace tidemark::storage {

/// A damaged range of a log: reads touching it fail with `quarantined`, everything else is served. The file is kept as it is.
struct Damage {
  std::string file;       ///< Name of the segment file, without its directory.
  FilePosition position;  ///< Where in it the bad bytes begin.
  Offset from;            ///< Half open.
  Offset to;
  /// "crc", "chain" (offsets do not follow), "epoch", "framing" (no batch here), "interval" (a header outside the batch's own checksum),
  /// "truncated", "length" (shorter than its seal or checkpoint says), "missing", "overlap", "read error".
  std::string reason;

  /// "00000000000000000042.log at 8192: offsets 42..61: crc"
  std::string to_string() const;
  bool contains(Offset offset) const { return from <= offset && offset < to; }
  bool operator==(const Damage&) const = default;
};

/// The range of `damage` that contains `offset`; nullptr if none does.
const Damage* damage_containing(const std::vector<Damage>& damage, Offset offset);
/// Adds what is not covered by one known range already.
void merge_damage(std::vector<Damage>& known, const std::vector<Damage>& found);

}  // namespace tidemark::storage
