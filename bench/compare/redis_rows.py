"""The Redis listener beside Redis: the same clients on the same streams, servers taking turns within one run.

Writes are redis-benchmark's, consuming is redis_load's (hiredis). Ratios are ours to theirs within a round.
"""

import contextlib
import csv
import io
import statistics
import subprocess
import time

from harness import BIN, Broker, disk_mib, drop_caches, probe, resident_mib, rounds, tool
from peers import Redis, running

# 100 bytes, 96 of them drawn anew for each entry.
VALUE = "__rand_int__" * 8 + "0123"
CONNECTIONS = (1, 16, 50)
PIPELINES = (1, 16, 128)
BATCHES = (1, 10, 100)
LOAD = BIN / "redis_load"


class Ours:
    def __init__(self, directory, durability):
        self.name = {"fsync": "Tidemark, flush before reply", "os": "Tidemark, durability=os"}[durability]
        self.broker = Broker(directory, f"redis-{durability}", "--redis", "127.0.0.1:0")
        self.durability = durability
        self.home = self.broker.home / "data"
        self.start()

    def start(self):
        self.broker.start()
        self.address = self.broker.redis
        self.process = self.broker.process

    def prepare(self, key):
        self.broker.topic(key, 1, durability=self.durability, **{"retention.ms": "-1"})

    def drop(self, key):
        self.broker.cli("topic", "rm", key)

    def kill(self):
        self.broker.kill()

    def stop(self):
        self.broker.stop()
        self.broker.remove()


class Theirs(Redis):
    def prepare(self, key):
        pass  # XADD makes it.

    def drop(self, key):
        self.unlink(key)


