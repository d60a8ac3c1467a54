#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

#include "tidemark/group_admin.h"
#include "tools/tidemark/output.h"

/// Groups as JSON and as text for people.
namespace tidemark::tools {

/// Names of groups and members are any bytes: shown printable, and exact beside it, as KEY_base64, where the two differ.
void add_name(boost::json::object& object, std::string_view key, const std::string& name);
/// "0.0s", "12.3s", "3m20s"; "-" when it is not known. `estimated` puts a ~ before it.
std::string lag_time_text(std::optional<double> seconds, bool estimated = false);
/// 0 for what is fine, 1 for a warning, 2 for what needs somebody: as monitoring plugins count.
int severity(std::string_view verdict);
/// Of the group that needs somebody most; "ok" when there are none.
std::string worst_verdict(std::span<const GroupDescription> groups);

boost::json::object group_to_json(const GroupDescription& group);
std::string group_table(std::span<const GroupDescription> groups, bool wide);
boost::json::object group_details_to_json(const GroupDescription& group);
std::string group_page(const GroupDescription& group, std::span<const GroupPartitionLag> lags, bool wide);

/// Text, because it fixes the number of decimals: json is one array, jsonl one object a line.
std::string lag_to_json(std::span<const GroupPartitionLag> lags, OutputFormat format);
/// With a column of `trends`, one a row, where there are any.
std::string lag_table(std::span<const GroupPartitionLag> lags, bool wide, std::span<const std::string> trends = {});

boost::json::array members_to_json(std::span<const GroupMemberDescription> members);
std::string member_table(std::span<const GroupMemberDescription> members, bool wide);

boost::json::object plan_to_json(std::string_view group, const GroupSeekPlan& plan);
std::string plan_table(std::span<const GroupSeekRow> rows);
boost::json::array history_to_json(std::span<const GroupSeekRecord> records);
std::string history_table(std::span<const GroupSeekRecord> records);

}  // namespace tidemark::tools
