"""Delay, schedule and dedup through the command line, over kill -9: everything acknowledged comes once, nothing early, nothing cancelled.

Usage: schedule_test.py BIN_DIR [SEED]
"""

import json
import random
import sys
import time

from broker_process import Broker

RECORDS = 120
KILLS = 3


def produce(broker, topic, text, *flags):
    done = broker.cli("produce", topic, *flags, "-o", "jsonl", input=text)
    return [json.loads(line) for line in done.stdout.splitlines()]


def totals(broker, topic, text, *flags):
    return json.loads(broker.cli("produce", topic, *flags, "-o", "json", input=text).stdout)


def waiting(broker, *flags):
    return json.loads(broker.cli("schedule", "ls", *flags, "-o", "json").stdout)


def values(broker, topic):
    done = broker.cli("consume", topic, "--from", "earliest", "--exit-at-end", "-o", "jsonl")
    return [json.loads(line)["value"] for line in done.stdout.splitlines()]


def wait_until(condition):
    """Looks until it holds; bounded by the time limit of the whole test."""
    while not condition():
        time.sleep(0.02)


def listed_and_cancelled(broker):
    broker.cli("topic", "create", "reminders", "--partitions", "1")
    (later,) = produce(broker, "reminders", "later\n", "--delay", "1h")
    (sooner,) = produce(broker, "reminders", "sooner\n", "--delay", "30m")
    (dated,) = produce(broker, "reminders", "dated\n", "--at", "2030-03-01T10:00Z")
    assert later["offset"] is None and dated["due_time"] == "2030-03-01T10:00:00.000Z", (later, dated)
    assert [entry["id"] for entry in waiting(broker)] == [sooner["scheduled"], later["scheduled"], dated["scheduled"]]
    assert waiting(broker, "--topic", "nothing") == []
    entry = waiting(broker, "--topic", "reminders", "-n", "1")[0]
    assert entry["topic"] == "reminders" and entry["partition"] == 0 and entry["state"] == "waiting", entry
    assert "sooner" not in values(broker, "reminders")

    broker.cli("schedule", "cancel", sooner["scheduled"])
    broker.kill()
    broker.start()
    assert [entry["id"] for entry in waiting(broker)] == [later["scheduled"], dated["scheduled"]]
    assert broker.cli("schedule", "cancel", sooner["scheduled"], check=False).returncode == 3
    assert broker.cli("schedule", "cancel", "nonsense", check=False).returncode == 2
    text = broker.cli("schedule", "ls").stdout
    assert later["scheduled"] in text and "reminders" in text, text
    for entry in waiting(broker):
        broker.cli("schedule", "cancel", entry["id"])


def refused(broker):
    for flags, word in ((("--delay", "soon"), "delay"), (("--delay", "600w"), "ten years"), (("--at", "2001-01-01T00:00Z"), "passed"),
                        (("--delay", "1m", "--at", "2030-01-01T00:00Z"), "exclude")):
        done = broker.cli("produce", "reminders", *flags, input="x\n", check=False)
        assert done.returncode != 0 and word in done.stderr, (flags, done)


def delivered_over_kills(broker, draw):
    broker.cli("topic", "create", "alarms", "--partitions", "3")
    sent = []
    for kill in range(KILLS):
        for _ in range(RECORDS // KILLS):
            value = f"r{len(sent)}"
            delay = draw.randrange(0, 3000)
            began = time.time()
            (answer,) = produce(broker, "alarms", f"{value}\n", "--delay", f"{delay}ms", "--partition", draw.randrange(3))
            sent.append((value, began + delay / 1000, answer))
        broker.kill()
        broker.start()
    wait_until(lambda: not waiting(broker))
    wait_until(lambda: len(values(broker, "alarms")) >= len(sent))
    assert sorted(values(broker, "alarms")) == sorted(value for value, _, _ in sent)


def not_early(broker):
    broker.cli("topic", "create", "timed", "--partitions", "1")
    for delay in (400, 800, 1200):
        began = time.time()
        value = f"after{delay}"
        produce(broker, "timed", value + "\n", "--delay", f"{delay}ms")
        wait_until(lambda: value in values(broker, "timed"))
        assert time.time() >= began + delay / 1000, f"{value} came early"


def topic_gone(broker):
    broker.cli("topic", "create", "doomed", "--partitions", "1")
    (answer,) = produce(broker, "doomed", "lost?\n", "--delay", "300ms")
    broker.cli("topic", "rm", "doomed", "-y")
    wait_until(lambda: any(entry["state"] == "failed" for entry in waiting(broker)))
    (entry,) = waiting(broker)
    assert entry["id"] == answer["scheduled"] and entry["reason"] == "unknown_topic", entry
    broker.cli("schedule", "cancel", entry["id"])
    assert waiting(broker) == []


def deduplicated(broker):
    broker.cli("topic", "create", "payments", "--partitions", "1")
    assert totals(broker, "payments", "a\n", "--dedup", "p-1")["duplicates"] == 0
    again = totals(broker, "payments", "b\n", "--dedup", "p-1")
    assert again["duplicates"] == 1 and again["failed"] == 0, again
    broker.kill()
    broker.start()
    (answer,) = produce(broker, "payments", "c\n", "--dedup", "p-1")
    assert answer["duplicate"] and answer["offset"] == 0, answer
    totals(broker, "payments", "d\n", "--dedup", "p-2")
    assert values(broker, "payments") == ["a", "d"]
    shown = json.loads(broker.cli("topic", "show", "payments", "-o", "json").stdout)
    assert shown["records"] == 2, shown


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(f"seed {seed}")
    with Broker(sys.argv[1]) as broker:
        broker.start()
        listed_and_cancelled(broker)
        refused(broker)
        not_early(broker)
        delivered_over_kills(broker, random.Random(seed))
        topic_gone(broker)
        deduplicated(broker)
        assert broker.stop() == 0, broker.log_text()


if __name__ == "__main__":
    main()
