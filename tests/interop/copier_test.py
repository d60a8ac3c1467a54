#!/usr/bin/env python3
"""The transactional copier of Kafka's own system tests: consume, copy, commit the offsets in the transaction, with random aborts.

Usage: KAFKA_HOME=FOLDER tests/interop/copier_test.py BIN_DIR [unittest arguments]
"""

import ecosystem

RECORDS = 5000  # In each of the two partitions.
PARTITIONS = 2


class Copier(ecosystem.Ecosystem):
    def setUp(self):
        super().setUp()
        self.broker = self.new_broker()
        for topic in ("input", "output"):  # A copier writes into the partition of the same number.
            self.broker.cli("topic", "create", topic, "--partitions", PARTITIONS)
        for partition in range(PARTITIONS):
            lines = "".join(f"{partition} {i}\n" for i in range(RECORDS))
            self.broker.cli("produce", "input", "-", "--partition", partition, input=lines)
        self.copiers = [self.new_program(f"copier-{partition}", "org.apache.kafka.tools.TransactionalMessageCopier",
                                         "--broker-list", self.broker.kafka, "--input-topic", "input", "--input-partition", partition,
                                         "--output-topic", "output", "--transactional-id", f"copier-{partition}", "--consumer-group", "copiers",
                                         "--transaction-size", 50, "--transaction-timeout", 8000, "--enable-random-aborts", "--use-group-metadata")
                        for partition in range(PARTITIONS)]

    def output(self):
        return self.end(self.broker, "output")

    def test_every_record_is_copied_once_and_in_order_over_kill_9(self):
        first, second = self.copiers
        first.start()
        second.start()
        for more in (500, 2000):
            self.until(lambda: self.output() > more, "nothing is copied")
            self.restart_after_kill(self.broker)
        first.kill()
        self.tell(f"a copier killed ({self.output()})")
        first.start()
        self.programs.clear()  # From now on they may end.
        for copier in self.copiers:
            self.assertTrue(copier.ended_within(ecosystem.PATIENCE), copier.tail())
            self.assertEqual(copier.process.returncode, 0, f"{copier.tail()}\n{self.said()}")
        self.tell("all is copied")
        self.assertEqual([record["value"] for record in self.records(self.broker, "output")],
                         [f"{partition} {i}" for partition in range(PARTITIONS) for i in range(RECORDS)], self.said())
        self.assertGreater(self.output(), PARTITIONS * RECORDS + 100)  # Transactions there were: each has a marker.
        self.assertEqual({row["floor"] for row in self.lag(self.broker, "copiers")}, {RECORDS})


if __name__ == "__main__":
    ecosystem.run(["kafka-tools", "argparse4j"])
