#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "storage/base/check.h"

namespace tidemark {

/// What went wrong, in the words of the engine. Each wire protocol maps these to its own codes in one place.
/// Values are part of the native protocol: append, never renumber.
enum class Errc : std::uint16_t {
  internal = 1,          ///< A fault of the broker itself; the log says more.
  invalid_argument = 2,  ///< A value outside its range or grammar; the detail names field and rule.
  unknown_topic = 3,
  topic_exists = 4,
  invalid_topic_name = 5,
  unknown_partition = 6,
  invalid_config = 7,
  offset_out_of_range = 8,
  corrupt_batch = 9,  ///< Bad framing, checksum or contents of a record batch; never written.
  batch_too_large = 10,
  unsupported_compression = 11,
  decompression_limit = 12,  ///< A batch unpacks to more than the bound on size or ratio.
  out_of_order_sequence = 13,
  duplicate_sequence = 14,  ///< Written before, but too long ago to know the offset.
  stale_producer_epoch = 15,
  disk_full = 16,  ///< Refused before anything changed.
  io_error = 17,
  quarantined = 18,  ///< The range read or written is damaged on disk; the detail names file, position and offsets.
  not_found = 19,
  conflict = 20,  ///< The thing changed, exists or is in use.
  denied = 21,
  timed_out = 22,
  cancelled = 23,
  overloaded = 24,  ///< Over a bound on memory, connections or requests: slow down and try again.
  unsupported_version = 25,
  protocol_error = 26,  ///< Bytes that are not the protocol; the connection is closed.
  frame_too_large = 27,
  connection_lost = 28,
  cannot_connect = 29,
  shutting_down = 30,
  unknown_group = 31,
  unknown_member = 32,
  stale_member_epoch = 33,
  not_owner = 34,
  locked = 35,                       ///< The data directory is in use by another process.
  foreign_data = 36,                 ///< A directory that is not a Tidemark data directory, or of a newer version.
  queue_full = 37,                   ///< The client's own buffer is full.
  illegal_generation = 38,           ///< The member speaks for a generation of its group that is not the current one.
  rebalance_in_progress = 39,        ///< The group is changing its members: join it again.
  inconsistent_group_protocol = 40,  ///< No protocol that all members of the group speak, or one of another type.
  fenced_instance_id = 41,           ///< A newer member took over this static identity.
  member_id_required = 42,           ///< Join again with the member id that came with this answer.
  group_full = 43,
  invalid_session_timeout = 44,
  not_delivered = 45,                ///< A record settled that was never handed out.
  already_settled = 46,              ///< A record settled that is finished.
  lease_lost = 47,                   ///< The record was taken back from the member that settles it.
  invalid_transaction_state = 48,    ///< No transaction of this producer is open there, or it is beyond what is asked of it.
  producer_fenced = 49,              ///< A newer instance with the same transactional id, or a time-out, took the transaction over.
  unknown_transactional_id = 50,     ///< The transactional id is unknown or belongs to another producer id.
  invalid_transaction_timeout = 51,  ///< Not above zero, or beyond the broker's limit.
  concurrent_transactions = 52,      ///< The transaction before is still being finished: try again.
};

/// Stable lower-case name, as shown to people and written in JSON: "offset_out_of_range".
std::string_view to_string(Errc code);
std::optional<Errc> errc_from_number(std::uint32_t number);

/// An error and what is known about it. `detail` is a sentence that names the thing; it is for people, code branches on `code`.
struct Error {
  Errc code = Errc::internal;
  std::string detail;
  bool maybe_done = false;  ///< The operation may have taken effect: the answer was lost, not refused.

  /// The same call may succeed later without a change by the caller.
  bool retriable() const;
  /// Nothing this client or producer session does will succeed any more.
  bool fatal() const;
  /// "disk_full: 12 MiB left in /data, the next segment needs 16 MiB"
  std::string to_string() const;

  bool operator==(const Error&) const = default;
};

/// A value or an Error: the subset of std::expected we use, which g++ 12 lacks in C++20. Default-constructed as an error, because
/// a coroutine frame builds one before it has a value.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result() : state_(std::in_place_index<1>) {}
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design, as in std::expected.
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return checked(); }
  const T& value() const& { return const_cast<Result*>(this)->checked(); }
  T&& value() && { return std::move(checked()); }
  T& operator*() & { return checked(); }
  const T& operator*() const& { return const_cast<Result*>(this)->checked(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &const_cast<Result*>(this)->checked(); }
  T value_or(T other) const& { return has_value() ? **this : std::move(other); }

  const Error& error() const& {
    CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    CHECK(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  T& checked() {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }

  std::variant<T, Error> state_;
};

/// Result without a value.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design.

  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const& {
    CHECK(error_.has_value());
    return *error_;
  }
  Error&& error() && {
    CHECK(error_.has_value());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace tidemark
