"""Ten members of a group are killed, stopped and started at random under load, and the broker is killed three times. Every record is
processed, each partition in order, and nothing that was committed is processed again.

What was acknowledged to the producer and to the members is kept by this process. Events fall after so many further records were processed,
drawn at random, so no clock decides anything. Usage: group_chaos_test.py BIN_DIR [EVENTS] [SEED]
"""

import collections
import queue
import random
import subprocess
import sys
import threading

from broker_process import Broker

PARTITIONS = 12
MEMBERS = 10
BROKER_KILLS = 3
AHEAD = 3000  # Records acknowledged and not yet processed: the producer waits beyond.
PATIENCE = 180  # Seconds without a single line mean that something hangs.


class Member:
    def __init__(self, name, broker, lines):
        self.name = name
        self.assigned = set()
        self.said = []  # (time, kind, numbers)
        self.process = subprocess.Popen([broker.bin_dir / "group_worker", broker.server, "load", "workers"], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.thread = threading.Thread(target=self.read, args=(lines,), daemon=True)
        self.thread.start()

    def read(self, lines):
        for line in self.process.stdout:
            if line.endswith("\n"):  # A kill may cut the last one.
                kind, *numbers, time = line.split()
                lines.put((self, kind, [int(n) for n in numbers], int(time)))
        lines.put((self, "gone", [], 0))


class Chaos:
    def __init__(self, broker, draw):
        self.broker = broker
        self.draw = draw
        self.lines = queue.Queue()
        self.members = []
        self.everybody = []
        self.acked = {}
        self.processed = collections.defaultdict(list)  # (partition, offset) -> [(time, member)]
        self.numbers = {}
        self.credits = threading.Semaphore(AHEAD)
        self.counts = collections.Counter()

    def start_member(self):
        member = Member(f"member {len(self.everybody) + 1}", self.broker, self.lines)
        self.members.append(member)
        self.everybody.append(member)

    def start_producer(self):
        self.producer = subprocess.Popen([self.broker.bin_dir / "ledger_producer", self.broker.server, "load", "0", str(PARTITIONS)],
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
        member, kind, numbers, time = self.lines.get(timeout=PATIENCE)
        member.said.append((time, kind, numbers))
        if kind == "R":
            partition, offset, number = numbers
            key = (partition, offset)
            if key not in self.processed:
                self.credits.release()
            self.processed[key].append((time, member))
            if self.numbers.setdefault(key, number) != number:
                raise AssertionError(f"{partition}:{offset} was record {self.numbers[key]} and is now record {number}")
        elif kind == "A":
            member.assigned.add(numbers[0])
        elif kind == "gone" and member in self.members:
            raise AssertionError(f"{member.name} ended by itself, exit {member.process.wait()}")
        return kind

    def take_records(self, count):
        while count > 0:
            count -= self.take_line() == "R"

    def stop(self, member):
        """In good order."""
        self.members.remove(member)
        member.process.terminate()
        while not member.said or member.said[-1][1] != "gone":
            self.take_line()
        assert member.process.wait() == 0, f"{member.name} did not close well"

    def event(self, broker_dies):
        if broker_dies:
            self.broker.kill()
            self.broker.start()
            self.counts["kills of the broker"] += 1
            return
        what = self.draw.choice(["kill", "stop", "start", "start"])
        if what == "start" and len(self.members) < MEMBERS:
            self.start_member()
            self.counts["members started"] += 1
        elif len(self.members) > 3:
            member = self.draw.choice(self.members)
            if what == "stop":
                self.stop(member)
                self.counts["members stopped"] += 1
            else:
                self.members.remove(member)
                member.process.kill()
                self.counts["members killed"] += 1

    def drain(self):
        """The producer ends; what it was promised is processed; the last member finds nothing left."""
        self.producer.kill()
        while self.producer_thread.is_alive():
            self.credits.release()
            self.producer_thread.join(0.01)
        while self.acked.keys() - self.processed.keys():
            self.take_line()
        while len(self.members) > 1:
            self.stop(self.members[0])
        last = self.members[0]
        while len(last.assigned) < PARTITIONS:
            self.take_line()
        self.stop(last)
        return [numbers[0] for _, kind, numbers in last.said if kind == "Z"]

    def check(self):
        for key, number in self.acked.items():
            if self.numbers[key] != number:
                raise AssertionError(f"{key} was acknowledged as record {number} and processed as {self.numbers[key]}")
        # In order, none left out: who takes a partition up goes on where it was left, or repeats.
        firsts = collections.defaultdict(dict)
        for (partition, offset), times in self.processed.items():
            firsts[partition][offset] = min(time for time, _ in times)
        for partition, offsets in firsts.items():
            if sorted(offsets) != list(range(len(offsets))):
                raise AssertionError(f"partition {partition} was not processed whole")
            for offset in range(1, len(offsets)):
                if offsets[offset] < offsets[offset - 1]:
                    raise AssertionError(f"{partition}:{offset} was processed before the one before it")
        for member in self.everybody:
            expected = {}
            for _, kind, numbers in member.said:
                if kind in "AL":
                    expected.pop(numbers[0], None)
                elif kind == "R":
                    partition, offset, _ = numbers
                    if expected.get(partition, offset) != offset:
                        raise AssertionError(f"{member.name} got {partition}:{offset}, not {expected[partition]}")
                    expected[partition] = offset + 1
        # What was committed stays done. Only who was told later that it had lost the partition may have gone on for a while.
        commits = collections.defaultdict(list)
        for member in self.everybody:
            for time, kind, numbers in member.said:
                if kind == "K":
                    commits[numbers[0]].append((time, numbers[1]))
        for (partition, offset), times in self.processed.items():
            covered = min((time for time, following in commits[partition] if following > offset), default=None)
            for time, member in times:
                if covered is None or time < covered:
                    continue
                lost = any(kind == "L" and numbers[0] == partition and at > time for at, kind, numbers in member.said)
                if not lost:
                    raise AssertionError(f"{member.name} repeated {partition}:{offset}, which had been committed")
        if not any(commits.values()):
            raise AssertionError("nothing was ever committed")


def main():
    bin_dir = sys.argv[1]
    events = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}, {events} events", flush=True)
    draw = random.Random(seed)
    with Broker(bin_dir) as broker:
        broker.start()
        broker.native = broker.server  # The same port after each kill: clients come back by themselves.
        broker.cli("topic", "create", "load", "--partitions", PARTITIONS)
        chaos = Chaos(broker, draw)
        for _ in range(MEMBERS):
            chaos.start_member()
        chaos.start_producer()
        broker_dies = set(draw.sample(range(events), BROKER_KILLS))
        for number in range(events):
            chaos.take_records(draw.randrange(100, 1500))
            chaos.event(number in broker_dies)
        left = chaos.drain()
        assert left == [0], f"the last member says that {left} records are left"
        chaos.check()
        assert broker.stop() == 0, broker.log_text()
    repeats = sum(len(times) - 1 for times in chaos.processed.values())
    print(", ".join(f"{count} {what}" for what, count in sorted(chaos.counts.items())))
    print(f"{len(chaos.acked)} records acknowledged, {len(chaos.processed)} processed in order, {repeats} of them again before their commit")


if __name__ == "__main__":
    main()
