#!/usr/bin/env python3
"""Consumer groups over the Redis protocol: what survives a kill, what other protocols see, what Redis does not have.
Usage: redis_groups_test.py BIN_DIR [TEST...]"""

import json
import pathlib
import subprocess
import sys
import unittest

from broker_process import Broker
from redis_wire import Connection, Failure

BIN = pathlib.Path()  # Set by main.
WAIT_MS = "60000"  # For what happens by itself; a broken broker ends the test, a slow one does not.


class RedisGroups(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN, redis="127.0.0.1:0", kafka="127.0.0.1:0")
        self.addCleanup(self.broker.close)
        self.broker.start()
        self.client = self.connect()

    def connect(self):
        client = Connection(self.broker.redis_port)
        self.addCleanup(client.close)
        return client

    def ask(self, line, *more):
        return self.client.ask(*line.split(), *more)

    def fill(self, key, count):
        for n in range(1, count + 1):
            self.ask(f"XADD {key} {n}-0 value v{n}")

    def read(self, group, consumer, key, count=100, id=">", client=None):
        """The values, by id."""
        reply = (client or self.client).ask("XREADGROUP", "GROUP", group, consumer, "COUNT", str(count), "STREAMS", key, id)
        self.assertNotIsInstance(reply, Failure)
        return {} if reply is None else {id: fields[1] for id, fields in reply[0][1]}

    def pending(self, key, group):
        return {row[0]: (row[1], row[3]) for row in self.ask(f"XPENDING {key} {group} - + 1000")}

    def kill_and_start(self):
        self.broker.kill()
        self.broker.start()
        self.client = self.connect()

    def test_what_was_answered_survives_a_kill(self):
        self.ask("XGROUP CREATE s g 0 MKSTREAM")
        self.fill("s", 10)
        self.assertEqual(len(self.read("g", "a", "s", 6)), 6)
        self.assertEqual(self.ask("XACK s g 1-0 2-0 9-0"), 2)
        self.assertEqual([row[0] for row in self.ask("XCLAIM s g b 0 4-0 RETRYCOUNT 7")], [b"4-0"])
        self.assertEqual(self.ask("XGROUP DELCONSUMER s g nobody"), 0)
        before = self.pending("s", "g")
        self.assertEqual(before, {b"3-0": (b"a", 1), b"4-0": (b"b", 7), b"5-0": (b"a", 1), b"6-0": (b"a", 1)})
        groups = self.ask("XINFO GROUPS s")
        self.kill_and_start()
        self.assertEqual(self.pending("s", "g"), before)
        self.assertEqual(self.ask("XINFO GROUPS s"), groups)
        self.assertEqual(list(self.read("g", "a", "s", id="0")), [b"3-0", b"5-0", b"6-0"])
        self.assertEqual(list(self.read("g", "c", "s")), [b"7-0", b"8-0", b"9-0", b"10-0"])

    def test_a_position_ahead_of_the_stream_survives_too(self):
        self.ask("XGROUP CREATE s g 0 MKSTREAM")
        self.fill("s", 3)
        self.assertEqual(self.ask("XGROUP SETID s g 5-0 ENTRIESREAD 5"), b"OK")
        self.kill_and_start()
        for n in range(4, 8):
            self.ask(f"XADD s {n}-0 value v{n}")
        self.assertEqual(list(self.read("g", "a", "s")), [b"6-0", b"7-0"])

    def test_a_deleted_entry_is_told_in_the_history_and_dropped_by_claims(self):
        self.ask("XGROUP CREATE s g 0 MKSTREAM")
        self.fill("s", 3)
        self.read("g", "a", "s")
        self.ask("XDEL s 1-0")
        self.ask("XTRIM s MINID 3")
        self.assertEqual(self.ask("XREADGROUP GROUP g a STREAMS s 0"), [[b"s", [[b"1-0", None], [b"2-0", None], [b"3-0", [b"value", b"v3"]]]]])
        self.assertEqual(self.ask("XCLAIM s g b 0 1-0"), [])
        self.assertEqual(self.ask("XAUTOCLAIM s g b 0 0"), [b"0-0", [[b"3-0", [b"value", b"v3"]]], [b"2-0"]])

    def test_arguments_beyond_reason(self):
        self.ask("XGROUP CREATE s g 0 MKSTREAM")
        self.fill("s", 20)
        self.read("g", "a", "s")
        # CVE-2022-31144, CVE-2022-35951: a COUNT that overflows when multiplied.
        for count in ("9223372036854775807", "4611686018427387904", "1152921504606846976", "0", "-1"):
            self.assertEqual(str(self.ask(f"XAUTOCLAIM s g b 0 0 COUNT {count}")), "ERR COUNT must be > 0")
        self.assertEqual(len(self.ask("XAUTOCLAIM s g b 0 0 COUNT 576460752303423487")[1]), 20)
        # CVE-2025-62507: more ids than fit into a small vector.
        ids = " ".join(f"{n}-0" for n in range(1, 21))
        self.assertEqual(len(self.ask(f"XCLAIM s g c 0 {ids} JUSTID")), 20)
        self.assertEqual(self.ask(f"XACK s g {ids} {ids}"), 20)
        self.assertEqual(self.ask("XPENDING s g - + 9223372036854775807"), [])
        self.assertEqual(self.ask("XREADGROUP GROUP g a COUNT 9223372036854775807 STREAMS s >"), None)

    def test_a_group_is_the_same_for_all_protocols(self):
        self.fill("jobs", 4)
        self.broker.cli("group", "create", "g", "--queue", "--topic", "jobs")
        self.assertEqual(list(self.read("g", "r", "jobs", 2)), [b"1-0", b"2-0"])
        self.assertEqual(self.ask("XACK jobs g 1-0"), 1)
        consumed = self.broker.cli("consume", "jobs", "-g", "g", "--queue", "-n", "2").stdout
        self.assertEqual(consumed, "v3\nv4\n")
        self.assertEqual(self.pending("jobs", "g"), {b"2-0": (b"r", 1)})

        self.ask("XGROUP CREATE jobs h 0")
        self.assertEqual(self.broker.cli("consume", "jobs", "-g", "h", "--queue", "-n", "3").stdout, "v1\nv2\nv3\n")
        self.assertEqual(self.read("h", "r", "jobs"), {b"4-0": b"v4"})
        seen = subprocess.run(["kcat", "-b", self.broker.kafka, "-C", "-t", "jobs", "-e", "-q"], capture_output=True, text=True, timeout=120)
        self.assertEqual(seen.stdout.split(), ["v1", "v2", "v3", "v4"])

    def test_partitions_are_streams_of_one_group(self):
        self.broker.cli("topic", "create", "wide", "--partitions", "2")
        self.broker.cli("produce", "wide", "--partition", "1", input="x\ny\n")
        self.assertEqual(self.ask("XGROUP CREATE wide#1 g 0"), b"OK")
        self.assertTrue(str(self.ask("XGROUP CREATE wide#0 g 0")).startswith("BUSYGROUP"))
        self.assertEqual(self.read("g", "a", "wide#1"), {b"1-0": b"x", b"2-0": b"y"})
        self.assertEqual(self.read("g", "a", "wide#0"), {})
        self.assertEqual(self.ask("XACK wide#1 g 2-0 3-0"), 1)
        self.assertEqual(self.pending("wide#1", "g"), {b"1-0": (b"a", 1)})

    def test_every_entry_goes_to_one_of_the_waiting(self):
        self.ask("XGROUP CREATE s g $ MKSTREAM")
        readers = [self.connect() for _ in range(3)]
        for n, reader in enumerate(readers):
            reader.send(["XREADGROUP", "GROUP", "g", f"c{n}", "COUNT", "1", "BLOCK", "0", "STREAMS", "s", ">"])
        self.fill("s", 3)
        self.assertEqual(sorted(reader.read()[0][1][0][0] for reader in readers), [b"1-0", b"2-0", b"3-0"])
        for reader in readers:
            reader.send(["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"])
        while b"blocked_clients:3\r\n" not in self.ask("INFO clients"):
            pass
        self.ask("XGROUP DESTROY s g")
        for reader in readers:
            self.assertTrue(str(reader.read()).startswith("NOGROUP No such key 's' or consumer group 'g'"))

    def test_what_is_not_acknowledged_comes_back_and_dies(self):
        self.ask("XGROUP CREATE jobs g 0 MKSTREAM")
        self.broker.cli("group", "alter", "g", "--topic", "jobs", "ack.timeout=50ms", "delivery.limit=2", "backoff=none",
                        "dead.letter.topic=g.dlq")
        self.ask("XADD jobs 1-1 value poison")
        read = ["XREADGROUP", "GROUP", "g", "a", "BLOCK", WAIT_MS, "STREAMS", "jobs", ">"]
        expected = [[b"jobs", [[b"1-1", [b"value", b"poison"]]]]]
        self.assertEqual(self.client.ask(*read), expected)
        self.assertEqual(self.client.ask(*read), expected)  # By itself, to a plain loop.
        letters = json.loads(self.broker.cli("consume", "g.dlq", "--from", "earliest", "-n", "1", "-o", "json").stdout) \
            if self.wait_for_topic("g.dlq") else None
        self.assertEqual(letters["value"], "poison")

    def test_what_failed_comes_back_no_sooner_than_the_backoff(self):
        self.ask("XGROUP CREATE jobs g 0 MKSTREAM")
        self.broker.cli("group", "alter", "g", "--topic", "jobs", "ack.timeout=50ms", "delivery.limit=5", "backoff=1h")
        self.ask("XADD jobs 1-1 value slow")
        self.assertEqual(self.read("g", "a", "jobs"), {b"1-1": b"slow"})
        while self.pending("jobs", "g"):  # Until its time is over.
            pass
        self.assertEqual(self.read("g", "a", "jobs"), {})
        waits = json.loads(self.broker.cli("group", "pending", "g", "--topic", "jobs", "-o", "json").stdout)
        self.assertEqual([(row["state"], row["failures"]) for row in waits], [("delayed", 1)])
        self.kill_and_start()
        self.assertEqual(self.read("g", "a", "jobs"), {})
        self.broker.cli("group", "alter", "g", "--topic", "jobs", "ack.timeout=1h")
        self.broker.cli("group", "kick", "g", "--topic", "jobs")
        self.assertEqual(self.read("g", "b", "jobs"), {b"1-1": b"slow"})
        self.assertEqual(self.pending("jobs", "g"), {b"1-1": (b"b", 2)})

    def test_one_entry_of_a_key_at_a_time_and_in_order(self):
        self.ask("XGROUP CREATE jobs g 0 MKSTREAM")
        self.broker.cli("group", "alter", "g", "--topic", "jobs", "ack.timeout=1h", "ordering=key")
        for n, key in enumerate(("red", "red", "blue", "red"), 1):
            self.ask(f"XADD jobs {n}-0 key {key} value v{n}")
        both = self.connect()
        self.assertEqual(list(self.read("g", "a", "jobs")), [b"1-0", b"3-0"])
        self.assertEqual(self.read("g", "b", "jobs", client=both), {})
        self.assertEqual(self.ask("XACK jobs g 3-0"), 1)
        self.assertEqual(self.read("g", "b", "jobs", client=both), {})
        both.send("XREADGROUP GROUP g b BLOCK 0 STREAMS jobs >".split())
        while b"blocked_clients:1\r\n" not in self.ask("INFO clients"):
            pass
        self.assertEqual(self.ask("XACK jobs g 1-0"), 1)
        self.assertEqual([entry[0] for entry in both.read()[0][1]], [b"2-0"])
        self.assertEqual(self.read("g", "a", "jobs"), {})
        self.assertEqual(self.ask("XACK jobs g 2-0"), 1)
        self.assertEqual(list(self.read("g", "a", "jobs")), [b"4-0"])

    def wait_for_topic(self, name):
        while self.broker.cli("topic", "show", name, check=False).returncode != 0:
            pass
        return True


