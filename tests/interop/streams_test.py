#!/usr/bin/env python3
"""Kafka Streams with exactly_once_v2: a word count over `kill -9` of the broker and of the application.

Usage: KAFKA_HOME=FOLDER tests/interop/streams_test.py BIN_DIR [unittest arguments]
"""

import collections
import random
import shutil
import signal

import ecosystem
from kafka_tools import KafkaTools

LINES = 10_000
WORDS = [f"word-{i}" for i in range(200)]
SEED = 8


class WordCount(ecosystem.Ecosystem):
    def setUp(self):
        super().setUp()
        self.broker = self.new_broker()
        self.broker.cli("topic", "create", "lines", "--partitions", 3)
        self.broker.cli("topic", "create", "counts", "--partitions", 3)
        settings = self.properties("streams.properties", {
            "bootstrap.servers": self.broker.kafka, "application.id": "word-count", "processing.guarantee": "exactly_once_v2",
            "state.dir": self.scratch / "state", "num.stream.threads": 2, "commit.interval.ms": 100,
            # Every count is sent on, none is swallowed by a newer one: what is missing or double can be seen.
            "statestore.cache.max.bytes": 0,
            # Soon rid of a member that was killed, and of its transaction.
            "consumer.session.timeout.ms": 6000, "consumer.heartbeat.interval.ms": 1000, "producer.transaction.timeout.ms": 8000})
        classes = self.scratch / "classes"
        self.streams = self.new_program("streams", "WordCount", settings, class_path=ecosystem.JARS.compile("WordCount.java", classes))

    def produce(self, lines):
        self.broker.cli("produce", "lines", "-", input="".join(line + "\n" for line in lines))

    def counted(self):
        return self.end(self.broker, "counts")

    def test_every_word_is_counted_once_over_kill_9_of_broker_and_application(self):
        chance = random.Random(SEED)
        lines = [" ".join(chance.choices(WORDS, k=5)) for _ in range(LINES)]
        expected = collections.Counter(word for line in lines for word in line.split())
        self.streams.start()
        for part in range(3):
            before = self.counted()
            self.produce(lines[2500 * part:2500 * (part + 1)])
            self.until(lambda: self.counted() > before + 1000, "the words are not counted")
            self.tell(f"counting ({self.counted()})")
            self.restart_after_kill(self.broker)
        before = self.counted()
        self.produce(lines[7500:])
        self.until(lambda: self.counted() > before + 1000, "counting does not go on after the broker's restart")
        self.streams.kill()
        self.tell(f"application killed ({self.counted()})")
        self.streams.start()
        self.until(lambda: self.all_counted(sum(expected.values())), "not every word is counted")
        self.tell("all is counted")
        found = self.values_by_key(self.broker, "counts")
        self.assertEqual({word: [int(value) for value in values] for word, values in found.items()},
                         {word: list(range(1, count + 1)) for word, count in expected.items()}, self.said())
        self.until(lambda: self.lags() == {0}, "the positions are not committed")
        self.assertEqual(self.config(self.broker, "word-count-totals-changelog")["cleanup.policy"], "compact")
        self.assertEqual(self.config(self.broker, "word-count-words-repartition")["cleanup.policy"], "delete")
        self.stop()

    def stop(self):
        status = self.streams.stop()
        self.assertIn("\nclosed\n", self.streams.text(), f"exit {status}\n{self.said()}")

    def test_an_application_that_stood_still_for_too_long_is_fenced_and_joins_again(self):
        # As in a long pause for garbage, or a suspended machine: its transactions time out, its group goes on without it.
        lines = [" ".join(WORDS[i % 7:i % 7 + 5]) for i in range(4000)]
        expected = collections.Counter(word for line in lines for word in line.split())
        self.streams.start()
        self.produce(lines)
        self.until(lambda: self.counted() > 1000, "nothing is counted")
        self.streams.process.send_signal(signal.SIGSTOP)
        self.until(lambda: "was open for too long: aborted" in self.broker.log_text(), "no transaction was open")
        self.streams.process.send_signal(signal.SIGCONT)
        self.tell("suspended, its transaction aborted, and resumed")
        self.until(lambda: self.all_counted(sum(expected.values())), "counting does not go on")
        self.assertEqual({word: [int(value) for value in values] for word, values in self.values_by_key(self.broker, "counts").items()},
                         {word: list(range(1, count + 1)) for word, count in expected.items()}, self.said())
        self.stop()

    def test_an_application_that_was_reset_counts_from_the_beginning(self):
        lines = [" ".join(WORDS[i % 7:i % 7 + 5]) for i in range(500)]
        expected = collections.Counter(word for line in lines for word in line.split())
        self.produce(lines)
        self.streams.start()
        self.until(lambda: self.all_counted(sum(expected.values())), "not every word is counted")
        self.until(lambda: self.lags() == {0}, "the positions are not committed")
        self.stop()
        tools = KafkaTools(ecosystem.JARS.home)
        done = tools.run("kafka-streams-application-reset", "--bootstrap-server", self.broker.kafka, "--application-id", "word-count",
                         "--input-topics", "lines", "--force")
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}\n{self.said()}")
        self.assertEqual([self.ends(self.broker, f"word-count-{what}") for what in ("totals-changelog", "words-repartition")], [{}, {}], done.stdout)
        shutil.rmtree(self.scratch / "state")
        self.streams.start()
        self.until(lambda: self.all_counted(2 * sum(expected.values())), "the words are not counted again")
        self.assertEqual({word: [int(value) for value in values] for word, values in self.values_by_key(self.broker, "counts").items()},
                         {word: 2 * list(range(1, count + 1)) for word, count in expected.items()}, self.said())
        self.stop()

    def all_counted(self, words):
        """Offsets are more than counts: markers of transactions and what was aborted have some."""
        return self.counted() >= words and len(self.records(self.broker, "counts")) >= words

    def lags(self):
        return {row["lag"] for row in self.lag(self.broker, "word-count") if row["topic"] == "lines"}


if __name__ == "__main__":
    ecosystem.run(["kafka-streams", "rocksdbjni", "kafka-tools"])
