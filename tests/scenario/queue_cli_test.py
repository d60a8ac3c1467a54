#!/usr/bin/env python3
"""Queue groups on the command line against a real broker: consuming, looking, intervening, dead letters.

Usage: queue_cli_test.py BIN_DIR [unittest arguments]
"""

import json
import pathlib
import re
import signal
import subprocess
import sys
import unittest

import broker_process

BIN = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else None

FAILED, USAGE, NOT_FOUND, CONFLICT, TIMED_OUT, INTERRUPTED = 1, 2, 3, 4, 7, 130
OK, WARNING, CRITICAL, UNKNOWN = range(4)
UNFINISHED = ("waiting", "in_flight", "retrying", "delayed", "parked", "dying")


class QueueTest(unittest.TestCase):
    """One broker for all tests of a class; every test has a topic and a group of its own."""

    @classmethod
    def setUpClass(cls):
        cls.broker = broker_process.Broker(BIN).start()
        cls.addClassCleanup(cls.broker.close)

    def setUp(self):
        self.topic = self.id().rsplit(".", 1)[1]
        self.group = "q_" + self.topic

    def cli(self, *arguments, input=None, expect=0):
        done = self.broker.cli(*arguments, input=input, check=False, text=False)
        self.assertEqual(done.returncode, expect, f"{arguments}: {done.stdout!r} {done.stderr.decode(errors='replace')}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.cli(*arguments, "-o", "json", **options).stdout)

    def fill(self, count, *settings, partitions=1):
        """Records 0, 1, .. in each partition, and a queue group on them."""
        self.cli("topic", "create", self.topic, "--partitions", partitions)
        self.cli("group", "create", self.group, "--queue", "--topic", self.topic, *settings)
        for partition in range(partitions):
            self.cli("produce", self.topic, "--partition", partition, input=b"".join(b"%d\n" % i for i in range(count)))

    def consume(self, *flags, **options):
        return self.cli("consume", self.topic, "-g", self.group, "--queue", *flags, **options)

    def start(self, *arguments, program="tidemark"):
        command = [BIN / program, *(["-s", self.broker.server] if program == "tidemark" else [self.broker.server]), *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for stream in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(stream.close)
        return process

    def hold(self, count, member="holder"):
        """A member that has so many records, and keeps them until it is ended."""
        holder = self.start(self.topic, self.group, member, count, program="queue_settler")
        self.held = [int(holder.stdout.readline()) for _ in range(count)]
        return holder

    def reject(self, count, reason, *, until):
        """So many records are given up, and the group is as `until` says afterwards."""
        done = subprocess.run([BIN / "queue_settler", self.broker.server, self.topic, self.group, "refuser", str(count), reason],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        while not until():
            pass

    def counts(self):
        shown = self.json("group", "show", self.group)
        return {name: shown[name] for name in (*UNFINISHED, "done", "dead") if shown[name] != 0}

    def pending(self, *flags):
        return self.json("group", "pending", self.group, *flags)


class Consume(QueueTest):
    def test_what_was_printed_is_acknowledged_and_nothing_more(self):
        self.fill(10)
        self.assertEqual(self.consume("-n", 3).stdout, b"0\n1\n2\n")
        self.assertEqual(self.counts(), {"done": 3, "waiting": 7})
        self.assertEqual(self.consume("-n", 2).stdout, b"3\n4\n")
        self.assertEqual(self.consume("--exit-at-end").stdout, b"5\n6\n7\n8\n9\n")
        self.assertEqual(self.consume("--exit-at-end").stdout, b"")
        self.assertEqual(self.counts(), {"done": 10})

    def test_also_when_it_is_interrupted(self):
        self.fill(4)
        consumer = self.start("consume", self.topic, "-g", self.group, "--queue")
        self.assertEqual([consumer.stdout.readline() for _ in range(4)], [b"0\n", b"1\n", b"2\n", b"3\n"])
        consumer.send_signal(signal.SIGINT)
        self.assertEqual(consumer.wait(60), INTERRUPTED)
        self.assertEqual(self.counts(), {"done": 4})

    def test_what_nobody_took_is_given_back(self):
        self.cli("topic", "create", self.topic, "--partitions", 1)
        self.cli("produce", self.topic, input=b"".join(b"%06d" % i + b"x" * 1000 + b"\n" for i in range(5000)))
        consumer = self.start("consume", self.topic, "-g", self.group, "--queue")
        consumer.stdout.read(5000)
        consumer.stdout.close()
        self.assertEqual(consumer.wait(60), 0)
        self.assertEqual(consumer.stderr.read(), b"")
        counts = self.counts()
        self.assertLess(counts.get("done", 0), 5000)
        self.assertEqual(sum(counts.values()), 5000)
        self.assertNotIn("in_flight", counts)

    def test_ack_none_gives_everything_back(self):
        self.fill(3)
        for _ in range(2):
            self.assertEqual(self.consume("-n", 3, "--ack", "none").stdout, b"0\n1\n2\n")
        self.assertEqual(self.counts(), {"retrying": 3})
        self.assertEqual(self.consume("--exit-at-end", "--format", "%o %v %D").stdout, b"0 0 3\n1 1 3\n2 2 3\n")

    def test_the_group_is_made_when_it_is_new_and_starts_where_it_is_told(self):
        self.cli("topic", "create", self.topic, "--partitions", 1)
        self.cli("produce", self.topic, input=b"a\nb\nc\n")
        self.assertEqual(self.consume("--from", 1, "-n", 1).stdout, b"b\n")
        again = self.consume("--from", "earliest", "--exit-at-end")
        self.assertEqual(again.stdout, b"c\n")
        self.assertIn(b"goes on where it is", again.stderr)
        self.assertEqual(self.json("group", "show", self.group)["kind"], "queue")

    def test_the_end_waits_for_what_others_have(self):
        self.fill(5, "backoff=none")
        holder = self.hold(2)
        consumer = self.start("consume", self.topic, "-g", self.group, "--queue", "--exit-at-end")
        others = sorted(set(range(5)) - set(self.held))
        self.assertEqual([int(consumer.stdout.readline()) for _ in others], others)
        self.assertIsNone(consumer.poll())
        self.cli("produce", self.topic, input=b"too late\n")
        holder.kill()
        self.assertEqual(sorted(map(int, consumer.stdout.read().split())), sorted(self.held))
        self.assertEqual(consumer.wait(60), 0)
        counts = self.counts()
        self.assertEqual((counts.pop("done"), sum(counts.values())), (5, 1))

    def test_two_consumers_share_one_partition(self):
        self.fill(0)
        consumers = [self.start("consume", self.topic, "-g", self.group, "--queue", "-n", 50, "--member", f"m{i}") for i in range(2)]
        while len(self.json("group", "members", self.group)) < 2:
            pass
        self.cli("produce", self.topic, input=b"".join(b"%d\n" % i for i in range(100)))
        lines = []
        for consumer in consumers:
            lines += consumer.stdout.read().split()
            self.assertEqual(consumer.wait(60), 0)
        self.assertEqual(sorted(map(int, lines)), list(range(100)))
        self.assertEqual(self.counts(), {"done": 100})

    def test_silence_ends_it(self):
        self.fill(2)
        self.assertEqual(self.consume("--timeout", "300ms").stdout, b"0\n1\n")
        self.consume("--timeout", "100ms", "-n", 5, expect=TIMED_OUT)

    def test_json_tells_the_deliveries(self):
        self.fill(1)
        self.consume("-n", 1, "--ack", "none")
        record = self.json("consume", self.topic, "-g", self.group, "--queue", "-n", 1)
        self.assertEqual((record["value"], record["deliveries"]), ("0", 2))

    def test_bad_use(self):
        self.cli("topic", "create", self.topic, "--partitions", 1)
        self.cli("consume", self.topic, "--queue", expect=USAGE)
        self.cli("consume", self.topic, "-g", self.group, "--member", "m", expect=USAGE)
        self.cli("consume", self.topic, "other", "-g", self.group, "--queue", expect=USAGE)
        for flags in (("--partition", 0), ("--to", 5), ("--filter", 'key = "1"'), ("--from", "-5")):
            self.consume(*flags, expect=USAGE)
        self.cli("consume", "no_such_topic", "-g", self.group, "--queue", expect=NOT_FOUND)
        self.cli("group", "show", self.group, expect=NOT_FOUND)  # None of that has made the group.


class Look(QueueTest):
    def test_ls_and_show(self):
        self.fill(5)
        self.consume("-n", 2)
        holder = self.hold(1)
        listed = {entry["group"]: entry for entry in self.json("group", "ls")}[self.group]
        self.assertEqual((listed["kind"], listed["protocol"], listed["topics"], listed["lag"]), ("queue", "native", [self.topic], 3))
        self.assertEqual({name: listed[name] for name in ("waiting", "in_flight", "retrying", "parked", "dead", "done")},
                         {"waiting": 2, "in_flight": 1, "retrying": 0, "parked": 0, "dead": 0, "done": 2})
        shown = self.json("group", "show", self.group)
        self.assertEqual(set(listed) - set(shown), set())
        self.assertEqual([(p["partition"], p["floor"], p["end"], p["in_flight"]) for p in shown["partition_list"]], [(0, 2, 5, 1)])
        self.assertEqual((shown["effective"]["delivery.limit"], shown["settings"]), ("5", {}))
        page = self.cli("group", "show", self.group).stdout.decode()
        self.assertIn(f"queue group on {self.topic}", page)
        self.assertIn("2 waiting, 1 in flight, 0 delayed", page)
        self.assertIn("delivery.limit = 5  (default)", self.cli("group", "show", self.group, "-o", "wide").stdout.decode())
        self.assertRegex(self.cli("group", "ls").stdout.decode(), rf"{self.group} +queue +{self.topic} ")
        holder.kill()

    def test_lag_and_check(self):
        self.fill(5)
        row, = self.json("group", "lag", self.group)
        self.assertEqual((row["floor"], row["end"], row["lag"], row["waiting"], row["in_flight"], row["retrying"]), (0, 5, 5, 5, 0, 0))
        self.assertEqual(row["verdict"], "stopped")
        self.assertIn("IN FLIGHT", self.cli("group", "lag", self.group).stdout.decode())
        self.assertTrue(self.cli("group", "check", self.group, expect=CRITICAL).stdout.startswith(b"CRITICAL: "))
        self.consume("--exit-at-end")
        self.assertEqual([row["lag"] for row in self.json("group", "lag", self.group)], [0])
        self.assertRegex(self.cli("group", "check", self.group, expect=OK).stdout.decode(), rf"^OK: {self.group} ok, lag 0, 0\.0s behind, 0 retr")
        self.cli("group", "check", "no_such_group", expect=UNKNOWN)

    def test_members_and_pending(self):
        self.fill(4, partitions=1)
        holder = self.hold(3, member="slow")
        member, = self.json("group", "members", self.group)
        self.assertEqual((member["member"], member["connected"], member["in_flight"]), ("slow", True, 3))
        self.assertEqual(member["partitions"], [{"topic": self.topic, "partition": 0, "in_flight": 3}])
        rows = self.pending()
        self.assertEqual([(r["topic"], r["partition"], r["offset"], r["member"], r["state"], r["deliveries"], r["failures"]) for r in rows],
                         [(self.topic, 0, offset, "slow", "acquired", 1, 0) for offset in range(3)])
        self.assertRegex(rows[0]["due_time"], r"^\d{4}-.*Z$")
        self.assertEqual([row["offset"] for row in self.pending("--state", "in_flight", "--member", "slow")], [0, 1, 2])
        self.assertEqual(self.pending("--state", "parked"), [])
        self.assertEqual(self.pending("--member", "nobody"), [])
        self.assertEqual(self.pending("--older", "1h"), [])
        self.assertEqual(len(self.pending("-n", 2)), 2)
        self.assertRegex(self.cli("group", "pending", self.group).stdout.decode(), rf"{self.topic}:0:1 +acquired +slow ")
        self.cli("group", "pending", self.group, "--state", "lost", expect=USAGE)
        self.cli("group", "pending", self.group, "--older", "soon", expect=USAGE)
        self.cli("group", "pending", "no_such_group", expect=NOT_FOUND)
        holder.kill()


class Names(QueueTest):
    def test_a_name_that_several_groups_have(self):
        other = self.topic + "_2"
        self.fill(3)
        self.cli("topic", "create", other, "--partitions", 1)
        self.cli("group", "create", self.group, "--queue", "--topic", other)
        self.cli("consume", self.topic, "-g", self.group, "-n", 1)  # A stream group of that name, too.
        refused = self.cli("group", "show", self.group, expect=USAGE).stderr.decode()
        self.assertIn("there are 3 groups", refused)
        self.assertIn(f"--topic {other}", refused)
        self.assertIn("--kind stream", refused)
        self.assertEqual(self.json("group", "show", self.group, "--topic", other)["topics"], [other])
        self.assertEqual(self.json("group", "show", self.group, "--kind", "stream")["kind"], "stream")
        self.assertEqual(self.json("group", "show", self.group, "--kind", "queue", "--topic", self.topic)["lag"], 3)
        self.cli("group", "show", self.group, "--kind", "queue", expect=USAGE)
        self.cli("group", "show", self.group, "--topic", self.topic, expect=USAGE)
        self.cli("group", "purge", self.group, expect=USAGE)
        self.assertEqual(len([g for g in self.json("group", "ls", "--kind", "queue") if g["group"] == self.group]), 2)
        self.assertEqual([row["topic"] for row in self.json("group", "lag", self.group, "--topic", other)], [other])
        self.cli("group", "rm", self.group, "--topic", other, "-y")
        self.cli("group", "rm", self.group, "--kind", "queue", "-y")
        self.assertEqual(self.json("group", "show", self.group)["kind"], "stream")

    def test_verbs_for_queues_say_so_of_stream_groups(self):
        self.cli("topic", "create", self.topic, "--partitions", 1)
        self.cli("group", "create", self.group, "--topic", self.topic)
        for verb in ("pending", "pause", "resume", "purge", "release", "kick"):
            self.assertIn(b"is a stream group", self.cli("group", verb, self.group, expect=USAGE).stderr)
        self.cli("group", "create", "other_" + self.group, "--queue", "--topic", self.topic)
        self.assertIn(b"is a queue group", self.cli("group", "history", "other_" + self.group, expect=USAGE).stderr)

    def test_names_are_completed_once(self):
        self.fill(1)
        self.cli("consume", self.topic, "-g", self.group, "-n", 1)
        names = self.cli("names", "groups").stdout.split()
        self.assertEqual(names.count(self.group.encode()), 1)
        script = self.cli("completion", "bash").stdout.decode()
        self.assertRegex(script, r"'dlq redrive'\) candidates='[^']*--match[^']*' names='groups'")
        self.assertRegex(script, r"'group pending'\) candidates='[^']*--older[^']*' names='groups'")


class Intervene(QueueTest):
    def test_release_takes_records_back(self):
        self.fill(5)
        holder = self.hold(4, member="slow")
        self.assertEqual(self.json("group", "release", self.group, "--member", "slow", "--dry-run"),
                         {"group": self.group, "topic": self.topic, "records": 4, "executed": False})
        self.assertEqual(self.counts(), {"waiting": 1, "in_flight": 4})
        self.assertEqual(self.json("group", "release", self.group, f"{self.topic}:0:1", f"{self.topic}:0:3")["records"], 2)
        self.assertEqual([row["offset"] for row in self.pending("--state", "acquired")], [0, 2])
        self.assertEqual(self.json("group", "release", self.group, "--older", "1h")["records"], 0)
        self.assertEqual(self.json("group", "release", self.group, "--member", "nobody")["records"], 0)
        self.assertIn(b"released 2 records of queue group", self.cli("group", "release", self.group, "-y").stderr)
        self.assertEqual(sorted(map(int, self.consume("--exit-at-end").stdout.split())), [0, 1, 2, 3, 4])
        self.cli("group", "release", self.group, "nonsense", expect=USAGE)
        self.cli("group", "release", self.group, "other_topic:0:1", expect=NOT_FOUND)
        holder.kill()

    def test_pause_and_resume(self):
        self.fill(2)
        self.cli("group", "pause", self.group, "--dry-run")
        self.cli("group", "pause", self.group)
        self.assertEqual(self.consume("--timeout", "300ms").stdout, b"")
        row, = self.json("group", "lag", self.group)
        self.assertEqual(row["verdict"], "paused")
        self.cli("group", "resume", self.group)
        self.assertEqual(self.json("group", "show", self.group)["settings"], {})
        self.assertEqual(self.consume("-n", 1).stdout, b"0\n")
        self.cli("group", "pause", self.group, "--until", "1h")
        self.assertRegex(self.json("group", "show", self.group)["settings"]["paused.until"], r"^\d{4}-")
        self.cli("group", "pause", self.group, "--until", "2020-01-01T00:00Z", expect=USAGE)
        self.cli("group", "pause", self.group, "--until", "soon", expect=USAGE)

    def test_parked_records_are_kicked(self):
        self.fill(3, "dead.letter.topic=none")
        self.reject(2, "no good", until=lambda: self.counts() == {"parked": 2, "waiting": 1})
        self.assertEqual([(r["offset"], r["reason"]) for r in self.pending("--state", "parked")], [(0, "no good"), (1, "no good")])
        self.assertEqual(self.json("group", "kick", self.group, "--match", 'value = "1"')["records"], 1)
        self.assertEqual([r["offset"] for r in self.pending("--state", "parked")], [0])
        self.assertEqual(sorted(self.consume("--exit-at-end").stdout.split()), [b"1", b"2"])
        self.assertEqual(self.json("group", "kick", self.group)["records"], 1)
        self.assertEqual(self.consume("--exit-at-end").stdout, b"0\n")
        self.cli("group", "kick", self.group, "--match", "value ?", expect=USAGE)

    def test_purge_finishes_what_nobody_has(self):
        self.fill(5)
        holder = self.hold(2)
        self.assertEqual(self.json("group", "purge", self.group, "--dry-run")["records"], 3)
        self.assertEqual(self.json("group", "purge", self.group, "-y")["records"], 3)
        self.assertEqual({name: self.counts().get(name, 0) for name in UNFINISHED}, {**dict.fromkeys(UNFINISHED, 0), "in_flight": 2})
        holder.kill()

    def test_create_alter_seek_and_rm(self):
        self.fill(4, "ordering=key", "delivery.limit=2")
        self.cli("group", "create", self.group, "--queue", "--topic", self.topic, expect=CONFLICT)
        self.cli("group", "create", "x_" + self.group, "--queue", "--topic", "no_such_topic", expect=NOT_FOUND)
        self.cli("group", "create", "x_" + self.group, "--queue", "--topic", self.topic, "--topic", "b", expect=USAGE)
        self.cli("group", "create", "x_" + self.group, "--queue", "--topic", self.topic, "ordering=maybe", expect=USAGE)
        self.cli("group", "create", "x_" + self.group, "--queue", "--topic", self.topic, "no.such.setting=1", expect=USAGE)
        self.assertEqual(self.json("group", "show", self.group)["settings"], {"ordering": "key", "delivery.limit": "2"})
        self.cli("group", "alter", self.group, "delivery.limit=", "backoff=1s,10s")
        self.assertEqual(self.json("group", "show", self.group)["settings"], {"ordering": "key", "backoff": "1s,10s"})
        self.cli("group", "alter", self.group, "delivery.limit=many", expect=USAGE)
        self.consume("--exit-at-end")
        plan = self.json("group", "seek", self.group, "--to", 2)
        self.assertEqual((plan["executed"], [(r["partition"], r["to"]) for r in plan["rows"]]), (False, [(0, 2)]))
        self.assertEqual(self.consume("--exit-at-end").stdout, b"")
        self.assertIn(b"moved group", self.cli("group", "seek", self.group, "--to", 2, "--execute").stderr)
        self.assertEqual(sorted(self.consume("--exit-at-end").stdout.split()), [b"2", b"3"])
        self.cli("group", "rm", self.group, "--dry-run")
        self.assertIn(f"removed queue group {self.group} on {self.topic}".encode(), self.cli("group", "rm", self.group, "-y").stderr)
        self.cli("group", "delete", self.group, "-y", expect=NOT_FOUND)


class DeadLetters(QueueTest):
    def dead(self):
        return sum(summary["letters"] for summary in self.json("dlq", "ls", self.group))

    def test_letters_are_shown_and_redriven(self):
        self.fill(0)
        self.cli("produce", self.topic, "--key-sep", ",", "-H", "kind=mail", input=b"ada,one\nbob,two\n")
        self.reject(2, "mailbox is full", until=lambda: self.counts() == {"dead": 2})
        summary, = self.json("dlq", "ls", self.group)
        self.assertEqual((summary["group"], summary["topic"], summary["letters"]), (self.group, self.topic, 2))
        self.assertEqual(summary["reasons"], [{"reason": "mailbox is full", "letters": 2}])
        letters = {letter["key"]: letter for letter in self.json("dlq", "show", self.group)}
        ada = letters["ada"]
        self.assertEqual((ada["value"], ada["reason"], ada["member"], ada["from_topic"], ada["from_offset"], ada["deliveries"]),
                         ("one", "mailbox is full", "refuser", self.topic, 0, 1))
        self.assertEqual(ada["headers"], [{"name": "kind", "value": "mail"}])
        self.assertEqual(len(self.json("dlq", "show", self.group, "-n", 1)), 1)
        self.assertRegex(self.cli("dlq", "show", self.group).stdout.decode(), rf"{self.topic}:0:1 .* mailbox is full +bob +two")
        self.assertIn(f"{self.group}", self.cli("dlq", "ls").stdout.decode())

        planned = self.json("dlq", "redrive", self.group, "--match", 'key = "bob"', "--dry-run")
        self.assertEqual((planned["matched"], planned["skipped"], planned["executed"]), (1, 1, False))
        self.assertEqual(self.dead(), 2)
        self.assertEqual(self.json("dlq", "redrive", self.group, "--match", 'key = "bob"')["redriven"], 1)
        self.assertEqual(self.consume("--exit-at-end", "--format", "%k %v").stdout, b"bob two\n")
        self.assertIn(b"1 dead letter given back", self.cli("dlq", "redrive", self.group, "--max", 1, "--rate", "100/s", "-y").stderr)
        self.assertEqual(self.consume("--exit-at-end").stdout, b"one\n")
        self.assertEqual((self.dead(), self.counts()), (0, {"done": 2, "dead": 2}))

    def test_redrive_for_everybody(self):
        self.fill(1)
        self.cli("topic", "create", self.topic + "_again", "--partitions", 1)
        self.reject(1, "no", until=lambda: self.counts() == {"dead": 1})
        self.cli("dlq", "redrive", self.group, "--to", self.topic + "_again")
        self.assertEqual(self.cli("consume", self.topic + "_again", "--from", "earliest", "--exit-at-end").stdout, b"0\n")
        self.assertEqual(self.consume("--exit-at-end").stdout, b"")

    def test_purge(self):
        self.fill(2)
        self.reject(2, "no", until=lambda: self.counts() == {"dead": 2})
        self.cli("dlq", "purge", self.group, "--dry-run")
        self.assertEqual(self.dead(), 2)
        self.assertEqual(self.json("dlq", "purge", self.group, "-y")["removed"], 2)
        self.assertEqual(self.dead(), 0)

    def test_bad_use(self):
        self.fill(0)
        self.cli("dlq", "redrive", self.group, "--match", "reason ?", expect=USAGE)
        self.cli("dlq", "redrive", self.group, "--rate", "10MB/s", expect=USAGE)
        self.cli("dlq", "show", self.group, "-n", 0, expect=USAGE)
        for verb in ("show", "redrive", "purge"):
            self.cli("dlq", verb, "no_such_group", expect=NOT_FOUND)


class Bench(QueueTest):
    def test_bench_counts_what_it_did(self):
        result = self.json("bench", "queue", "--records", 2000, "--workers", 3, "--batch", 50, "--size", 64, "--ordering", "key")
        self.assertEqual({name: result[name] for name in ("bench", "records", "workers", "batch", "failed", "lost", "duplicated")},
                         {"bench": "queue", "records": 2000, "workers": 3, "batch": 50, "failed": 0, "lost": 0, "duplicated": 0})
        self.assertGreater(result["records_per_second"], 0)
        self.assertEqual(set(result["latency_ms"]), {"p50", "p90", "p99", "p99_9", "max"})
        self.assertEqual([topic["name"] for topic in self.json("topic", "ls") if topic["name"].startswith("bench-")], [])
        text = self.cli("bench", "queue", "--records", 20, "--workers", 1, "--batch", 1, "--rate", "200/s").stdout.decode()
        self.assertRegex(text, re.compile(r"^by +1 workers, 1 records at a time$", re.M))


if __name__ == "__main__":
    unittest.main()