def call(peer, *words):
    host, port = peer.address.split(":")
    return subprocess.run(["redis-cli", "-h", host, "-p", port, *map(str, words)], capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def stream(peer):
    """A stream that is empty and goes afterwards."""
    peer.prepare("stream")
    yield "stream"
    peer.drop("stream")


def add_rate(peer, connections, pipeline, count):
    host, port = peer.address.split(":")
    with stream(peer) as key:
        done = subprocess.run(["redis-benchmark", "-h", host, "-p", port, "-c", str(connections), "-P", str(pipeline), "-n", str(count), "-r", "999999999",
                               "--csv", "XADD", key, "*", "v", VALUE], capture_output=True, text=True, check=True).stdout
        if int(call(peer, "XLEN", key)) < count:  # The benchmark rounds up to whole pipelines.
            raise SystemExit(f"{peer.name} has not kept all {count} entries")
    figures = list(csv.DictReader(io.StringIO(done)))[-1]
    return {"per_second": float(figures["rps"]), "p50_ms": float(figures["p50_latency_ms"]), "p99_ms": float(figures["p99_latency_ms"])}


def work_rate(peer, batch, count):
    with stream(peer) as key:
        tool(LOAD, "fill", peer.address, key, count, 100)
        figures = tool(LOAD, "work", peer.address, key, 1, batch, count, 100)
    if figures["lost"] or figures["duplicated"]:
        raise SystemExit(f"{peer.name}: {figures}")
    return {"per_second": figures["records_per_second"]}


def report(results, title, goal, peers, done):
    """One line: ours, theirs, and the ratio of the rounds whose probes agree; of all rounds where fewer than two do."""
    ours, theirs = (peer.name for peer in peers)
    agreed = [one for one in done if one["agreed"]]
    kept = agreed if len(agreed) > 1 else done
    ratios = [one[ours]["per_second"] / one[theirs]["per_second"] for one in kept]
    middle = {name: statistics.median(one[name]["per_second"] for one in kept) for name in (ours, theirs)}
    latency = " | "
    if "p99_ms" in kept[0][ours]:
        latency = " | ".join(" / ".join(f"{statistics.median(one[name][key] for one in kept):.2f}" for key in ("p50_ms", "p99_ms")) for name in (ours, theirs))
    print(f"| {title} | {goal} | {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}, {len(agreed)} of {len(done)} agreed) | "
          f"{middle[ours]:,.0f} | {middle[theirs]:,.0f} | {latency} | {statistics.median(one['probe'] for one in kept):.3f} |", flush=True)
    results.append({"row": f"redis {title}", "peers": [ours, theirs], "rounds": done})


def heading(peers):
    print(f"\n{peers[0].name} : {peers[1].name}\n\n"
          "| what | goal | ratio: median (range, rounds) | ours /s | theirs /s | ours p50 / p99 ms | theirs | flush p50 ms |\n"
          "| --- | --- | --- | --- | --- | --- | --- | --- |")


def flush_time(options):
    return lambda: probe("flush", options.dir, 300)["p50_ms"]


def bench_adds(options, results, peers, goals, entries_a_second):
    heading(peers)
    for pipeline in PIPELINES:
        for connections in CONNECTIONS:
            # About a second a run: flushes, not entries, are what takes the time.
            count = int(options.scale * entries_a_second(pipeline, connections))
            done = rounds(options.pairs, flush_time(options), peers, lambda peer, _: add_rate(peer, connections, pipeline, count))
            goal = goals.get(pipeline, "") if connections == 16 else ""
            report(results, f"XADD, pipeline {pipeline}, {connections} connection{'s' if connections > 1 else ''}", goal, peers, done)


def bench_work(options, results, peers):
    for batch in BATCHES:
        count = int(options.scale * {1: 4000, 10: 40_000, 100: 200_000}[batch])
        done = rounds(options.pairs, flush_time(options), peers, lambda peer, _: work_rate(peer, batch, count))
        report(results, f"XREADGROUP + XACK of {batch}, one worker", "3", peers, done)


def bench_footprint(options, results, peers):
    """Memory and disk of the first and the last million, and the start with all of them."""
    million = int(options.scale * 1_000_000)
    print(f"\n| {options.entries * million:,} entries of 100 B | {' | '.join(peer.name for peer in peers)} |\n| --- | --- | --- |")
    figures = []
    for peer in peers:
        key = "stream"
        peer.prepare(key)
        # A first million before counting starts: buffers and caches that come once do not grow with the stream.
        tool(LOAD, "fill", peer.address, key, million, 100)
        memory, disk = resident_mib(peer.process.pid), disk_mib(peer.home)
        for _ in range(1, options.entries):
            tool(LOAD, "fill", peer.address, key, million, 100)
        millions = max(options.entries - 1, 1)
        grown = (resident_mib(peer.process.pid) - memory) / millions, (disk_mib(peer.home) - disk) / millions
        full = resident_mib(peer.process.pid), disk_mib(peer.home)
        peer.kill()
        how = drop_caches()
        began = time.monotonic()
        peer.start()
        while call(peer, "XLEN", key) != str(options.entries * million):
            if time.monotonic() - began > 600:
                raise SystemExit(f"{peer.name} lost entries: {call(peer, 'XLEN', key)}")
            time.sleep(0.01)
        figures.append({"memory_mib": grown[0], "disk_mib": grown[1], "full_memory_mib": full[0], "full_disk_mib": full[1],
                        "start_seconds": time.monotonic() - began, "how": how})
        peer.drop(key)
    for label, text in (("memory growth per million", "{memory_mib:.1f} MiB"), ("memory with all", "{full_memory_mib:.0f} MiB"),
                        ("disk growth per million", "{disk_mib:.0f} MiB"), ("disk with all", "{full_disk_mib:.0f} MiB"),
                        ("start after kill -9 until XLEN answers, {how}", "{start_seconds:.2f} s")):
        print(f"| {label.format(**figures[0])} | {' | '.join(text.format(**one) for one in figures)} |", flush=True)
    results.append({"row": "redis footprint", "entries": options.entries * million, "peers": [peer.name for peer in peers], "figures": figures})


def bench_redis(options, results):
    with running("redis", (lambda: Ours(options.dir, "fsync"), lambda: Theirs(options.dir, "always"))) as peers:
        if len(peers) < 2:
            return
        bench_adds(options, results, peers, {1: "1.5", 16: "2", 128: "3"}, lambda pipeline, connections: 3000 * min(pipeline, 32) * min(connections, 8))
        bench_work(options, results, peers)
    with running("redis", (lambda: Ours(options.dir, "os"), lambda: Theirs(options.dir, "everysec"))) as peers:
        bench_adds(options, results, peers, {}, lambda pipeline, connections: 20_000 * min(pipeline, 16) * min(connections, 2))


def bench_redis_footprint(options, results):
    with running("redis-footprint", (lambda: Ours(options.dir, "fsync"), lambda: Theirs(options.dir, "everysec"))) as peers:
        if len(peers) == 2:
            bench_footprint(options, results, peers)
