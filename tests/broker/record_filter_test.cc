#include "broker/record_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

constexpr Timestamp kNow{std::chrono::milliseconds(1'700'000'000'000)};

/// One record that every case looks at.
struct Order {
  std::vector<HeaderView> headers = {{"type", as_bytes("order.paid")}, {"try", as_bytes("3")},      {"empty", as_bytes("")},
                                     {"null", std::nullopt},           {"odd name", as_bytes("x")}, {"try", as_bytes("4")}};
  FilteredRecord fields;

  Order() {
    fields.topic = "orders";
    fields.partition = 2;
    fields.offset = 1000;
    fields.timestamp_ms = 1'699'999'000'000;
    fields.key = "42";
    fields.value = std::string_view("card 17 \xff\n refused");
    fields.headers = headers;
  }
};

struct Case {
  const char* name;
  const char* filter;
  bool matches;
};
void PrintTo(const Case& test_case, std::ostream* out) { *out << test_case.filter; }

class FilterMatches : public testing::TestWithParam<Case> {};

TEST_P(FilterMatches, as_the_grammar_says) {
  const Order order;
  const Result<RecordFilter> filter = RecordFilter::parse(GetParam().filter, kNow);
  ASSERT_TRUE(filter) << filter.error().detail;
  EXPECT_EQ(filter->matches(order.fields), GetParam().matches);
}
INSTANTIATE_TEST_SUITE_P(
    , FilterMatches,
    testing::Values(Case{"key_equal", R"(key = "42")", true}, Case{"key_other", R"(key = "43")", false},
                    Case{"single_quotes", "key='42'", true}, Case{"not_equal", R"(key != "43")", true},
                    Case{"bytes_compare", R"(key < "5")", true}, Case{"bytes_are_not_numbers", R"(key < "1000")", false},
                    Case{"bare_numbers_are", "key < 1000", true}, Case{"number_needs_a_number", "value != 5", false},
                    Case{"fraction", "header.try > 3.5", true}, Case{"prefix", R"(value ^= "card")", true},
                    Case{"prefix_not_inside", R"(value ^= "refused")", false}, Case{"regex_finds_inside", R"(value ~ "card [0-9]+")", true},
                    Case{"regex_absent", R"(value ~ "^[0-9]+$")", false}, Case{"glob_whole", R"(value *= "card*refused")", true},
                    Case{"glob_is_anchored", R"(value *= "card")", false}, Case{"glob_one_byte", R"(key *= "4?")", true},
                    Case{"glob_takes_regex_signs_as_they_are", R"(key *= "4.")", false},
                    Case{"header", R"(header.type = "order.paid")", true}, Case{"header_last_of_a_name", "header.try = 4", true},
                    Case{"header_empty", R"(header.empty = "")", true}, Case{"header_null", R"(header.null = "")", false},
                    Case{"header_absent", R"(header.none != "x")", false}, Case{"not_finds_the_absent", R"(not header.none = "x")", true},
                    Case{"header_quoted", R"(header."odd name" = "x")", true}, Case{"topic", R"(topic *= "ord*")", true},
                    Case{"partition", "partition = 2", true}, Case{"offset_below", "offset < 1000", false},
                    Case{"offset_from", "offset >= 1000", true}, Case{"time_number", "time = 1699999000000", true},
                    Case{"time_ago", "time >= -1h", true}, Case{"time_at_ago", "time >= @-1m", false},
                    Case{"time_at_now", "time < @now", true}, Case{"time_rfc", "time > 2023-11-14T00:00:00Z", true},
                    Case{"deliveries_unknown", "deliveries >= 0", false}, Case{"reason_unknown", R"(reason ~ "")", false},
                    Case{"regex_escapes", R"(key ~ "^\d+$")", true}, Case{"regex_with_quote", R"(key ~ "\"")", false},
                    Case{"regex_text_is_utf8", R"(value ~ "\xff")", false}, Case{"regex_of_bytes", "value ~ '17 \xff'", true},
                    Case{"escape_in_string", R"(value ^= "\x63ard")", true}, Case{"escaped_bytes_in_glob", R"(value *= "*\xff\n*")", true},
                    Case{"and_binds_tighter", R"(key = "42" or key = "1" and key = "2")", true},
                    Case{"parentheses", R"((key = "42" or key = "1") and key = "2")", false},
                    Case{"not_of_group", R"(not (key = "1" or partition = 3))", true}, Case{"not_not", R"(not not key = "42")", true},
                    Case{"no_spaces", R"((key="42")and(partition=2))", true}),
    [](const auto& test_case) { return test_case.param.name; });

