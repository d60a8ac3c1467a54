#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace tidemark::broker {

/// One record that waits.
struct WaitingRecord {
  std::int64_t due_ms = 0;
  std::int64_t offset = 0;   ///< Where it lies now, in its lane.
  std::int64_t number = 0;   ///< Of its id.
  std::uint32_t target = 0;  ///< Number in the scheduler's table.
  std::uint32_t bytes = 0;   ///< About what it takes to read it; of a failed record, its Errc.
  std::pair<std::int64_t, std::int64_t> key() const { return {due_ms, offset}; }
  bool operator==(const WaitingRecord&) const = default;
};
static_assert(sizeof(WaitingRecord) == 32);

/// Waiting records of one lane in the order of (due time, offset), in blocks that are half full or more: 32 to 64 bytes a record, about 45
/// when times are random. Inserting and erasing cost a search and the move of at most one block.
class ScheduleIndex {
 public:
  /// False if one with its key is there already.
  bool insert(const WaitingRecord& record);
  /// Takes out the record with this key.
  std::optional<WaitingRecord> erase(std::pair<std::int64_t, std::int64_t> key);
  const WaitingRecord* find(std::pair<std::int64_t, std::int64_t> key) const;
  /// The earliest; null when there is none.
  const WaitingRecord* first() const { return blocks_.empty() ? nullptr : &blocks_.begin()->second.front(); }
  /// Looks at every record.
  const WaitingRecord* find_offset(std::int64_t offset) const;
  const WaitingRecord* find_number(std::int64_t number) const;

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const;

  /// Walks from the first record at or after a key. Any change of the index ends its use.
  class Cursor {
   public:
    Cursor(const ScheduleIndex& index, std::pair<std::int64_t, std::int64_t> from);
    const WaitingRecord* get() const { return at_; }
    void next();

   private:
    void settle();
    const ScheduleIndex& index_;
    std::map<std::pair<std::int64_t, std::int64_t>, std::vector<WaitingRecord>>::const_iterator block_;
    std::size_t place_ = 0;
    const WaitingRecord* at_ = nullptr;
  };

 private:
  using Key = std::pair<std::int64_t, std::int64_t>;
  using Block = std::vector<WaitingRecord>;
  using Blocks = std::map<Key, Block>;  ///< By a key no later than the block's first and after the one before's last.

  static constexpr std::size_t kBlock = 256;
  Blocks::iterator block_of(Key key);
  Blocks::const_iterator block_of(Key key) const { return const_cast<ScheduleIndex*>(this)->block_of(key); }

  Blocks blocks_;
  std::size_t size_ = 0;
};

}  // namespace tidemark::broker
