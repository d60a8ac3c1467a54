"""What a user of kcat (librdkafka) sees: listing, producing with every codec, keys, headers and null values, consuming from anywhere,
an idempotent producer across kill -9, and the same records through our own tools. Usage: kafka_kcat_test.py BIN_DIR"""

import json
import subprocess
import sys
import unittest

from broker_process import Broker

BIN_DIR = None
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class KcatTest(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN_DIR, flags=["--kafka", "127.0.0.1:0"])
        self.addCleanup(self.broker.close)
        self.broker.start()

    def kcat(self, *arguments, data=None, timeout=60):
        command = ["kcat", "-b", f"127.0.0.1:{self.broker.ports['kafka']}", "-m", "30", *map(str, arguments)]
        done = subprocess.run(command, input=data, capture_output=True, text=True, timeout=timeout, check=False)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}: {done.stderr}\n{self.broker.log_text()}")
        return done.stdout

    def consume(self, topic, *arguments, form="%o %k=%s\\n"):
        return self.kcat("-C", "-t", topic, "-e", "-q", "-f", form, *arguments).splitlines()

    def create(self, topic, partitions=1, *config):
        settings = [word for setting in config for word in ("--config", setting)]
        self.broker.cli("topic", "create", topic, "--partitions", partitions, *settings)

    def test_list_shows_the_broker_and_its_topics(self):
        self.create("orders", 3)
        listed = json.loads(self.kcat("-L", "-J"))
        self.assertEqual([broker["id"] for broker in listed["brokers"]], [1])
        self.assertEqual(listed["brokers"][0]["name"], f"127.0.0.1:{self.broker.ports['kafka']}")
        self.assertEqual([topic["topic"] for topic in listed["topics"]], ["orders"])
        self.assertEqual([part["leader"] for part in listed["topics"][0]["partitions"]], [1, 1, 1])

    def test_every_codec_arrives_as_it_was_sent(self):
        values = [f"value-{i}-" + "x" * 100 for i in range(200)]
        for codec in CODECS:
            with self.subTest(codec):
                self.create(codec)
                self.kcat("-P", "-t", codec, "-p", 0, "-z", codec, "-K", ":", data="".join(f"k{i}:{v}\n" for i, v in enumerate(values)))
                self.assertEqual(self.consume(codec), [f"{i} k{i}={v}" for i, v in enumerate(values)])
                self.assertEqual(self.broker.cli("consume", codec, "--from", "earliest", "--exit-at-end").stdout.splitlines(), values)
                stored = self.broker.cli("log", "dump", self.segment(codec), "-o", "jsonl").stdout.splitlines()
                self.assertEqual({json.loads(line)["codec"] for line in stored}, {codec})

    def segment(self, topic):
        """The only segment file of a topic with one partition."""
        topic_id = json.loads(self.broker.cli("topic", "show", topic, "-o", "json").stdout)["id"]
        (found,) = (path for path in self.broker.data_dir.rglob("*.log") if topic_id in str(path))
        return found

    def test_headers_and_null_values(self):
        self.create("t")
        self.kcat("-P", "-t", "t", "-p", 0, "-H", "a=1", "-H", "b=two", "-H", "a=3", "-K", ":", "-Z", data="key:value\ngone:\n")
        self.assertEqual(self.consume("t", form="%k %S %h\\n"), ["key 5 a=1,b=two,a=3", "gone -1 a=1,b=two,a=3"])
        records = [json.loads(line) for line in self.broker.cli("consume", "t", "--from", "earliest", "--exit-at-end", "-o", "jsonl").stdout.splitlines()]
        self.assertEqual([record["value"] for record in records], ["value", None])

    def test_records_of_our_own_client_are_read(self):
        self.create("t")
        self.broker.cli("produce", "t", "--key", "k", "-H", "h=v", input="one\ntwo\n")
        self.assertEqual(self.consume("t", form="%k %s %h\\n"), ["k one h=v", "k two h=v"])

    def test_from_the_middle_the_end_and_a_time(self):
        self.create("t")
        self.kcat("-P", "-t", "t", "-p", 0, data="a\nb\nc\n")
        self.assertEqual(self.consume("t", "-p", 0, "-o", 1, form="%s\\n"), ["b", "c"])
        self.assertEqual(self.consume("t", "-p", 0, "-o", -1, form="%s\\n"), ["c"])
        times = [int(line) for line in self.consume("t", form="%T\\n")]
        self.assertEqual(self.consume("t", "-p", 0, "-o", f"s@{times[0]}", form="%s\\n"), ["a", "b", "c"])
        self.assertEqual(self.consume("t", "-p", 0, "-o", f"s@{times[-1] + 1}", form="%s\\n"), [])
        self.assertEqual(self.kcat("-Q", "-t", f"t:0:{times[0]}").strip(), "t [0] offset 0")
        self.assertEqual(self.kcat("-Q", "-t", "t:0:-1").strip(), "t [0] offset 3")

    def test_a_missing_topic_is_made_on_first_use(self):
        self.kcat("-P", "-t", "fresh", data="a\n")
        topics = json.loads(self.broker.cli("topic", "ls", "-o", "json").stdout)
        self.assertEqual([(topic["name"], topic["partitions"]) for topic in topics], [("fresh", 4)])

    def test_an_idempotent_producer_survives_kill_and_restart(self):
        self.create("t")
        kafka = self.broker.ports["kafka"]
        self.broker.flags = ["--kafka", f"127.0.0.1:{kafka}"]
        # -E: an unreachable broker is waited for, not the end.
        command = ["kcat", "-b", f"127.0.0.1:{kafka}", "-P", "-E", "-t", "t", "-p", "0", "-X", "enable.idempotence=true", "-X", "linger.ms=1",
                   "-X", "reconnect.backoff.max.ms=200", "-X", "message.timeout.ms=120000"]
        total = 5000
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as producer:
            for number in range(total):
                producer.stdin.write(f"record-{number}\n")
                if number in (1500, 3500):
                    producer.stdin.flush()
                    self.broker.kill()
                    self.broker.start()
            producer.stdin.close()
            self.assertEqual(producer.wait(120), 0)
        self.assertEqual(self.consume("t", form="%s\\n"), [f"record-{number}" for number in range(total)])


if __name__ == "__main__":
    BIN_DIR = sys.argv.pop(1)
    unittest.main()
