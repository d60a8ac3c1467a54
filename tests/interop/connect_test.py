#!/usr/bin/env python3
"""Kafka Connect, standalone and distributed: lines of a file into a topic and from there into another file, over `kill -9`.

Usage: KAFKA_HOME=FOLDER tests/interop/connect_test.py BIN_DIR [unittest arguments]
"""

import collections
import json
import re

import ecosystem

LINES = [f"line {i}" for i in range(10_000)]
STRINGS = {side: "org.apache.kafka.connect.storage.StringConverter" for side in ("key.converter", "value.converter")}


class Connect(ecosystem.Ecosystem):
    def setUp(self):
        super().setUp()
        self.broker = self.new_broker()
        self.broker.cli("topic", "create", "lines", "--partitions", 1)
        self.source_file, self.sink_file = self.scratch / "source.txt", self.scratch / "sink.txt"
        self.source_file.touch()
        self.source = {"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": 1, "topic": "lines",
                       "file": self.source_file, "batch.size": 100}
        self.sink = {"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": 1, "topics": "lines",
                     "file": self.sink_file}

    def worker_settings(self):
        return {"bootstrap.servers": self.broker.kafka, **STRINGS, "plugin.path": ecosystem.JARS.find("connect-file"),
                "listeners": "http://127.0.0.1:0", "offset.flush.interval.ms": 500, "plugin.discovery": "hybrid_warn",
                "consumer.session.timeout.ms": 6000, "consumer.heartbeat.interval.ms": 1000,
                # The default gives the lines at least once; so they come once over the broker's restart.
                "producer.enable.idempotence": "true"}

    def append(self, lines):
        with open(self.source_file, "a", encoding="utf-8") as out:
            out.write("".join(line + "\n" for line in lines))

    def sunk(self):
        return self.sink_file.read_text().splitlines() if self.sink_file.exists() else []

    def check_sunk(self):
        """A sink's task gives every line at least once; first comings are in order."""
        found = self.sunk()
        self.assertEqual(list(dict.fromkeys(found)), LINES, self.said())
        self.tell(f"{len(found)} lines in the sink, {len(found) - len(LINES)} of them again")


class Standalone(Connect):
    def test_a_file_becomes_a_topic_and_a_file_again_over_kill_9_of_the_broker(self):
        worker = self.properties("worker.properties", {**self.worker_settings(), "offset.storage.file.filename": self.scratch / "offsets"})
        source = self.properties("source.properties", {"name": "source", **self.source})
        sink = self.properties("sink.properties", {"name": "sink", **self.sink})
        connect = self.new_program("connect", "org.apache.kafka.connect.cli.ConnectStandalone", worker, source, sink).start()
        self.append(LINES[:5000])
        self.until(lambda: len(self.sunk()) > 500, "nothing comes to the sink")
        self.tell(f"{len(self.sunk())} lines in the sink")
        self.append(LINES[5000:8000])
        self.restart_after_kill(self.broker)
        self.append(LINES[8000:])
        self.until(lambda: set(self.sunk()) == set(LINES), "not every line comes to the sink")
        self.assertEqual([each["value"] for each in self.records(self.broker, "lines")], LINES, self.said())
        self.check_sunk()
        connect.stop()


