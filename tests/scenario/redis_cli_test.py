#!/usr/bin/env python3
"""Debian's redis-cli and redis-benchmark against a real broker, and the same records through Kafka's and our own clients.
Usage: redis_cli_test.py BIN_DIR [TEST...]"""

import pathlib
import subprocess
import sys
import unittest

from broker_process import Broker

BIN = pathlib.Path()  # Set by main.


class RedisCli(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN, kafka="127.0.0.1:0", redis="127.0.0.1:0")
        self.addCleanup(self.broker.close)
        self.broker.start()

    def redis(self, *words, input=None, program="redis-cli"):
        done = subprocess.run([program, "-p", str(self.broker.redis_port), *map(str, words)], input=input, capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}\n{self.broker.log_text()}")
        return done.stdout

    def test_one_command_at_a_time(self):
        self.assertEqual(self.redis("PING"), "PONG\n")
        self.assertEqual(self.redis("XADD", "orders", "1-1", "value", "one"), "1-1\n")
        self.assertEqual(self.redis("XRANGE", "orders", "-", "+").split(), ["1-1", "value", "one"])
        self.assertEqual(self.redis("-3", "XLEN", "orders"), "1\n")
        self.assertIn("unknown command 'NONSENSE'", self.redis("NONSENSE"))

    def test_many_commands_from_its_input(self):
        said = self.redis(input="".join(f"XADD s {n}-1 n {n}\n" for n in range(1, 301)) + "XLEN s\nXTRIM s MAXLEN 100\nXLEN s\n")
        self.assertEqual(said.split()[-3:], ["300", "200", "100"])

    def test_mass_insertion(self):
        requests = b"".join(b"*5\r\n$4\r\nXADD\r\n$1\r\nm\r\n$1\r\n*\r\n$1\r\nn\r\n$%d\r\n%d\r\n" % (len(str(n)), n) for n in range(5000))
        done = subprocess.run(["redis-cli", "-p", str(self.broker.redis_port), "--pipe"], input=requests, capture_output=True, timeout=120)
        self.assertIn(b"errors: 0, replies: 5000", done.stdout)
        self.assertEqual(self.redis("XLEN", "m"), "5000\n")

    def test_looking_around(self):
        self.redis("XADD", "a", "*", "f", "v")
        self.redis("XADD", "b", "*", "f", "v")
        self.assertEqual(sorted(self.redis("--scan").split()), ["a", "b"])
        self.assertIn("Biggest stream", self.redis("--bigkeys"))
        self.assertIn("redis_version:7.2.6", self.redis("INFO", "server"))
        self.assertEqual(self.redis("TYPE", "a"), "stream\n")

    def test_benchmark_appends(self):
        said = self.redis("-n", "2000", "-c", "8", "-P", "16", "-q", "XADD", "bench", "*", "f", "v", program="redis-benchmark")
        self.assertIn("requests per second", said)
        self.assertEqual(self.redis("XLEN", "bench"), "2000\n")

    def test_entries_are_records_for_everybody(self):
        for n in range(10):
            self.redis("XADD", "shared", "*", "key", f"k{n}", "value", f"v{n}", "colour", "red")
        kafka = subprocess.run(["kcat", "-b", self.broker.kafka, "-C", "-t", "shared", "-e", "-q", "-f", "%k=%s %h\n"], capture_output=True,
                               text=True, timeout=120)
        wanted = [f"k{n}=v{n} colour=red" for n in range(10)]
        self.assertEqual(kafka.stdout.splitlines(), wanted)
        own = self.broker.cli("consume", "shared", "--from", "earliest", "--exit-at-end", "--format", "%k=%v %h").stdout
        self.assertEqual(own.splitlines(), wanted)

    def test_records_are_entries(self):
        self.broker.cli("topic", "create", "log", "--partitions", "2")
        self.broker.cli("produce", "log", "--partition", "1", "--key-sep", "=", "-H", "h=1", input="a=first\nb=second\n")
        self.assertEqual(self.redis("XRANGE", "log#1", "-", "+").split(),
                         ["1-0", "key", "a", "value", "first", "h", "1", "2-0", "key", "b", "value", "second", "h", "1"])
        self.assertIn("log#0 to log#1", self.redis("XLEN", "log"))

    def test_a_blocked_reader_hears_what_kafka_produces(self):
        self.redis("XADD", "mixed", "*", "value", "first")
        reader = subprocess.Popen(["redis-cli", "-p", str(self.broker.redis_port), "XREAD", "BLOCK", "0", "STREAMS", "mixed", "$"],
                                  stdout=subprocess.PIPE, text=True)
        while "blocked_clients:1" not in self.redis("INFO", "clients"):
            pass
        subprocess.run(["kcat", "-b", self.broker.kafka, "-P", "-t", "mixed"], input="second", text=True, check=True, timeout=120)
        self.assertEqual(reader.communicate(timeout=120)[0].split()[-2:], ["value", "second"])

    def test_what_was_answered_survives_a_kill(self):
        ids = [self.redis("XADD", "kept", "*", "n", n).strip() for n in range(20)]
        self.redis("XDEL", "kept", ids[3])
        self.redis("XADD", "gone", "9-9", "f", "v")
        self.redis("XDEL", "gone", "9-9")
        self.broker.kill()
        self.broker.start()
        found = self.redis("XRANGE", "kept", "-", "+").split()[::3]
        self.assertEqual(found, ids[:3] + ids[4:])
        self.assertIn("equal or smaller", self.redis("XADD", "gone", "9-9", "f", "v"))


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
