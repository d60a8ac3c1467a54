#include "broker/lag/lag_verdict.h"

#include <gmock/gmock.h>

namespace tidemark::broker {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using testing::HasSubstr;

const Timestamp kNow{milliseconds(1'700'000'000'000)};

/// One line of the rules: what the engine says of the moment, what was seen before, and the verdict.
struct Rule {
  const char* name;
  Verdict said;
  std::optional<std::int64_t> lag;
  milliseconds lag_time;
  LagEvidence evidence;
  Verdict verdict;
  const char* cause;  ///< A part of it.
};
void PrintTo(const Rule& rule, std::ostream* out) { *out << rule.name; }

LagEvidence rates(double in, double out) {
  LagEvidence evidence;
  evidence.in_rate = in;
  evidence.out_rate = out;
  evidence.unmoved = 1s;
  return evidence;
}
LagEvidence unmoved(milliseconds since) {
  LagEvidence evidence;
  evidence.unmoved = since;
  return evidence;
}
LagEvidence moved_alone(milliseconds ago) {
  LagEvidence evidence = rates(1, 1);
  evidence.moved_alone = ago;
  return evidence;
}
LagEvidence rewound() {
  LagEvidence evidence = rates(1, 50);
  evidence.rewind = LagEvidence::Rewind{Offset{900}, kNow - 30s};
  return evidence;
}
LagEvidence growing(double slope) {
  LagEvidence evidence = rates(5, 4);
  evidence.slope = slope;
  return evidence;
}

class LagVerdict : public testing::TestWithParam<Rule> {};

TEST_P(LagVerdict, is_the_first_rule_that_holds) {
  const Rule& rule = GetParam();
  PartitionLag row;
  row.verdict = rule.said;
  row.cause = "said";
  row.lag = rule.lag;
  row.lag_time = rule.lag_time;
  const Judgement judged = judge(row, rule.evidence, 60s, kNow);
  EXPECT_EQ(to_string(judged.verdict), to_string(rule.verdict)) << judged.cause;
  EXPECT_THAT(judged.cause, HasSubstr(rule.cause));
}

INSTANTIATE_TEST_SUITE_P(
    , LagVerdict,
    testing::Values(Rule{"nothing_to_do", Verdict::ok, 0, 0ms, unmoved(1h), Verdict::ok, ""},
                    Rule{"within_the_objective", Verdict::ok, 10, 60s, rates(5, 5), Verdict::ok, ""},
                    Rule{"at_risk_whatever_else", Verdict::at_risk, 10, 2h, rates(1, 100), Verdict::at_risk, "said"},
                    Rule{"paused_whatever_else", Verdict::paused, 10, 2h, unmoved(1h), Verdict::paused, "said"},
                    Rule{"stopped_without_member", Verdict::stopped, 10, 1s, {}, Verdict::stopped, "said"},
                    Rule{"stopped_says_for_how_long", Verdict::stopped, 10, 3min, unmoved(2min), Verdict::stopped,
                         "nothing finished for 2m"},
                    Rule{"stopped_before_anything_was_committed", Verdict::stopped, std::nullopt, 0ms, {}, Verdict::stopped, "said"},
                    Rule{"assigns_itself", Verdict::stopped, 10, 1s, moved_alone(59s), Verdict::ok, ""},
                    Rule{"assigned_itself_once", Verdict::stopped, 10, 1s, moved_alone(60s), Verdict::stopped, "said"},
                    Rule{"rewound", Verdict::slow, 10, 2min, rewound(), Verdict::rewound, "from 900 30s ago, without a seek"},
                    Rule{"rewound_even_when_not_late", Verdict::ok, 10, 1s, rewound(), Verdict::rewound, "900"},
                    Rule{"stalled_as_the_engine_says", Verdict::stalled, 10, 1s, rates(1, 2), Verdict::stalled, "said"},
                    Rule{"stalled_after_a_minute", Verdict::slow, 10, 61s, unmoved(60s), Verdict::stalled, "nothing finished for 1m"},
                    Rule{"not_stalled_before_a_minute", Verdict::slow, 10, 61s, unmoved(59s), Verdict::slow, "said"},
                    Rule{"not_stalled_within_the_objective", Verdict::ok, 10, 60s, unmoved(1h), Verdict::ok, ""},
                    Rule{"draining", Verdict::slow, 900, 2min, rates(5, 20), Verdict::draining, "5.0/s in, 20/s out; done in about 1m"},
                    Rule{"slow_when_it_keeps_pace", Verdict::slow, 900, 2min, rates(5, 5), Verdict::slow, "said; 5.0/s in, 5.0/s out"},
                    Rule{"slow_when_it_grows_for_long", Verdict::ok, 900, 50s, growing(0.2), Verdict::slow, "grows by 12.0 s a minute"},
                    Rule{"ok_when_it_grows_slowly", Verdict::ok, 900, 50s, growing(0.1), Verdict::ok, ""},
                    Rule{"ok_when_it_grows_from_nothing", Verdict::ok, 900, 9s, growing(0.2), Verdict::ok, ""}),
    [](const auto& info) { return info.param.name; });

TEST(DrainRate, is_known_only_of_lag_that_gets_less) {
  EXPECT_EQ(drain_rate({}), std::nullopt);
  EXPECT_EQ(drain_rate(rates(5, 5)), std::nullopt);
  EXPECT_EQ(drain_rate(rates(5, 4)), std::nullopt);
  EXPECT_EQ(drain_rate(rates(5, 7)), 2.0);
}

}  // namespace
}  // namespace tidemark::broker
