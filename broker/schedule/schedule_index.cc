#include "broker/schedule/schedule_index.h"

#include <algorithm>

namespace tidemark::broker {

/// The block that holds the key or would; the first one for a key before all. end() when there are none.
ScheduleIndex::Blocks::iterator ScheduleIndex::block_of(Key key) {
  const auto after = blocks_.upper_bound(key);
  return after == blocks_.begin() ? after : std::prev(after);
}

bool ScheduleIndex::insert(const WaitingRecord& record) {
  auto at = block_of(record.key());
  if (at == blocks_.end()) {
    blocks_.emplace(record.key(), Block{record});
    ++size_;
    return true;
  }
  if (record.key() < at->first) {
    auto node = blocks_.extract(at);
    node.key() = record.key();
    at = blocks_.insert(std::move(node)).position;
  }
  Block* block = &at->second;
  auto place = std::ranges::lower_bound(*block, record.key(), {}, &WaitingRecord::key);
  if (place != block->end() && place->key() == record.key()) return false;
  if (block->size() == kBlock) {
    // Times that rise fill blocks to the brim; others split them.
    const std::size_t kept = place == block->end() ? kBlock : kBlock / 2;
    Block upper(block->begin() + static_cast<std::ptrdiff_t>(kept), block->end());
    block->resize(kept);
    const Key fence = upper.empty() ? record.key() : upper.front().key();
    const auto made = blocks_.emplace(fence, std::move(upper)).first;
    if (record.key() >= fence) block = &made->second;
    block->reserve(kBlock);
    place = std::ranges::lower_bound(*block, record.key(), {}, &WaitingRecord::key);
  }
  block->insert(place, record);
  ++size_;
  return true;
}

std::optional<WaitingRecord> ScheduleIndex::erase(Key key) {
  const auto at = block_of(key);
  if (at == blocks_.end()) return std::nullopt;
  const auto place = std::ranges::lower_bound(at->second, key, {}, &WaitingRecord::key);
  if (place == at->second.end() || place->key() != key) return std::nullopt;
  const WaitingRecord record = *place;
  at->second.erase(place);
  if (at->second.empty()) blocks_.erase(at);
  --size_;
  return record;
}

const WaitingRecord* ScheduleIndex::find(Key key) const {
  const auto at = block_of(key);
  if (at == blocks_.end()) return nullptr;
  const auto place = std::ranges::lower_bound(at->second, key, {}, &WaitingRecord::key);
  return place == at->second.end() || place->key() != key ? nullptr : &*place;
}

const WaitingRecord* ScheduleIndex::find_offset(std::int64_t offset) const {
  for (const auto& [fence, block] : blocks_) {
    const auto place = std::ranges::find(block, offset, &WaitingRecord::offset);
    if (place != block.end()) return &*place;
  }
  return nullptr;
}

const WaitingRecord* ScheduleIndex::find_number(std::int64_t number) const {
  for (const auto& [fence, block] : blocks_) {
    const auto place = std::ranges::find(block, number, &WaitingRecord::number);
    if (place != block.end()) return &*place;
  }
  return nullptr;
}

std::size_t ScheduleIndex::memory_bytes() const {
  constexpr std::size_t kNode = sizeof(std::pair<Key, Block>) + 48;  // Links of the tree and the allocator's.
  std::size_t bytes = 0;
  for (const auto& [fence, block] : blocks_) bytes += kNode + block.capacity() * sizeof(WaitingRecord);
  return bytes;
}

ScheduleIndex::Cursor::Cursor(const ScheduleIndex& index, Key from) : index_(index), block_(index.block_of(from)) {
  if (block_ == index_.blocks_.end()) return;
  const auto place = std::ranges::lower_bound(block_->second, from, {}, &WaitingRecord::key);
  place_ = static_cast<std::size_t>(place - block_->second.begin());
  settle();
}

void ScheduleIndex::Cursor::next() {
  ++place_;
  settle();
}

void ScheduleIndex::Cursor::settle() {
  at_ = nullptr;
  while (block_ != index_.blocks_.end() && place_ >= block_->second.size()) {
    ++block_;
    place_ = 0;
  }
  if (block_ != index_.blocks_.end()) at_ = &block_->second[place_];
}

}  // namespace tidemark::broker
