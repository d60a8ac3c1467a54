#!/usr/bin/python3
"""The admin clients of Debian's Python packages against a real broker. Usage: kafka_admin_test.py BIN_DIR [TEST...]

python3-confluent-kafka stands on librdkafka, python3-kafka has a protocol implementation of its own. Both belong to Debian's own Python.
"""

import pathlib
import sys
import unittest

import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin
import kafka.errors

from broker_process import Broker

BIN = pathlib.Path()  # Set by main.


class AdminTest(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN, kafka="127.0.0.1:0")
        self.addCleanup(self.broker.close)
        self.broker.start()


class ConfluentAdmin(AdminTest):
    def setUp(self):
        super().setUp()
        self.admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.broker.kafka, "log_level": 0})

    def one(self, futures):
        """The outcome of a call about one thing: its result, or the code of its error."""
        (future,) = futures.values()
        try:
            return future.result(30)
        except confluent_kafka.KafkaException as error:
            return error.args[0].code()

    def create(self, *topic, **options):
        return self.one(self.admin.create_topics([confluent_kafka.admin.NewTopic(*topic, **options)]))

    def config(self, topic, kind="topic"):
        entries = self.one(self.admin.describe_configs([confluent_kafka.admin.ConfigResource(kind, topic)]))
        self.assertIsInstance(entries, dict, entries)
        return entries

    def test_topics(self):
        error = confluent_kafka.KafkaError
        self.assertIsNone(self.create("orders", 3, 1))
        self.assertEqual(self.create("orders", 3, 1), error.TOPIC_ALREADY_EXISTS)
        self.assertEqual(self.create("or ders", 3, 1), error.TOPIC_EXCEPTION)
        self.assertEqual(self.create("t", 3, 2), error.INVALID_REPLICATION_FACTOR)
        self.assertEqual(self.create("t", 3, 1, config={"retention.ms": "soon"}), error.INVALID_CONFIG)
        topics = self.admin.list_topics(timeout=30).topics
        self.assertEqual(list(topics), ["orders"])
        self.assertEqual(sorted(topics["orders"].partitions), [0, 1, 2])

        def grow(count):
            return self.one(self.admin.create_partitions([confluent_kafka.admin.NewPartitions("orders", count)]))

        self.assertIsNone(grow(5))
        self.assertEqual(grow(5), error.INVALID_PARTITIONS)
        self.assertEqual(len(self.admin.list_topics(timeout=30).topics["orders"].partitions), 5)

        def delete(name):
            return self.one(self.admin.delete_topics([name], operation_timeout=30))

        self.assertIsNone(delete("orders"))
        self.assertEqual(delete("orders"), error.UNKNOWN_TOPIC_OR_PART)
        self.assertEqual(self.admin.list_topics(timeout=30).topics, {})

    def test_settings(self):
        self.assertIsNone(self.create("orders", 1, 1, config={"retention.ms": "3600000"}))
        retention = self.config("orders")["retention.ms"]
        self.assertEqual((retention.value, retention.is_default, retention.is_read_only), ("3600000", False, False))
        self.assertIn("log.retention.ms", retention.synonyms)
        self.assertTrue(self.config("orders")["segment.bytes"].is_default)

        def change(**settings):
            return self.one(self.admin.alter_configs([confluent_kafka.admin.ConfigResource("topic", "orders", settings)]))

        self.assertIsNone(change(**{"segment.bytes": "1048576"}))
        self.assertEqual(self.config("orders")["segment.bytes"].value, "1048576")
        self.assertTrue(self.config("orders")["retention.ms"].is_default, "the old call replaces all settings")
        self.assertEqual(change(**{"segment.bytes": "many"}), confluent_kafka.KafkaError.INVALID_CONFIG)
        self.assertTrue(all(entry.is_read_only for entry in self.config("1", "broker").values()))

    def test_settings_written_back_as_read_change_nothing(self):
        self.assertIsNone(self.create("orders", 1, 1, config={"retention.ms": "3600000"}))
        before = {name: entry.value for name, entry in self.config("orders").items()}
        resource = confluent_kafka.admin.ConfigResource("topic", "orders", before)
        self.assertIsNone(self.one(self.admin.alter_configs([resource])))
        self.assertEqual({name: entry.value for name, entry in self.config("orders").items()}, before)


class KafkaPythonAdmin(AdminTest):
    def setUp(self):
        super().setUp()
        self.admin = kafka.admin.KafkaAdminClient(bootstrap_servers=self.broker.kafka)
        self.addCleanup(self.admin.close)

    def create(self, *topic, **options):
        self.admin.create_topics([kafka.admin.NewTopic(*topic, **options)], timeout_ms=30_000)

    def test_topics(self):
        self.create("orders", 3, 1)
        with self.assertRaises(kafka.errors.TopicAlreadyExistsError):
            self.create("orders", 3, 1)
        with self.assertRaises(kafka.errors.InvalidTopicError):
            self.create("or ders", 3, 1)
        with self.assertRaises(kafka.errors.InvalidReplicationFactorError):
            self.create("t", 3, 2)
        self.create("assigned", -1, -1, replica_assignments={0: [1], 1: [1]})
        self.assertEqual(sorted(self.admin.list_topics()), ["assigned", "orders"])
        self.admin.create_partitions({"orders": kafka.admin.NewPartitions(5)})
        (described,) = self.admin.describe_topics(["orders"])
        self.assertEqual(sorted(partition["partition"] for partition in described["partitions"]), [0, 1, 2, 3, 4])
        self.admin.delete_topics(["orders", "assigned"], timeout_ms=30_000)
        with self.assertRaises(kafka.errors.UnknownTopicOrPartitionError):
            self.admin.delete_topics(["orders"], timeout_ms=30_000)
        self.assertEqual(self.admin.list_topics(), [])

    def config(self):
        resource = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, "orders")
        (response,) = self.admin.describe_configs([resource])
        ((code, _, _, name, entries),) = response.resources
        self.assertEqual((code, name), (0, "orders"))
        return {entry[0]: entry[1] for entry in entries}

    def test_settings(self):
        self.create("orders", 1, 1, topic_configs={"retention.ms": "3600000"})
        self.assertEqual(self.config()["retention.ms"], "3600000")
        resource = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, "orders", configs={"retention.ms": "7200000"})
        self.admin.alter_configs([resource])
        self.assertEqual(self.config()["retention.ms"], "7200000")

    def test_the_cluster_and_its_access_rules(self):
        cluster = self.admin.describe_cluster()
        self.assertEqual([broker["node_id"] for broker in cluster["brokers"]], [1])
        self.assertEqual(cluster["controller_id"], 1)
        any_rule = kafka.admin.ACLFilter(
            principal=None, host=None, operation=kafka.admin.ACLOperation.ANY, permission_type=kafka.admin.ACLPermissionType.ANY,
            resource_pattern=kafka.admin.ResourcePatternFilter(kafka.admin.ResourceType.ANY, None, kafka.admin.ACLResourcePatternType.ANY))
        with self.assertRaises(kafka.errors.SecurityDisabledError):
            self.admin.describe_acls(any_rule)


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1))
    unittest.main(verbosity=2)
