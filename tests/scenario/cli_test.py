#!/usr/bin/env python3
"""The command line against a real broker: what scripts and people rely on.

Usage: cli_test.py BIN_DIR [unittest arguments]
"""

import base64
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

import broker_process

BIN = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else None

USAGE, NOT_FOUND, CONFLICT, CANNOT_CONNECT, TIMED_OUT, PARTIAL, INTERRUPTED = 2, 3, 4, 6, 7, 8, 130


class CliTest(unittest.TestCase):
    """One broker for all tests of a class; every test has topics of its own."""

    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.broker = broker_process.Broker(BIN, flags=cls.flags).start()
        cls.addClassCleanup(cls.broker.close)

    def cli(self, *arguments, input=None, expect=0):
        """Runs a command; stdout and stderr as bytes."""
        done = self.broker.cli(*arguments, input=input, check=False, text=False)
        self.assertEqual(done.returncode, expect, f"{arguments}: {done.stderr.decode(errors='replace')}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.cli(*arguments, "-o", "json", **options).stdout)

    def jsonl(self, *arguments, **options):
        return [json.loads(line) for line in self.cli(*arguments, "-o", "jsonl", **options).stdout.splitlines()]

    def topic(self, partitions=1, *flags, suffix=""):
        name = self.id().rsplit(".", 1)[1] + suffix
        self.cli("topic", "create", name, "--partitions", partitions, *flags)
        return name

    def start(self, *arguments, **options):
        """A command that goes on running."""
        process = subprocess.Popen([BIN / "tidemark", "-s", self.broker.server, *map(str, arguments)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for stream in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(stream.close)
        return process

    def everything(self, topic, *flags):
        return self.cli("consume", topic, "--from", "earliest", "--exit-at-end", *flags).stdout


class Produce(CliTest):
    def test_lines_come_back_byte_for_byte(self):
        topic = self.topic()
        lines = b"plain\n\ncarriage\r\n\x00nul\x00\n\xff\xfe not utf-8\n   spaces  \nlast"
        done = self.cli("produce", topic, input=lines)
        self.assertRegex(done.stderr.decode(), r"^7 records, \d+ B, \d+\.\d s, fsync\n$")
        self.assertEqual(done.stdout, b"")
        self.assertEqual(self.everything(topic), lines + b"\n")

    def test_nul_delimited_records_may_hold_newlines(self):
        topic = self.topic()
        self.cli("produce", topic, "--delimiter", "nul", input=b"a\nb\0\0c\0")
        self.assertEqual(self.everything(topic, "--delimiter", "nul"), b"a\nb\0\0c\0")

    def test_a_large_file_keeps_its_order(self):
        topic = self.topic()
        with tempfile.NamedTemporaryFile() as file:
            content = b"".join(b"%d %s\n" % (i, b"x" * (i % 300)) for i in range(50_000))
            file.write(content)
            file.flush()
            self.cli("produce", topic, file.name, "--compression", "zstd")
        self.assertEqual(self.everything(topic), content)

    def test_nothing_in_means_nothing_stored(self):
        topic = self.topic()
        result = self.json("produce", topic, input=b"")
        self.assertEqual((result["records"], result["failed"], result["partitions"], result["durability"]), (0, 0, [], "fsync"))

    def test_keys_and_headers(self):
        topic = self.topic()
        self.cli("produce", topic, "--key-sep", "\\t", "-H", "source=test", "-H", "empty=", input=b"k1\tv1\nno key\n\tempty key\n\xff\tx\n")
        records = self.jsonl("consume", topic, "--from", "earliest", "--exit-at-end")
        self.assertEqual([record.get("key") for record in records], ["k1", None, "", None])
        self.assertEqual(records[3]["key_base64"], base64.b64encode(b"\xff").decode())
        self.assertEqual([record["value"] for record in records], ["v1", "no key", "empty key", "x"])
        self.assertEqual(records[0]["headers"], [{"name": "source", "value": "test"}, {"name": "empty", "value": ""}])
        self.cli("produce", topic, "--key", "fixed", input=b"v\n")
        self.assertEqual(self.cli("consume", topic, "--from", "-1", "-n", 1, "--format", "%k=%v").stdout, b"fixed=v\n")

    def test_json_summary_and_one_line_a_record(self):
        topic = self.topic(2)
        result = self.json("produce", topic, "--partition", 1, input=b"one\ntwo\n")
        self.assertEqual({key: result[key] for key in ("topic", "records", "bytes", "failed", "duplicates", "durability", "partitions")},
                         {"topic": topic, "records": 2, "bytes": 6, "failed": 0, "duplicates": 0, "durability": "fsync",
                          "partitions": [{"partition": 1, "first": 0, "last": 1}]})
        self.assertGreaterEqual(result["seconds"], 0)
        stored = self.jsonl("produce", topic, "--partition", 1, input=b"three\nfour\n")
        self.assertEqual([(record["partition"], record["offset"]) for record in stored], [(1, 2), (1, 3)])
        self.assertTrue(all(record["timestamp_ms"] > 0 for record in stored))

    def test_a_refused_line_is_named_and_the_rest_goes_on(self):
        topic = self.topic()
        lines = b"first\n" + b"x" * 2_000_000 + b"\nthird\n" + b"y" * 9_000_000 + b"\nlast\n"
        done = self.cli("produce", topic, input=lines, expect=PARTIAL)
        self.assertIn(b"line 2:", done.stderr)
        self.assertIn(b"line 4:", done.stderr)
        self.assertRegex(done.stderr.decode().splitlines()[-1], r"^3 records, .*, 2 failed$")
        self.assertEqual(self.everything(topic), b"first\nthird\nlast\n")

    def test_mistakes(self):
        topic = self.topic()
        self.assertIn(b"did you mean", self.cli("produce", topic[:-1], input=b"x\n", expect=NOT_FOUND).stderr)
        self.cli("produce", topic, "/nonexistent/file", expect=NOT_FOUND)
        self.cli("produce", topic, "--partition", 7, input=b"x\n", expect=NOT_FOUND)
        self.cli("produce", topic, "--key", "a", "--key-sep", "b", input=b"x\n", expect=USAGE)
        self.cli("produce", topic, "-H", "novalue", input=b"x\n", expect=USAGE)
        self.cli("produce", topic, "--rate", "fast", input=b"x\n", expect=USAGE)
        self.assertEqual(self.everything(topic), b"")

    def test_ctrl_c_counts_what_was_acknowledged(self):
        topic = self.topic()
        consumer = self.start("consume", topic, "--from", "earliest", "-n", 2)
        producer = self.start("produce", topic)
        producer.stdin.write(b"one\ntwo\nunfinished")
        producer.stdin.flush()
        self.assertEqual(consumer.communicate(timeout=60)[0], b"one\ntwo\n")
        producer.send_signal(signal.SIGINT)
        self.assertEqual(producer.wait(60), INTERRUPTED)
        self.assertIn(b"2 records, 6 B", producer.stderr.read())

    def test_rate_is_kept(self):
        topic = self.topic()
        result = self.json("produce", topic, "--rate", "200/s", input=b"x\n" * 100)
        self.assertEqual(result["records"], 100)
        self.assertGreater(result["seconds"], 0.4)  # 100 records at 200 a second, less what may be caught up.


class Consume(CliTest):
    def test_positions(self):
        topic = self.topic()
        self.cli("produce", topic, input=b"".join(b"%d\n" % i for i in range(10)))
        for position, expected in (("earliest", range(10)), ("7", range(7, 10)), ("+8", range(8, 10)), ("-2", range(8, 10)),
                                   ("-1h", range(10)), ("@-1h", range(10)), ("latest", []), ("@now", [])):
            out = self.cli("consume", topic, "--from", position, "--exit-at-end").stdout
            self.assertEqual(out, b"".join(b"%d\n" % i for i in expected), position)
        self.assertEqual(self.cli("consume", topic, "--from", 2, "--to", 4).stdout, b"2\n3\n")
        self.cli("consume", topic, "--from", 11, "--exit-at-end", expect=NOT_FOUND)
        self.cli("consume", topic, "--from", "committed", "--exit-at-end", expect=USAGE)

    def test_count_is_over_all_topics(self):
        first, second = self.topic(suffix="_1"), self.topic(suffix="_2")
        for topic in (first, second):
            self.cli("produce", topic, input=b"a\nb\nc\n")
        out = self.cli("consume", first, second, "--from", "earliest", "-n", 4, "--format", "%t %v").stdout.splitlines()
        self.assertEqual(len(out), 4)
        for topic in (first, second):  # Each in its own order.
            mine = [line for line in out if line.startswith(topic.encode() + b" ")]
            self.assertEqual(mine, [b"%s %s" % (topic.encode(), v) for v in (b"a", b"b", b"c")][:len(mine)])
        self.assertEqual(self.cli("consume", first, "--from", "earliest", "-n", 0).stdout, b"")

    def test_formats(self):
        topic = self.topic()
        self.cli("produce", topic, "--key", "k", "-H", "a=1", "-H", "b=2", input=b"v\n")
        record = self.json("get", f"{topic}:0:0")
        flags = ("--from", "earliest", "--exit-at-end")
        for form, expected in (("%t %p %o %k %v %h", f"{topic} 0 0 k v a=1,b=2\n"), ("%T %D", f"{record['timestamp_ms']} 1\n"),
                               ("%K %V %%\\t\\\\", "aw== dg== %\t\\\n"), ("%v\\n", "v\n"), ("%v\\0", "v\0"), ("", "v\n")):
            self.assertEqual(self.cli("consume", topic, *flags, "--format", form).stdout.decode(), expected, form)
        self.cli("consume", topic, *flags, "--format", "%x", expect=USAGE)

    def test_json_has_the_documented_fields(self):
        topic = self.topic()
        self.cli("produce", topic, input=b"v\n\xff\n")
        for output in ("json", "jsonl"):
            lines = self.cli("consume", topic, "--from", "earliest", "--exit-at-end", "-o", output).stdout.splitlines()
            first, second = map(json.loads, lines)
            self.assertEqual(list(first), ["topic", "partition", "offset", "time", "timestamp_ms", "key", "value", "headers", "deliveries"])
            self.assertRegex(first["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertEqual(second["value_base64"], "/w==")
            self.assertNotIn("value", second)

    def test_filter(self):
        topic = self.topic()
        self.cli("produce", topic, "--key-sep", ":", input=b"a:1\nb:2\na:3\nc:4\n")
        out = self.everything(topic, "--filter", 'key = "a" or value > 3')
        self.assertEqual(out, b"1\n3\n4\n")
        done = self.cli("consume", topic, "--filter", "key is a", expect=USAGE)
        self.assertIn(b"column 5", done.stderr)

    def test_waits_for_what_comes(self):
        topic = self.topic()
        consumer = self.start("consume", topic, "--from", "earliest", "-n", 3)
        self.cli("produce", topic, input=b"one\ntwo\n")
        self.assertEqual(consumer.stdout.readline(), b"one\n")  # Not held back in a buffer.
        self.assertEqual(consumer.stdout.readline(), b"two\n")
        self.cli("produce", topic, input=b"three\n")
        self.assertEqual(consumer.communicate(timeout=60)[0], b"three\n")
        self.assertEqual(consumer.returncode, 0)

    def test_silence(self):
        topic = self.topic()
        self.cli("produce", topic, input=b"one\n")
        flags = ("consume", topic, "--from", "earliest", "--timeout", "100ms")
        self.assertEqual(self.cli(*flags, "-n", 2, expect=TIMED_OUT).stdout, b"one\n")
        self.assertEqual(self.cli(*flags).stdout, b"one\n")

    def test_ctrl_c(self):
        topic = self.topic()
        self.cli("produce", topic, input=b"one\n")
        consumer = self.start("consume", topic, "--from", "earliest")
        self.assertEqual(consumer.stdout.readline(), b"one\n")
        consumer.send_signal(signal.SIGINT)
        self.assertEqual(consumer.wait(60), INTERRUPTED)

    def test_a_broken_pipe_is_quiet(self):
        topic = self.topic()
        self.cli("produce", topic, input=b"x" * 100 + b"\n" + b"y" * 100_000 + b"\n" * 100_000)
        consumer = self.start("consume", topic, "--from", "earliest", "--exit-at-end")
        consumer.stdout.read(1)
        consumer.stdout.close()
        self.assertEqual(consumer.wait(60), 0)
        self.assertEqual(consumer.stderr.read(), b"")

    def test_partitions_are_all_read(self):
        topic = self.topic(3)
        for partition in range(3):
            self.cli("produce", topic, "--partition", partition, input=b"%d\n" % partition)
        self.assertEqual(sorted(self.everything(topic).split()), [b"0", b"1", b"2"])
        self.assertEqual(self.everything(topic, "--partition", 1), b"1\n")


class Topics(CliTest):
    def test_create_show_and_remove(self):
        topic = self.topic(3, "--config", "retention.ms=1d", "--config", "durability=interval")
        listed = {entry["name"]: entry for entry in self.json("topic", "ls")}[topic]
        self.assertEqual((listed["partitions"], listed["records"], listed["durability"], listed["entry_id"], listed["groups"]),
                         (3, 0, "interval", "offset", []))
        self.assertEqual(listed["config"], {"retention.ms": "86400000", "durability": "interval"})
        self.assertIn(topic, [entry["name"] for entry in self.jsonl("topics", "list")])
        self.cli("produce", topic, "--partition", 2, input=b"a\nb\n")
        shown = self.json("topic", "describe", topic)
        self.assertEqual(shown["records"], 2)
        self.assertEqual([p["partition"] for p in shown["partition_list"]], [0, 1, 2])
        last = shown["partition_list"][2]
        self.assertEqual((last["log_start"], last["end"], last["high_watermark"], last["state"], last["quarantined"]), (0, 2, 2, "online", []))
        self.assertIn(topic.encode(), self.cli("topic", "show", topic).stdout)
        self.assertIn(b"PARTITIONS", self.cli("topic", "ls", "-o", "wide").stdout)
        self.cli("topic", "create", topic, expect=CONFLICT)
        self.cli("topic", "delete", topic, "-y")
        self.cli("topic", "show", topic, expect=NOT_FOUND)
        self.cli("topic", "rm", topic, expect=NOT_FOUND)

    def test_created_topic_as_json(self):
        name = "created_as_json"
        self.assertEqual(self.json("topic", "create", name)["name"], name)

    def test_alter(self):
        topic = self.topic(1)
        self.cli("topic", "alter", topic, "retention.ms=2h", "--partitions", 2)
        shown = self.json("topic", "show", topic)
        self.assertEqual((shown["partitions"], shown["config"]["retention.ms"]), (2, "7200000"))
        self.cli("topic", "alter", topic, "retention.ms=")
        self.assertNotIn("retention.ms", self.json("topic", "show", topic)["config"])
        self.cli("topic", "alter", topic, expect=USAGE)
        done = self.cli("topic", "alter", topic, "retentoin.ms=1", expect=USAGE)
        self.assertIn(b"retention.ms", done.stderr)

    def test_trim(self):
        topic = self.topic(2)
        for partition in range(2):
            self.cli("produce", topic, "--partition", partition, input=b"a\nb\nc\nd\n")
        result = self.json("topic", "trim", topic, "--before", 2, "--partition", 1)
        self.assertEqual(result["partitions"], [{"partition": 1, "log_start": 2, "removed": 2}])
        self.assertEqual(self.everything(topic, "--partition", 1), b"c\nd\n")
        self.assertEqual(self.everything(topic, "--partition", 0), b"a\nb\nc\nd\n")
        self.cli("consume", topic, "--from", 1, "--partition", 1, "--exit-at-end", expect=NOT_FOUND)
        self.cli("topic", "trim", topic, "--before", "-1")
        self.assertEqual(self.everything(topic), b"d\nd\n")
        self.cli("topic", "trim", topic, "--before", 2, "--partition", 5, expect=NOT_FOUND)

    def test_dry_runs_change_nothing(self):
        topic = self.topic()
        self.cli("produce", topic, input=b"a\n")
        for verb in (("create", "not_made"), ("alter", topic, "retention.ms=1h"), ("trim", topic, "--before", "latest"), ("rm", topic)):
            done = self.cli("topic", *verb, "--dry-run")
            self.assertIn(b"would ", done.stderr, verb)
        self.assertEqual(self.everything(topic), b"a\n")
        self.assertEqual(self.json("topic", "show", topic)["config"], {})
        self.cli("topic", "show", "not_made", expect=NOT_FOUND)

    def test_bad_names_and_settings(self):
        self.cli("topic", "create", "bad name", expect=USAGE)
        self.cli("topic", "create", "..", expect=USAGE)
        self.cli("topic", "create", "fine", "--config", "no.such.key=1", expect=USAGE)
        self.cli("topic", "create", "fine", "--config", "retention.ms=soon", expect=USAGE)
        self.cli("topic", "create", "fine", "--partitions", "0", expect=USAGE)
        self.cli("topic", "show", "fine", expect=NOT_FOUND)

    def test_a_name_with_colons(self):
        name = "tenant:{orders}/v1"
        self.cli("topic", "create", name, "--partitions", 1)
        self.cli("produce", name, input=b"found\n")
        self.assertEqual(self.cli("get", f"{name}:0:0").stdout, b"found\n")


class GetAndFind(CliTest):
    def test_get(self):
        topic = self.topic()
        self.cli("produce", topic, "--key", "k", input=b"a\nb\n")
        self.assertEqual(self.cli("get", f"{topic}:0:1").stdout, b"b\n")
        self.assertEqual(self.cli("get", f"{topic}:0:1", "--format", "%k/%v").stdout, b"k/b\n")
        self.assertEqual(self.json("get", f"{topic}:0:1")["value"], "b")
        for address in (f"{topic}:0:2", f"{topic}:0:99", f"{topic}:1:0", "nowhere:0:0"):
            self.cli("get", address, expect=NOT_FOUND)
        for address in (topic, f"{topic}:0", f"{topic}:0:x", f"{topic}:0:-1"):
            self.cli("get", address, expect=USAGE)

    def test_find(self):
        topic = self.topic(3)
        lines = b"".join(b"key%d\tvalue number %d\n" % (i % 100, i) for i in range(2000))
        self.cli("produce", topic, "--key-sep", "\\t", "-H", "kind=numbered", input=lines)
        by_key = self.jsonl("find", topic, "--key", "key42")
        self.assertEqual([record["value"] for record in by_key], [f"value number {i}" for i in range(42, 2000, 100)])
        hit, = self.jsonl("find", topic, "--text", "number 1234", "--header", "kind=numbered")
        self.assertEqual(hit["key"], "key34")
        line = self.cli("find", topic, "--text", "number 1234").stdout.decode()
        self.assertTrue(line.startswith(f"{topic}:{hit['partition']}:{hit['offset']}  "), line)
        self.assertEqual(len(self.jsonl("find", topic, "--filter", 'value ~ "number 77\\d$"', "--since", "1h")), 10)
        self.assertEqual(len(self.jsonl("find", topic, "--key", "key42", "-n", 3)), 3)
        self.cli("find", topic, "--key", "key4711", expect=NOT_FOUND)
        self.cli("find", topic, "--key", "key42", "--header", "kind=other", expect=NOT_FOUND)
        self.cli("find", topic, expect=USAGE)


class Replay(CliTest):
    def test_copies_a_stretch_as_it_was(self):
        source, target = self.topic(2), self.topic(2, suffix="_into")
        for partition in range(2):
            self.cli("produce", source, "--partition", partition, "--key-sep", ":", "-H", "h=x",
                     input=b"".join(b"k%d:%d\n" % (i % 3, i) for i in range(1000)))
        result = self.json("replay", source, "--from", 100, "--to", 900, "--into", target)
        self.assertEqual((result["read"], result["records"], result["failed"], result["into"]), (1600, 1600, 0, target))
        strip = lambda records: [(r["partition"], r["key"], r["value"], r["timestamp_ms"], r["headers"]) for r in records]
        for partition in range(2):
            wanted = self.jsonl("consume", source, "--from", 100, "--to", 900, "--partition", partition)
            copied = self.jsonl("consume", target, "--from", "earliest", "--exit-at-end", "--partition", partition)
            self.assertEqual(strip(copied), strip(wanted))

    def test_filters_and_keeps_a_rate(self):
        source, target = self.topic(), self.topic(suffix="_into")
        self.cli("produce", source, input=b"".join(b"%d\n" % i for i in range(200)))
        result = self.json("replay", source, "--from", "earliest", "--into", target, "--filter", "value < 100", "--rate", "200/s")
        self.assertEqual((result["read"], result["records"]), (200, 100))
        self.assertGreater(result["seconds"], 0.4)
        self.assertEqual(self.everything(target), b"".join(b"%d\n" % i for i in range(100)))

    def test_jobs_are_listed_shown_and_steered(self):
        source, target = self.topic(), self.topic(suffix="_into")
        self.cli("produce", source, input=b"".join(b"%d\n" % i for i in range(1000)))
        self.cli("--dry-run", "replay", source, "--from", "earliest", "--into", target)
        made = self.json("replay", source, "--from", "-500", "--into", target, "--rate", "5/s", "--filter", "value >= 0", "--detach")
        number = made["job"]
        self.assertEqual((made["topic"], made["into"], made["state"], made["rate"]), (source, target, "running", "5/s"))
        self.assertEqual(made["partition_list"], [{"partition": 0, "from": 500, "to": 1000, "next": 500}])
        self.assertEqual([job["job"] for job in self.json("replay", "ls") if job["topic"] == source], [number])
        self.assertEqual(self.json("replay", "pause", number)["state"], "paused")
        self.assertIn("paused", self.cli("replay", "show", number, "-o", "wide").stdout.decode())
        self.assertIn(source, self.cli("replay", "list").stdout.decode())
        self.cli("--dry-run", "replay", "cancel", number)
        self.assertEqual(self.json("replay", "resume", number)["state"], "running")
        self.assertEqual(self.json("replay", "cancel", number)["state"], "cancelled")
        self.assertIsNotNone(self.json("replay", "describe", number)["finished_time"])
        self.cli("replay", "pause", number, expect=CONFLICT)

    def test_ctrl_c_leaves_the_job(self):
        source, target = self.topic(), self.topic(suffix="_into")
        self.cli("produce", source, input=b"".join(b"%d\n" % i for i in range(1000)))
        process = self.start("replay", source, "--from", "earliest", "--into", target, "--rate", "1/s")
        number = int(process.stderr.readline().split()[1])
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(), INTERRUPTED)
        self.assertEqual(self.json("replay", "show", number)["state"], "running")
        self.cli("replay", "cancel", number)

    def test_in_record_time_merges_partitions_by_time(self):
        source, target = self.topic(2), self.topic(1, suffix="_into")
        for i in range(10):
            self.cli("produce", source, "--partition", i % 2, input=b"%d\n" % i)
        self.cli("replay", source, "--from", "earliest", "--into", target, "--speed", "1000x")
        self.assertEqual(self.everything(target), b"".join(b"%d\n" % i for i in range(10)))

    def test_mistakes(self):
        topic = self.topic()
        self.cli("replay", topic, "--from", "earliest", "--into", "nowhere", expect=NOT_FOUND)
        self.cli("replay", "nowhere", "--from", "earliest", "--into", topic, expect=NOT_FOUND)
        self.cli("replay", topic, "--from", "earliest", "--into", topic, "--rate", "1/s", "--speed", "1x", expect=USAGE)
        self.cli("replay", "ls", "--from", "earliest", "--into", topic, expect=USAGE)
        self.cli("replay", topic, "--into", topic, expect=USAGE)
        self.cli("replay", topic, "--from", "earliest", "--into", topic, "--filter", "key =", expect=USAGE)
        self.cli("replay", topic, "--from", 5, "--into", topic, expect=NOT_FOUND)
        self.cli("replay", "show", 4711, expect=NOT_FOUND)
        self.cli("replay", "pause", "soon", expect=USAGE)
        self.cli("replay", "--from", "earliest", "--into", topic, "--", "ls", expect=NOT_FOUND)


class Server(CliTest):
    def test_status(self):
        status = self.json("status")
        for field in ("version", "data_dir", "uptime_seconds", "flush_ms_p50", "flush_ms_p99", "topics", "partitions", "groups", "connections",
                      "disk_free_bytes", "read_only", "worst_verdict"):
            self.assertIn(field, status)
        self.assertGreater(status["disk_free_bytes"], 0)
        self.assertIs(status["read_only"], False)
        self.assertIn(status["version"], self.cli("version").stdout.decode())
        self.assertIn(b"data ", self.cli("status").stdout)

    def test_doctor(self):
        checks = self.json("doctor")
        self.assertTrue(checks)
        for check in checks:
            self.assertEqual(list(check), ["check", "result", "value", "advice"])
            self.assertIn(check["result"], ("ok", "warn", "fail"))

    def test_bench(self):
        for verb in (("produce", "-n", 2000), ("produce", "-n", 20, "--one"), ("consume", "-n", 2000), ("e2e", "--rate", "500/s", "-d", "500ms")):
            result = self.json("bench", *verb)
            self.assertGreater(result["records"], 0)
            self.assertGreater(result["records_per_second"], 0)
            self.assertEqual(result["failed"], 0)
            if verb[0] != "consume":
                self.assertLessEqual(result["latency_ms"]["p50"], result["latency_ms"]["max"])
            if verb[0] == "e2e":
                self.assertEqual((result["lost"], result["duplicated"]), (0, 0))
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(self.json("bench", "fsync", directory, "-n", 10)["records"], 10)
            self.assertEqual(os.listdir(directory), [])
        self.assertEqual([t["name"] for t in self.json("topic", "ls") if t["name"].startswith("bench-")], [])


class CommandLine(CliTest):
    def test_global_flags_stand_anywhere(self):
        for arguments in (["-o", "json", "topic", "ls"], ["topic", "-o", "json", "ls"], ["topic", "ls", "-ojson"], ["topic", "ls", "--output=json"]):
            self.assertIsInstance(json.loads(self.cli(*arguments).stdout), list)

    def test_server_from_the_environment(self):
        done = subprocess.run([BIN / "tidemark", "status"], capture_output=True, env={**os.environ, "TIDEMARK_SERVER": self.broker.server})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_unknown_verbs_get_a_suggestion(self):
        self.assertIn(b"did you mean `consume`", self.cli("consmue", expect=USAGE).stderr)
        self.assertIn(b"did you mean `create`", self.cli("topic", "crate", expect=USAGE).stderr)
        self.cli("topic", "ls", "--nonsense", expect=USAGE)
        self.cli("topic", "ls", "-o", "xml", expect=USAGE)
        self.cli(expect=USAGE)
        self.assertIn(b"Usage", self.cli("consume", "--help").stdout)

    def test_errors_as_json(self):
        done = self.cli("topic", "show", "nowhere", "-o", "json", expect=NOT_FOUND)
        self.assertEqual(done.stdout, b"")
        line, = done.stderr.splitlines()
        error = json.loads(line)["error"]
        self.assertEqual(sorted(error), ["code", "hint", "message", "retriable"])
        self.assertEqual((error["code"], error["retriable"]), ("unknown_topic", False))

    def test_nobody_listens(self):
        with broker_process.Broker(BIN) as gone:
            gone.start()
            server = gone.server
        done = subprocess.run([BIN / "tidemark", "-s", server, "topic", "ls"], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, CANNOT_CONNECT)
        self.assertIn(server.encode(), done.stderr)

    def test_completion_scripts(self):
        script = self.cli("completion", "bash").stdout
        self.assertEqual(subprocess.run(["bash", "-n"], input=script, capture_output=True).returncode, 0)
        ask = script + b"\nCOMP_WORDS=(tidemark topic cr); COMP_CWORD=2; _tidemark; echo ${COMPREPLY[@]}\n"
        self.assertEqual(subprocess.run(["bash"], input=ask, capture_output=True).stdout, b"create\n")
        self.assertIn(b"produce", self.cli("completion", "fish").stdout)


class Files(unittest.TestCase):
    """The offline verbs on the files of a broker that was killed."""

    def run_cli(self, *arguments, expect=0):
        done = subprocess.run([BIN / "tidemark", *map(str, arguments)], capture_output=True, timeout=120)
        self.assertEqual(done.returncode, expect, f"{arguments}: {done.stderr.decode(errors='replace')}")
        return done

    def test_dump_and_stat_after_a_kill(self):
        with broker_process.Broker(BIN) as broker:
            broker.start()
            broker.cli("topic", "create", "dumped", "--partitions", 1)
            broker.cli("produce", "dumped", "--key-sep", ":", input="".join(f"k:{i}\n" for i in range(1000)))
            broker.kill()

            log_file, = broker.data_dir.glob("topics/*/0/*.log")
            batches = [json.loads(line) for line in self.run_cli("log", "dump", log_file, "-o", "jsonl").stdout.splitlines()]
            self.assertEqual((batches[0]["base_offset"], batches[0]["position"], batches[-1]["last_offset"]), (0, 0, 999))
            self.assertTrue(all(batch["crc_valid"] for batch in batches))
            self.assertEqual(sum(batch["records"] for batch in batches), 1000)
            records = [json.loads(line) for line in self.run_cli("log", "dump", "--records", log_file, "-o", "jsonl").stdout.splitlines()]
            self.assertEqual([(r["offset"], r["key"], r["value"]) for r in records], [(i, "k", str(i)) for i in range(1000)])
            self.assertEqual(self.run_cli("log", "dump", "--records", log_file, "--format", "%o=%v").stdout.splitlines()[7], b"7=7")

            topic, = json.loads(self.run_cli("log", "stat", broker.data_dir, "-o", "json").stdout)
            self.assertEqual((topic["name"], topic["partition_list"][0]["segments"]), ("dumped", 1))
            self.assertEqual(topic["partition_list"][0]["bytes"], log_file.stat().st_size)

            broken = pathlib.Path(broker.home.name) / "broken.log"
            content = bytearray(log_file.read_bytes())
            content[65] ^= 1  # In the first record of the first batch.
            broken.write_bytes(content)
            done = self.run_cli("log", "dump", broken, expect=1)
            self.assertRegex(done.stderr, rb" at \d+: offsets \d+\.\.\d+: crc")

    def verify(self, broker, expect=0):
        return json.loads(self.run_cli("log", "verify", broker.data_dir, "-o", "json", expect=expect).stdout)

    def test_a_flipped_byte_is_found_stepped_over_and_given_up(self):
        with broker_process.Broker(BIN) as broker:
            broker.start()
            broker.cli("topic", "create", "t", "--partitions", 1, "--config", "segment.bytes=262144")
            lines = [f"{i} {'x' * (i % 200)}" for i in range(20_000)]
            broker.cli("produce", "t", input="".join(line + "\n" for line in lines))
            live = self.verify(broker)
            self.assertEqual((live["sound"], live["damage"], live["partitions"]), (True, [], 1))
            broker.kill()
            after = self.verify(broker)
            self.assertEqual((after["sound"], after["damage"]), (True, []))
            self.assertGreater(after["segments"], 3)
            self.assertGreater(after["bytes"], sum(map(len, lines)))

            segment = sorted(broker.data_dir.glob("topics/*/0/*.log"))[1]
            batches = [json.loads(line) for line in self.run_cli("log", "dump", segment, "-o", "jsonl").stdout.splitlines()]
            batch = batches[len(batches) // 2]
            content = bytearray(segment.read_bytes())
            content[batch["position"] + 65] ^= 4  # In its first record.
            segment.write_bytes(content)
            found = self.verify(broker, expect=1)
            damage, = found["damage"]
            self.assertEqual((found["sound"], damage["topic"], damage["partition"], damage["reason"]), (False, "t", 0, "crc"))
            self.assertTrue(str(segment).endswith(damage["file"]))
            self.assertEqual((damage["position"], damage["from"], damage["to"]),
                             (batch["position"], batch["base_offset"], batch["last_offset"] + 1))
            text = self.run_cli("log", "verify", broker.data_dir, expect=1).stdout.decode()
            self.assertIn("{file} at {position}: offsets {from}..{to}: crc\n".format(**damage), text)

            left = lines[:damage["from"]] + lines[damage["to"]:]
            broker.start()
            done = broker.cli("consume", "t", "--from", "earliest", "--exit-at-end", check=False)
            self.assertEqual(done.returncode, PARTIAL, done.stderr)
            self.assertEqual(done.stdout.splitlines(), left)
            self.assertIn(segment.name, done.stderr)
            quarantined, = json.loads(broker.cli("topic", "show", "t", "-o", "json").stdout)["partition_list"][0]["quarantined"]
            self.assertEqual((quarantined["from"], quarantined["to"]), (damage["from"], damage["to"]))
            self.assertEqual(broker.cli("get", f"t:0:{damage['from']}", check=False).returncode, 1)
            self.assertEqual(broker.cli("consume", "t", "--from", damage["from"], "--to", damage["to"], check=False).returncode, 1)
            broker.cli("produce", "t", input="appends go on\n")

            where = ("log", "repair", broker.data_dir, "t:0", "--drop", "{from}..{to}".format(**damage))
            self.run_cli(*where, "--yes-lose", expect=CONFLICT)  # In use.
            self.assertEqual(broker.stop(), 0)
            self.run_cli(*where, expect=USAGE)
            self.run_cli("log", "repair", broker.data_dir, "t:0", "--drop", "0..1", "--yes-lose", expect=CONFLICT)
            self.run_cli("log", "repair", broker.data_dir, "u:0", "--drop", "0..1", "--yes-lose", expect=NOT_FOUND)
            report = json.loads(self.run_cli(*where, "--yes-lose", "-o", "json").stdout)
            self.assertEqual(pathlib.Path(report["kept"]).read_bytes(), content[damage["position"]:damage["position"] + report["bytes"]])
            self.assertTrue(self.verify(broker)["sound"])
            broker.start()
            self.assertEqual(broker.cli("consume", "t", "--from", "earliest", "--exit-at-end").stdout.splitlines(), left + ["appends go on"])

    def test_damage_in_the_active_segment_is_given_up_and_appends_go_on(self):
        with broker_process.Broker(BIN) as broker:
            broker.start()
            broker.cli("topic", "create", "t", "--partitions", 1)
            lines = [f"line {i}" for i in range(20_000)]
            broker.cli("produce", "t", input="".join(line + "\n" for line in lines))
            self.assertEqual(broker.stop(), 0)
            segment, = broker.data_dir.glob("topics/*/0/*.log")
            batches = [json.loads(line) for line in self.run_cli("log", "dump", segment, "-o", "jsonl").stdout.splitlines()]
            content = bytearray(segment.read_bytes())
            content[batches[1]["position"] + 65] ^= 4
            segment.write_bytes(content)
            damage, = self.verify(broker, expect=1)["damage"]
            self.run_cli("log", "repair", broker.data_dir, "t:0", "--drop", "{from}..{to}".format(**damage), "--yes-lose")
            self.assertTrue(self.verify(broker)["sound"])
            left = lines[:damage["from"]] + lines[damage["to"]:]
            for line in ("appended", "appended after a kill"):
                broker.start()
                broker.cli("produce", "t", input=line + "\n")
                left.append(line)
                self.assertEqual(broker.cli("consume", "t", "--from", "earliest", "--exit-at-end").stdout.splitlines(), left)
                broker.kill()

    def test_a_torn_tail_is_normal(self):
        with broker_process.Broker(BIN) as broker:
            broker.start()
            broker.cli("topic", "create", "t", "--partitions", 1)
            broker.cli("produce", "t", input="one\ntwo\n")
            broker.kill()
            log_file, = broker.data_dir.glob("topics/*/0/*.log")
            with open(log_file, "ab") as file:
                file.write(b"the beginning of a batch that was never acknowledged")
            found = self.verify(broker)
            self.assertEqual((found["sound"], found["damage"]), (True, []))
            torn, = found["torn"]
            self.assertTrue(str(log_file).endswith(torn["file"]))
            self.assertEqual(torn["bytes"], 52)
            broker.start()
            self.assertEqual(broker.cli("consume", "t", "--from", "earliest", "--exit-at-end").stdout, "one\ntwo\n")

    def test_files_that_are_none(self):
        self.run_cli("log", "dump", "/nonexistent", expect=NOT_FOUND)
        self.run_cli("log", "dump", __file__, expect=1)
        with tempfile.TemporaryDirectory() as directory:
            self.run_cli("log", "stat", directory, expect=NOT_FOUND)
            self.run_cli("log", "verify", directory, expect=NOT_FOUND)
            self.run_cli("log", "repair", directory, "t:0", "--drop", "0..1", "--yes-lose", expect=NOT_FOUND)
            self.assertEqual(os.listdir(directory), [])


if __name__ == "__main__":
    unittest.main()
