#include "protocol/http/router.h"

#include <gmock/gmock.h>

#include "protocol/http/json_text.h"

namespace tidemark::http {
namespace {

using testing::ElementsAre;

Handler nothing() {
  return [](Call, UniqueFunction<void(Reply)>) {};
}

Router table() {
  Router router;
  router.add("GET", "/topics", nothing());
  router.add("GET", "/topics/{topic}", nothing());
  router.add("DELETE", "/topics/{topic}", nothing());
  router.add("GET", "/topics/{topic}/records/{partition}/{offset}", nothing());
  return router;
}

TEST(Router, finds_the_path_and_its_values) {
  const Router router = table();
  const auto match = router.find("GET", "/topics/a%2Fb/records/3/17");
  ASSERT_TRUE(match);
  ASSERT_NE(match->route, nullptr);
  EXPECT_EQ(match->route->pattern, "/topics/{topic}/records/{partition}/{offset}");
  EXPECT_THAT(match->path_values, ElementsAre("a/b", "3", "17"));
}

TEST(Router, head_finds_get) {
  const Router router = table();
  const auto match = router.find("HEAD", "/topics");
  ASSERT_TRUE(match);
  EXPECT_NE(match->route, nullptr);
}

TEST(Router, another_method_tells_which_there_are) {
  const Router router = table();
  const auto match = router.find("POST", "/topics/t");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->route, nullptr);
  EXPECT_THAT(match->allowed, ElementsAre("GET", "DELETE"));
}

TEST(Router, unknown_paths_have_no_methods) {
  const Router router = table();
  for (const char* const path : {"", "topics", "/", "/topics/", "/topics/t/", "/Topics", "/topics/t/records/3"}) {
    const auto match = router.find("GET", path);
    ASSERT_TRUE(match) << path;
    EXPECT_EQ(match->route, nullptr) << path;
    EXPECT_TRUE(match->allowed.empty()) << path;
  }
}

TEST(Query, is_decoded_as_a_form) {
  const auto query = parse_query("a=1&b=x+y%2B&c&&a=2");
  ASSERT_TRUE(query);
  EXPECT_THAT(*query, ElementsAre(testing::Pair("a", "2"), testing::Pair("b", "x y+"), testing::Pair("c", "")));
  EXPECT_FALSE(parse_query("a=%4"));
  EXPECT_FALSE(parse_query("%x0=1"));
}

TEST(JsonText, shows_any_bytes_as_utf8) {
  EXPECT_EQ(shown("plain \xc3\xa4"), "plain \xc3\xa4");
  EXPECT_EQ(shown(std::string_view("\xff\n\0", 3)), "\\xff\\x0a\\x00");
}

TEST(JsonText, base64_goes_both_ways) {
  for (const std::string text : {"", "a", "ab", "abc", "\xff\xfe\x01"}) {
    const auto back = from_base64(to_base64(text));
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(*back, text);
  }
  for (const char* const bad : {"a", "ab=", "a===", "=aaa", "a b=", "ab=c"}) EXPECT_FALSE(from_base64(bad)) << bad;
}

}  // namespace
}  // namespace tidemark::http
