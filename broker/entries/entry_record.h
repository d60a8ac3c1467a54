#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "broker/entries/once_window.h"
#include "broker/entry_id.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

/// How the fields of an entry are a record, and a record's id.
///
/// Fields: a leading field `key`, then a leading field `value`, are the record's key and value; every other field, in order, is a header.
/// Any record reads as an entry, any entry as a record; order and duplicates are kept. A record with nothing in it reads as `value ""`, a
/// header without a value as one with an empty one.
///
/// Ids: the millisecond is the record's timestamp. The first record of a batch has sequence 0; a record that follows one of the same
/// millisecond has its sequence plus the distance of their offsets; any other 0 again. A record whose id is another one says so in the
/// header `tidemark-id` (16 bytes: ms, seq, big-endian), which is its first and no field. So a batch is understood alone, and the header is
/// rare. A record that was added once (EntryOnce) says there by what it is told: 32 more bytes, producer and entry.
namespace tidemark::broker {

struct EntryField {
  std::string_view name;
  std::string_view value;
  bool operator==(const EntryField&) const = default;
};

inline constexpr std::string_view kEntryIdHeader = "tidemark-id";

/// Derives the ids of a batch's records in order, as reader and as writer.
class EntryIds {
 public:
  /// The id of a record that has no header saying another.
  EntryId implied(Offset offset, std::int64_t timestamp_ms) const;
  /// The record at `offset` has this id.
  void took(Offset offset, EntryId id);

 private:
  std::optional<EntryId> previous_;
  Offset offset_;
};

/// The timestamp of a record with that id.
std::int64_t entry_timestamp(EntryId id);

/// The record of an entry: its views point into the fields given, and into this object, which must not move while `input` is used.
class EntryRecord {
 public:
  /// `say_id`: the id is not the implied one, or must not depend on it. With `once` it is said in any case.
  EntryRecord(EntryId id, std::span<const EntryField> fields, bool say_id, const std::optional<EntryOnce>& once = {});
  EntryRecord(const EntryRecord&) = delete;
  EntryRecord& operator=(const EntryRecord&) = delete;

  const RecordInput& input() const { return input_; }

 private:
  std::array<std::byte, 48> id_bytes_;
  boost::container::small_vector<HeaderView, 8> headers_;  ///< Most entries have few fields, and there is one of these for each entry.
  RecordInput input_;
};

/// True if these fields need the id to be said, because their first header could be taken for it.
bool fields_need_id(std::span<const EntryField> fields);

/// At least the size of a batch with that entry alone, its id said.
std::size_t entry_bytes_bound(std::span<const EntryField> fields);

/// The id that the record's hidden header says.
std::optional<EntryId> said_id(const RecordView& record);

/// By what the record is told to be added once.
std::optional<EntryOnce> said_once(const RecordView& record);

/// Appends the record's fields to `fields`; views into the record. Returns how many.
std::size_t append_fields(const RecordView& record, std::vector<EntryField>& fields);

}  // namespace tidemark::broker
