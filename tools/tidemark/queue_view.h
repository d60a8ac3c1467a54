#pragma once

#include <span>
#include <string>

#include <boost/json/fwd.hpp>

#include "tidemark/group_admin.h"
#include "tidemark/queue_admin.h"
#include "tools/tidemark/output.h"

/// Queue groups, their unfinished records and their dead letters as JSON and as text for people.
namespace tidemark::tools {

/// What queue groups have in common with stream groups. Without members: they are of another kind.
GroupDescription as_group(const QueueDescription& queue);
/// "queue group billing on orders"
std::string queue_title(const QueueDescription& queue);

/// As of a stream group, with `waiting, in_flight, retrying, delayed, parked, dead, done` in records.
boost::json::object group_to_json(const QueueDescription& queue);
boost::json::object group_details_to_json(const QueueDescription& queue);
std::string queue_page(const QueueDescription& queue, bool wide);

boost::json::array queue_members_to_json(const QueueDescription& queue);
std::string queue_member_table(const QueueDescription& queue, bool wide);

boost::json::array pending_to_json(const std::string& topic, std::span<const QueuePendingRow> rows);
std::string pending_table(const std::string& topic, std::span<const QueuePendingRow> rows, bool wide);

boost::json::array dead_letters_to_json(std::span<const DeadLetterSummary> summaries);
std::string dead_letters_table(std::span<const DeadLetterSummary> summaries);
boost::json::array letters_to_json(std::span<const DeadLetter> letters);
std::string letters_table(std::span<const DeadLetter> letters, bool wide);

}  // namespace tidemark::tools
