#include "storage/key_map.h"

#include <algorithm>
#include <utility>

namespace tidemark::storage {
namespace {

constexpr std::size_t kSlotsFirst = 1024;

/// Spreads a hash over any number of slots without a division.
std::size_t place_of(const Hash128& hash, std::size_t slots) {
  return static_cast<std::size_t>((static_cast<unsigned __int128>(hash.low) * slots) >> 64);
}

}  // namespace

// While it grows, the old half stands beside the new whole.
KeyMap::KeyMap(std::size_t bytes_max, const Hash128& seed)
    : slots_max_(std::max(bytes_max, kBytesMin) / sizeof(Slot) * 2 / 3), seed_(seed), slots_(std::min(slots_max_, kSlotsFirst)) {}

void KeyMap::clear() {
  slots_.assign(std::min(slots_max_, kSlotsFirst), Slot{});
  slots_.shrink_to_fit();
  size_ = 0;
}

std::size_t KeyMap::slot_of(const Hash128& hash) const {
  std::size_t at = place_of(hash, slots_.size());
  while (slots_[at].offset.value >= 0 && slots_[at].hash != hash) at = at + 1 == slots_.size() ? 0 : at + 1;
  return at;
}

void KeyMap::grow() {
  const std::size_t wanted = slots_.size() * 2 <= slots_max_ / 2 ? slots_.size() * 2
                             : slots_.size() < slots_max_ / 2    ? slots_max_ / 2
                                                                 : slots_max_;
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(wanted));
  for (const Slot& slot : old) {
    if (slot.offset.value >= 0) slots_[slot_of(slot.hash)] = slot;
  }
}

bool KeyMap::put(ByteView key, Offset offset) {
  const Hash128 hash = siphash128(key, seed_);
  Slot* slot = &slots_[slot_of(hash)];
  if (slot->offset.value >= 0) {
    slot->offset = std::max(slot->offset, offset);
    return true;
  }
  if (size_ >= keys_of(slots_.size())) {
    if (slots_.size() == slots_max_) return false;
    grow();
    slot = &slots_[slot_of(hash)];
  }
  *slot = {hash, offset};
  ++size_;
  return true;
}

std::optional<Offset> KeyMap::find(ByteView key) const {
  if (size_ == 0) return std::nullopt;
  const Slot& slot = slots_[slot_of(siphash128(key, seed_))];
  if (slot.offset.value < 0) return std::nullopt;
  return slot.offset;
}

}  // namespace tidemark::storage
