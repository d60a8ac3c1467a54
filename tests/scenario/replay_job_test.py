"""Replay jobs over kill -9: a detached job is killed with its broker again and again, and still copies every record exactly once.

Usage: replay_job_test.py BIN_DIR [SEED]
"""

import collections
import json
import random
import sys
import time

from broker_process import Broker

RECORDS = 6000
PARTITIONS = 3
KILLS = 4


def job(broker, number):
    return json.loads(broker.cli("replay", "show", number, "-o", "json").stdout)


def wait_until(broker, number, condition):
    """Looks until it holds; bounded by the time limit of the whole test."""
    while True:
        state = job(broker, number)
        if condition(state):
            return state
        if state["state"] not in ("running", "paused"):
            raise AssertionError(f"the job has ended: {state}")
        time.sleep(0.01)


def values(broker, topic):
    """Per key, in log order."""
    done = broker.cli("consume", topic, "--from", "earliest", "--exit-at-end", "-o", "jsonl", timeout=300)
    by_key = collections.defaultdict(list)
    for line in done.stdout.splitlines():
        record = json.loads(line)
        by_key[record["key"]].append((record["value"], record["timestamp_ms"], record["headers"]))
    return by_key


def check_same(broker, target):
    """Records of a key lie in one partition here and there, so their order must be kept as well."""
    wanted, copied = values(broker, "orders"), values(broker, target)
    if copied != wanted:
        for key in wanted:
            doubled = [value for value, count in collections.Counter(v[0] for v in copied[key]).items() if count > 1]
            lost = {v[0] for v in wanted[key]} - {v[0] for v in copied[key]}
            if doubled or lost:
                raise AssertionError(f"{target}, key {key}: doubled {doubled[:5]}, lost {sorted(lost)[:5]}")
        raise AssertionError(f"{target}: changed or out of order")


def killed_in_the_middle(broker, target, draw):
    number = int(broker.cli("replay", "orders", "--from", "earliest", "--into", target, "--rate", "3k/s", "--detach").stdout)
    for _ in range(KILLS):
        before = job(broker, number)["records"]
        wait_until(broker, number, lambda state: state["records"] >= min(RECORDS - 500, before + draw.randrange(1, 900)))
        broker.kill()
        broker.start()
    done = wait_until(broker, number, lambda state: state["state"] == "done")
    assert done["records"] == RECORDS, done
    check_same(broker, target)


def paused_and_resumed(broker):
    number = int(broker.cli("replay", "orders", "--from", "earliest", "--into", "paused", "--rate", "2k/s", "-d").stdout)
    wait_until(broker, number, lambda state: state["records"] > 0)
    broker.cli("replay", "pause", number)
    count = job(broker, number)["records"]
    assert broker.stop() == 0, broker.log_text()
    broker.start()
    assert job(broker, number)["state"] == "paused"
    assert job(broker, number)["records"] == count
    broker.cli("replay", "resume", number)
    wait_until(broker, number, lambda state: state["state"] == "done")
    check_same(broker, "paused")


def cancelled(broker):
    number = int(broker.cli("replay", "orders", "--from", "earliest", "--into", "cancelled", "--rate", "100/s", "-d").stdout)
    broker.cli("replay", "cancel", number)
    assert job(broker, number)["state"] == "cancelled"
    assert broker.cli("replay", "resume", number, check=False).returncode == 4
    listed = {entry["job"]: entry["state"] for entry in json.loads(broker.cli("replay", "ls", "-o", "json").stdout)}
    assert listed[number] == "cancelled", listed


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    with Broker(sys.argv[1]) as broker:
        broker.start()
        for topic, partitions in (("orders", PARTITIONS), ("same", PARTITIONS), ("spread", 5), ("paused", PARTITIONS), ("cancelled", 1)):
            broker.cli("topic", "create", topic, "--partitions", partitions)
        lines = "".join(f"k{i % 50}\t{i}\n" for i in range(RECORDS))
        broker.cli("produce", "orders", "--key-sep", "\\t", "-H", "kind=order", input=lines)
        killed_in_the_middle(broker, "same", draw)
        killed_in_the_middle(broker, "spread", draw)
        paused_and_resumed(broker)
        cancelled(broker)
        assert broker.stop() == 0, broker.log_text()
    print(f"{2 * KILLS} kills, {2 * RECORDS} records copied, 0 lost, 0 doubled, 0 out of order")


if __name__ == "__main__":
    main()
