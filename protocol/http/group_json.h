#pragma once

#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "broker/groups/group_types.h"
#include "broker/lag/lag_types.h"
#include "broker/queues/queue_types.h"

/// Groups, lag and seeks in the JSON that the command line prints for them.
namespace tidemark::http {

/// `lag` of another group, or of none yet: a summary by default.
boost::json::object group_value(const broker::GroupInfo& group, const broker::LagSummary& lag);
boost::json::object group_details(const broker::GroupInfo& group, const broker::LagSummary& lag);
boost::json::object queue_value(const broker::QueueInfo& queue, const broker::LagSummary& lag);
boost::json::object queue_details(const broker::QueueInfo& queue, const broker::LagSummary& lag);
boost::json::object lag_value(const broker::LagRow& row);
boost::json::object summary_value(const broker::LagSummary& lag);
boost::json::object point_value(const broker::LagPoint& point);
boost::json::array members_value(const std::vector<broker::MemberInfo>& members);
boost::json::array members_value(const broker::QueueInfo& queue);
boost::json::array history_value(const std::vector<broker::SeekRecord>& seeks);
boost::json::object plan_value(const std::string& group, const broker::SeekReply& plan);
/// "earliest", "latest", "12", "@2026-03-01T10:00:00.000Z"
std::string start_text(const broker::StartAt& start);

}  // namespace tidemark::http
