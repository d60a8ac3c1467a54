#include "broker/queues/queue_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using Map = std::map<std::string, std::string>;

constexpr Timestamp kNow{std::chrono::milliseconds(1'800'000'000'000)};

QueueSettings resolve(const Map& settings, QueueFlavor flavor = QueueFlavor::native, const std::string& group = "orders") {
  Result<QueueSettings> resolved = resolve_queue_settings(group, flavor, settings, kNow);
  EXPECT_TRUE(resolved.has_value()) << (resolved ? "" : resolved.error().to_string());
  return resolved ? *resolved : QueueSettings();
}

TEST(QueueSettings, defaults_of_each_flavor) {
  const QueueSettings native = resolve({});
  EXPECT_EQ(native.ack_timeout, 30s);
  EXPECT_EQ(native.delivery_limit, 5U);
  EXPECT_EQ(native.dead_letter_topic, "orders.dlq");
  EXPECT_TRUE(native.fence_late_acks && native.redelivers && !native.count_deliveries && !native.keeps_ids);

  const QueueSettings redis = resolve({}, QueueFlavor::redis);
  EXPECT_EQ(redis.ack_timeout, 0s);
  EXPECT_EQ(redis.delivery_limit, 0U);
  EXPECT_EQ(redis.dead_letter_topic, "");
  EXPECT_EQ(redis.max_pending + redis.max_pending_member, 0U);
  EXPECT_TRUE(!redis.fence_late_acks && !redis.redelivers && redis.count_deliveries && redis.keeps_ids);

  const QueueSettings share = resolve({}, QueueFlavor::share);
  EXPECT_EQ(share.ack_timeout, 30s);
  EXPECT_EQ(share.delivery_limit, 5U);
  EXPECT_TRUE(share.fence_late_acks && share.redelivers && share.count_deliveries);
}

TEST(QueueSettings, dead_letters_need_a_legal_name) {
  EXPECT_EQ(resolve({}, QueueFlavor::native, "two words").dead_letter_topic, "");
  EXPECT_EQ(resolve({}, QueueFlavor::native, "__tidemark_x").dead_letter_topic, "");
  EXPECT_EQ(resolve({{"dead.letter.topic", "none"}}).dead_letter_topic, "");
  EXPECT_EQ(resolve({{"dead.letter.topic", "bin"}}, QueueFlavor::redis).dead_letter_topic, "bin");
}

TEST(QueueSettings, a_redis_group_with_leases_hands_out_again) {
  EXPECT_TRUE(resolve({{"ack.timeout", "10s"}}, QueueFlavor::redis).redelivers);
  EXPECT_FALSE(resolve({{"ack.timeout", "0"}}, QueueFlavor::redis).redelivers);
  EXPECT_FALSE(resolve({{"ack.timeout", "10s"}, {"redelivery", "off"}}, QueueFlavor::redis).redelivers);
}

TEST(QueueSettings, every_setting_is_obeyed) {
  const QueueSettings all = resolve({{"ack.timeout", "1m"},
                                     {"backoff", "1s,10s,1m"},
                                     {"delivery.limit", "9"},
                                     {"filter", "key = \"a\""},
                                     {"lag.objective", "5m"},
                                     {"late.acks", "accept"},
                                     {"limit.counts", "deliveries"},
                                     {"lookahead", "500"},
                                     {"max.pending", "77"},
                                     {"max.pending.member", "7"},
                                     {"on.dead", "stop"},
                                     {"ordering", "key"},
                                     {"paused.until", "forever"},
                                     {"redelivery", "off"}});
  EXPECT_EQ(all.ack_timeout, 1min);
  EXPECT_EQ(all.backoff.steps, (std::vector<std::chrono::milliseconds>{1s, 10s, 1min}));
  EXPECT_EQ(all.delivery_limit, 9U);
  EXPECT_EQ(all.filter, "key = \"a\"");
  ASSERT_NE(all.parsed_filter, nullptr);
  EXPECT_FALSE(all.parsed_filter->uses_headers());
  EXPECT_EQ(all.lag_objective, 5min);
  EXPECT_FALSE(all.fence_late_acks);
  EXPECT_TRUE(all.count_deliveries);
  EXPECT_EQ(all.lookahead, 500U);
  EXPECT_EQ(all.max_pending, 77U);
  EXPECT_EQ(all.max_pending_member, 7U);
  EXPECT_EQ(all.on_dead, OnDead::stop);
  EXPECT_EQ(all.ordering, Ordering::key);
  EXPECT_TRUE(all.paused && !all.paused_until && !all.redelivers);
}

TEST(QueueSettings, a_pause_may_have_an_end) {
  EXPECT_EQ(resolve({{"paused.until", "2027-03-01T10:00:00Z"}}).paused_until,
            Timestamp(std::chrono::sys_days(std::chrono::year(2027) / 3 / 1) + 10h));
  EXPECT_EQ(resolve({{"paused.until", "1800000000000"}}).paused_until, kNow);
  EXPECT_FALSE(resolve({}).paused);
}