class Worker(unittest.TestCase):
    """The worker of docs/COMPATIBILITY.md, as it stands there; only where Debian's python3-redis is."""

    def test_the_documented_worker(self):
        page = (pathlib.Path(__file__).parents[2] / "docs/COMPATIBILITY.md").read_text()
        code = page.split("```python\n", 1)[1].split("```", 1)[0]
        alter = next(line for line in page.splitlines() if line.startswith("tidemark group alter workers"))
        if subprocess.run(["/usr/bin/python3", "-c", "import redis"], capture_output=True).returncode != 0:
            self.skipTest("there is no python3-redis: tools/install-packages")
        with Broker(BIN, redis="127.0.0.1:0") as broker:
            broker.start()
            with Connection(broker.redis_port) as client:
                client.ask("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
                words = [word.replace("30s", "50ms").replace("1s,10s,1m", "none") for word in alter.split()[1:]]
                broker.cli(*words)
                worker = subprocess.Popen(["/usr/bin/python3", "-c", code, str(broker.redis_port), "w1"], stdout=subprocess.PIPE, text=True)
                try:
                    client.ask("XADD", "jobs", "*", "value", "poison")
                    client.ask("XADD", "jobs", "*", "value", "fine")
                    self.assertEqual(worker.stdout.readline(), "fine\n")
                    dead = client.ask("XREAD", "BLOCK", WAIT_MS, "STREAMS", "workers.dlq", "0")
                    self.assertIn(b"poison", dead[0][1][0][1])
                finally:
                    worker.kill()
                    worker.wait()
                    worker.stdout.close()


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
