#!/usr/bin/env python3
"""ioredis and node-redis against a real broker, both versions of the protocol. Usage: redisjs_test.py BIN_DIR WORK_DIR [TEST...]

The pinned packages are installed into WORK_DIR. Exit 77, with the reason, when there is no npm or its registry cannot be reached.
"""

import pathlib
import subprocess
import sys
import unittest

import npm_client
from broker_process import Broker

HERE = pathlib.Path(__file__).parent / "redisjs"
BIN = pathlib.Path()  # Set by main, as is WORK.
WORK = pathlib.Path()


class RedisJs(unittest.TestCase):
    def run_client(self, scenario):
        for library in ("ioredis", "redis-resp2", "redis-resp3"):
            with self.subTest(library), Broker(BIN, redis="127.0.0.1:0") as broker:
                broker.start()
                done = subprocess.run(["node", "client.mjs", str(broker.redis_port), library, scenario], cwd=WORK, capture_output=True,
                                      text=True, timeout=120)
                self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}\n{broker.log_text()}")

    def test_streams(self):
        self.run_client("streams")

    def test_pipelines_of_a_thousand_and_transactions(self):
        self.run_client("pipelines")

    def test_a_blocked_reader_is_woken(self):
        self.run_client("blocking")

    def test_publish_and_subscribe(self):
        self.run_client("pubsub")


if __name__ == "__main__":
    BIN, WORK = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    npm_client.install(HERE, WORK, "ioredis")
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