TEST(QueueSettings, backoff_by_steps_by_doubling_or_none) {
  const Backoff steps = resolve({{"backoff", "1s,10s"}}).backoff;
  EXPECT_EQ(steps.delay(0, 1), 0s);
  EXPECT_EQ(steps.delay(1, 1), 1s);
  EXPECT_EQ(steps.delay(2, 1), 10s);
  EXPECT_EQ(steps.delay(200, 1), 10s);
  EXPECT_EQ(resolve({{"backoff", "none"}}).backoff.delay(3, 1), 0s);

  const Backoff doubling = resolve({{"backoff", "100ms..1m"}}).backoff;
  std::set<std::chrono::milliseconds> drawn;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    for (std::uint32_t failures = 1; failures <= 255; ++failures) {
      const std::chrono::milliseconds wait =
          failures > 10 ? 60'000ms : std::min<std::chrono::milliseconds>(60'000ms, 100ms * (1 << (failures - 1)));
      ASSERT_GE(doubling.delay(failures, seed), wait / 2);
      ASSERT_LE(doubling.delay(failures, seed), wait);
    }
    ASSERT_EQ(doubling.delay(4, seed), doubling.delay(4, seed));
    drawn.insert(doubling.delay(4, seed));
  }
  EXPECT_GT(drawn.size(), 200U);
}

struct Bad {
  const char* name;
  const char* key;
  const char* value;
  const char* rule;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }
class BadQueueSetting : public testing::TestWithParam<Bad> {};

TEST_P(BadQueueSetting, names_key_value_and_rule) {
  const auto& [name, key, value, rule] = GetParam();
  const Result<QueueSettings> resolved = resolve_queue_settings("orders", QueueFlavor::native, {{key, value}}, kNow);
  ASSERT_FALSE(resolved.has_value());
  EXPECT_EQ(resolved.error().code, Errc::invalid_config);
  EXPECT_THAT(resolved.error().detail, AllOf(HasSubstr(key), HasSubstr(value), HasSubstr(rule)));
}

INSTANTIATE_TEST_SUITE_P(
    , BadQueueSetting,
    testing::Values(
        Bad{"unknown_key", "ack.timeuot", "", "did you mean 'ack.timeout'?"}, Bad{"no_duration", "ack.timeout", "soon", "0ms to 12h"},
        Bad{"lease_too_long", "ack.timeout", "13h", "0ms to 12h"}, Bad{"limit_too_high", "delivery.limit", "256", "0..255"},
        Bad{"limit_no_number", "delivery.limit", "5x", "0..255"}, Bad{"limit_negative", "delivery.limit", "-1", "0..255"},
        Bad{"backoff_word", "backoff", "often", "none, a list"}, Bad{"backoff_empty_step", "backoff", "1s,,2s", "none, a list"},
        Bad{"backoff_too_long", "backoff", "8d", "at most 7d"}, Bad{"backoff_from_zero", "backoff", "0ms..1s", "begin above 0"},
        Bad{"backoff_falling", "backoff", "1m..1s", "begin above 0"}, Bad{"backoff_three_ends", "backoff", "1s..2s..3s", "none, a list"},
        Bad{"dead_letter_name", "dead.letter.topic", "no name", "none or the name of a topic"},
        Bad{"dead_letter_internal", "dead.letter.topic", "__tidemark_x", "broker's own"},
        Bad{"max_pending", "max.pending", "many", "0..100000000"}, Bad{"max_pending_member", "max.pending.member", "-1", "0..100000000"},
        Bad{"ordering", "ordering", "strict", "none key single"}, Bad{"on_dead", "on.dead", "go_on", "continue stop"},
        Bad{"lookahead_small", "lookahead", "15", "16..1000000"}, Bad{"lookahead_large", "lookahead", "1000001", "16..1000000"},
        Bad{"filter", "filter", "key ==", ""}, Bad{"paused", "paused.until", "later", "forever or a time"},
        Bad{"late_acks", "late.acks", "yes", "accept refuse"}, Bad{"redelivery", "redelivery", "true", "on off"},
        Bad{"limit_counts", "limit.counts", "both", "failures deliveries"}, Bad{"lag_objective", "lag.objective", "0", "1ms to"}),
    [](const auto& test) { return test.param.name; });

TEST(QueueSettings, a_backoff_has_no_more_steps_than_allowed) {
  std::string steps = "1s";
  for (int i = 1; i < 32; ++i) steps += ",1s";
  EXPECT_EQ(resolve({{"backoff", steps}}).backoff.steps.size(), 32U);
  EXPECT_FALSE(resolve_queue_settings("g", QueueFlavor::native, {{"backoff", steps + ",1s"}}, kNow).has_value());
}

}  // namespace
}  // namespace tidemark::broker
