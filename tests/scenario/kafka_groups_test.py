"""Kafka consumer groups against a whole broker: kcat -G, confluent-kafka (librdkafka) and kafka-python. Members share the work, one is
killed, the broker is killed, and nothing that was produced is missed. What Kafka's tools see is what `tidemark group` shows.
Usage: kafka_groups_test.py BIN_DIR"""

import json
import pathlib
import subprocess
import sys
import unittest

import confluent_kafka
import kafka
import kafka.admin

from broker_process import Broker

BIN_DIR = None
PARTITIONS = 4
RECORDS = 400
LIMIT = 120  # Polls of half a second without a record; only a broken broker gets there.

# One member as a process of its own, so that it can be killed: prints a line for its assignment and one for each record it has committed.
MEMBER = """
import sys
import confluent_kafka
address, group, topic = sys.argv[1:]
consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
                                     "enable.auto.commit": False, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500})
consumer.subscribe([topic], on_assign=lambda _, parts: print("assigned", len(parts), flush=True))
while True:
    message = consumer.poll(0.5)
    if message is None or message.error():
        continue
    consumer.commit(message, asynchronous=False)
    print("record", message.partition(), message.offset(), message.value().decode(), flush=True)
"""


class KafkaGroups(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN_DIR, kafka="127.0.0.1:0")
        self.addCleanup(self.broker.close)
        self.broker.start()
        self.broker.kafka_listen = self.address  # The same after a restart: clients come back to it.
        self.broker.cli("topic", "create", "t", "--partitions", PARTITIONS)

    @property
    def address(self):
        return f"127.0.0.1:{self.broker.ports['kafka']}"

    def produce(self, first, count):
        producer = confluent_kafka.Producer({"bootstrap.servers": self.address})
        for i in range(first, first + count):
            producer.produce("t", key=str(i), value=str(i), partition=i % PARTITIONS)
        self.assertEqual(producer.flush(60), 0)

    def consumer(self, group, **settings):
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": group, "auto.offset.reset": "earliest",
                                             "enable.auto.commit": False, **settings})
        self.addCleanup(consumer.close)
        consumer.subscribe(["t"])
        return consumer

    def read(self, consumer, count):
        """That many values."""
        found, idle = [], 0
        while len(found) < count and idle < LIMIT:
            message = consumer.poll(0.5)
            if message is None or message.error():
                idle += 1
                continue
            found.append(message.value().decode())
        self.assertEqual(len(found), count, self.broker.log_text())
        return found

    def group(self, name):
        return json.loads(self.broker.cli("group", "show", name, "-o", "json").stdout)

    def lag(self, name):
        return {row["partition"]: row for row in json.loads(self.broker.cli("group", "lag", name, "-o", "json").stdout)}

    def test_kcat_goes_on_where_the_group_is(self):
        def kcat():
            command = ["kcat", "-b", self.address, "-G", "cats", "-X", "auto.offset.reset=earliest", "-e", "-q", "-f", "%s\n", "t"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, f"{done.stderr}\n{self.broker.log_text()}")
            return done.stdout.split()

        self.produce(0, RECORDS)
        self.assertEqual(sorted(map(int, kcat())), list(range(RECORDS)))
        self.produce(RECORDS, 8)
        self.assertEqual(sorted(map(int, kcat())), list(range(RECORDS, RECORDS + 8)))
        self.assertEqual({row["lag"] for row in self.lag("cats").values()}, {0})

    def test_commits_survive_kill_9_and_are_what_our_tools_show(self):
        self.produce(0, RECORDS)
        first = self.consumer("billing", **{"session.timeout.ms": 6000})
        values = self.read(first, RECORDS // 2)
        first.commit(asynchronous=False)
        shown = self.group("billing")
        self.assertEqual((shown["kind"], shown["protocol"], shown["topics"]), ("stream", "kafka", ["t"]))
        self.assertEqual(len(shown["members"]) if isinstance(shown["members"], list) else shown["members"], 1)
        lag = self.lag("billing")
        committed = {each.partition: each.offset for each in first.committed([confluent_kafka.TopicPartition("t", p) for p in range(PARTITIONS)])}
        for partition, row in lag.items():
            self.assertEqual(row["lag"], None if committed[partition] < 0 else row["end"] - committed[partition])
            self.assertNotEqual(row["member"], None)
        self.broker.kill()
        self.broker.start()
        self.assertEqual({p: (row["floor"], row["end"]) for p, row in self.lag("billing").items()},
                         {p: (row["floor"], row["end"]) for p, row in lag.items()})
        second = self.consumer("billing", **{"session.timeout.ms": 6000})
        first.close()
        values += self.read(second, RECORDS // 2)
        self.assertEqual(sorted(map(int, values)), list(range(RECORDS)))

    def member(self, group):
        script = pathlib.Path(self.broker.data_dir).parent / "member.py"
        script.write_text(MEMBER)
        process = subprocess.Popen([sys.executable, "-B", str(script), self.address, group, "t"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_two_members_share_and_the_survivor_takes_all(self):
        self.produce(0, RECORDS)
        first, second = self.member("workers"), self.member("workers")
        seen = {}

        def take(process, until):
            while not until():
                line = process.stdout.readline()
                self.assertTrue(line, self.broker.log_text())
                words = line.split()
                if words[0] == "record":
                    seen.setdefault((int(words[1]), int(words[2])), words[3])

        for process in (first, second):
            line = process.stdout.readline()
            self.assertEqual(line.split()[0], "assigned")
        first.kill()
        first.wait()
        for line in first.stdout:  # What it had said, perhaps cut off in the middle of a line.
            words = line.split()
            if words and words[0] == "record" and line.endswith("\n"):
                seen.setdefault((int(words[1]), int(words[2])), words[3])
        self.produce(RECORDS, 40)
        committed = lambda: [row["lag"] for row in self.lag("workers").values()] == [0] * PARTITIONS
        # The commit of the record that the dead one had not printed any more counts as well.
        take(second, lambda: committed() and len(seen) >= RECORDS + 40 - 1)
        self.assertGreaterEqual(len(seen), RECORDS + 40 - 1)

    def test_kafka_python_sees_and_deletes_the_group(self):
        self.produce(0, 40)
        consumer = kafka.KafkaConsumer("t", bootstrap_servers=self.address, group_id="python", auto_offset_reset="earliest",
                                       enable_auto_commit=False)
        found = []
        while len(found) < 40:
            for messages in consumer.poll(1000).values():
                found += [int(message.value) for message in messages]
        self.assertEqual(sorted(found), list(range(40)))
        consumer.commit()
        admin = kafka.admin.KafkaAdminClient(bootstrap_servers=self.address)
        self.assertEqual(admin.list_consumer_groups(), [("python", "consumer")])
        (described,) = admin.describe_consumer_groups(["python"])
        self.assertEqual((described.state, described.protocol_type, len(described.members)), ("Stable", "consumer", 1))
        assigned = described.members[0].member_assignment.assignment
        self.assertEqual([(topic, sorted(partitions)) for topic, partitions in assigned], [("t", list(range(PARTITIONS)))])
        offsets = admin.list_consumer_group_offsets("python")
        self.assertEqual({where.partition: at.offset for where, at in offsets.items()}, {p: 10 for p in range(PARTITIONS)})
        ((name, error),) = admin.delete_consumer_groups(["python"])
        self.assertEqual((name, error.__name__), ("python", "GroupNotEmptyError" if hasattr(kafka.errors, "GroupNotEmptyError") else "NonEmptyGroupError"))
        consumer.close()
        ((name, error),) = admin.delete_consumer_groups(["python"])
        self.assertEqual((name, error.errno), ("python", 0))
        self.assertEqual(admin.list_consumer_groups(), [])


if __name__ == "__main__":
    BIN_DIR = sys.argv.pop(1)
    unittest.main(verbosity=2)
