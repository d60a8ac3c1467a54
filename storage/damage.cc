#include "storage/damage.h"

#include <algorithm>

namespace tidemark::storage {

std::string Damage::to_string() const {
  return file + " at " + std::to_string(position.value) + ": offsets " + std::to_string(from.value) + ".." + std::to_string(to.value) +
         ": " + reason;
}

const Damage* damage_containing(const std::vector<Damage>& damage, Offset offset) {
  const auto hit = std::ranges::find_if(damage, [offset](const Damage& range) { return range.contains(offset); });
  return hit == damage.end() ? nullptr : &*hit;
}

void merge_damage(std::vector<Damage>& known, const std::vector<Damage>& found) {
  for (const Damage& range : found) {
    const bool covered = std::ranges::any_of(known, [&](const Damage& old) { return old.from <= range.from && range.to <= old.to; });
    if (!covered) known.push_back(range);
  }
}

}  // namespace tidemark::storage
