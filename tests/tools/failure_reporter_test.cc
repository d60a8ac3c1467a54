#include "tools/tidemark/failure_reporter.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Failures : public testing::Test {
 protected:
  /// First lines of what was told.
  std::vector<std::string> told;
  FailureReporter reporter{"line", OutputFormat::table,
                           [this](std::string_view text) { told.emplace_back(text.substr(0, text.find('\n'))); }};
  const Error refused{.code = Errc::batch_too_large, .detail = "too large"};
  const Error lost{.code = Errc::connection_lost, .detail = "lost", .maybe_done = true};
  const Error unreachable{.code = Errc::cannot_connect, .detail = "nobody there"};
};

TEST_F(Failures, names_each_refused_line_at_once) {
  reporter.add(2, refused);
  reporter.add(3, refused);
  EXPECT_THAT(told, ElementsAre("tidemark: line 2: too large", "tidemark: line 3: too large"));
}

TEST_F(Failures, names_lines_that_fail_alike_together) {
  for (std::uint64_t line = 5; line <= 1000; ++line) reporter.add(line, lost);
  for (std::uint64_t line = 1001; line <= 2000; ++line) reporter.add(line, unreachable);
  reporter.add(2001, refused);
  reporter.add(2002, lost);
  reporter.flush();
  EXPECT_THAT(told, ElementsAre("tidemark: lines 5 to 1000: lost", "tidemark: lines 1001 to 2000: nobody there",
                                "tidemark: line 2001: too large", "tidemark: line 2002: lost"));
}

TEST_F(Failures, says_nothing_when_nothing_failed) {
  reporter.flush();
  EXPECT_THAT(told, IsEmpty());
}

}  // namespace
}  // namespace tidemark::tools
