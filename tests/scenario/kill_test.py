"""kill -9 in the middle of producing, again and again; nothing that was acknowledged may be lost, changed or doubled.

Acknowledgements are kept by this process, not by the broker. The kill falls after the n-th acknowledgement, n drawn at random, so no
clock decides anything. Usage: kill_test.py BIN_DIR [ROUNDS] [SEED]
"""

import json
import random
import subprocess
import sys

from broker_process import Broker

PARTITIONS = 4


def value_of(number):
    return f"record-{number}" + "x" * (number % 700)


def run_round(broker, topic, first_number, acks_wanted):
    """Produces until the broker has acknowledged so many, kills it, and returns (partition, offset, number) of all acknowledgements."""
    producer = subprocess.Popen([broker.bin_dir / "ledger_producer", broker.server, topic, str(first_number), str(PARTITIONS)],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    ledger = []
    for line in producer.stdout:
        ledger.append(tuple(map(int, line.split())))
        if len(ledger) == acks_wanted:
            broker.kill()
            producer.kill()
    producer.wait()
    return ledger


def check(broker, topic, ledger):
    """Everything the ledger holds is in the log, where it was promised, once."""
    stored = {}
    done = broker.cli("consume", topic, "--from", "earliest", "--exit-at-end", "-o", "jsonl", timeout=300)
    numbers = set()
    for line in done.stdout.splitlines():
        record = json.loads(line)
        stored[record["partition"], record["offset"]] = record["value"]
        number = int(record["value"].split("x")[0].removeprefix("record-"))
        if number in numbers:
            raise AssertionError(f"record {number} is stored twice")
        numbers.add(number)
        if record["value"] != value_of(number):
            raise AssertionError(f"record {number} was changed")
    for partition, offset, number in ledger:
        found = stored.get((partition, offset))
        if found != value_of(number):
            raise AssertionError(f"acknowledged record {number} at {partition}:{offset} is {'gone' if found is None else 'another'}")
    last = {}
    for (partition, offset), value in sorted(stored.items()):
        number = int(value.split("x")[0].removeprefix("record-"))
        if last.get(partition, -1) >= number:
            raise AssertionError(f"partition {partition}: record {number} at {offset} comes after a later one")
        last[partition] = number
    return len(stored)


def main():
    bin_dir = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}, {rounds} rounds")
    draw = random.Random(seed)
    with Broker(bin_dir) as broker:
        broker.start()
        broker.cli("topic", "create", "ledger", "--partitions", PARTITIONS, "--config", "segment.bytes=256KiB")
        ledger = []
        for number in range(rounds):
            # Numbers of one round never come again, so a record stored without an acknowledgement is told from a repeat.
            acks = run_round(broker, "ledger", number * 10_000_000, draw.randrange(1, 3000))
            ledger += acks
            broker.start()
            stored = check(broker, "ledger", ledger)
            broker.cli("log", "verify", broker.data_dir)
            print(f"round {number + 1}: {len(acks)} acknowledged, {len(ledger)} in the ledger, {stored} stored")
        assert broker.stop() == 0, broker.log_text()
    print(f"{rounds} kills, {len(ledger)} acknowledged records, 0 lost, 0 changed, 0 doubled, 0 reordered")


if __name__ == "__main__":
    main()