TEST(FilterValues, null_keys_and_counted_deliveries) {
  FilteredRecord fields;
  fields.deliveries = 3;
  EXPECT_FALSE(RecordFilter::parse(R"(key = "")", kNow)->matches(fields));
  EXPECT_TRUE(RecordFilter::parse(R"(not key ~ "")", kNow)->matches(fields));
  EXPECT_TRUE(RecordFilter::parse("deliveries > 2", kNow)->matches(fields));
}

TEST(FilterHeaders, are_asked_for_only_where_used) {
  EXPECT_FALSE(RecordFilter::parse(R"(key = "1" and not value = "2")", kNow)->uses_headers());
  EXPECT_TRUE(RecordFilter::parse(R"(key = "1" and not header.a = "2")", kNow)->uses_headers());
}

struct Refusal {
  const char* name;
  std::string filter;
  const char* detail;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class FilterRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(FilterRefuses, naming_the_column) {
  const Result<RecordFilter> filter = RecordFilter::parse(GetParam().filter, kNow);
  ASSERT_FALSE(filter);
  EXPECT_EQ(filter.error().code, Errc::invalid_argument);
  EXPECT_THAT(filter.error().detail, testing::HasSubstr(GetParam().detail));
}
INSTANTIATE_TEST_SUITE_P(, FilterRefuses,
                         testing::Values(Refusal{"nothing", "", "column 1: expected a field"},
                                         Refusal{"unknown_field", "kee = \"1\"", "column 1: expected a field"},
                                         Refusal{"no_operator", "key \"1\"", "column 5: expected an operator"},
                                         Refusal{"no_value", "key =", "column 6: expected a value"},
                                         Refusal{"bare_word", "key = paid", "column 7: expected a string in quotes"},
                                         Refusal{"open_string", "key = \"paid", "column 7: a string without its closing quote"},
                                         Refusal{"escape_at_the_end", "key = \"\\", "closing quote"},
                                         Refusal{"unknown_escape", R"(key = "\q")", "unknown escape"},
                                         Refusal{"open_group", "(key = \"1\"", "expected `)`"},
                                         Refusal{"left_over", "key = \"1\" key = \"2\"", "column 11: expected `and`"},
                                         Refusal{"text_for_a_number", "partition = \"a\"", "expected a whole number"},
                                         Refusal{"regex_on_a_number", "offset ~ \"1\"", "this field is a number"},
                                         Refusal{"bad_regex", "key ~ \"(\"", "not a regular expression"},
                                         Refusal{"huge_regex", "key ~ \"((a{1000}){1000}){1000}\"", "not a regular expression"},
                                         Refusal{"header_without_name", "header. = \"1\"", "header name"},
                                         Refusal{"bad_time", "time > @yesterday", "column 8"},
                                         Refusal{"deep_nesting", std::string(100'0, '('), "more than 64 levels"},
                                         Refusal{"deep_negation",
                                                 [] {
                                                   std::string text;
                                                   for (int i = 0; i < 100; ++i) text += "not ";
                                                   return text;
                                                 }(),
                                                 "more than 64 levels"},
                                         Refusal{"too_long", std::string(100'000, ' '), "longer than"}),
                         [](const auto& test_case) { return test_case.param.name; });

}  // namespace
}  // namespace tidemark::broker
