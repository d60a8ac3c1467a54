#!/usr/bin/env python3
"""MirrorMaker 2 from one broker to another: records, partitions, settings and groups, over `kill -9` of both and of MirrorMaker.

Usage: KAFKA_HOME=FOLDER tests/interop/mirror_test.py BIN_DIR [unittest arguments]
"""

import ecosystem

RECORDS = 10_000
PARTITIONS = 3


class MirrorMaker(ecosystem.Ecosystem):
    def setUp(self):
        super().setUp()
        self.source, self.target = self.new_broker(), self.new_broker()
        self.source.cli("topic", "create", "orders", "--partitions", PARTITIONS, "--config", "max.message.bytes=2000000")
        every_second = {f"{what}.interval.seconds": 1 for what in ("refresh.topics", "refresh.groups", "sync.topic.configs", "emit.checkpoints",
                                                                  "sync.group.offsets", "emit.heartbeats")}
        settings = {
            "clusters": "home, away", "home.bootstrap.servers": self.source.kafka, "away.bootstrap.servers": self.target.kafka,
            "home->away.enabled": "true", "away->home.enabled": "false", "home->away.topics": "orders", "home->away.groups": "billing",
            "home->away.sync.group.offsets.enabled": "true", "away.exactly.once.source.support": "enabled",
            "dedicated.mode.enable.internal.rest": "true", "listeners": "http://127.0.0.1:0", "tasks.max": 2, "replication.factor": 1,
            "offset.lag.max": 10, "scheduled.rebalance.max.delay.ms": 0, "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000,
            "offset.flush.interval.ms": 500, "transaction.timeout.ms": 8000,
            **{f"{which}.storage.replication.factor": 1 for which in ("config", "offset", "status")},
            **{f"{which}.topic.replication.factor": 1 for which in ("checkpoints", "heartbeats", "offset-syncs")},
            **{f"home->away.{key}": value for key, value in every_second.items()}}
        self.mirror = self.new_program("mirror", "org.apache.kafka.connect.mirror.MirrorMaker", self.properties("mirror.properties", settings))

    def produce(self, first, end):
        lines = [f"key-{i % 100}\tvalue {i}" for i in range(first, end)]
        self.source.cli("produce", "orders", "-", "--key-sep", "\t", input="".join(line + "\n" for line in lines))

    def mirrored(self):
        return self.end(self.target, "home.orders")

    def arrived(self, count):
        """Whether so many records can be read at the target. Offsets are more: markers of transactions have some."""
        return self.mirrored() >= count and len(self.records(self.target, "home.orders")) >= count

    def contents(self, broker, topic):
        """What must be the same on both sides: keys, values and times of every partition, in their order."""
        found = {partition: [] for partition in range(PARTITIONS)}
        for record in self.records(broker, topic):
            found[record["partition"]].append((record["key"], record["value"], record["timestamp_ms"]))
        return found

    def lags(self, broker, topic):
        return {row["partition"]: row["lag"] for row in self.lag(broker, "billing") if row["topic"] == topic}

    def test_records_settings_and_groups_arrive_over_kill_9(self):
        self.mirror.start()
        self.produce(0, 3000)
        self.until(lambda: self.mirrored() > 500, "nothing is mirrored")
        self.tell(f"mirroring ({self.mirrored()})")
        self.produce(3000, 5000)
        self.restart_after_kill(self.target)
        before = self.mirrored()
        self.until(lambda: self.mirrored() > before, "mirroring does not go on after the target's restart")
        self.produce(5000, 7000)
        self.restart_after_kill(self.source)
        before = self.mirrored()
        self.produce(7000, 8000)
        self.until(lambda: self.mirrored() > before, "mirroring does not go on after the source's restart")
        self.mirror.kill()
        self.tell(f"MirrorMaker killed ({self.mirrored()})")
        self.produce(8000, RECORDS)
        self.mirror.start()
        self.until(lambda: self.arrived(RECORDS), "not every record is mirrored")
        self.tell("all is mirrored")
        self.assertEqual(self.contents(self.target, "home.orders"), self.contents(self.source, "orders"), self.said())
        self.assertEqual(self.config(self.target, "home.orders")["max.message.bytes"], "2000000")
        self.source.cli("topic", "alter", "orders", "max.message.bytes=3000000")
        self.until(lambda: self.config(self.target, "home.orders")["max.message.bytes"] == "3000000", "the topic's setting does not follow")
        self.source.cli("topic", "alter", "orders", "--partitions", PARTITIONS + 1)
        self.until(lambda: len(self.ends(self.target, "home.orders")) == PARTITIONS + 1, "the new partition does not follow")
        self.tell("settings follow")

    def test_a_group_goes_on_at_the_target_where_it_was(self):
        self.mirror.start()
        self.produce(0, 3000)
        self.until(lambda: self.arrived(3000), "not every record is mirrored")
        self.source.cli("consume", "orders", "-g", "billing", "--exit-at-end")
        self.produce(3000, 3300)
        self.until(lambda: self.arrived(3300), "not every record is mirrored")
        here = self.lags(self.source, "orders")
        self.assertEqual(sum(here.values()), 300)
        self.until(lambda: sum(self.lags(self.target, "home.orders").values() or [0]) >= 300, "the group's positions do not follow")
        # Checkpoints are translated through offset syncs, which come every few records: never ahead, little behind.
        there = self.lags(self.target, "home.orders")
        self.tell(f"group at home {here}, away {there}")
        self.assertEqual(sorted(there), sorted(here))
        self.assertTrue(all(there[partition] >= here[partition] for partition in here), f"{there}\n{self.said()}")


if __name__ == "__main__":
    ecosystem.run(["connect-mirror", "connect-mirror-client", "connect-runtime"])
