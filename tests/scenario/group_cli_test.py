#!/usr/bin/env python3
"""Groups on the command line against a real broker: consuming in one, looking at it, moving it.

Usage: group_cli_test.py BIN_DIR [unittest arguments]
"""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

import broker_process

BIN = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else None

USAGE, NOT_FOUND, CONFLICT, CANNOT_CONNECT, TIMED_OUT, INTERRUPTED = 2, 3, 4, 6, 7, 130
OK, WARNING, CRITICAL, UNKNOWN = range(4)


class GroupTest(unittest.TestCase):
    """One broker for all tests of a class; every test has a topic and a group of its own."""

    @classmethod
    def setUpClass(cls):
        cls.broker = broker_process.Broker(BIN).start()
        cls.addClassCleanup(cls.broker.close)

    def setUp(self):
        self.topic = self.id().rsplit(".", 1)[1]
        self.group = "g_" + self.topic

    def cli(self, *arguments, input=None, expect=0):
        done = self.broker.cli(*arguments, input=input, check=False, text=False)
        self.assertEqual(done.returncode, expect, f"{arguments}: {done.stdout!r} {done.stderr.decode(errors='replace')}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.cli(*arguments, "-o", "json", **options).stdout)

    def fill(self, count, partitions=1):
        self.cli("topic", "create", self.topic, "--partitions", partitions)
        for partition in range(partitions):
            self.cli("produce", self.topic, "--partition", partition, input=b"".join(b"%d\n" % i for i in range(count)))

    def consume(self, *flags, **options):
        return self.cli("consume", self.topic, "-g", self.group, *flags, **options)

    def start(self, *arguments):
        process = subprocess.Popen([BIN / "tidemark", "-s", self.broker.server, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def floor(self):
        return [row["floor"] for row in self.json("group", "lag", self.group)]


class Consume(GroupTest):
    def test_what_was_printed_is_committed_and_nothing_more(self):
        self.fill(10)
        self.assertEqual(self.consume("-n", 3).stdout, b"0\n1\n2\n")
        self.assertEqual(self.floor(), [3])
        self.assertEqual(self.consume("-n", 2).stdout, b"3\n4\n")
        self.assertEqual(self.consume("--exit-at-end").stdout, b"5\n6\n7\n8\n9\n")
        self.assertEqual(self.consume("--exit-at-end").stdout, b"")
        self.assertEqual(self.floor(), [10])

    def test_also_when_it_is_interrupted(self):
        self.fill(4)
        consumer = self.start("consume", self.topic, "-g", self.group)
        self.assertEqual([consumer.stdout.readline() for _ in range(4)], [b"0\n", b"1\n", b"2\n", b"3\n"])
        consumer.send_signal(signal.SIGINT)
        self.assertEqual(consumer.wait(60), INTERRUPTED)
        self.assertEqual(self.floor(), [4])
        self.assertEqual(self.json("group", "show", self.group)["members"], 0)

    def test_what_nobody_took_is_not_committed(self):
        self.cli("topic", "create", self.topic, "--partitions", 1)
        self.cli("produce", self.topic, input=b"".join(b"%06d" % i + b"x" * 1000 + b"\n" for i in range(5000)))
        consumer = self.start("consume", self.topic, "-g", self.group)
        consumer.stdout.read(5000)
        consumer.stdout.close()
        self.assertEqual(consumer.wait(60), 0)
        self.assertEqual(consumer.stderr.read(), b"")
        self.assertLess((self.floor() + [0])[0] or 0, 5000)

    def test_from_is_for_new_groups(self):
        self.fill(10)
        self.assertEqual(self.consume("--from", 6, "-n", 1).stdout, b"6\n")
        again = self.consume("--from", "earliest", "-n", 1)
        self.assertEqual(again.stdout, b"7\n")
        self.assertIn(b"goes on where it is", again.stderr)
        self.assertEqual(self.consume("-n", 1).stderr, b"")

    def test_to_is_exclusive(self):
        self.fill(10, partitions=2)
        self.assertEqual(sorted(self.consume("--to", 2).stdout.split()), [b"0", b"0", b"1", b"1"])
        self.assertEqual(self.floor(), [2, 2])

    def test_what_the_filter_leaves_out_is_done(self):
        self.fill(10)
        self.assertEqual(self.consume("--exit-at-end", "--filter", 'value = "4"').stdout, b"4\n")
        self.assertEqual(self.floor(), [10])

    def test_ack_none_commits_nothing(self):
        self.fill(3)
        for _ in range(2):
            self.assertEqual(self.consume("--exit-at-end", "--ack", "none").stdout, b"0\n1\n2\n")

    def test_silence_ends_it(self):
        self.fill(2)
        self.assertEqual(self.consume("--timeout", "300ms").stdout, b"0\n1\n")
        self.consume("--timeout", "100ms", "-n", 5, expect=TIMED_OUT)

    def test_bad_use(self):
        self.fill(1)
        self.consume("--partition", 0, expect=USAGE)
        self.consume("--from", "-5", expect=USAGE)
        self.cli("consume", self.topic, "--ack", "none", expect=USAGE)
        self.cli("consume", "no_such_topic", "-g", self.group, expect=NOT_FOUND)
        self.cli("group", "show", self.group, expect=NOT_FOUND)  # None of that has made the group.

    def test_two_consumers_share(self):
        self.fill(50, partitions=4)
        consumers = [self.start("consume", self.topic, "-g", self.group, "--format", "%p %v") for _ in range(2)]
        while [m["partitions"] != [] for m in self.members()] != [True, True]:
            time.sleep(0.01)
        self.assertEqual(sorted(p["partition"] for m in self.members() for p in m["partitions"]), [0, 1, 2, 3])
        while self.floor() != [50] * 4:
            time.sleep(0.01)
        lines = []
        for consumer in consumers:
            consumer.send_signal(signal.SIGTERM)
            lines += consumer.stdout.read().split(b"\n")[:-1]
        self.assertEqual(sorted(lines), sorted(b"%d %d" % (p, v) for p in range(4) for v in range(50)))

    def members(self):
        done = self.broker.cli("group", "members", self.group, "-o", "json", check=False)
        return json.loads(done.stdout or "[]")


class Look(GroupTest):
    def test_lag_counts_in_records_and_in_time(self):
        self.fill(10)
        self.cli("group", "create", self.group, "--topic", self.topic)
        row = self.json("group", "lag", self.group)[0]
        self.assertEqual((row["lag"], row["lag_seconds"], row["floor"], row["end"]), (None, None, None, 10))
        self.consume("-n", 4)
        text = self.cli("group", "lag", self.group, "-o", "json").stdout.decode()
        self.assertRegex(text, r'"lag_seconds":\d+\.\d{3}[,}]')
        row = json.loads(text)[0]
        self.assertEqual(sorted(row), ["end", "floor", "group", "lag", "lag_seconds", "member", "partition", "topic", "verdict"])
        self.assertEqual((row["floor"], row["lag"], row["member"], row["verdict"]), (4, 6, None, "stopped"))
        self.assertIn(self.group, [row["group"] for row in self.json("group", "lag")])
        table = self.cli("group", "lag", self.group).stdout.decode()
        self.assertRegex(table, rf"{self.group} +{self.topic} +0 +4 +10 +6 +\d+\.\ds +stopped +-")
        self.assertIn("CAUSE", self.cli("group", "lag", self.group, "-o", "wide").stdout.decode())
        self.cli("group", "lag", "no_such_group", expect=NOT_FOUND)

    def test_lag_agrees_with_the_log_after_a_kill(self):
        self.fill(100, partitions=3)
        self.consume("-n", 120)
        before = self.json("group", "lag", self.group)
        self.assertEqual(sum(row["floor"] or 0 for row in before), 120)
        self.broker.kill()
        self.broker.start()
        after = self.json("group", "lag", self.group)
        self.assertEqual([(r["floor"], r["end"], r["lag"]) for r in after], [(r["floor"], r["end"], r["lag"]) for r in before])
        rest = self.consume("--exit-at-end").stdout.split()
        self.assertEqual(len(rest), sum(row["end"] - (row["floor"] or 0) for row in after))

    def test_watching_goes_on_until_interrupted(self):
        self.fill(1)
        self.consume("--exit-at-end")
        watch = self.start("group", "lag", self.group, "-w", "-o", "jsonl")
        for _ in range(2):
            self.assertEqual(json.loads(watch.stdout.readline())["lag"], 0)
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(60), 0)

    def test_ls_and_show(self):
        self.fill(5)
        self.consume("-n", 2)
        fields = {"group", "kind", "protocol", "topics", "members", "state", "verdict", "cause", "lag", "lag_seconds", "eta_seconds",
                  "headroom_seconds", "waiting", "in_flight", "retrying", "parked", "dead"}
        listed = {entry["group"]: entry for entry in self.json("groups", "list")}[self.group]
        self.assertEqual(set(listed), fields)
        self.assertEqual((listed["kind"], listed["topics"], listed["members"], listed["lag"]), ("stream", [self.topic], 0, 3))
        shown = self.json("group", "describe", self.group)
        self.assertEqual(set(shown) & fields, fields)
        self.assertIn("VERDICT", self.cli("group", "ls").stdout.decode())
        page = self.cli("group", "show", self.group).stdout.decode()
        self.assertIn("stream group", page)
        self.assertIn("FLOOR", page)
        self.assertEqual([t["groups"] for t in self.json("topic", "ls") if t["name"] == self.topic], [[self.group]])
        self.assertIn(self.json("status")["worst_verdict"], ("stopped", "at-risk"))

    def test_members(self):
        self.fill(1, partitions=3)
        consumer = self.start("consume", self.topic, "-g", self.group)
        for _ in range(3):
            consumer.stdout.readline()
        member, = self.json("group", "members", self.group)
        self.assertEqual([p["partition"] for p in member["partitions"]], [0, 1, 2])
        self.assertEqual((member["client_id"], member["in_flight"], member["revoking"]), ("tidemark-cli", None, []))
        self.assertRegex(member["last_seen_time"], r"^\d{4}-.*Z$")
        self.assertIn(f"{self.topic}:0-2", self.cli("group", "members", self.group).stdout.decode())

    def test_check_speaks_to_monitoring(self):
        self.fill(5)
        self.consume("--exit-at-end")
        self.assertRegex(self.cli("group", "check", self.group, expect=OK).stdout.decode(), rf"^OK: {self.group} ok, lag 0, 0\.0s behind\n$")
        self.cli("produce", self.topic, input=b"one more\n")
        self.assertTrue(self.cli("group", "check", self.group, expect=CRITICAL).stdout.startswith(b"CRITICAL: "))
        consumer = self.start("consume", self.topic, "-g", self.group, "--ack", "none")
        consumer.stdout.readline()
        self.cli("group", "check", self.group, expect=OK)
        self.cli("group", "check", self.group, "--lag-time", "1ms", expect=WARNING)
        self.assertEqual(self.json("group", "check", self.group, "--lag-time", "1ms", "--critical", "2ms", expect=CRITICAL)["result"],
                         "CRITICAL")
        self.assertIn(b"no_such_group", self.cli("group", "check", "no_such_group", expect=UNKNOWN).stdout)
        self.cli("group", "check", self.group, "--lag-time", "soon", expect=UNKNOWN)
        nobody = subprocess.run([BIN / "tidemark", "-s", "127.0.0.1:1", "group", "check", self.group], capture_output=True)
        self.assertEqual((nobody.returncode, nobody.stdout[:9]), (UNKNOWN, b"UNKNOWN: "))

    def test_names_that_are_no_text_are_shown_all_the_same(self):
        self.fill(1)
        name = b"g\xff\x01"
        done = subprocess.run([BIN / "tidemark", "-s", self.broker.server, "consume", self.topic, "-g", name, "-n", "1"], capture_output=True)
        self.assertEqual((done.returncode, done.stdout), (0, b"0\n"))
        listed = [group for group in self.json("group", "ls") if group["group"] == "g\\xff\\x01"]
        self.assertEqual([group["group_base64"] for group in listed], ["Z/8B"])


class Move(GroupTest):
    def moved(self, *flags, **options):
        return self.json("group", "seek", self.group, *flags, **options)

    def test_seek_shows_the_plan_and_moves_only_when_told(self):
        self.fill(10, partitions=2)
        self.consume("--exit-at-end")
        plan = self.moved("--to", 4)
        self.assertEqual((plan["group"], plan["executed"], plan["id"]), (self.group, False, None))
        self.assertEqual([(r["partition"], r["from"], r["to"], r["records"], r["clamped"]) for r in plan["rows"]],
                         [(0, 10, 4, -6, False), (1, 10, 4, -6, False)])
        self.assertEqual(self.floor(), [10, 10])
        table = self.cli("group", "seek", self.group, "--to", 4)
        self.assertRegex(table.stdout.decode(), rf"{self.topic} +0 +10 +4 +-6 ")
        self.assertIn(b"nothing was moved", table.stderr)
        self.cli("group", "seek", self.group, "--to", 4, "-y")
        self.cli("group", "seek", self.group, "--to", 4, "--execute", "--dry-run")
        self.assertEqual(self.floor(), [10, 10])
        self.assertTrue(self.moved("--to", 4, "--execute", "--partition", 1)["executed"])
        self.assertEqual(self.floor(), [10, 4])
        self.assertEqual(self.consume("--exit-at-end").stdout, b"4\n5\n6\n7\n8\n9\n")

    def test_positions(self):
        self.fill(10)
        self.consume("-n", 5)
        for position, to, clamped in (("earliest", 0, False), ("latest", 10, False), ("7", 7, False), ("+3", 3, False), ("-3", 7, False),
                                      ("-1h", 0, False), ("@now", 10, False), ("99", 10, True)):
            row, = self.moved("--to", position)["rows"]
            self.assertEqual((row["from"], row["to"], row["clamped"]), (5, to, clamped), position)
        self.cli("consume", self.topic, "-g", "other_" + self.group, "-n", 2)
        self.assertEqual(self.moved("--to", "group:other_" + self.group)["rows"][0]["to"], 2)
        self.cli("group", "seek", self.group, "--to", "nowhere", expect=USAGE)
        self.cli("group", "seek", self.group, "--to", "group:", expect=USAGE)
        self.cli("group", "seek", self.group, "--to", "group:no_such_group", expect=NOT_FOUND)
        self.cli("group", "seek", self.group, "--to", 1, "--topic", "no_such_topic", expect=NOT_FOUND)
        self.cli("group", "seek", "no_such_group", "--to", 1, expect=NOT_FOUND)

    def test_history_and_undo(self):
        self.fill(10)
        self.consume("-n", 5)
        self.moved("--to", "earliest", "--execute")
        self.moved("--to", "8", "--execute")
        history = self.json("group", "history", self.group)
        self.assertEqual([(h["target"], h["undone"], h["rows"][0]["to"]) for h in history], [("earliest", None, 0), ("8", None, 8)])
        self.assertIn("earliest", self.cli("group", "history", self.group).stdout.decode())
        self.assertFalse(self.json("group", "undo", self.group)["executed"])
        self.assertEqual(self.floor(), [8])
        for expected in (0, 5):
            self.assertTrue(self.json("group", "undo", self.group, "--execute")["executed"])
            self.assertEqual(self.floor(), [expected])
        self.cli("group", "undo", self.group, "--execute", expect=NOT_FOUND)
        self.assertEqual([h["undid"] for h in self.json("group", "history", self.group)], [None, None, history[1]["id"], history[0]["id"]])

    def test_a_live_group_is_moved_by_force_only(self):
        self.fill(5)
        consumer = self.start("consume", self.topic, "-g", self.group)
        self.assertEqual([consumer.stdout.readline() for _ in range(5)][-1], b"4\n")
        self.cli("group", "seek", self.group, "--to", 3, "--execute", expect=CONFLICT)
        self.cli("group", "rm", self.group, "-y", expect=CONFLICT)
        self.cli("group", "seek", self.group, "--to", 3, "--execute", "--force")
        self.assertEqual([consumer.stdout.readline() for _ in range(2)], [b"3\n", b"4\n"])

    def test_create_alter_and_rm(self):
        self.fill(10)
        self.cli("group", "create", self.group, "--topic", self.topic, "--from", 8, "on.gone=fail")
        self.cli("group", "create", self.group, "--topic", self.topic, expect=CONFLICT)
        self.cli("group", "create", "g2_" + self.group, "--topic", "no_such_topic", expect=NOT_FOUND)
        self.cli("group", "create", "g2_" + self.group, "--topic", self.topic, "no.such.setting=1", expect=USAGE)
        shown = self.json("group", "show", self.group)
        self.assertEqual(shown["settings"], {"on.gone": "fail"})
        self.cli("group", "alter", self.group, "on.gone=", "lag.objective=5s")
        self.assertEqual(list(self.json("group", "show", self.group)["settings"]), ["lag.objective"])
        self.cli("group", "alter", self.group, "on.gone=maybe", expect=USAGE)
        self.assertEqual(self.consume("--exit-at-end").stdout, b"8\n9\n")
        self.cli("group", "rm", self.group, "--dry-run")
        self.cli("group", "rm", self.group, "-y")
        self.cli("group", "delete", self.group, "-y", expect=NOT_FOUND)
        self.assertEqual(self.consume("-n", 1).stdout, b"0\n")


class Completion(GroupTest):
    def complete(self, line):
        script = self.cli("completion", "bash").stdout.decode()
        words = line.split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        probe = f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _tidemark; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        environment = {"PATH": f"{BIN.resolve()}:/usr/bin:/bin", "TIDEMARK_SERVER": self.broker.server}
        return subprocess.run(["bash", "-c", probe], env=environment, check=True, capture_output=True, text=True).stdout.split()

    def test_names_of_topics_and_groups_are_completed(self):
        self.fill(1)
        self.consume("-n", 1)
        self.assertEqual(self.complete("tidemark group lag g_test_names"), [self.group])
        self.assertEqual(self.complete("tidemark topic show test_names"), [self.topic])
        self.assertEqual(self.complete("tidemark consume test_names"), [self.topic])
        self.assertEqual(self.complete(f"tidemark consume {self.topic} -g g_test_names"), [self.group])
        self.assertIn("history", self.complete("tidemark group hi"))
        self.assertEqual(self.complete("tidemark topic create test_names"), [])
        self.assertNotIn("names", re.findall(r"\S+", self.cli("--help").stdout.decode()))


if __name__ == "__main__":
    unittest.main()
