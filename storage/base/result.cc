#include "storage/base/result.h"

#include <array>

namespace tidemark {
namespace {

constexpr std::array<std::string_view, 53> kNames = {
    "",
    "internal",
    "invalid_argument",
    "unknown_topic",
    "topic_exists",
    "invalid_topic_name",
    "unknown_partition",
    "invalid_config",
    "offset_out_of_range",
    "corrupt_batch",
    "batch_too_large",
    "unsupported_compression",
    "decompression_limit",
    "out_of_order_sequence",
    "duplicate_sequence",
    "stale_producer_epoch",
    "disk_full",
    "io_error",
    "quarantined",
    "not_found",
    "conflict",
    "denied",
    "timed_out",
    "cancelled",
    "overloaded",
    "unsupported_version",
    "protocol_error",
    "frame_too_large",
    "connection_lost",
    "cannot_connect",
    "shutting_down",
    "unknown_group",
    "unknown_member",
    "stale_member_epoch",
    "not_owner",
    "locked",
    "foreign_data",
    "queue_full",
    "illegal_generation",
    "rebalance_in_progress",
    "inconsistent_group_protocol",
    "fenced_instance_id",
    "member_id_required",
    "group_full",
    "invalid_session_timeout",
    "not_delivered",
    "already_settled",
    "lease_lost",
    "invalid_transaction_state",
    "producer_fenced",
    "unknown_transactional_id",
    "invalid_transaction_timeout",
    "concurrent_transactions",
};

}  // namespace

std::string_view to_string(Errc code) {
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : std::string_view("unknown");
}

std::optional<Errc> errc_from_number(std::uint32_t number) {
  if (number == 0 || number >= kNames.size()) return std::nullopt;
  return static_cast<Errc>(number);
}

bool Error::retriable() const {
  switch (code) {
    case Errc::disk_full:
    case Errc::timed_out:
    case Errc::overloaded:
    case Errc::connection_lost:
    case Errc::cannot_connect:
    case Errc::shutting_down:
    case Errc::queue_full:
    case Errc::concurrent_transactions:
      return true;
    default:
      return false;
  }
}

bool Error::fatal() const {
  switch (code) {
    case Errc::stale_producer_epoch:
    case Errc::producer_fenced:
    case Errc::unknown_transactional_id:
    case Errc::unsupported_version:
    case Errc::denied:
      return true;
    default:
      return false;
  }
}

std::string Error::to_string() const {
  std::string text(tidemark::to_string(code));
  if (!detail.empty()) text += ": " + detail;
  return text;
}

}  // namespace tidemark
