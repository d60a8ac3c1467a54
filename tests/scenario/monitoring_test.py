#!/usr/bin/env python3
"""The monitoring kit, and one truth about lag: what the command line, the REST interface and the metrics pages say of a group agrees to
the record. Usage: monitoring_test.py BIN_DIR. Exit 77: all else held, but promtool (Debian package prometheus) is not there."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import confluent_kafka
import redis

from broker_process import Broker

TOP = pathlib.Path(__file__).resolve().parents[2]
KIT = TOP / "monitoring"
BIN = None


def get(url):
    with urllib.request.urlopen(url, timeout=30) as reply:
        return reply.read().decode()


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.loads(reply.read())


def series(text):
    """name and labels -> value, of a page in Prometheus' text format."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"^(\w+)(?:\{(.*)\})? (\S+)$", line)
        if match:
            labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or "")))
            found[match.group(1), labels] = float(match.group(3))
    return found


def labelled(**labels):
    return tuple(sorted(labels.items()))


class Kit(unittest.TestCase):
    """The files of monitoring/ among themselves and against the page that names the metrics."""

    @classmethod
    def setUpClass(cls):
        cls.page = (TOP / "docs" / "OPERATIONS.md").read_text()
        cls.rules = (KIT / "alerts.yml").read_text()
        cls.dashboard = json.loads((KIT / "grafana" / "tidemark.json").read_text())
        table = cls.page.split("| metric | labels | type | meaning |")[1].split("\n\n")[0]
        cls.metrics = set(re.findall(r"`(tidemark_\w+)`", table))

    def used(self, text):
        return {re.sub(r"_bucket$", "", name) for name in re.findall(r"\btidemark_\w+", text)}

    def test_each_alert_has_a_section(self):
        alerts = re.findall(r"alert: (\w+)", self.rules)
        sections = re.findall(r"^### (Tidemark\w+)$", self.page, re.M)
        self.assertGreater(len(alerts), 10)
        self.assertEqual(alerts, sections)
        self.assertEqual([alert.lower() for alert in alerts], re.findall(r"runbook: docs/OPERATIONS.md#(\w+)", self.rules))

    def test_rules_use_metrics_that_there_are(self):
        expressions = re.sub(r"(summary|name|job_name|runbook):.*", "", self.rules)
        used = self.used(expressions)
        self.assertTrue(used)
        self.assertEqual(used - self.metrics, set())

    def test_the_dashboard_uses_metrics_that_there_are(self):
        expressions = [target["expr"] for panel in self.dashboard["panels"] for target in panel.get("targets", [])]
        variables = [variable["definition"] for variable in self.dashboard["templating"]["list"] if "definition" in variable]
        used = self.used("\n".join(expressions + variables))
        self.assertGreater(len(used), 15)
        self.assertEqual(used - self.metrics, set())
        ids = [panel["id"] for panel in self.dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))