class Distributed(Connect):
    BOTH = {"source": ["RUNNING"] * 2, "sink": ["RUNNING"] * 2}

    def setUp(self):
        super().setUp()
        worker = self.properties("worker.properties", {
            **self.worker_settings(), "group.id": "workers", "exactly.once.source.support": "enabled", "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1000, "scheduled.rebalance.max.delay.ms": 0, "transaction.timeout.ms": 8000,
            **{f"{what}.storage.{key}": value for what in ("config", "offset", "status")
               for key, value in (("topic", f"connect-{what}"), ("replication.factor", 1))}})
        self.connect = self.new_program("connect", "org.apache.kafka.connect.cli.ConnectDistributed", worker)

    def rest(self, method, path, body=None):
        """As ask(), of the worker that runs now."""
        listening = re.findall(r"REST server listening at (\S+)/,", self.connect.text())
        return self.ask(method, f"{listening[-1]}/connectors{path}", body) if listening else None

    def asked(self, method, path, what):
        """A request that the worker takes in the end: it refuses some while it rebalances, or while tasks stop."""
        self.until(lambda: self.rest(method, path) is not None, what)

    def states(self):
        """{connector: states of itself and its tasks}."""
        found = collections.defaultdict(list)
        for name in self.rest("GET", "") or []:
            status = self.rest("GET", f"/{name}/status")
            found[name] = [each["state"] for each in (status["connector"], *status["tasks"])] if status else []
        return found

    def run_both(self):
        self.connect.start()
        self.until(lambda: self.rest("GET", "") == [], "the worker does not come up")
        for name, settings in (("source", self.source), ("sink", self.sink)):
            body = {"name": name, "config": {key: str(value) for key, value in settings.items()}}
            self.until(lambda: self.rest("POST", "", body) or name in (self.rest("GET", "") or []), f"{name} is not taken")
        self.until(lambda: self.states() == self.BOTH, "the connectors do not run")

    def test_an_exactly_once_source_over_kill_9_of_the_broker_and_of_the_worker(self):
        self.run_both()
        self.append(LINES[:4000])
        self.until(lambda: len(self.sunk()) > 500, "nothing comes to the sink")
        self.tell(f"{len(self.sunk())} lines in the sink")
        self.append(LINES[4000:6000])
        self.restart_after_kill(self.broker)
        self.until(lambda: set(self.sunk()) == set(LINES[:6000]), "the lines do not go on after the broker's restart")
        self.append(LINES[6000:8000])
        self.until(lambda: len(set(self.sunk())) > 6500, "the lines do not go on")
        self.connect.kill()
        self.tell(f"worker killed with {len(self.sunk())} lines in the sink")
        self.append(LINES[8000:])
        self.connect.start()
        self.until(lambda: self.states() == self.BOTH, "the connectors do not run again: their configurations are in a topic")
        self.until(lambda: set(self.sunk()) == set(LINES), "not every line comes to the sink")
        self.assertEqual([each["value"] for each in self.records(self.broker, "lines")], LINES, self.said())
        self.check_sunk()
        for topic in ("connect-config", "connect-offset", "connect-status"):
            self.assertEqual(self.config(self.broker, topic)["cleanup.policy"], "compact")
        self.connect.stop()

    def test_positions_of_connectors_are_shown_and_taken_back(self):
        few = LINES[:500]
        self.append(few)
        self.run_both()
        self.until(lambda: len(self.sunk()) == len(few), "not every line comes to the sink")
        for connector in ("source", "sink"):
            self.asked("PUT", f"/{connector}/stop", f"{connector} does not stop")
        self.until(lambda: self.states() == {"source": ["STOPPED"], "sink": ["STOPPED"]}, "the connectors do not stop")
        bytes_read = sum(len(line) + 1 for line in few)
        self.assertEqual([each["offset"] for each in self.rest("GET", "/source/offsets")["offsets"]], [{"position": bytes_read}], self.said())
        self.assertEqual([each["offset"] for each in self.rest("GET", "/sink/offsets")["offsets"]], [{"kafka_offset": self.records(self.broker, "lines")[-1]["offset"] + 1}], self.said())
        self.tell("positions are shown")
        # The sink reads the topic again; then the source reads its file again, and the sink what that makes.
        for connector, lines in (("sink", 2 * few), ("source", 3 * few)):
            self.asked("DELETE", f"/{connector}/offsets", f"the positions of {connector} are not taken back")
            self.asked("PUT", f"/{connector}/resume", f"{connector} does not go on")
            self.until(lambda: len(self.sunk()) >= len(lines), f"the lines do not come again through {connector}")
            self.assertEqual(self.sunk(), lines, self.said())
            self.tell(f"{connector} began again")
        self.assertEqual([each["value"] for each in self.records(self.broker, "lines")], 2 * few, self.said())
        self.connect.stop()


if __name__ == "__main__":
    ecosystem.run(["connect-runtime", "connect-file", "connect-json"])
