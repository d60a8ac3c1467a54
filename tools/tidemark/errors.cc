#include "tools/tidemark/errors.h"

#include <cstdio>

#include <boost/json.hpp>

namespace tidemark::tools {

Exit exit_code(const Error& error) {
  if (error.maybe_done) return Exit::timed_out;
  switch (error.code) {
    case Errc::invalid_argument:
    case Errc::invalid_topic_name:
    case Errc::invalid_config:
      return Exit::usage;

    case Errc::unknown_topic:
    case Errc::unknown_partition:
    case Errc::offset_out_of_range:
    case Errc::not_found:
    case Errc::unknown_group:
    case Errc::unknown_member:
    case Errc::foreign_data:
      return Exit::not_found;

    case Errc::topic_exists:
    case Errc::conflict:
    case Errc::stale_member_epoch:
    case Errc::illegal_generation:
    case Errc::rebalance_in_progress:
    case Errc::inconsistent_group_protocol:
    case Errc::fenced_instance_id:
    case Errc::not_owner:
    case Errc::locked:
      return Exit::conflict;

    case Errc::denied:
      return Exit::denied;

    case Errc::cannot_connect:
    case Errc::connection_lost:
      return Exit::cannot_connect;

    case Errc::timed_out:
      return Exit::timed_out;

    case Errc::cancelled:
      return Exit::interrupted;

    case Errc::internal:
    case Errc::corrupt_batch:
    case Errc::batch_too_large:
    case Errc::unsupported_compression:
    case Errc::decompression_limit:
    case Errc::out_of_order_sequence:
    case Errc::duplicate_sequence:
    case Errc::stale_producer_epoch:
    case Errc::disk_full:
    case Errc::io_error:
    case Errc::quarantined:
    case Errc::overloaded:
    case Errc::unsupported_version:
    case Errc::protocol_error:
    case Errc::frame_too_large:
    case Errc::shutting_down:
    case Errc::queue_full:
    case Errc::member_id_required:
    case Errc::group_full:
    case Errc::invalid_session_timeout:
    case Errc::not_delivered:
    case Errc::already_settled:
    case Errc::lease_lost:
    case Errc::invalid_transaction_state:
    case Errc::producer_fenced:
    case Errc::unknown_transactional_id:
    case Errc::invalid_transaction_timeout:
    case Errc::concurrent_transactions:
      return Exit::failed;
  }
  return Exit::failed;  // A number from a newer broker.
}

std::string hint_for(const Error& error) {
  if (error.maybe_done) return "the answer was lost: look before you repeat the command";
  switch (error.code) {
    case Errc::cannot_connect:
    case Errc::connection_lost:
      return "is tidemarkd running? --server HOST:PORT or TIDEMARK_SERVER names another one";
    case Errc::unknown_topic:
      return "`tidemark topic ls` lists the topics, `tidemark topic create T` makes one";
    case Errc::unknown_group:
      return "`tidemark group ls` lists the groups";
    case Errc::offset_out_of_range:
      return "`tidemark topic show T` lists each partition's range";
    case Errc::protocol_error:
      return "is that the native port of tidemarkd (7410)?";
    case Errc::locked:
      return "stop the process that uses the directory, then try again";
    case Errc::foreign_data:
      return "name the data directory of tidemarkd (tidemark-data by default)";
    case Errc::disk_full:
      return "free space on the broker's disk, or trim topics; nothing was written";
    case Errc::quarantined:
      return "the rest of the log is served; `tidemark log verify DIR` lists damaged ranges";
    default:
      return {};
  }
}

std::string format_error(const Error& error, OutputFormat output) {
  const std::string message = printable_text(error.detail.empty() ? to_string(error.code) : std::string_view(error.detail));
  const std::string hint = hint_for(error);
  if (is_json(output)) {
    boost::json::object body;
    body["code"] = to_string(error.code);
    body["message"] = message;
    body["hint"] = hint;
    body["retriable"] = error.retriable();
    boost::json::object line;
    line["error"] = std::move(body);
    return boost::json::serialize(line) + "\n";
  }
  std::string text = "tidemark: " + message + "\n";
  if (!hint.empty()) text += "hint: " + hint + "\n";
  return text;
}

Exit report(const Error& error, OutputFormat output) {
  write_stderr(format_error(error, output));
  return exit_code(error);
}

Exit report_usage(std::string_view message, OutputFormat output) {
  return report(Error{.code = Errc::invalid_argument, .detail = std::string(message)}, output);
}

}  // namespace tidemark::tools
