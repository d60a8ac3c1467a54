#include "protocol/http/reply.h"

#include <boost/beast/http/status.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "protocol/http/json_text.h"

namespace tidemark::http {
namespace {

unsigned status_of(Errc code) {
  switch (code) {
    case Errc::unknown_topic:
    case Errc::unknown_partition:
    case Errc::unknown_group:
    case Errc::unknown_member:
    case Errc::not_found:
    case Errc::not_delivered:
    case Errc::unknown_transactional_id:
      return 404;
    case Errc::topic_exists:
    case Errc::conflict:
    case Errc::locked:
    case Errc::not_owner:
    case Errc::lease_lost:
    case Errc::already_settled:
    case Errc::stale_member_epoch:
    case Errc::illegal_generation:
    case Errc::rebalance_in_progress:
    case Errc::inconsistent_group_protocol:
    case Errc::fenced_instance_id:
    case Errc::member_id_required:
    case Errc::out_of_order_sequence:
    case Errc::duplicate_sequence:
    case Errc::stale_producer_epoch:
    case Errc::invalid_transaction_state:
    case Errc::producer_fenced:
    case Errc::concurrent_transactions:
      return 409;
    case Errc::invalid_argument:
    case Errc::invalid_topic_name:
    case Errc::invalid_config:
    case Errc::corrupt_batch:
    case Errc::unsupported_compression:
    case Errc::decompression_limit:
    case Errc::protocol_error:
    case Errc::unsupported_version:
    case Errc::invalid_session_timeout:
    case Errc::invalid_transaction_timeout:
      return 400;
    case Errc::offset_out_of_range:
      return 416;
    case Errc::batch_too_large:
    case Errc::frame_too_large:
      return 413;
    case Errc::denied:
      return 403;
    case Errc::overloaded:
    case Errc::queue_full:
    case Errc::group_full:
      return 429;
    case Errc::disk_full:
      return 507;
    case Errc::shutting_down:
    case Errc::cancelled:
    case Errc::connection_lost:
    case Errc::cannot_connect:
      return 503;
    case Errc::timed_out:
      return 504;
    case Errc::internal:
    case Errc::io_error:
    case Errc::quarantined:
    case Errc::foreign_data:
      return 500;
  }
  return 500;
}

}  // namespace

Problem problem_of(const Error& error) {
  return {.status = status_of(error.code), .code = std::string(to_string(error.code)), .detail = error.detail, .field = {}, .rule = {}};
}

Reply to_reply(const Problem& problem) {
  const auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(problem.status));
  boost::json::object body = {{"title", std::string_view(reason.data(), reason.size())},
                              {"status", problem.status},
                              {"detail", shown(problem.detail)},
                              {"code", problem.code}};
  if (!problem.field.empty()) body["field"] = shown(problem.field);
  if (!problem.rule.empty()) body["rule"] = shown(problem.rule);
  return {.status = problem.status, .content_type = "application/problem+json", .body = boost::json::serialize(body) + "\n", .fields = {}};
}

}  // namespace tidemark::http
