#pragma once

#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "broker/groups/group_types.h"

/// Groups, lag and seeks in the JSON that the command line prints for them.
namespace tidemark::http {

/// `rows` may be of many groups; those of this one count.
boost::json::object group_value(const broker::GroupInfo& group, const std::vector<broker::PartitionLag>& rows);
boost::json::object group_details(const broker::GroupInfo& group, const std::vector<broker::PartitionLag>& rows);
boost::json::object lag_value(const broker::PartitionLag& row);
boost::json::array members_value(const std::vector<broker::MemberInfo>& members);
boost::json::array history_value(const std::vector<broker::SeekRecord>& seeks);
boost::json::object plan_value(const std::string& group, const broker::SeekReply& plan);
/// "earliest", "latest", "12", "@2026-03-01T10:00:00.000Z"
std::string start_text(const broker::StartAt& start);

}  // namespace tidemark::http
