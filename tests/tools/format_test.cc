#include "tools/tidemark/format.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/tidemark/output.h"

namespace tidemark::tools {
namespace {

using namespace std::string_literals;

struct Sample {
  std::vector<Header> headers = {{"a", "1"}, {"b", std::nullopt}, {"c", "x,y"}};
  RecordFields fields;
  Sample() {
    fields.topic = "orders";
    fields.partition = 3;
    fields.offset = 42;
    fields.timestamp_ms = 1'700'000'000'250;
    fields.key = "k";
    fields.value = std::string_view("v\0\xff", 3);
    fields.headers = headers;
  }
};

std::string formatted(std::string_view format, char terminator = '\n') {
  const Sample sample;
  const Result<RecordFormat> parsed = RecordFormat::parse(format, terminator);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().detail);
  std::string out;
  if (parsed) parsed->append(sample.fields, out);
  return out;
}

TEST(RecordFormat, knows_every_directive) {
  EXPECT_EQ(formatted("%t %p %o %k %h %T %D %K %%"), "orders 3 42 k a=1,b=,c=x,y 1700000000250 1 aw== %\n");
  EXPECT_EQ(formatted("%v"), "v\0\xff\n"s);
  EXPECT_EQ(formatted("%V"), "dgD/\n");
}

TEST(RecordFormat, adds_a_newline_unless_the_format_ends_in_one) {
  EXPECT_EQ(formatted("%k"), "k\n");
  EXPECT_EQ(formatted("%k\\n"), "k\n");
  EXPECT_EQ(formatted("%k\n"), "k\n");
  EXPECT_EQ(formatted("\\n%k"), "\nk\n");
  EXPECT_EQ(formatted("%k\\0"), "k\0"s);
  EXPECT_EQ(formatted("%k", '\0'), "k\0"s);
  EXPECT_EQ(formatted(""), "\n");
}

TEST(RecordFormat, understands_escapes_and_keeps_them_apart_from_directives) {
  EXPECT_EQ(formatted("%k\\t%o\\x41\\\\%k"), "k\t42A\\k\n");
  EXPECT_EQ(formatted("\\x25k"), "%k\n");
}

TEST(RecordFormat, prints_nothing_for_null) {
  const RecordFields nothing;
  std::string out;
  RecordFormat::parse("[%k|%v|%h|%K]")->append(nothing, out);
  EXPECT_EQ(out, "[|||]\n");
}

TEST(RecordFormat, refuses_what_it_does_not_know) {
  for (const char* const format : {"%x", "abc%", "\\q", "%k\\"}) {
    const Result<RecordFormat> parsed = RecordFormat::parse(format);
    ASSERT_FALSE(parsed) << format;
    EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
    EXPECT_THAT(parsed.error().detail, testing::StartsWith("--format: "));
  }
}

TEST(RecordFormat, says_whether_it_wants_headers) {
  EXPECT_TRUE(RecordFormat::parse("%k %h")->uses_headers());
  EXPECT_FALSE(RecordFormat::parse("%k %%h")->uses_headers());
}

TEST(RecordToJson, has_the_fields_scripts_rely_on) {
  const Sample sample;
  EXPECT_EQ(
      boost::json::serialize(record_to_json(sample.fields)),
      R"({"topic":"orders","partition":3,"offset":42,"time":"2023-11-14T22:13:20.250Z","timestamp_ms":1700000000250,"key":"k",)"
      R"("value_base64":"dgD/","headers":[{"name":"a","value":"1"},{"name":"b","value":null},{"name":"c","value":"x,y"}],"deliveries":1})");
}

TEST(RecordToJson, keeps_null_apart_from_empty) {
  RecordFields fields;
  fields.value = "";
  const boost::json::object json = record_to_json(fields);
  EXPECT_TRUE(json.at("key").is_null());
  EXPECT_EQ(json.at("value"), "");
  EXPECT_TRUE(json.at("time").is_null());
}

}  // namespace
}  // namespace tidemark::tools
