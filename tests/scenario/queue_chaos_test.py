"""Eight workers of a key-ordered queue group are killed, stopped and started at random under load, and the broker is killed too. Every record is
processed, none after its acknowledgement was confirmed, the records of one key in order, and the group's counts are right at the end.

What was acknowledged to the producer, and confirmed to the workers, is kept by this process. Events fall after so many further records were
processed, drawn at random, so no clock decides anything. Usage: queue_chaos_test.py BIN_DIR [EVENTS] [SEED]
"""

import collections
import json
import queue
import random
import subprocess
import sys
import threading

from broker_process import Broker

PARTITIONS = 4
KEYS = 96  # A multiple of PARTITIONS: the records of a key are in one partition.
WORKERS = 8
BROKER_KILLS = 2
AHEAD = 2000  # Records acknowledged and not yet processed: the producer waits beyond.
PATIENCE = 180  # Seconds without a single line mean that something hangs.


class Worker:
    def __init__(self, name, broker, lines):
        self.name = name
        self.said = []  # (time, kind, numbers)
        self.process = subprocess.Popen([broker.bin_dir / "queue_worker", broker.server, "load", "workers", name], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.read, args=(lines,), daemon=True).start()

    def read(self, lines):
        for line in self.process.stdout:
            if line.endswith("\n"):  # A kill may cut the last one.
                kind, *numbers, time = line.split()
                lines.put((self, kind, [int(n) for n in numbers], int(time)))
        lines.put((self, "gone", [], 0))


class Recorder:
    """What was processed and confirmed, and whether it should have been."""

    def __init__(self):
        self.numbers = {}  # (partition, offset) -> number
        self.keys = {}  # (partition, offset) -> key
        self.processed = collections.defaultdict(list)  # (partition, offset) -> [(time, worker)]
        self.confirmed = collections.defaultdict(list)
        self.refused = set()  # (place, worker)

    def take(self, worker, kind, numbers, time):
        place = tuple(numbers[:2])
        if kind == "R":
            number, key = numbers[2:4]
            if self.numbers.setdefault(place, number) != number:
                raise AssertionError(f"{place} was record {self.numbers[place]} and is now record {number}")
            self.keys[place] = key
            self.processed[place].append((time, worker))
        elif kind == "K":
            self.confirmed[place].append((time, worker))
        elif kind == "F":
            self.refused.add((place, worker))

    def check(self, acked):
        for place, number in acked.items():
            if self.numbers[place] != number:
                raise AssertionError(f"{place} was acknowledged as record {number} and processed as {self.numbers[place]}")
        # A worker that has lost a record without knowing it yet may go on with it: the group refuses what it has to say, and that is how
        # it is told apart.
        times = {place: [time for time, worker in all_times if (place, worker) not in self.refused]
                 for place, all_times in self.processed.items()}
        for place, confirmations in self.confirmed.items():
            if len(confirmations) > 1:
                raise AssertionError(f"{place} was acknowledged by {[worker.name for _, worker in confirmations]}")
            if any(time > confirmations[0][0] for time in times[place]):
                raise AssertionError(f"{place} was processed again after its acknowledgement had been confirmed")
        self.check_order(times)

    def check_order(self, times):
        """Of one key, a record is handed out when the one before it is done: after it, none of those before is seen again."""
        by_key = collections.defaultdict(list)
        for (partition, offset), at in times.items():
            by_key[partition, self.keys[partition, offset]] += [(time, offset) for time in at]
        for (partition, key), seen in by_key.items():
            offsets = [offset for _, offset in sorted(seen)]
            if offsets != sorted(offsets):
                raise AssertionError(f"key {key} in partition {partition} was processed in this order: {offsets}")


