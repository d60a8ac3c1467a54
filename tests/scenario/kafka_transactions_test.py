"""Transactional producers of Debian's confluent-kafka (librdkafka) against a whole broker: commit, abort, fencing, offsets with the
transaction, and a broker that is killed in the middle. Usage: kafka_transactions_test.py BIN_DIR"""

import sys
import unittest

import confluent_kafka
import confluent_kafka.admin

from broker_process import Broker

BIN_DIR = None


class Transactions(unittest.TestCase):
    def setUp(self):
        # A fixed port: clients find the broker again after it was killed.
        self.broker = Broker(BIN_DIR, kafka="127.0.0.1:0")
        self.addCleanup(self.broker.close)
        self.broker.start()
        self.address = self.broker.kafka
        self.broker.kafka_listen = self.address
        self.topic("t", 2)

    def topic(self, name, partitions):
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.address})
        admin.create_topics([confluent_kafka.admin.NewTopic(name, partitions, 1)])[name].result(60)

    def producer(self, transactional_id="tx", **settings):
        producer = confluent_kafka.Producer({"bootstrap.servers": self.address, "transactional.id": transactional_id,
                                             "transaction.timeout.ms": 60000, "retry.backoff.ms": 20, **settings})
        producer.init_transactions(60)
        return producer

    def consume(self, topic="t", partitions=2, isolation="read_committed"):
        """All values from the beginning to the ends."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": "reader", "enable.auto.commit": False,
                                             "enable.partition.eof": True, "isolation.level": isolation})
        consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in range(partitions)])
        values, ends = [], set()
        while len(ends) < partitions:
            message = consumer.poll(60)
            self.assertIsNotNone(message, self.broker.log_text())
            if message.error():
                self.assertEqual(message.error().code(), confluent_kafka.KafkaError._PARTITION_EOF, message.error())
                ends.add(message.partition())
            else:
                values.append(message.value().decode())
        consumer.close()
        return sorted(values)

    def send(self, producer, values):
        for i, value in enumerate(values):
            producer.produce("t", value=value, partition=i % 2)
        self.assertEqual(producer.flush(60), 0)

    def test_commit_and_abort(self):
        producer = self.producer()
        producer.begin_transaction()
        self.send(producer, ["a", "b"])
        self.assertEqual(self.consume(), [])
        self.assertEqual(self.consume(isolation="read_uncommitted"), ["a", "b"])
        producer.commit_transaction(60)
        self.assertEqual(self.consume(), ["a", "b"])
        producer.begin_transaction()
        self.send(producer, ["no", "never"])
        producer.abort_transaction(60)
        producer.begin_transaction()
        self.send(producer, ["c"])
        producer.commit_transaction(60)
        self.assertEqual(self.consume(), ["a", "b", "c"])
        # The native client sees what is committed and nothing of the markers.
        seen = self.broker.cli("consume", "t", "--from", "earliest", "--exit-at-end").stdout
        self.assertEqual(sorted(seen.split()), ["a", "b", "c"])

    def test_a_second_instance_fences_the_first(self):
        first = self.producer()
        first.begin_transaction()
        self.send(first, ["lost"])
        second = self.producer()
        second.begin_transaction()
        self.send(second, ["kept"])
        second.commit_transaction(60)
        with self.assertRaises(confluent_kafka.KafkaException) as refused:
            first.commit_transaction(60)
        self.assertTrue(refused.exception.args[0].fatal(), refused.exception)
        self.assertEqual(self.consume(), ["kept"])

    def test_offsets_go_with_the_transaction(self):
        self.topic("in", 1)
        plain = confluent_kafka.Producer({"bootstrap.servers": self.address})
        for i in range(10):
            plain.produce("in", value=str(i))
        self.assertEqual(plain.flush(60), 0)
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": "worker", "enable.auto.commit": False,
                                             "auto.offset.reset": "earliest"})
        self.addCleanup(consumer.close)
        consumer.subscribe(["in"])
        messages = consumer.consume(5, 60)
        self.assertEqual(len(messages), 5)
        producer = self.producer()
        for commit in (False, True):
            producer.begin_transaction()
            self.send(producer, [f"out{message.value().decode()}" for message in messages])
            producer.send_offsets_to_transaction([confluent_kafka.TopicPartition("in", 0, 5)], consumer.consumer_group_metadata(), 60)
            (producer.commit_transaction if commit else producer.abort_transaction)(60)
            committed = consumer.committed([confluent_kafka.TopicPartition("in", 0)], timeout=60)[0].offset
            self.assertEqual(committed, 5 if commit else confluent_kafka.OFFSET_INVALID)
        self.assertEqual(self.consume(), [f"out{i}" for i in range(5)])

    def test_a_broker_that_is_killed_loses_no_commit_and_shows_no_half(self):
        producer = self.producer()
        expected = []
        for round_number in range(6):
            values = [f"{round_number}-{i}" for i in range(20)]
            producer.begin_transaction()
            self.send(producer, values[:10])
            if round_number % 3 == 1:  # In the middle of the transaction.
                self.broker.kill()
                self.broker.start()
            self.send(producer, values[10:])
            try:
                producer.commit_transaction(60)
                expected += values
            except confluent_kafka.KafkaException as failed:
                self.assertTrue(failed.args[0].txn_requires_abort(), failed)
                producer.abort_transaction(60)
            if round_number % 3 == 2:  # Right behind the answer.
                self.broker.kill()
                self.broker.start()
        self.assertEqual(self.consume(), sorted(expected))
        self.assertGreaterEqual(len(expected), 80)


if __name__ == "__main__":
    BIN_DIR = sys.argv.pop(1)
    unittest.main(verbosity=2)
