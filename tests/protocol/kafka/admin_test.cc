#include <algorithm>

#include "protocol/kafka/adapter/handlers.h"
#include "tests/protocol/kafka/kafka_node.h"

namespace tidemark::kafka {
namespace {

/// An admin client of a broker of its own.
class KafkaAdmin : public testing::Test {
 protected:
  using NewTopic = CreateTopicsRequest::Topic;

  template <class Request, class Response>
  Response ask(const Request& request, int version, Result<Response> (*decode)(const Slice&, int)) {
    return client_.ask(decode, request, static_cast<std::int16_t>(version));
  }

  CreateTopicsResponse create(std::vector<NewTopic> topics, bool validate_only = false, int version = 7) {
    CreateTopicsRequest request;
    request.topics = std::move(topics);
    request.validate_only = validate_only;
    return ask(request, version, decode_create_topics_response);
  }
  static NewTopic topic(const std::string& name, std::int32_t partitions = 1, std::int16_t replication = 1) {
    NewTopic topic;
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = replication;
    return topic;
  }
  static NewTopic topic_with(const std::string& name, const std::string& setting, std::optional<std::string> value) {
    NewTopic made = topic(name);
    made.configs.push_back({setting, std::move(value)});
    return made;
  }
  static NewTopic assigned(const std::string& name, const std::vector<std::pair<std::int32_t, std::vector<std::int32_t>>>& assignments) {
    NewTopic made = topic(name, -1, -1);
    for (const auto& [partition, brokers] : assignments) made.assignments.push_back({partition, brokers});
    return made;
  }
  ErrorCode create_one(NewTopic asked, bool validate_only = false) {
    const CreateTopicsResponse response = create({std::move(asked)}, validate_only);
    EXPECT_EQ(response.topics.size(), 1u);
    return response.topics.empty() ? ErrorCode::unknown_server_error : response.topics[0].error_code;
  }
  Uuid must_create(const NewTopic& asked) {
    const CreateTopicsResponse response = create({asked});
    EXPECT_EQ(response.topics.at(0).error_code, ErrorCode::none) << response.topics.at(0).error_message.value_or("");
    return response.topics.at(0).topic_id;
  }
  DescribeTopicPartitionsResponse pages(std::vector<std::string> names, std::int32_t limit = 2000) {
    DescribeTopicPartitionsRequest request;
    for (std::string& name : names) request.topics.push_back({std::move(name)});
    request.response_partition_limit = limit;
    return ask(request, 0, decode_describe_topic_partitions_response);
  }
  std::vector<std::string> topic_names() {
    std::vector<std::string> names;
    for (const auto& topic : pages({}).topics) names.push_back(topic.name.value_or("(null)"));
    return names;
  }
  std::size_t partitions_of(const std::string& name) { return pages({name}).topics.at(0).partitions.size(); }

  DescribeConfigsResponse::Result describe(std::int8_t type, const std::string& name, std::optional<std::vector<std::string>> keys = {},
                                           bool synonyms = false) {
    DescribeConfigsRequest request;
    request.resources.push_back({type, name, std::move(keys)});
    request.include_synonyms = synonyms;
    request.include_documentation = true;
    return ask(request, 4, decode_describe_configs_response).results.at(0);
  }
  DescribeConfigsResponse::Config setting(const std::string& topic, const std::string& name) {
    const auto described = describe(kTopic, topic, std::vector<std::string>{name}, true);
    EXPECT_EQ(described.configs.size(), 1u) << name;
    return described.configs.empty() ? DescribeConfigsResponse::Config() : described.configs[0];
  }
  struct Change {
    std::string name;
    std::int8_t operation;
    std::optional<std::string> value;
  };
  ErrorCode alter(std::int8_t type, const std::string& name, const std::vector<Change>& changes, bool validate_only = false) {
    IncrementalAlterConfigsRequest request;
    request.resources.push_back({type, name, {}});
    for (const Change& change : changes) request.resources[0].configs.push_back({change.name, change.operation, change.value});
    request.validate_only = validate_only;
    const auto response = ask(request, 1, decode_incremental_alter_configs_response);
    EXPECT_EQ(response.responses.size(), 1u);
    return response.responses.at(0).error_code;
  }
  ErrorCode replace(const std::string& topic, const std::vector<std::pair<std::string, std::optional<std::string>>>& settings) {
    AlterConfigsRequest request;
    request.resources.push_back({kTopic, topic, {}});
    for (const auto& [name, value] : settings) request.resources[0].configs.push_back({name, value});
    return ask(request, 2, decode_alter_configs_response).responses.at(0).error_code;
  }
  DeleteRecordsResponse::Partition trim(const std::string& topic, std::int32_t partition, std::int64_t offset) {
    DeleteRecordsRequest request;
    request.topics.push_back({topic, {{partition, offset}}});
    return ask(request, 2, decode_delete_records_response).topics.at(0).partitions.at(0);
  }

  static constexpr std::int8_t kTopic = 2, kBroker = 4, kBrokerLogger = 8, kClientMetrics = 16, kGroup = 32;
  static constexpr std::int8_t kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3;

