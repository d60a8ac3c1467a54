#include "broker/topic.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

TEST(TopicName, follows_the_grammar) {
  for (const char* good : {"orders", "a", "A.b_c-d", "user:{42}/events", "__tidemark_schedule"}) {
    EXPECT_TRUE(validate_topic_name(good)) << good;
  }
  for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string("a b"), std::string("a#0"),
                                 std::string("ä"), std::string(250, 'x'), std::string("a\0b", 3)}) {
    const Status checked = validate_topic_name(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().code, Errc::invalid_topic_name);
  }
  EXPECT_TRUE(validate_topic_name(std::string(249, 'x')));
}

TEST(TopicTable, suggests_the_closest_name) {
  TopicTable table;
  for (const char* name : {"orders", "invoices", "__consumer_offsets"}) table.by_name.emplace(name, nullptr);
  EXPECT_EQ(table.suggestion("oders"), "orders");
  EXPECT_EQ(table.suggestion("invoice"), "invoices");
  EXPECT_EQ(table.suggestion("shipments"), "");
  EXPECT_EQ(table.suggestion("__consumer_offset"), "") << "internal topics are not suggested";
}

TEST(TopicConfig, the_keys_are_sorted_and_every_default_is_legal) {
  const auto& keys = topic_config_keys();
  EXPECT_TRUE(std::ranges::is_sorted(keys, {}, &ConfigKey::name));
  for (const ConfigKey& key : keys) {
    if (key.default_value.empty()) continue;
    const auto resolved = resolve_topic_config({{std::string(key.name), std::string(key.default_value)}}, {});
    EXPECT_TRUE(resolved) << key.name << ": " << resolved.error().to_string();
  }
}

TEST(TopicConfig, the_default_of_a_key_is_the_brokers) {
  TopicConfig defaults;
  for (const ConfigKey& key : topic_config_keys()) EXPECT_EQ(default_value(key, defaults), key.default_value) << key.name;
  const auto changed = resolve_topic_config(
      {{"retention.ms", "-1"}, {"retention.bytes", "5"}, {"durability", "os"}, {"message.timestamp.type", "LogAppendTime"}}, {});
  ASSERT_TRUE(changed);
  for (const auto& [name, value] : changed->values) {
    const auto key = std::ranges::find(topic_config_keys(), name, &ConfigKey::name);
    EXPECT_EQ(default_value(*key, changed->typed), value) << name;
  }
}

TEST(TopicConfig, takes_units_and_stores_kafkas_notation) {
  const auto resolved = resolve_topic_config({{"retention.ms", "7d"}, {"segment.bytes", "1MiB"}, {"durability", "interval"}}, {});
  ASSERT_TRUE(resolved) << resolved.error().to_string();
  EXPECT_EQ(resolved->values.at("retention.ms"), "604800000");
  EXPECT_EQ(resolved->values.at("segment.bytes"), "1048576");
  EXPECT_EQ(resolved->typed.retention, std::chrono::hours(24 * 7));
  EXPECT_EQ(resolved->typed.segment_bytes, 1048576u);
  EXPECT_EQ(resolved->typed.durability, Durability::interval);
}

TEST(TopicConfig, minus_one_means_for_ever) {
  const auto resolved = resolve_topic_config({{"retention.ms", "-1"}, {"retention.bytes", "-1"}}, {});
  ASSERT_TRUE(resolved);
  EXPECT_FALSE(resolved->typed.retention);
  EXPECT_FALSE(resolved->typed.retention_bytes);
}

struct BadConfig {
  const char* key;
  const char* value;
  const char* says;
};
class BadTopicConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(BadTopicConfig, is_refused_with_key_and_rule) {
  const auto resolved = resolve_topic_config({{GetParam().key, GetParam().value}}, {});
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().code, Errc::invalid_config);
  EXPECT_NE(resolved.error().detail.find(GetParam().key), std::string::npos) << resolved.error().detail;
  EXPECT_NE(resolved.error().detail.find(GetParam().says), std::string::npos) << resolved.error().detail;
}

INSTANTIATE_TEST_SUITE_P(
    , BadTopicConfig,
    testing::Values(BadConfig{"retention.m", "1", "did you mean 'retention.ms'"}, BadConfig{"retention.ms", "soon", "not a duration"},
                    BadConfig{"retention.ms", "-2", "must lie in"}, BadConfig{"segment.bytes", "12", "must lie in"},
                    BadConfig{"segment.bytes", "big", "not a size"}, BadConfig{"max.message.bytes", "16777216", "must lie in"},
                    BadConfig{"durability", "maybe", "fsync interval os"}, BadConfig{"entry.id", "uuid", "offset time"},
                    BadConfig{"preallocate", "yes", "true or false"}, BadConfig{"min.cleanable.dirty.ratio", "2", "from 0 to 1"}),
    [](const auto& info) { return "case_" + std::to_string(info.index); });

TEST(TopicConfig, compaction_does_not_go_with_ids_in_the_records) {
  const auto resolved = resolve_topic_config({{"entry.id", "time"}, {"cleanup.policy", "compact"}}, {});
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().code, Errc::invalid_config);
}

}  // namespace
}  // namespace tidemark::broker
