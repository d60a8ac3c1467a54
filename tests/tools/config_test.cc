#include "tools/tidemarkd/config.h"

#include <gmock/gmock.h>

#include "tools/tidemarkd/command_line.h"
#include "tools/tidemarkd/effective_settings.h"

namespace tidemark::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kGibibyte = 1ull << 30;
constexpr Machine kMachine = {.processors = 6, .memory_bytes = 4 * kGibibyte, .open_files_max = 20'000};

std::string error_of(const Settings& settings) {
  const Result<Config> config = make_config(settings, kMachine);
  return config ? "no error" : config.error().to_string();
}

std::string file_error(std::string_view toml) {
  Settings settings;
  const Status merged = settings.merge_file(toml, "broker.toml");
  return merged ? "no error" : merged.error().to_string();
}

TEST(Config, defaults_listen_on_this_machine_only) {
  const Result<Config> config = make_config(Settings(), kMachine);
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_THAT(config->native.addresses(), ElementsAre("127.0.0.1", "::1"));
  EXPECT_EQ(config->native.port, 7410);
  EXPECT_EQ(config->kafka.port, 9092);
  EXPECT_EQ(config->redis.port, 6380);
  EXPECT_EQ(config->http.port, 7480);
  EXPECT_EQ(config->broker.data_directory, "tidemark-data");
  EXPECT_EQ(config->broker.default_partitions, 4);
}

TEST(EffectiveSettings, are_what_the_server_runs_with) {
  Settings settings;
  settings.set("http.listen", "127.0.0.1:0", "--http");
  settings.set("kafka.listen", "off", "broker.toml:3");
  settings.set("num.partitions", "7", "TIDEMARKD_NUM_PARTITIONS");
  const Result<Config> config = make_config(settings, kMachine);
  ASSERT_TRUE(config) << config.error().to_string();
  std::map<std::string, http::ServerFacts::Setting> by_key;
  for (http::ServerFacts::Setting& setting : effective_settings(settings, *config, {{"http", 45'678}})) by_key[setting.key] = setting;
  EXPECT_EQ(by_key.size(), setting_keys().size());
  EXPECT_EQ(by_key["shards"].value, "6");
  EXPECT_EQ(by_key["shards"].default_value, "auto");
  EXPECT_EQ(by_key["shards"].source, "default");
  EXPECT_EQ(by_key["memory.limit"].value, "1 GiB");
  EXPECT_EQ(by_key["http.listen"].value, "127.0.0.1:45678");
  EXPECT_EQ(by_key["http.listen"].source, "--http");
  EXPECT_EQ(by_key["native.listen"].value, "localhost:7410");
  EXPECT_EQ(by_key["kafka.listen"].value, "off");
  EXPECT_EQ(by_key["num.partitions"].value, "7");
  EXPECT_EQ(by_key["num.partitions"].source, "TIDEMARKD_NUM_PARTITIONS");
  EXPECT_EQ(by_key["flush.method"].value, "auto");
}

TEST(EffectiveSettings, know_secrets_by_their_names) {
  EXPECT_TRUE(is_secret("tls.key.password"));
  EXPECT_TRUE(is_secret("admin.token"));
  EXPECT_TRUE(is_secret("secret"));
  for (const SettingKey& key : setting_keys()) EXPECT_FALSE(is_secret(key.name)) << key.name;
}

TEST(Config, says_how_kafka_clients_are_treated) {
  const Result<Config> plain = make_config(Settings(), kMachine);
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->kafka_advertised_host.empty());
  EXPECT_FALSE(plain->kafka_accept_replication);
  EXPECT_TRUE(plain->auto_create_topics);
  Settings settings;
  settings.set("kafka.advertised", "[::1]:19092", "test");
  settings.set("kafka.accept.replication", "any", "test");
  settings.set("auto.create.topics", "false", "test");
  const Result<Config> set = make_config(settings, kMachine);
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(set->kafka_advertised_host, "::1");
  EXPECT_EQ(set->kafka_advertised_port, 19092);
  EXPECT_TRUE(set->kafka_accept_replication);
  EXPECT_FALSE(set->auto_create_topics);
}

TEST(Config, built_in_topic_defaults_are_the_engines_own) {
  const Result<Config> config = make_config(Settings(), kMachine);
  ASSERT_TRUE(config);
  Settings spelt_out;
  for (const SettingKey& key : setting_keys()) {
    if (key.name.starts_with("topic.")) spelt_out.set(key.name, key.default_value, "test");
  }
  const Result<Config> same = make_config(spelt_out, kMachine);
  ASSERT_TRUE(same) << same.error().to_string();
  EXPECT_EQ(same->broker.topic_defaults.retention, config->broker.topic_defaults.retention);
  EXPECT_EQ(same->broker.topic_defaults.retention_bytes, config->broker.topic_defaults.retention_bytes);
  EXPECT_EQ(same->broker.topic_defaults.segment_bytes, config->broker.topic_defaults.segment_bytes);
  EXPECT_EQ(same->broker.topic_defaults.segment_age, config->broker.topic_defaults.segment_age);
  EXPECT_EQ(same->broker.topic_defaults.message_bytes_max, config->broker.topic_defaults.message_bytes_max);
  EXPECT_EQ(same->broker.topic_defaults.flush_interval, config->broker.topic_defaults.flush_interval);
}

TEST(Config, auto_values_come_from_the_machine) {
  const Result<Config> config = make_config(Settings(), kMachine);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->shards, 6u);
  EXPECT_EQ(config->broker.memory_limit_bytes, kGibibyte);
  const Result<Config> huge = make_config(Settings(), {.processors = 64, .memory_bytes = 512 * kGibibyte, .open_files_max = 20'000});
  ASSERT_TRUE(huge);
  EXPECT_EQ(huge->shards, 8u);
  EXPECT_EQ(huge->broker.memory_limit_bytes, 2 * kGibibyte);
}

TEST(Config, little_memory_and_few_descriptors_make_smaller_caches) {
  const Result<Config> roomy = make_config(Settings(), kMachine);
  ASSERT_TRUE(roomy);
  EXPECT_EQ(roomy->broker.tail_cache_bytes, broker::BrokerOptions().tail_cache_bytes);
  EXPECT_EQ(roomy->broker.open_files_max, broker::BrokerOptions().open_files_max);
  const Result<Config> tight = make_config(Settings(), {.processors = 1, .memory_bytes = 256ull << 20, .open_files_max = 1024});
  ASSERT_TRUE(tight);
  EXPECT_EQ(tight->broker.tail_cache_bytes, 8ull << 20);
  EXPECT_EQ(tight->broker.open_files_max, 512u);
}

TEST(Config, a_flag_beats_a_variable_beats_the_file_beats_the_default) {
  Settings settings;
  ASSERT_TRUE(settings.merge_file("shards = 2\n[native]\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"debug\"\n", "broker.toml"));
  EXPECT_THAT(settings.merge_environment({{"TIDEMARKD_NATIVE_LISTEN", "127.0.0.1:2"}, {"TIDEMARKD_SHARDS", "3"}}), IsEmpty());
  settings.set("native.listen", "127.0.0.1:3", "--native");
  const Result<Config> config = make_config(settings, kMachine);
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->native.port, 3);
  EXPECT_EQ(config->shards, 3u);
  EXPECT_EQ(config->log_level, LogLevel::debug);
  EXPECT_EQ(settings.at("log.level").source, "broker.toml:5");
  EXPECT_EQ(settings.at("shards").source, "TIDEMARKD_SHARDS");
  EXPECT_EQ(settings.at("http.listen").source, "default");
}

TEST(Config, file_takes_sections_and_dotted_keys_alike) {
  for (const char* const toml :
       {"[topic]\nretention.ms = \"1h\"\n", "topic.retention.ms = 3600000\n", "[topic.retention]\nms = 3600000\n"}) {
    Settings settings;
    ASSERT_TRUE(settings.merge_file(toml, "broker.toml")) << toml;
    const Result<Config> config = make_config(settings, kMachine);
    ASSERT_TRUE(config) << config.error().to_string();
    EXPECT_EQ(config->broker.topic_defaults.retention, std::chrono::hours(1)) << toml;
  }
}

TEST(Config, file_takes_numbers_with_a_point_as_they_are_written) {
  Settings settings;
  ASSERT_TRUE(settings.merge_file("[redis]\ncompat = 7.0\n", "broker.toml"));
  EXPECT_EQ(settings.at("redis.compat").value, "7.0");
  EXPECT_EQ(error_of(settings), "no error");
}

TEST(Config, unknown_key_in_the_file_is_an_error_with_line_and_suggestion) {
  EXPECT_EQ(file_error("shards = 1\n\n[redis]\nlagg = \"redis\"\n"),
            "invalid_config: broker.toml:4: unknown key 'redis.lagg'; did you mean 'redis.lag'?");
  EXPECT_THAT(file_error("something.else.entirely = 1\n"), HasSubstr("broker.toml:1: unknown key 'something.else.entirely'"));
}

TEST(Config, file_that_is_not_toml_is_an_error_with_line) {
  EXPECT_THAT(file_error("shards = 1\nnative listen\n"), HasSubstr("broker.toml:2: "));
}

TEST(Config, list_in_the_file_is_refused) {
  EXPECT_THAT(file_error("\n[data]\ndir = [\"a\", \"b\"]\n"), HasSubstr("broker.toml:3: data.dir must be a text, a number, true or false"));
}

TEST(Config, wrong_value_names_file_and_line) {
  Settings settings;
  ASSERT_TRUE(settings.merge_file("[memory]\nlimit = \"lots\"\n", "broker.toml"));
  EXPECT_THAT(error_of(settings), HasSubstr("broker.toml:2: memory.limit = 'lots': "));
}

TEST(Config, wrong_value_names_variable_or_flag) {
  Settings settings;
  settings.set("shards", "0", "--shards");
  EXPECT_EQ(error_of(settings), "invalid_config: --shards: shards = '0': must be a whole number from 1 to 64");
  Settings from_environment;
  EXPECT_THAT(from_environment.merge_environment({{"TIDEMARKD_TOPIC_DURABILITY", "maybe"}}), IsEmpty());
  EXPECT_THAT(error_of(from_environment), HasSubstr("TIDEMARKD_TOPIC_DURABILITY: topic.durability = 'maybe'"));
}

struct Wrong {
  const char* key;
  const char* value;
};
void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.key << "=" << wrong.value; }

class WrongValue : public testing::TestWithParam<Wrong> {};

TEST_P(WrongValue, is_refused) {
  Settings settings;
  settings.set(GetParam().key, GetParam().value, "here");
  EXPECT_THAT(error_of(settings), HasSubstr(std::string("here: ") + GetParam().key + " = '" + GetParam().value + "'"));
}

INSTANTIATE_TEST_SUITE_P(, WrongValue,
                         testing::Values(Wrong{"native.listen", "7410"}, Wrong{"native.listen", "127.0.0.1:70000"},
                                         Wrong{"native.listen", "127.0.0.1:"}, Wrong{"native.listen", "::1:7410"},
                                         Wrong{"native.listen", "[127.0.0.1]:7410"}, Wrong{"kafka.listen", "some.host:9092"},
                                         Wrong{"http.listen", "0.0.0.0:7480"}, Wrong{"redis.listen", "[::]:6380"},
                                         Wrong{"kafka.advertised", "host"}, Wrong{"kafka.advertised", "host:0"}, Wrong{"log.level", "loud"},
                                         Wrong{"num.partitions", "0"}, Wrong{"num.partitions", "-1"}, Wrong{"flush.method", "fsync"},
                                         Wrong{"disk.low.water", "much"}, Wrong{"memory.limit", "1MiB"}, Wrong{"redis.lag", "guess"},
                                         Wrong{"redis.compat", "6"}, Wrong{"auto.create.topics", "perhaps"},
                                         Wrong{"kafka.accept.replication", "2"}, Wrong{"insecure.listen", "yes!"},
                                         Wrong{"topic.segment.bytes", "no"}, Wrong{"data.dir", ""}),
                         [](const auto& info) {
                           std::string name = info.param.key + std::string("_") + std::to_string(info.index);
                           for (char& c : name) c = c == '.' ? '_' : c;
                           return name;
                         });

TEST(Config, address_beyond_this_machine_needs_insecure_listen) {
  Settings settings;
  settings.set("native.listen", "0.0.0.0:7410", "--native");
  EXPECT_THAT(error_of(settings), HasSubstr("--insecure-listen"));
  settings.set("insecure.listen", "true", "--insecure-listen");
  EXPECT_EQ(error_of(settings), "no error");
}

TEST(Config, unknown_variable_is_a_warning_with_a_suggestion) {
  Settings settings;
  EXPECT_THAT(settings.merge_environment({{"TIDEMARKD_SHARD", "2"}, {"TIDEMARK_SERVER", "localhost:1"}, {"PATH", "/bin"}}),
              ElementsAre("unknown variable TIDEMARKD_SHARD has no effect; did you mean 'TIDEMARKD_SHARDS'?"));
}

TEST(Config, printed_configuration_reads_back_as_itself) {
  Settings settings;
  settings.set("data.dir", "with \"quotes\" and \\", "--data-dir");
  settings.set("native.listen", "[::1]:0", "TIDEMARKD_NATIVE_LISTEN");
  const std::string printed = settings.to_toml();
  EXPECT_THAT(printed, HasSubstr("listen = \"[::1]:0\"  # TIDEMARKD_NATIVE_LISTEN\n"));
  EXPECT_THAT(printed, HasSubstr("# bound of all buffers"));
  Settings again;
  const Status merged = again.merge_file(printed, "printed.toml");
  ASSERT_TRUE(merged) << merged.error().to_string();
  for (const SettingKey& key : setting_keys()) EXPECT_EQ(again.at(key.name).value, settings.at(key.name).value) << key.name;
}

TEST(CommandLine, flags_become_settings) {
  const char* const arguments[] = {"tidemarkd",         "--data-dir",   "d", "--native", "off",
                                   "--insecure-listen", "--ports-file", "p", "--config", "c"};
  const Result<CommandLine> line = parse_command_line(std::size(arguments), arguments);
  ASSERT_TRUE(line) << line.error().to_string();
  EXPECT_EQ(line->config_file, "c");
  EXPECT_EQ(line->ports_file, "p");
  Settings settings;
  for (const auto& [key, value, flag] : line->flags) settings.set(key, value, flag);
  EXPECT_EQ(settings.at("data.dir").value, "d");
  EXPECT_EQ(settings.at("native.listen").value, "off");
  EXPECT_EQ(settings.at("insecure.listen").source, "--insecure-listen");
  EXPECT_EQ(settings.at("http.listen").source, "default");
}

TEST(CommandLine, the_last_of_a_repeated_flag_counts) {
  const char* const arguments[] = {"tidemarkd", "--shards", "1", "--shards", "2"};
  const Result<CommandLine> line = parse_command_line(std::size(arguments), arguments);
  ASSERT_TRUE(line) << line.error().to_string();
  ASSERT_EQ(line->flags.size(), 1u);
  EXPECT_EQ(line->flags[0].value, "2");
}

TEST(CommandLine, unknown_flag_is_an_error_that_names_it) {
  const char* const arguments[] = {"tidemarkd", "--colour", "red"};
  const Result<CommandLine> line = parse_command_line(std::size(arguments), arguments);
  ASSERT_FALSE(line);
  EXPECT_THAT(line.error().detail, HasSubstr("--colour"));
}

TEST(CommandLine, help_and_version_are_answers) {
  const char* const help[] = {"tidemarkd", "--help"};
  const char* const version[] = {"tidemarkd", "--version"};
  EXPECT_THAT(parse_command_line(2, help)->answer.value_or(""), HasSubstr("--ports-file"));
  EXPECT_EQ(parse_command_line(2, version)->answer, "tidemarkd " TIDEMARK_VERSION "\n");
}

}  // namespace
}  // namespace tidemark::tools
