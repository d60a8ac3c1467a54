"""Debian's Python clients against a whole broker: confluent-kafka (librdkafka) and kafka-python, each creating a topic, producing with
every codec, consuming it again, finding offsets by time, and deleting the topic. Usage: kafka_python_test.py BIN_DIR"""

import sys
import unittest

import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin

from broker_process import Broker

BIN_DIR = None
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
START_MS = 1_700_000_000_000


class PythonTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(BIN_DIR, flags=["--kafka", "127.0.0.1:0"])
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()
        cls.address = f"127.0.0.1:{cls.broker.ports['kafka']}"


class ConfluentKafka(PythonTest):
    def produce(self, topic, codec, count):
        failed = []
        producer = confluent_kafka.Producer({"bootstrap.servers": self.address, "compression.type": codec, "enable.idempotence": True})
        for i in range(count):
            producer.produce(topic, key=f"k{i}", value=None if i == 0 else f"v{i}" * 20, headers=[("h", str(i)), ("h", "again")],
                             timestamp=START_MS + i, on_delivery=lambda error, _: failed.append(error) if error else None)
        self.assertEqual(producer.flush(60), 0)
        self.assertEqual(failed, [])

    def test_produce_consume_and_admin(self):
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.address})
        for codec in CODECS:
            topic = f"confluent-{codec}"
            with self.subTest(codec):
                admin.create_topics([confluent_kafka.admin.NewTopic(topic, 2, 1)])[topic].result(60)
                self.assertIn(topic, admin.list_topics(timeout=60).topics)
                self.produce(topic, codec, 100)
                # A group id must be named; without subscribe() no group is joined.
                consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": "none", "enable.auto.commit": False,
                                                     "enable.partition.eof": True})
                partitions = [confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in range(2)]
                consumer.assign(partitions)
                found, ends = {}, set()
                while len(ends) < 2:
                    message = consumer.poll(60)
                    self.assertIsNotNone(message, self.broker.log_text())
                    if message.error():
                        self.assertEqual(message.error().code(), confluent_kafka.KafkaError._PARTITION_EOF)
                        ends.add(message.partition())
                        continue
                    found[message.key().decode()] = (message.value(), message.headers(), message.timestamp()[1])
                expected = {f"k{i}": (None if i == 0 else (f"v{i}" * 20).encode(), [("h", str(i).encode()), ("h", b"again")], START_MS + i)
                            for i in range(100)}
                self.assertEqual(found, expected)
                low, high = zip(*(consumer.get_watermark_offsets(partition, timeout=60) for partition in partitions))
                self.assertEqual((sum(low), sum(high)), (0, 100))
                at = [confluent_kafka.TopicPartition(topic, p, START_MS + 50) for p in range(2)]
                self.assertEqual(sum(each.offset for each in consumer.offsets_for_times(at, timeout=60)), 50)
                consumer.close()
                admin.delete_topics([topic])[topic].result(60)
                self.assertNotIn(topic, self.broker.cli("topic", "ls").stdout)


class KafkaPython(PythonTest):
    def test_produce_consume_and_admin(self):
        admin = kafka.admin.KafkaAdminClient(bootstrap_servers=self.address)
        for codec in (None, "gzip", "snappy", "lz4", "zstd"):
            topic = f"python-{codec}"
            with self.subTest(codec):
                admin.create_topics([kafka.admin.NewTopic(topic, 1, 1)])
                self.assertIn(topic, admin.list_topics())
                producer = kafka.KafkaProducer(bootstrap_servers=self.address, compression_type=codec)
                for i in range(100):
                    producer.send(topic, key=b"k%d" % i, value=None if i == 0 else b"v%d" % i * 20, headers=[("h", b"%d" % i)],
                                  timestamp_ms=START_MS + i)
                producer.close()
                consumer = kafka.KafkaConsumer(bootstrap_servers=self.address)
                partition = kafka.TopicPartition(topic, 0)
                consumer.assign([partition])
                consumer.seek_to_beginning(partition)
                self.assertEqual(consumer.end_offsets([partition]), {partition: 100})
                found = []
                while len(found) < 100:
                    for messages in consumer.poll(timeout_ms=60_000).values():
                        found += [(m.key, m.value, m.headers, m.timestamp) for m in messages]
                self.assertEqual(found, [(b"k%d" % i, None if i == 0 else b"v%d" % i * 20, [("h", b"%d" % i)], START_MS + i) for i in range(100)])
                self.assertEqual(consumer.offsets_for_times({partition: START_MS + 50})[partition].offset, 50)
                consumer.close()
                admin.delete_topics([topic])
                self.assertNotIn(topic, self.broker.cli("topic", "ls").stdout)
        admin.close()


if __name__ == "__main__":
    BIN_DIR = sys.argv.pop(1)
    unittest.main()