class Chaos:
    def __init__(self, broker, draw):
        self.broker = broker
        self.draw = draw
        self.lines = queue.Queue()
        self.workers = []
        self.started = 0
        self.recorder = Recorder()
        self.acked = {}
        self.credits = threading.Semaphore(AHEAD)
        self.counts = collections.Counter()
        self.last_place = ()  # That a line was about.

    def start_worker(self):
        self.started += 1
        self.workers.append(Worker(f"worker-{self.started}", self.broker, self.lines))

    def start_producer(self):
        self.producer = subprocess.Popen([self.broker.bin_dir / "ledger_producer", self.broker.server, "load", "0", str(PARTITIONS), str(KEYS)],
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

        def read():
            for line in self.producer.stdout:
                if line.endswith("\n"):
                    partition, offset, number = map(int, line.split())
                    self.acked[partition, offset] = number
                self.credits.acquire()

        self.producer_thread = threading.Thread(target=read, daemon=True)
        self.producer_thread.start()

    def take_line(self):
        worker, kind, numbers, time = self.lines.get(timeout=PATIENCE)
        if kind == "R" and tuple(numbers[:2]) not in self.recorder.processed:
            self.credits.release()
        if kind == "gone" and worker in self.workers:
            raise AssertionError(f"{worker.name} ended by itself, exit {worker.process.wait()}")
        worker.said.append(kind)
        self.last_place = tuple(numbers[:2])
        self.recorder.take(worker, kind, numbers, time)
        return kind

    def take_records(self, count):
        while count > 0:
            count -= self.take_line() == "R"

    def stop(self, worker):
        """In good order."""
        self.workers.remove(worker)
        worker.process.terminate()
        while not worker.said or worker.said[-1] != "gone":
            self.take_line()
        assert worker.process.wait() == 0, f"{worker.name} did not close well"

    def event(self, broker_dies):
        if broker_dies:
            self.broker.kill()
            self.broker.start()
            self.counts["kills of the broker"] += 1
            return
        what = self.draw.choice(["kill", "kill", "stop", "start", "start", "start"])
        if what == "start" and len(self.workers) < WORKERS:
            self.start_worker()
            self.counts["workers started"] += 1
        elif len(self.workers) > 3:
            worker = self.draw.choice(self.workers)
            if what == "stop":
                self.stop(worker)
                self.counts["workers stopped"] += 1
            else:
                self.workers.remove(worker)
                worker.process.kill()
                self.counts["workers killed"] += 1

    def group(self):
        return json.loads(self.broker.cli("group", "show", "workers", "-o", "json").stdout)

    def drain(self):
        """The producer ends; what it was promised is processed, and what is in the topic besides is, too."""
        self.producer.kill()
        while self.producer_thread.is_alive():
            self.credits.release()
            self.producer_thread.join(0.01)
        missing = self.acked.keys() - self.recorder.processed.keys()
        while missing:
            self.take_line()
            missing.discard(self.last_place)
        while sum(self.group()[state] for state in ("waiting", "in_flight", "retrying", "delayed")) > 0:
            while not self.lines.empty():
                self.take_line()
        while self.workers:
            self.stop(self.workers[0])

    def check(self):
        self.recorder.check(self.acked)
        group = self.group()
        records = sum(partition["end"] for partition in group["partition_list"])
        expected = dict.fromkeys(("waiting", "in_flight", "retrying", "delayed", "parked", "dying", "dead", "gone", "filtered", "lag"), 0)
        expected["done"] = records
        counts = {name: group[name] for name in expected}
        if counts != expected:
            raise AssertionError(f"the counts are {counts}, expected were {expected}")
        if len(self.recorder.processed) != records:
            raise AssertionError(f"{len(self.recorder.processed)} of {records} records were processed")
        if not self.recorder.confirmed:
            raise AssertionError("no acknowledgement was ever confirmed")


def main():
    bin_dir = sys.argv[1]
    events = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}, {events} events", flush=True)
    draw = random.Random(seed)
    with Broker(bin_dir) as broker:
        broker.start()
        broker.native = broker.server  # The same port after each kill: clients come back by themselves.
        broker.cli("topic", "create", "load", "--partitions", PARTITIONS)
        broker.cli("group", "create", "workers", "--queue", "--topic", "load", "ordering=key", "delivery.limit=0", "backoff=10ms")
        chaos = Chaos(broker, draw)
        for _ in range(WORKERS):
            chaos.start_worker()
        chaos.start_producer()
        broker_dies = set(draw.sample(range(events), BROKER_KILLS))
        for number in range(events):
            chaos.take_records(draw.randrange(100, 1000))
            chaos.event(number in broker_dies)
        chaos.drain()
        chaos.check()
        assert broker.stop() == 0, broker.log_text()
    recorder = chaos.recorder
    repeats = sum(len(times) - 1 for times in recorder.processed.values())
    print(", ".join(f"{count} {what}" for what, count in sorted(chaos.counts.items())))
    print(f"{len(chaos.acked)} records acknowledged to the producer, {len(recorder.processed)} processed, {repeats} times again before the "
          f"acknowledgement, {len(recorder.confirmed)} acknowledgements confirmed")


if __name__ == "__main__":
    main()
