#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/tidemark/top_model.h"
#include "tools/tidemark/top_table.h"

/// The pages of `tidemark top`, made of a model.
namespace tidemark::tools {

enum class TopView { groups, topics, clients, letters };
inline constexpr std::array kTopViews = {TopView::groups, TopView::topics, TopView::clients, TopView::letters};

/// "groups", "topics", "clients", "dlq": as typed behind a colon.
std::string_view name_of(TopView view);
/// Also by a beginning of the name, and `dead`, `letters`, `members`; nullopt: none of them.
std::optional<TopView> parse_top_view(std::string_view name);

TopTable table_of(TopView view, const TopModel& model);
/// The column a view is sorted by at first.
std::size_t first_sort(TopView view);

/// More about one row of a view; the partitions of a group, the settings of a topic. Empty: it is no longer there.
std::vector<Line> details_of(TopView view, const std::string& id, const TopModel& model, std::size_t width);

/// Two lines at the top: rates, flush time, memory and disk; how many of what there is.
std::vector<Line> broker_lines(const TopModel& model, std::size_t width);

}  // namespace tidemark::tools
