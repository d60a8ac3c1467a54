#include "protocol/http/event_news.h"

#include <gtest/gtest.h>

namespace tidemark::http {
namespace {

Event group(const std::string& name, const std::string& verdict, const std::string& rate) {
  return {.name = "group", .data = name + " " + verdict + " " + rate, .key = name, .version = verdict, .gone = name + " gone"};
}

TEST(EventNews, an_event_is_told_when_its_data_changes) {
  EventNews news;
  EXPECT_EQ(news.text({{"status", "1"}, {"lag", "[]"}}), "event: status\ndata: 1\n\nevent: lag\ndata: []\n\n");
  EXPECT_EQ(news.text({{"status", "1"}, {"lag", "[]"}}), "");
  EXPECT_EQ(news.text({{"status", "2"}, {"lag", "[]"}}), "event: status\ndata: 2\n\n");
}

TEST(EventNews, one_with_a_version_is_told_when_that_changes) {
  EventNews news;
  EXPECT_EQ(news.text({group("a", "ok", "1/s"), group("b", "ok", "1/s")}),
            "event: group\ndata: a ok 1/s\n\nevent: group\ndata: b ok 1/s\n\n");
  EXPECT_EQ(news.text({group("a", "ok", "2/s"), group("b", "ok", "1/s")}), "");
  EXPECT_EQ(news.text({group("b", "slow", "3/s"), group("a", "ok", "2/s")}), "event: group\ndata: b slow 3/s\n\n");
}

TEST(EventNews, what_is_gone_is_told_once_and_may_come_again) {
  EventNews news;
  EXPECT_NE(news.text({group("a", "ok", "")}), "");
  EXPECT_EQ(news.text({}), "event: group\ndata: a gone\n\n");
  EXPECT_EQ(news.text({}), "");
  EXPECT_EQ(news.text({group("a", "ok", "")}), "event: group\ndata: a ok \n\n");
}

TEST(EventNews, an_outage_is_told_each_time_and_all_else_anew_after_it) {
  EventNews news;
  EXPECT_NE(news.text({{"status", "1"}, group("a", "ok", "")}), "");
  for (int outage = 0; outage < 2; ++outage) {
    EXPECT_EQ(news.only({"unavailable", "{}"}), "event: unavailable\ndata: {}\n\n");
    EXPECT_EQ(news.only({"unavailable", "{}"}), "");
    EXPECT_EQ(news.text({{"status", "1"}, group("a", "ok", "")}), "event: status\ndata: 1\n\nevent: group\ndata: a ok \n\n");
  }
}

}  // namespace
}  // namespace tidemark::http
