#!/usr/bin/env python3
"""kafkajs against a real broker: topics, settings, records, groups. Usage: kafkajs_test.py BIN_DIR WORK_DIR [TEST...]

The pinned package is installed into WORK_DIR. Exit 77, with the reason, when there is no npm or its registry cannot be reached.
"""

import pathlib
import subprocess
import sys
import unittest

import npm_client
from broker_process import Broker

HERE = pathlib.Path(__file__).parent / "kafkajs"
BIN = pathlib.Path()  # Set by main, as is WORK.
WORK = pathlib.Path()


class KafkaJs(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN, kafka="127.0.0.1:0")
        self.addCleanup(self.broker.close)
        self.broker.start()

    def run_client(self, scenario):
        done = subprocess.run(["node", "client.mjs", self.broker.kafka, scenario], cwd=WORK, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}\n{self.broker.log_text()}")

    def test_admin(self):
        self.run_client("admin")

    def test_what_it_produces_is_read_by_our_own_client(self):
        self.run_client("produce")
        lines = self.broker.cli("consume", "orders", "--from", "earliest", "--exit-at-end", "--format", "%k=%v").stdout.splitlines()
        self.assertEqual(lines, [f"k{i}=value {i} {'x' * i}" for i in range(500)])

    def test_a_consumer_reads_from_the_beginning(self):
        self.run_client("consume")

    def test_a_group_loses_nothing_when_a_member_stops(self):
        self.run_client("group")


if __name__ == "__main__":
    BIN, WORK = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    npm_client.install(HERE, WORK, "kafkajs")
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
