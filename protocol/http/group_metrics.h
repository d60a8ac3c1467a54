#pragma once

#include "protocol/http/metrics.h"
#include "protocol/http/metrics_page.h"

namespace tidemark::http {

/// Families by group and topic. A group without a commit on a topic has no lag series there; a name that both kinds of group have gets the
/// label `kind`.
void add_groups(MetricsPage& page, const MetricsSnapshot& snapshot);
/// Families by group, topic and partition.
void add_group_partitions(MetricsPage& page, const MetricsSnapshot& snapshot);

}  // namespace tidemark::http