class Promtool(unittest.TestCase):
    """What Prometheus' own tool says of the kit and of the pages."""

    @classmethod
    def setUpClass(cls):
        cls.promtool = shutil.which("promtool")

    def check(self, *arguments, **more):
        done = subprocess.run([self.promtool, "check", *arguments], capture_output=True, text=True, cwd=KIT, **more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_rules_and_configuration(self):
        self.assertIn("rules found", self.check("rules", "alerts.yml"))
        self.check("config", "prometheus.yml")

    def test_expressions_of_the_dashboard(self):
        dashboard = json.loads((KIT / "grafana" / "tidemark.json").read_text())
        rules = {"groups": [{"name": "dashboard", "rules": []}]}
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"].replace("$__rate_interval", "1m")
                rules["groups"][0]["rules"].append({"record": f"panel:{panel['id']}:{target['refId']}", "expr": expression})
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(rules, file)  # JSON is YAML.
            file.flush()
            self.check("rules", file.name)

    def test_pages(self):
        with Broker(BIN).start() as server:
            prepare(server)
            # Not /metrics/kafka: kafka_exporter's names are not as promtool would have them.
            for page in ("/metrics", "/metrics/partitions"):
                self.check("metrics", input=get(server.http + page))


def prepare(server):
    """Two topics; a stream group in the middle of one, a queue group with some of the other acknowledged."""
    server.cli("topic", "create", "orders", "--partitions", 3)
    server.cli("topic", "create", "jobs", "--partitions", 1)
    lines = "".join(f"{i}:{i}\n" for i in range(100))
    server.cli("produce", "orders", "--key-sep", ":", input=lines)
    server.cli("produce", "jobs", input="".join(f"{i}\n" for i in range(20)))
    server.cli("consume", "orders", "-g", "billing", "-n", 37)
    post(server.http + "/api/v1/groups", {"group": "workers", "kind": "queue", "topics": ["jobs"]})


class OneLag(unittest.TestCase):
    """How far groups of four kinds are: the command line, REST and both metrics pages say the same to the record."""

    GROUPS = {"billing": "orders", "workers": "jobs", "sink": "orders", "readers": "entries"}

    @classmethod
    def setUpClass(cls):
        cls.server = Broker(BIN, kafka="127.0.0.1:0", redis="127.0.0.1:0").start()
        cls.addClassCleanup(cls.server.close)
        prepare(cls.server)
        cls.kafka_group()
        cls.redis_group()
        cls.server.cli("consume", "jobs", "-g", "workers", "--queue", "-n", 4)

    @classmethod
    def kafka_group(cls):
        """Commits 23 of the 100 orders."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": cls.server.kafka, "group.id": "sink", "auto.offset.reset": "earliest",
                                             "enable.auto.commit": False})
        consumer.subscribe(["orders"])
        taken = 0
        while taken < 23:  # Bounded by the time limit of the whole test.
            message = consumer.poll(1)
            if message is not None and not message.error():
                consumer.commit(message, asynchronous=False)
                taken += 1
        consumer.close()

    @classmethod
    def redis_group(cls):
        """Ten entries: two acknowledged, three more handed out."""
        client = redis.Redis(port=cls.server.redis_port, decode_responses=True)
        for i in range(10):
            client.xadd("entries", {"n": i})
        client.xgroup_create("entries", "readers", id="0")
        ((_, entries),) = client.xreadgroup("readers", "r1", {"entries": ">"}, count=5)
        assert client.xack("entries", "readers", entries[0][0], entries[1][0]) == 2
        client.close()

    def test_rows_totals_and_metrics_agree(self):
        metrics = series(get(self.server.http + "/metrics"))
        partitions = series(get(self.server.http + "/metrics/partitions"))
        kafka = series(get(self.server.http + "/metrics/kafka"))
        expected = {"billing": 63, "workers": 16, "sink": 77, "readers": 8}
        for group, topic in self.GROUPS.items():
            with self.subTest(group):
                command_line = json.loads(self.server.cli("group", "lag", group, "-o", "json").stdout)
                rest = json.loads(get(self.server.http + f"/api/v1/groups/{group}/lag"))
                keys = ["group", "topic", "partition", "floor", "end", "lag", "member"]
                keys += [key for key in ("waiting", "in_flight", "retrying") if key in command_line[0]]
                self.assertEqual([{key: row[key] for key in keys} for row in rest], [{key: row[key] for key in keys} for row in command_line])
                # Partitions without a commit have no lag, and no series.
                known = [row for row in command_line if row["lag"] is not None]
                total = sum(row["lag"] for row in known)
                self.assertEqual(total, self.expected_lag(group, expected[group], known))
                self.assertEqual(metrics["tidemark_group_lag_records", labelled(group=group, topic=topic)], total)
                for row in known:
                    place = {"topic": topic, "partition": str(row["partition"])}
                    self.assertEqual(partitions["tidemark_group_partition_lag_records", labelled(group=group, **place)], row["lag"])
                    if group in ("billing", "sink"):  # Kafka's tools know stream groups only.
                        self.assertEqual(kafka["kafka_consumergroup_lag", labelled(consumergroup=group, **place)], row["lag"])
                for value in (json.loads(self.server.cli("group", "show", group, "-o", "json").stdout),
                              json.loads(get(self.server.http + f"/api/v1/groups/{group}"))):
                    self.assertEqual(value["lag"], total)
        readers = json.loads(get(self.server.http + "/api/v1/groups/readers"))
        self.assertEqual((readers["protocol"], readers["waiting"], readers["in_flight"]), ("redis", 5, 3))
        self.assertEqual(json.loads(get(self.server.http + "/api/v1/groups/sink"))["kind"], "stream")

    def expected_lag(self, group, all_partitions, known):
        """Of a stream group, less what lies in partitions that it has not committed in yet."""
        if group in ("workers", "readers"):
            return all_partitions
        places = {row["partition"] for row in known}
        topic = json.loads(get(self.server.http + "/api/v1/topics/orders"))
        return all_partitions - sum(part["end"] for part in topic["partition_list"] if part["partition"] not in places)


class OneTruth(unittest.TestCase):
    """A stand-still, looked at from all sides."""

    def setUp(self):
        self.server = Broker(BIN).start()
        self.addCleanup(self.server.close)
        prepare(self.server)

    def test_lag_agrees_to_the_record(self):
        command_line = json.loads(self.server.cli("group", "lag", "billing", "-o", "json").stdout)
        rest = json.loads(get(self.server.http + "/api/v1/groups/billing/lag"))
        keys = ("group", "topic", "partition", "floor", "end", "lag", "member")
        self.assertEqual([{key: row[key] for key in keys} for row in rest], [{key: row[key] for key in keys} for row in command_line])
        known = [row for row in command_line if row["lag"] is not None]
        total = sum(row["lag"] for row in known)
        self.assertGreater(total, 0)
        self.assertEqual(sum(row["floor"] for row in known), 37)

        metrics = series(get(self.server.http + "/metrics"))
        self.assertEqual(metrics["tidemark_group_lag_records", labelled(group="billing", topic="orders")], total)
        partitions = series(get(self.server.http + "/metrics/partitions"))
        kafka = series(get(self.server.http + "/metrics/kafka"))
        for row in known:
            place = {"topic": "orders", "partition": str(row["partition"])}
            self.assertEqual(partitions["tidemark_group_partition_lag_records", labelled(group="billing", **place)], row["lag"])
            self.assertEqual(kafka["kafka_consumergroup_lag", labelled(consumergroup="billing", **place)], row["lag"])
        shown = json.loads(self.server.cli("group", "show", "billing", "-o", "json").stdout)
        self.assertEqual(shown["lag"], total)
        self.assertEqual(json.loads(get(self.server.http + "/api/v1/groups/billing"))["lag"], total)

    def test_a_queue_group_is_there_too(self):
        rest = json.loads(get(self.server.http + "/api/v1/groups/workers/lag"))
        self.assertEqual([(row["kind"], row["lag"], row["waiting"]) for row in rest], [("queue", 20, 20)])
        metrics = series(get(self.server.http + "/metrics"))
        self.assertEqual(metrics["tidemark_group_lag_records", labelled(group="workers", topic="jobs")], 20)

    def test_one_verdict_is_1(self):
        metrics = series(get(self.server.http + "/metrics"))
        verdicts = {dict(labels)["status"]: value for (name, labels), value in metrics.items()
                    if name == "tidemark_group_status" and dict(labels)["group"] == "billing"}
        self.assertEqual(len(verdicts), 8)
        self.assertEqual(sum(verdicts.values()), 1)
        said = json.loads(get(self.server.http + "/api/v1/groups/billing"))["verdict"]
        self.assertEqual(verdicts[said], 1)

    def test_what_rest_moves_the_command_line_shows(self):
        plan = post(self.server.http + "/api/v1/groups/billing/seek", {"to": "latest"})
        self.assertFalse(plan["executed"])
        done = post(self.server.http + "/api/v1/groups/billing/seek", {"to": "latest", "execute": True})
        self.assertTrue(done["executed"])
        self.assertEqual([row["to"] for row in plan["rows"]], [row["to"] for row in done["rows"]])
        rows = json.loads(self.server.cli("group", "lag", "billing", "-o", "json").stdout)
        self.assertEqual({row["lag"] for row in rows}, {0})
        history = json.loads(self.server.cli("group", "history", "billing", "-o", "json").stdout)
        self.assertEqual(history, json.loads(get(self.server.http + "/api/v1/groups/billing/history")))

    def test_topics_are_shown_alike(self):
        command_line = json.loads(self.server.cli("topic", "show", "orders", "-o", "json").stdout)
        rest = json.loads(get(self.server.http + "/api/v1/topics/orders"))
        for key in ("name", "id", "partitions", "records", "durability", "entry_id", "created_time", "created_ms", "config", "groups"):
            self.assertEqual(rest[key], command_line[key], key)
        status = json.loads(self.server.cli("status", "-o", "json").stdout)
        self.assertEqual(set(json.loads(get(self.server.http + "/api/v1/status"))), set(status))

    def test_history_is_there_after_a_restart(self):
        self.server.cli("group", "lag", "billing")
        before = json.loads(get(self.server.http + "/api/v1/groups/billing/lag/history"))
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        after = json.loads(get(self.server.http + "/api/v1/groups/billing/lag/history"))
        self.assertEqual(after[: len(before)], before)

    def test_refusals_are_problems(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            get(self.server.http + "/api/v1/topics/nothing")
        self.assertEqual(refused.exception.code, 404)
        self.assertEqual(refused.exception.headers["Content-Type"], "application/problem+json")
        self.assertEqual(json.loads(refused.exception.read())["code"], "unknown_topic")


def main():
    global BIN
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BIN = pathlib.Path(sys.argv[1]).resolve()
    cases = [Kit, OneLag, OneTruth] + ([Promtool] if shutil.which("promtool") else [])
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(case) for case in cases)
    good = unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful()
    if good and Promtool not in cases:
        print("all else held, but promtool (Debian package prometheus) is not there")
        sys.exit(77)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
