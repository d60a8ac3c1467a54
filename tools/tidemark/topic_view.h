#pragma once

#include <span>
#include <string>

#include <boost/json/fwd.hpp>

#include "tidemark/admin.h"
#include "tidemark/group_admin.h"

/// How topics look: as JSON that scripts rely on, and as tables.
namespace tidemark::tools {

/// {name,id,partitions,records,bytes,durability,entry_id,created_time,created_ms,config{},groups[]}
/// The groups are those of `groups` that read it.
boost::json::object topic_to_json(const TopicDescription& topic, std::span<const GroupDescription> groups);
/// The same, with effective_config{} and partition_list:[{partition,log_start,end,high_watermark,bytes,segments,state,
/// quarantined:[{file,position,from,to,reason}]}].
boost::json::object topic_details_to_json(const TopicDescription& topic, std::span<const GroupDescription> groups);

std::string topic_table(std::span<const TopicDescription> topics, bool wide);
/// One topic with its partitions; wide: every setting, not only those that were set.
std::string topic_page(const TopicDescription& topic, bool wide);

}  // namespace tidemark::tools
