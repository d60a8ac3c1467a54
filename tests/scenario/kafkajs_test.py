#!/usr/bin/env python3
"""kafkajs against a real broker: topics, settings, records, groups. Usage: kafkajs_test.py BIN_DIR WORK_DIR [TEST...]

The pinned package is installed into WORK_DIR. Exit 77, with the reason, when there is no npm or its registry cannot be reached.
"""

import pathlib
import shutil
import subprocess
import sys
import unittest

from broker_process import Broker

HERE = pathlib.Path(__file__).parent / "kafkajs"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ERR_SOCKET_TIMEOUT")
BIN = pathlib.Path()  # Set by main, as is WORK.
WORK = pathlib.Path()


def skip(reason):
    """Ends the program; ctest counts the exit status as skipped and the summary shows the reason."""
    print(f"Skipped:\n{reason}", flush=True)
    sys.exit(77)


def install():
    """Puts the client and its locked dependencies into WORK."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            skip(f"there is no {tool}; it comes with the Debian packages nodejs and npm")
    WORK.mkdir(parents=True, exist_ok=True)
    changed = False
    for file in HERE.iterdir():
        target = WORK / file.name
        if not target.exists() or target.read_bytes() != file.read_bytes():
            shutil.copy(file, target)
            changed = changed or file.name.startswith("package")
    if not changed and (WORK / "node_modules" / "kafkajs").is_dir():
        return
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=1"], cwd=WORK, capture_output=True, text=True, timeout=300)
    if done.returncode == 0:
        return
    if any(word in done.stderr for word in UNREACHABLE):
        skip(f"kafkajs cannot be had from the npm registry: {done.stderr.strip().splitlines()[0]}")
    sys.exit(f"npm ci failed:\n{done.stderr}")


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
    install()
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