  KafkaNode node_;
  KafkaClient client_{node_.port()};
};

// --- CreateTopics.

TEST_F(KafkaAdmin, a_created_topic_tells_its_id_partitions_and_settings) {
  const CreateTopicsResponse response = create({topic_with("orders", "retention.ms", "3600000")});
  ASSERT_EQ(response.topics.size(), 1u);
  const CreateTopicsResponse::Topic& made = response.topics[0];
  EXPECT_EQ(made.error_code, ErrorCode::none);
  EXPECT_FALSE(made.error_message);
  EXPECT_FALSE(made.topic_id.is_nil());
  EXPECT_EQ(made.num_partitions, 1);
  EXPECT_EQ(made.replication_factor, 1);
  ASSERT_TRUE(made.configs);
  EXPECT_TRUE(std::ranges::is_sorted(*made.configs, {}, &CreateTopicsResponse::Config::name));
  const auto retention = std::ranges::find(*made.configs, "retention.ms", &CreateTopicsResponse::Config::name);
  ASSERT_NE(retention, made.configs->end());
  EXPECT_EQ(retention->value, "3600000");
  EXPECT_EQ(retention->config_source, 1);
  const auto segment = std::ranges::find(*made.configs, "segment.bytes", &CreateTopicsResponse::Config::name);
  ASSERT_NE(segment, made.configs->end());
  EXPECT_EQ(segment->config_source, 5);
}

TEST_F(KafkaAdmin, every_version_creates_a_topic) {
  for (int version = 2; version <= 7; ++version) {
    const std::string name = "version-" + std::to_string(version);
    EXPECT_EQ(create({topic(name, 2)}, false, version).topics.at(0).error_code, ErrorCode::none) << version;
    EXPECT_EQ(partitions_of(name), 2u) << version;
  }
}

TEST_F(KafkaAdmin, minus_one_means_the_brokers_defaults) {
  const CreateTopicsResponse response = create({topic("orders", -1, -1)});
  EXPECT_EQ(response.topics.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(response.topics.at(0).num_partitions, node_.broker().options().default_partitions);
}

TEST_F(KafkaAdmin, bad_topics_get_the_codes_of_kafka_and_are_not_made) {
  must_create(topic("orders"));
  must_create(topic("a.b"));
  EXPECT_EQ(create_one(topic("")), ErrorCode::invalid_topic);
  EXPECT_EQ(create_one(topic("..")), ErrorCode::invalid_topic);
  EXPECT_EQ(create_one(topic(std::string(250, 'x'))), ErrorCode::invalid_topic);
  EXPECT_EQ(create_one(topic("user:{42}/events")), ErrorCode::invalid_topic) << "legal for other protocols only";
  EXPECT_EQ(create_one(topic("a_b")), ErrorCode::invalid_topic) << "collides with a.b";
  EXPECT_EQ(create_one(topic("orders")), ErrorCode::topic_already_exists);
  EXPECT_EQ(create_one(topic("a.b")), ErrorCode::topic_already_exists) << "itself is no collision";
  EXPECT_EQ(create_one(topic("__consumer_offsets")), ErrorCode::topic_authorization_failed);
  EXPECT_EQ(create_one(topic("__tidemark_schedule")), ErrorCode::topic_authorization_failed);
  EXPECT_EQ(create_one(topic("t", 0)), ErrorCode::invalid_partitions);
  EXPECT_EQ(create_one(topic("t", -2)), ErrorCode::invalid_partitions);
  EXPECT_EQ(create_one(topic("t", 10'001)), ErrorCode::policy_violation);
  EXPECT_EQ(create_one(topic("t", 1, 0)), ErrorCode::invalid_replication_factor);
  EXPECT_EQ(create_one(topic("t", 1, -2)), ErrorCode::invalid_replication_factor);
  EXPECT_EQ(create_one(topic("t", 1, 2)), ErrorCode::invalid_replication_factor);
  EXPECT_EQ(create_one(topic_with("t", "retention", "1")), ErrorCode::invalid_config);
  EXPECT_EQ(create_one(topic_with("t", "retention.ms", "soon")), ErrorCode::invalid_config);
  EXPECT_EQ(create_one(topic_with("t", "retention.ms", "")), ErrorCode::invalid_config);
  EXPECT_EQ(create_one(topic_with("t", "retention.ms", std::nullopt)), ErrorCode::invalid_config);
  EXPECT_EQ(topic_names(), (std::vector<std::string>{"a.b", "orders"}));
}

TEST_F(KafkaAdmin, partitions_may_be_assigned_to_the_only_broker) {
  EXPECT_EQ(create_one(assigned("orders", {{1, {1}}, {0, {1}}})), ErrorCode::none);
  EXPECT_EQ(partitions_of("orders"), 2u);
  EXPECT_EQ(create_one(assigned("t", {{0, {2}}})), ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(create_one(assigned("t", {{0, {1, 1}}})), ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(create_one(assigned("t", {{0, {}}})), ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(create_one(assigned("t", {{0, {1}}, {0, {1}}})), ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(create_one(assigned("t", {{0, {1}}, {2, {1}}})), ErrorCode::invalid_replica_assignment);
  NewTopic numbers = assigned("t", {{0, {1}}});
  numbers.num_partitions = 1;
  EXPECT_EQ(create_one(numbers), ErrorCode::invalid_request);
  numbers.num_partitions = -1;
  numbers.replication_factor = 1;
  EXPECT_EQ(create_one(numbers), ErrorCode::invalid_request);
}

TEST_F(KafkaAdmin, one_bad_topic_does_not_stop_the_others_and_a_doubled_one_is_refused_once) {
  const CreateTopicsResponse response = create({topic("twice"), topic("good"), topic("bad", 0), topic("twice")});
  ASSERT_EQ(response.topics.size(), 3u);
  EXPECT_EQ(response.topics[0].name, "twice");
  EXPECT_EQ(response.topics[0].error_code, ErrorCode::invalid_request);
  EXPECT_EQ(response.topics[1].error_code, ErrorCode::none);
  EXPECT_EQ(response.topics[2].error_code, ErrorCode::invalid_partitions);
  EXPECT_EQ(topic_names(), (std::vector<std::string>{"good"}));
}

TEST_F(KafkaAdmin, validating_judges_and_makes_nothing) {
  const CreateTopicsResponse good = create({topic("orders", 3)}, true);
  EXPECT_EQ(good.topics.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(good.topics.at(0).num_partitions, 3);
  EXPECT_EQ(create_one(topic_with("orders", "retention.ms", "soon"), true), ErrorCode::invalid_config);
  EXPECT_EQ(topic_names(), (std::vector<std::string>{}));
}

TEST(KafkaAdminReplication, a_factor_above_one_is_taken_as_one_where_that_is_configured) {
  ServerOptions options;
  options.facts.accept_replication = true;
  KafkaNode node(options);
  KafkaClient client(node.port());
  CreateTopicsRequest request;
  request.topics.push_back({"orders", 1, 3, {}, {}});
  const auto response = client.ask(decode_create_topics_response, request, 7);
  EXPECT_EQ(response.topics.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(response.topics.at(0).replication_factor, 1);
}

// --- DeleteTopics.

TEST_F(KafkaAdmin, topics_are_deleted_by_name_or_id) {
  must_create(topic("by-name"));
  must_create(topic("by-old-name"));
  const Uuid id = must_create(topic("by-id"));
  must_create(topic("kept"));
  DeleteTopicsRequest old;
  old.topic_names = {"by-old-name", "missing"};
  const auto old_answer = ask(old, 4, decode_delete_topics_response);
  ASSERT_EQ(old_answer.responses.size(), 2u);
  EXPECT_EQ(old_answer.responses[0].error_code, ErrorCode::none);
  EXPECT_EQ(old_answer.responses[1].error_code, ErrorCode::unknown_topic_or_partition);

  DeleteTopicsRequest request;
  request.topics = {{"by-name", {}}, {std::nullopt, id}, {std::nullopt, Uuid::from_random(1, 2)}};
  const auto response = ask(request, 6, decode_delete_topics_response);
  ASSERT_EQ(response.responses.size(), 3u);
  EXPECT_EQ(response.responses[0].error_code, ErrorCode::none);
  EXPECT_FALSE(response.responses[0].topic_id.is_nil());
  EXPECT_EQ(response.responses[1].error_code, ErrorCode::none);
  EXPECT_EQ(response.responses[1].name, "by-id");
  EXPECT_EQ(response.responses[2].error_code, ErrorCode::unknown_topic_id);
  EXPECT_FALSE(response.responses[2].name);
  EXPECT_EQ(topic_names(), (std::vector<std::string>{"kept"}));
}

TEST_F(KafkaAdmin, an_unclear_deletion_deletes_nothing) {
  const Uuid id = must_create(topic("orders"));
  must_create(topic("twice"));
  DeleteTopicsRequest request;
  request.topics = {{"orders", id}, {std::nullopt, {}}, {"twice", {}}, {"twice", {}}};
  const auto response = ask(request, 6, decode_delete_topics_response);
  ASSERT_EQ(response.responses.size(), 3u);
  for (const auto& topic : response.responses) EXPECT_EQ(topic.error_code, ErrorCode::invalid_request);
  request.topics = {{"orders", {}}, {std::nullopt, id}};
  for (const auto& topic : ask(request, 6, decode_delete_topics_response).responses) {
    EXPECT_EQ(topic.error_code, ErrorCode::invalid_request);
  }
  EXPECT_EQ(topic_names(), (std::vector<std::string>{"orders", "twice"}));
}

// --- CreatePartitions.

TEST_F(KafkaAdmin, partitions_are_added_up_to_a_new_total) {
  must_create(topic("orders", 2));
  must_create(topic("assigned", 1));
  must_create(topic("twice", 1));
  const auto grow = [this](const std::string& name, std::int32_t count,
                           std::optional<std::vector<std::vector<std::int32_t>>> assignments = {}, bool validate_only = false) {
    CreatePartitionsRequest request;
    CreatePartitionsRequest::Topic& asked = request.topics.emplace_back();
    asked.name = name;
    asked.count = count;
    if (assignments) {
      asked.assignments.emplace();
      for (auto& brokers : *assignments) asked.assignments->push_back({brokers});
    }
    request.validate_only = validate_only;
    return ask(request, 3, decode_create_partitions_response).results.at(0).error_code;
  };
  EXPECT_EQ(grow("orders", 5, {}, true), ErrorCode::none);
  EXPECT_EQ(partitions_of("orders"), 2u) << "it was only validated";
  EXPECT_EQ(grow("orders", 5), ErrorCode::none);
  EXPECT_EQ(partitions_of("orders"), 5u);
  EXPECT_EQ(grow("orders", 5), ErrorCode::invalid_partitions);
  EXPECT_EQ(grow("orders", 4), ErrorCode::invalid_partitions);
  EXPECT_EQ(grow("orders", -1), ErrorCode::invalid_partitions);
  EXPECT_EQ(grow("orders", 10'001), ErrorCode::invalid_partitions);
  EXPECT_EQ(grow("orders", 20'000), ErrorCode::policy_violation);
  EXPECT_EQ(grow("missing", 5), ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(grow("assigned", 3, {{{1}}}), ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(grow("assigned", 3, {{{1}, {2}}}), ErrorCode::invalid_replica_assignment);
  EXPECT_EQ(grow("assigned", 3, {{{1}, {1}}}), ErrorCode::none);
  EXPECT_EQ(partitions_of("assigned"), 3u);

  CreatePartitionsRequest doubled;
  doubled.topics = {{"twice", 2, {}}, {"twice", 3, {}}, {"orders", 6, {}}};
  const auto response = ask(doubled, 0, decode_create_partitions_response);
  ASSERT_EQ(response.results.size(), 2u);
  EXPECT_EQ(response.results[0].error_code, ErrorCode::invalid_request);
  EXPECT_EQ(response.results[1].error_code, ErrorCode::none);
  EXPECT_EQ(partitions_of("twice"), 1u);
}

// --- DeleteRecords.

TEST_F(KafkaAdmin, records_are_deleted_up_to_an_offset_or_the_high_watermark) {
  must_create(topic("orders", 2));
  node_.store("orders", 0, batch_of({"a", "b", "c", "d"}));
  const auto some = trim("orders", 0, 3);
  EXPECT_EQ(some.error_code, ErrorCode::none);
  EXPECT_EQ(some.low_watermark, 3);
  EXPECT_EQ(trim("orders", 0, 1).low_watermark, 3) << "the log start never moves back";
  EXPECT_EQ(trim("orders", 0, 5).error_code, ErrorCode::offset_out_of_range);
  EXPECT_EQ(trim("orders", 0, 5).low_watermark, -1);
  EXPECT_EQ(trim("orders", 0, -2).error_code, ErrorCode::offset_out_of_range);
  EXPECT_EQ(trim("orders", 0, -1).low_watermark, 4);
  EXPECT_EQ(trim("orders", 1, -1).low_watermark, 0) << "an empty partition";
}

TEST_F(KafkaAdmin, records_that_must_stay_are_not_deleted) {
  must_create(topic_with("compacted", "cleanup.policy", "compact"));
  must_create(topic("orders"));
  EXPECT_EQ(trim("compacted", 0, -1).error_code, ErrorCode::policy_violation);
  EXPECT_EQ(trim("missing", 0, -1).error_code, ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(trim("orders", 1, -1).error_code, ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(trim("orders", -1, -1).error_code, ErrorCode::unknown_topic_or_partition);
}

// --- DescribeConfigs.

TEST_F(KafkaAdmin, all_settings_of_a_topic_are_described_with_source_type_and_meaning) {
  must_create(topic_with("orders", "retention.ms", "1h"));
  const auto described = describe(kTopic, "orders");
  EXPECT_EQ(described.error_code, ErrorCode::none);
  EXPECT_EQ(described.configs.size(), broker::topic_config_keys().size());
  for (const auto& config : described.configs) {
    EXPECT_TRUE(config.value) << config.name;
    EXPECT_FALSE(config.read_only) << config.name;
    EXPECT_FALSE(config.is_sensitive) << config.name;
    EXPECT_TRUE(config.documentation && !config.documentation->empty()) << config.name;
    EXPECT_TRUE(config.synonyms.empty()) << config.name << " was not asked for synonyms";
  }
  const auto retention = setting("orders", "retention.ms");
  EXPECT_EQ(retention.value, "3600000");
  EXPECT_EQ(retention.config_source, 1);
  EXPECT_EQ(retention.config_type, 5);
  ASSERT_EQ(retention.synonyms.size(), 2u);
  EXPECT_EQ(retention.synonyms[0].source, 1);
  EXPECT_EQ(retention.synonyms[1].name, "log.retention.ms");
  EXPECT_EQ(retention.synonyms[1].value, "604800000");
  EXPECT_EQ(retention.synonyms[1].source, 5);
  EXPECT_EQ(setting("orders", "max.message.bytes").config_type, 3);
  EXPECT_EQ(setting("orders", "cleanup.policy").config_type, 7);
  EXPECT_EQ(setting("orders", "preallocate").config_type, 1);
  EXPECT_EQ(setting("orders", "min.cleanable.dirty.ratio").config_type, 6);
}

TEST(KafkaAdminDefaults, a_default_of_the_brokers_configuration_says_so) {
  broker::TopicConfig defaults;
  defaults.retention = std::chrono::hours(1);
  KafkaNode node({}, defaults);
  KafkaClient client(node.port());
  CreateTopicsRequest create;
  create.topics.push_back({"orders", 1, 1, {}, {}});
  ASSERT_EQ(client.ask(decode_create_topics_response, create, 7).topics.at(0).error_code, ErrorCode::none);
  DescribeConfigsRequest request;
  request.resources = {{2, "orders", {{"retention.ms"}}}, {4, "1", {{"log.retention.ms"}}}};
  request.include_synonyms = true;
  const auto response = client.ask(decode_describe_configs_response, request, 4);
  for (const auto& result : response.results) {
    ASSERT_EQ(result.configs.size(), 1u);
    EXPECT_EQ(result.configs[0].value, "3600000");
    EXPECT_EQ(result.configs[0].config_source, 4);
    ASSERT_EQ(result.configs[0].synonyms.size(), 2u);
    EXPECT_EQ(result.configs[0].synonyms[0].source, 4);
    EXPECT_EQ(result.configs[0].synonyms[1].value, "604800000");
  }
}

TEST_F(KafkaAdmin, the_brokers_settings_are_described_and_read_only) {
  const auto described = describe(kBroker, "1");
  EXPECT_EQ(described.error_code, ErrorCode::none);
  EXPECT_TRUE(std::ranges::is_sorted(described.configs, {}, &DescribeConfigsResponse::Config::name));
  for (const auto& config : described.configs) EXPECT_TRUE(config.read_only) << config.name;
  const auto partitions = std::ranges::find(described.configs, "num.partitions", &DescribeConfigsResponse::Config::name);
  ASSERT_NE(partitions, described.configs.end());
  EXPECT_EQ(partitions->value, std::to_string(node_.broker().options().default_partitions));
  EXPECT_TRUE(describe(kBroker, "").configs.empty()) << "there are no defaults for all brokers";
}

TEST_F(KafkaAdmin, resources_that_cannot_be_described_say_why) {
  EXPECT_EQ(describe(kTopic, "missing").error_code, ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(describe(kTopic, "mis sing").error_code, ErrorCode::invalid_topic);
  EXPECT_EQ(describe(kBroker, "2").error_code, ErrorCode::invalid_request);
  EXPECT_EQ(describe(kBroker, "one").error_code, ErrorCode::invalid_request);
  EXPECT_EQ(describe(kBrokerLogger, "").error_code, ErrorCode::invalid_request);
  EXPECT_EQ(describe(kGroup, "").error_code, ErrorCode::invalid_request);
  EXPECT_EQ(describe(kGroup, "g").error_code, ErrorCode::none);
  EXPECT_EQ(describe(kClientMetrics, "m").error_code, ErrorCode::none);
  EXPECT_EQ(describe(77, "x").error_code, ErrorCode::invalid_request);
  must_create(topic("orders"));
  DescribeConfigsRequest doubled;
  doubled.resources = {{kTopic, "orders", {}}, {kTopic, "orders", {}}};
  const auto response = ask(doubled, 1, decode_describe_configs_response);
  EXPECT_EQ(response.results.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(response.results.at(1).error_code, ErrorCode::invalid_request);
}

// --- AlterConfigs, IncrementalAlterConfigs.

TEST_F(KafkaAdmin, single_settings_are_set_and_deleted) {
  must_create(topic("orders"));
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", kSet, "1000"}, {"segment.bytes", kSet, "1048576"}}), ErrorCode::none);
  EXPECT_EQ(setting("orders", "retention.ms").value, "1000");
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", kDelete, std::nullopt}}), ErrorCode::none);
  EXPECT_EQ(setting("orders", "retention.ms").config_source, 5);
  EXPECT_EQ(setting("orders", "segment.bytes").value, "1048576");
}

TEST_F(KafkaAdmin, words_are_added_to_lists_and_taken_from_them) {
  must_create(topic("orders"));
  EXPECT_EQ(alter(kTopic, "orders", {{"cleanup.policy", kAppend, "compact"}}), ErrorCode::none);
  EXPECT_EQ(setting("orders", "cleanup.policy").value, "delete,compact") << "the default counts as what is there";
  EXPECT_EQ(alter(kTopic, "orders", {{"cleanup.policy", kAppend, "compact"}}), ErrorCode::none);
  EXPECT_EQ(setting("orders", "cleanup.policy").value, "delete,compact");
  EXPECT_EQ(alter(kTopic, "orders", {{"cleanup.policy", kSubtract, "delete"}}), ErrorCode::none);
  EXPECT_EQ(setting("orders", "cleanup.policy").value, "compact");
  EXPECT_EQ(alter(kTopic, "orders", {{"hold.for", kAppend, "a,b"}}), ErrorCode::none);
  EXPECT_EQ(alter(kTopic, "orders", {{"hold.for", kSubtract, "a,b,c"}}), ErrorCode::none);
  EXPECT_EQ(setting("orders", "hold.for").value, "");
  EXPECT_EQ(alter(kTopic, "orders", {{"cleanup.policy", kSubtract, "compact"}}), ErrorCode::invalid_config) << "nothing would be left";
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", kAppend, "1"}}), ErrorCode::invalid_config);
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", kSubtract, "1"}}), ErrorCode::invalid_config);
  EXPECT_EQ(alter(kTopic, "orders", {{"no.such.list", kAppend, "1"}}), ErrorCode::invalid_config);
}

TEST_F(KafkaAdmin, a_bad_change_changes_nothing) {
  must_create(topic("orders"));
  const std::vector<Change> good_and_bad = {{"retention.ms", kSet, "1000"}, {"segment.bytes", kSet, "many"}};
  EXPECT_EQ(alter(kTopic, "orders", good_and_bad), ErrorCode::invalid_config);
  EXPECT_EQ(alter(kTopic, "orders", {{"retention", kSet, "1000"}}), ErrorCode::invalid_config);
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", kSet, std::nullopt}}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", kSet, "1"}, {"retention.ms", kSet, "2"}}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", 4, "1"}}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", -1, "1"}}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(kTopic, "orders", {{"entry.id", kSet, "time"}}), ErrorCode::invalid_config);
  EXPECT_EQ(alter(kTopic, "orders", {{"retention.ms", kSet, "1000"}}, true), ErrorCode::none);
  EXPECT_EQ(setting("orders", "retention.ms").config_source, 5);
}

TEST_F(KafkaAdmin, resources_that_cannot_be_changed_say_why) {
  EXPECT_EQ(alter(kTopic, "", {{"retention.ms", kSet, "1"}}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(kTopic, "mis sing", {{"retention.ms", kSet, "1"}}), ErrorCode::invalid_topic);
  EXPECT_EQ(alter(kTopic, "missing", {{"retention.ms", kSet, "1"}}), ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(alter(kTopic, "missing", {{"retention", kSet, "1"}}), ErrorCode::invalid_config) << "settings are judged first";
  EXPECT_EQ(alter(kTopic, "__tidemark_x", {{"retention.ms", kSet, "1"}}), ErrorCode::topic_authorization_failed);
  EXPECT_EQ(alter(kBroker, "1", {{"log.retention.ms", kSet, "1"}}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(kBroker, "", {{"log.retention.ms", kSet, "1"}}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(kBroker, "1", {}), ErrorCode::none);
  EXPECT_EQ(alter(kBroker, "2", {}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(kBrokerLogger, "1", {{"root", kSet, "INFO"}}), ErrorCode::invalid_config);
  EXPECT_EQ(alter(kGroup, "g", {{"share.session.timeout.ms", kSet, "1"}}), ErrorCode::invalid_config);
  EXPECT_EQ(alter(kClientMetrics, "m", {{"interval.ms", kSet, "1"}}), ErrorCode::invalid_request);
  EXPECT_EQ(alter(77, "x", {}), ErrorCode::invalid_request);

  must_create(topic("orders"));
  IncrementalAlterConfigsRequest doubled;
  doubled.resources = {{kTopic, "orders", {{"retention.ms", kSet, "1"}}}, {kTopic, "orders", {{"segment.ms", kSet, "1"}}}};
  const auto response = ask(doubled, 0, decode_incremental_alter_configs_response);
  ASSERT_EQ(response.responses.size(), 2u);
  for (const auto& resource : response.responses) EXPECT_EQ(resource.error_code, ErrorCode::invalid_request);
  EXPECT_EQ(setting("orders", "retention.ms").config_source, 5);
}

TEST_F(KafkaAdmin, a_name_too_long_to_repeat_is_refused_in_an_answer_that_fits) {
  must_create(topic("orders"));
  IncrementalAlterConfigsRequest request;
  request.resources = {{kTopic, "orders", {{std::string(32'767, 'x'), kSet, "1"}}}};
  const auto response = ask(request, 0, decode_incremental_alter_configs_response);
  ASSERT_EQ(response.responses.size(), 1u);
  EXPECT_EQ(response.responses[0].error_code, ErrorCode::invalid_config);
  EXPECT_LT(response.responses[0].error_message.value_or("").size(), 1000u);
}

TEST_F(KafkaAdmin, the_old_call_replaces_all_settings) {
  must_create(topic_with("orders", "retention.ms", "1000"));
  must_create(topic_with("entries", "entry.id", "time"));
  EXPECT_EQ(replace("orders", {{"segment.bytes", "1048576"}}), ErrorCode::none);
  EXPECT_EQ(setting("orders", "retention.ms").config_source, 5);
  EXPECT_EQ(setting("orders", "segment.bytes").value, "1048576");
  EXPECT_EQ(replace("orders", {{"segment.bytes", std::nullopt}}), ErrorCode::invalid_request);
  EXPECT_EQ(replace("orders", {{"segment.bytes", "many"}}), ErrorCode::invalid_config);
  EXPECT_EQ(replace("missing", {}), ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(replace("orders", {}), ErrorCode::none);
  EXPECT_EQ(setting("orders", "segment.bytes").config_source, 5);
  EXPECT_EQ(replace("entries", {{"retention.ms", "1000"}}), ErrorCode::none);
  EXPECT_EQ(setting("entries", "entry.id").value, "time") << "what cannot be changed stays";
}

// --- The cluster.

TEST_F(KafkaAdmin, the_cluster_is_one_broker) {
  for (int version = 0; version <= 2; ++version) {
    DescribeClusterRequest request;
    request.include_cluster_authorized_operations = true;
    const auto cluster = ask(request, version, decode_describe_cluster_response);
    EXPECT_EQ(cluster.error_code, ErrorCode::none);
    EXPECT_FALSE(cluster.cluster_id.empty());
    EXPECT_EQ(cluster.controller_id, 1);
    ASSERT_EQ(cluster.brokers.size(), 1u);
    EXPECT_EQ(cluster.brokers[0].broker_id, 1);
    EXPECT_EQ(cluster.brokers[0].host, "127.0.0.1");
    EXPECT_EQ(cluster.brokers[0].port, node_.port());
    EXPECT_EQ(cluster.cluster_authorized_operations, 8096);
  }
  DescribeClusterRequest controllers;
  controllers.endpoint_type = 2;
  EXPECT_EQ(ask(controllers, 1, decode_describe_cluster_response).error_code, ErrorCode::mismatched_endpoint_type);
  controllers.endpoint_type = 3;
  EXPECT_EQ(ask(controllers, 1, decode_describe_cluster_response).error_code, ErrorCode::unsupported_endpoint_type);
}

TEST_F(KafkaAdmin, the_data_directory_is_described_with_sizes) {
  must_create(topic("orders", 2));
  must_create(topic("other"));
  node_.store("orders", 1, batch_of({"a"}));
  DescribeLogDirsRequest all;
  const auto everything = ask(all, 4, decode_describe_log_dirs_response);
  ASSERT_EQ(everything.results.size(), 1u);
  EXPECT_EQ(everything.results[0].log_dir, node_.broker().options().data_directory);
  EXPECT_GT(everything.results[0].total_bytes, 0);
  EXPECT_GT(everything.results[0].usable_bytes, 0);
  ASSERT_EQ(everything.results[0].topics.size(), 2u);
  EXPECT_EQ(everything.results[0].topics[0].name, "orders");
  ASSERT_EQ(everything.results[0].topics[0].partitions.size(), 2u);
  EXPECT_EQ(everything.results[0].topics[0].partitions[0].partition_size, 0);
  EXPECT_GT(everything.results[0].topics[0].partitions[1].partition_size, 60);

  DescribeLogDirsRequest some;
  some.topics = {{"orders", {1, 7}}, {"missing", {0}}};
  const auto part = ask(some, 1, decode_describe_log_dirs_response);
  ASSERT_EQ(part.results.at(0).topics.size(), 1u);
  ASSERT_EQ(part.results[0].topics[0].partitions.size(), 1u);
  EXPECT_EQ(part.results[0].topics[0].partitions[0].partition_index, 1);
}

TEST_F(KafkaAdmin, topics_are_described_page_by_page) {
  const Uuid id = must_create(topic("a", 3));
  must_create(topic("b", 2));
  must_create(topic("c", 1));
  DescribeTopicPartitionsRequest request;
  request.response_partition_limit = 2;
  std::vector<std::string> seen;
  for (int page = 0; page < 5; ++page) {
    const auto response = ask(request, 0, decode_describe_topic_partitions_response);
    std::size_t partitions = 0;
    for (const auto& described : response.topics) {
      partitions += described.partitions.size();
      for (const auto& partition : described.partitions) {
        seen.push_back(*described.name + std::to_string(partition.partition_index));
        EXPECT_EQ(partition.leader_id, 1);
        EXPECT_GE(partition.leader_epoch, 0);
        EXPECT_EQ(partition.replica_nodes, (std::vector<std::int32_t>{1}));
        EXPECT_EQ(partition.isr_nodes, (std::vector<std::int32_t>{1}));
      }
      EXPECT_EQ(described.topic_authorized_operations, 3576);
    }
    EXPECT_LE(partitions, 2u);
    if (!response.next_cursor) break;
    DescribeTopicPartitionsRequest::Cursor& cursor = request.cursor.emplace();
    cursor.topic_name = response.next_cursor->topic_name;
    cursor.partition_index = response.next_cursor->partition_index;
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"a0", "a1", "a2", "b0", "b1", "c0"}));
  EXPECT_EQ(pages({"a"}).topics.at(0).topic_id, id);
}

TEST_F(KafkaAdmin, named_topics_are_described_sorted_and_unknown_ones_say_so) {
  must_create(topic("b"));
  const auto response = pages({"missing", "b", "b", "mis sing"});
  ASSERT_EQ(response.topics.size(), 3u);
  EXPECT_EQ(response.topics[0].name, "b");
  EXPECT_EQ(response.topics[0].error_code, ErrorCode::none);
  EXPECT_EQ(response.topics[1].error_code, ErrorCode::invalid_topic);
  EXPECT_EQ(response.topics[2].error_code, ErrorCode::unknown_topic_or_partition);

  DescribeTopicPartitionsRequest lost;
  lost.topics = {{"b"}};
  lost.cursor.emplace().topic_name = "a";
  const auto refused = ask(lost, 0, decode_describe_topic_partitions_response);
  ASSERT_EQ(refused.topics.size(), 1u);
  EXPECT_EQ(refused.topics[0].error_code, ErrorCode::invalid_request);
}

TEST_F(KafkaAdmin, resources_with_settings_are_listed) {
  must_create(topic("orders"));
  ListConfigResourcesRequest request;
  EXPECT_TRUE(ask(request, 0, decode_list_config_resources_response).config_resources.empty()) << "version 0: client metrics";
  const auto all = ask(request, 1, decode_list_config_resources_response);
  ASSERT_EQ(all.config_resources.size(), 3u);
  EXPECT_EQ(all.config_resources[0].resource_name, "orders");
  EXPECT_EQ(all.config_resources[0].resource_type, kTopic);
  EXPECT_EQ(all.config_resources[1].resource_type, kBroker);
  EXPECT_EQ(all.config_resources[2].resource_type, kBrokerLogger);
  request.resource_types = {kTopic};
  EXPECT_EQ(ask(request, 1, decode_list_config_resources_response).config_resources.size(), 1u);
  request.resource_types = {kTopic, 77};
  const auto refused = ask(request, 1, decode_list_config_resources_response);
  EXPECT_EQ(refused.error_code, ErrorCode::unsupported_version);
  EXPECT_TRUE(refused.config_resources.empty());
}

TEST_F(KafkaAdmin, no_election_is_needed_and_nothing_is_reassigned) {
  must_create(topic("orders"));
  ElectLeadersRequest request;
  request.topic_partitions = {{"orders", {0, 1}}, {"missing", {0}}};
  for (int version = 0; version <= 2; ++version) {
    const auto response = ask(request, version, decode_elect_leaders_response);
    EXPECT_EQ(response.error_code, ErrorCode::none);
    ASSERT_EQ(response.replica_election_results.size(), 2u);
    EXPECT_EQ(response.replica_election_results[0].partition_result.at(0).error_code, ErrorCode::election_not_needed);
    EXPECT_EQ(response.replica_election_results[0].partition_result.at(1).error_code, ErrorCode::unknown_topic_or_partition);
    EXPECT_EQ(response.replica_election_results[1].partition_result.at(0).error_code, ErrorCode::unknown_topic_or_partition);
  }
  request.election_type = 2;
  EXPECT_EQ(ask(request, 2, decode_elect_leaders_response).error_code, ErrorCode::invalid_request);
  request.election_type = 0;
  request.topic_partitions.reset();
  const auto all = ask(request, 2, decode_elect_leaders_response);
  ASSERT_EQ(all.replica_election_results.size(), 1u);
  EXPECT_TRUE(all.replica_election_results[0].partition_result.empty()) << "only what was elected is listed";

  const auto moves = ask(ListPartitionReassignmentsRequest(), 0, decode_list_partition_reassignments_response);
  EXPECT_EQ(moves.error_code, ErrorCode::none);
  EXPECT_TRUE(moves.topics.empty());
}

// --- Access rules.

TEST_F(KafkaAdmin, calls_about_access_rules_say_that_there_is_no_authorizer) {
  for (int version = 1; version <= 3; ++version) {
    EXPECT_EQ(ask(DescribeAclsRequest(), version, decode_describe_acls_response).error_code, ErrorCode::security_disabled);
    CreateAclsRequest create;
    create.creations.resize(2);
    const auto created = ask(create, version, decode_create_acls_response);
    ASSERT_EQ(created.results.size(), 2u);
    for (const auto& result : created.results) EXPECT_EQ(result.error_code, ErrorCode::security_disabled);
    DeleteAclsRequest remove;
    remove.filters.resize(1);
    const auto removed = ask(remove, version, decode_delete_acls_response);
    ASSERT_EQ(removed.filter_results.size(), 1u);
    EXPECT_EQ(removed.filter_results[0].error_code, ErrorCode::security_disabled);
  }
}

}  // namespace
}  // namespace tidemark::kafka
