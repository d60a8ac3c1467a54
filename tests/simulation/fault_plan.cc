#include "tests/simulation/fault_plan.h"

namespace tidemark::simulation {

void FaultPlan::clear() {
  by_index_.clear();
  rules_.clear();
}

std::optional<FaultEffect> FaultPlan::effect_on(std::uint64_t index, std::string_view op, std::string_view path) {
  std::optional<FaultEffect> effect;
  if (const auto chosen = by_index_.find(index); chosen != by_index_.end()) effect = chosen->second;
  for (auto& [rule, matched] : rules_) {
    if (!rule.op.empty() && rule.op != op) continue;
    if (path.find(rule.path_contains) == std::string_view::npos) continue;
    ++matched;
    if (!effect && matched >= rule.nth && matched - rule.nth < rule.times) effect = rule.effect;
  }
  return effect;
}

}  // namespace tidemark::simulation
