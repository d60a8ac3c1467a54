"""Compacted topics as Kafka's users have them, with Debian's confluent-kafka (librdkafka) and kcat against a whole broker: the last value of
every key stays over kill -9 in the middle of a compaction, tombstones and aborted transactions go, keyless records are refused.
Usage: compaction_test.py BIN_DIR"""

import json
import pathlib
import subprocess
import sys
import time
import unittest

import confluent_kafka
import confluent_kafka.admin

from broker_process import Broker

BIN_DIR = None
DEADLINE_SECONDS = 120
RECORDS = 20000
KEYS = 300
INVALID_RECORD = 87


class Compaction(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN_DIR, kafka="127.0.0.1:0", redis="127.0.0.1:0")
        self.addCleanup(self.broker.close)

    def start(self, rate="256MiB"):
        config = pathlib.Path(self.broker.home.name) / "tidemark.toml"
        config.write_text(f'compaction.rate = "{rate}"\n', encoding="utf-8")
        self.broker.flags = ["--config", config]
        self.broker.start()
        self.broker.kafka_listen = self.broker.kafka  # Clients find it again after it was killed.

    def topic(self, name="prices", **config):
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.broker.kafka})
        settings = {"cleanup.policy": "compact", "segment.bytes": "65536", "min.cleanable.dirty.ratio": "0.01", "dedup.window.ms": "0",
                    **config}
        admin.create_topics([confluent_kafka.admin.NewTopic(name, 1, 1, config=settings)])[name].result(60)

    def producer(self, **settings):
        return confluent_kafka.Producer({"bootstrap.servers": self.broker.kafka, "linger.ms": 1, **settings})

    def send(self, producer, pairs):
        errors = []
        for key, value in pairs:
            producer.produce("prices", key=key, value=value, on_delivery=lambda error, _: errors.append(error) if error else None)
            producer.poll(0)
        self.assertEqual(producer.flush(60), 0)
        self.assertEqual(errors, [])

    def records(self):
        """(offset, key, value) of all that a reader of committed records gets."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.broker.kafka, "group.id": "reader", "enable.auto.commit": False,
                                             "enable.partition.eof": True, "isolation.level": "read_committed"})
        consumer.assign([confluent_kafka.TopicPartition("prices", 0, confluent_kafka.OFFSET_BEGINNING)])
        found = []
        while True:
            message = consumer.poll(60)
            self.assertIsNotNone(message, self.broker.log_text())
            if message.error():
                self.assertEqual(message.error().code(), confluent_kafka.KafkaError._PARTITION_EOF, message.error())
                consumer.close()
                return found
            found.append((message.offset(), message.key().decode(), message.value().decode() if message.value() is not None else None))

    def last_values(self):
        return {key: value for _, key, value in self.records() if value is not None}

    def state(self):
        return json.loads(self.broker.cli("topic", "show", "prices", "-o", "json").stdout)["partition_list"][0]

    def wait(self, reached):
        end = time.monotonic() + DEADLINE_SECONDS
        while not reached(state := self.state()):
            self.assertLess(time.monotonic(), end, f"{state}\n{self.broker.log_text()}")
            time.sleep(0.05)
        return state

    def wait_until_compacted(self):
        """Up to the end of what is written now; the segment being filled is closed by more records."""
        end = self.state()["end"]
        self.send(self.producer(), (("filler", "f" * 1000) for _ in range(150)))
        return self.wait(lambda state: state["compaction"]["clean_end"] >= end and not state["compaction"]["running"])

    def test_last_values_stay_over_kill_in_the_middle(self):
        self.start(rate="1MiB")
        self.topic()
        values = {f"key-{i % KEYS}": f"{i}-" + "v" * 150 for i in range(RECORDS)}
        self.send(self.producer(**{"enable.idempotence": True}), ((f"key-{i % KEYS}", f"{i}-" + "v" * 150) for i in range(RECORDS)))
        before = self.wait(lambda state: state["compaction"]["running"])
        self.assertIn("compaction  prices:0", self.broker.cli("topic", "show", "prices").stdout)
        self.broker.kill()
        self.start()
        self.assertEqual(self.last_values(), values)
        after = self.wait_until_compacted()
        self.assertLess(after["bytes"], before["bytes"] / 2)
        self.assertEqual(after["log_start"], 0)
        records = self.records()
        self.assertLess(len(records), 2 * KEYS + 500)
        self.assertEqual([offset for offset, _, _ in records], sorted({offset for offset, _, _ in records}))
        values["filler"] = "f" * 1000
        self.assertEqual(self.last_values(), values)
        read = self.broker.cli("consume", "prices", "--from", "earliest", "--exit-at-end", "-o", "jsonl").stdout.splitlines()
        self.assertEqual({record["key"]: record["value"] for record in map(json.loads, read)}, values)
        self.assertEqual(self.broker.stop(), 0)
        self.broker.start()
        self.assertEqual(self.records(), records)
        verified = subprocess.run([self.broker.bin_dir / "tidemark", "log", "verify", self.broker.data_dir], capture_output=True, text=True, timeout=60)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def test_tombstones_and_aborted_records_go(self):
        self.start()
        self.topic(**{"delete.retention.ms": "0"})
        producer = self.producer(**{"transactional.id": "tx"})
        producer.init_transactions(60)
        for commit, pairs in ((True, [("a", "1"), ("b", "1"), ("c", "1")]), (False, [("a", "aborted")]), (True, [("b", None), ("c", "2")])):
            producer.begin_transaction()
            self.send(producer, pairs)
            if commit:
                producer.commit_transaction(60)
            else:
                producer.abort_transaction(60)
        self.wait_until_compacted()
        # What the first compaction met goes with the next one.
        self.wait_until_compacted()
        self.assertEqual([(key, value) for _, key, value in self.records() if key != "filler"], [("a", "1"), ("c", "2")])
        self.broker.kill()
        self.broker.start()
        producer.begin_transaction()
        self.send(producer, [("a", "2")])
        producer.commit_transaction(60)
        self.assertEqual({key: value for key, value in self.last_values().items() if key != "filler"}, {"a": "2", "c": "2"})

    def test_records_without_a_key_are_refused(self):
        self.start()
        self.topic()
        errors = []
        producer = self.producer()
        producer.produce("prices", value="keyless", on_delivery=lambda error, _: errors.append(error))
        producer.flush(60)
        self.assertEqual([error.code() for error in errors], [INVALID_RECORD])
        self.send(producer, [("a", "1")])
        ours = self.broker.cli("produce", "prices", input="keyless\n", check=False)
        self.assertNotEqual(ours.returncode, 0)
        self.assertIn("has no key", ours.stderr)
        kcat = subprocess.run(["kcat", "-b", self.broker.kafka, "-P", "-t", "prices"], input="keyless\n", capture_output=True, text=True, timeout=60)
        self.assertNotEqual(kcat.returncode, 0, kcat.stderr)
        self.assertEqual(self.last_values(), {"a": "1"})

    def test_deleted_stream_entries_leave_the_disk(self):
        self.start()
        def run(*arguments, data=None):
            done = subprocess.run(["redis-cli", "-p", str(self.broker.redis_port), *arguments], input=data, capture_output=True, text=True,
                                  timeout=60, check=True)
            return done.stdout.split()

        self.broker.cli("topic", "create", "prices", "--partitions", 1, "--config", "entry.id=time", "--config", "segment.bytes=65536",
                        "--config", "dedup.window.ms=0", "--config", "once.duration.ms=1000")
        ids = run(data="".join(f"XADD prices * field {'v' * 400}\n" for _ in range(600)))
        before = self.state()["bytes"]
        run(data="".join(f"XDEL prices {entry}\n" for entry in ids[10:450]))
        after = self.wait(lambda state: state["bytes"] < before * 0.6)
        self.assertEqual(after["log_start"], 0)
        self.broker.kill()
        self.start()
        self.assertEqual(run("XLEN", "prices"), ["160"])
        self.assertEqual(run("XRANGE", "prices", "-", "+", "COUNT", "11")[::3], [*ids[:10], ids[450]])


if __name__ == "__main__":
    BIN_DIR = sys.argv.pop(1)
    unittest.main(verbosity=2)
