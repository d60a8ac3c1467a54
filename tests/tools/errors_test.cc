#include "tools/tidemark/errors.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

struct Mapping {
  const char* name;
  Errc code;
  bool maybe_done;
  Exit exit;
};
void PrintTo(const Mapping& mapping, std::ostream* out) { *out << mapping.name; }

class ExitCode : public testing::TestWithParam<Mapping> {};

TEST_P(ExitCode, follows_the_kind_of_error) {
  EXPECT_EQ(exit_code(Error{.code = GetParam().code, .detail = "", .maybe_done = GetParam().maybe_done}), GetParam().exit);
}
INSTANTIATE_TEST_SUITE_P(, ExitCode,
                         testing::Values(Mapping{"refused_record", Errc::batch_too_large, false, Exit::failed},
                                         Mapping{"bad_value", Errc::invalid_config, false, Exit::usage},
                                         Mapping{"no_topic", Errc::unknown_topic, false, Exit::not_found},
                                         Mapping{"no_such_offset", Errc::offset_out_of_range, false, Exit::not_found},
                                         Mapping{"not_a_data_directory", Errc::foreign_data, false, Exit::not_found},
                                         Mapping{"exists", Errc::topic_exists, false, Exit::conflict},
                                         Mapping{"locked_directory", Errc::locked, false, Exit::conflict},
                                         Mapping{"denied", Errc::denied, false, Exit::denied},
                                         Mapping{"no_broker", Errc::cannot_connect, false, Exit::cannot_connect},
                                         Mapping{"lost_before_sending", Errc::connection_lost, false, Exit::cannot_connect},
                                         Mapping{"lost_after_sending", Errc::connection_lost, true, Exit::timed_out},
                                         Mapping{"timed_out", Errc::timed_out, false, Exit::timed_out}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST(FormatError, tells_people_the_detail_and_what_to_do) {
  const Error error{.code = Errc::unknown_topic, .detail = "no topic `oders`; did you mean `orders`?"};
  EXPECT_EQ(format_error(error, OutputFormat::table),
            "tidemark: no topic `oders`; did you mean `orders`?\n"
            "hint: `tidemark topic ls` lists the topics, `tidemark topic create T` makes one\n");
}

TEST(FormatError, tells_programs_one_json_line) {
  const std::string line = format_error(Error{.code = Errc::disk_full, .detail = "bad \xff byte"}, OutputFormat::json);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const boost::json::object error = boost::json::parse(line).at("error").as_object();
  EXPECT_EQ(error.at("code"), "disk_full");
  EXPECT_EQ(error.at("message"), "bad \\xff byte");
  EXPECT_EQ(error.at("retriable"), true);
  EXPECT_TRUE(error.contains("hint"));
}

}  // namespace
}  // namespace tidemark::tools
