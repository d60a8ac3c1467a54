#include "protocol/redis/adapter/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace tidemark::redis {
namespace {

TEST(Glob, matches_as_redis_does) {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  for (const Case& one : {Case{"*", "", true},
                          Case{"*", "abc", true},
                          Case{"a*c", "abbc", true},
                          Case{"a*c", "abb", false},
                          Case{"a?c", "abc", true},
                          Case{"a?c", "ac", false},
                          Case{"h[ae]llo", "hello", true},
                          Case{"h[ae]llo", "hillo", false},
                          Case{"h[^e]llo", "hallo", true},
                          Case{"h[^e]llo", "hello", false},
                          Case{"h[a-c]", "hb", true},
                          Case{"h[c-a]", "hb", true},
                          Case{"h\\*", "h*", true},
                          Case{"h\\*", "hx", false},
                          Case{"h[\\]]", "h]", true},
                          Case{"h[a", "ha", true},
                          Case{"", "", true},
                          Case{"", "a", false},
                          Case{"**a**", "xax", true},
                          Case{"A", "a", false}}) {
    EXPECT_EQ(matches_glob(one.pattern, one.text), one.matches) << one.pattern << " " << one.text;
  }
  EXPECT_TRUE(matches_glob_in_any_case("STREAM-*", "stream-node"));
}

TEST(Glob, stars_do_not_multiply) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "a*";
  EXPECT_FALSE(matches_glob(pattern + "b", std::string(20'000, 'a')));
}

}  // namespace
}  // namespace tidemark::redis
