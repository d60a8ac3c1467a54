#!/usr/bin/env python3
"""kafkajs against a real broker: topics, settings, records, groups, transactions. Usage: kafkajs_test.py BIN_DIR WORK_DIR [TEST...]

The pinned package is installed into WORK_DIR. Exit 77, with the reason, when there is no npm or its registry cannot be reached.
"""

import pathlib
import subprocess
import sys
import tempfile
import threading
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
        self.broker.kafka_listen = self.broker.kafka  # The client finds it again after it was killed.

    def run_client(self, scenario):
        """The scenario must end well; whenever it asks for that with a line `kill`, the broker is killed and started again. Returns how often."""
        restarts = 0
        with tempfile.TemporaryFile("w+") as errors:
            client = subprocess.Popen(["node", "client.mjs", self.broker.kafka, scenario], cwd=WORK, text=True, bufsize=1,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
            watchdog = threading.Timer(120, client.kill)
            watchdog.start()
            try:
                with client:
                    for line in client.stdout:
                        self.assertEqual(line, "kill\n")
                        self.broker.kill()
                        self.broker.start()
                        restarts += 1
                        client.stdin.write("started\n")
            finally:
                watchdog.cancel()
                client.kill()
            errors.seek(0)
            self.assertEqual(client.returncode, 0, f"{errors.read()}\n{self.broker.log_text()}")
        return restarts

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

    def test_transactions_over_two_topics(self):
        self.run_client("transactions")
        committed = sorted(f"{topic}-{partition}-{name}" for topic in ("invoices", "orders") for partition in range(2) for name in ("c1", "c2"))
        seen = self.broker.cli("consume", "orders", "invoices", "--from", "earliest", "--exit-at-end").stdout.splitlines()
        self.assertEqual(sorted(seen), committed)

    def test_offsets_go_with_the_transaction(self):
        self.run_client("offsets")

    def test_a_second_instance_fences_the_first(self):
        self.run_client("fencing")

    def test_a_broker_that_is_killed_loses_no_commit_and_shows_no_half(self):
        self.assertEqual(self.run_client("killed"), 5)


if __name__ == "__main__":
    BIN, WORK = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    npm_client.install(HERE, WORK, "kafkajs")
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
