"""The Kafka listener beside Apache Kafka: one librdkafka client, the same topic shapes, peers taking turns within one run.

Each shape is measured as probe A probe B probe ... and again. Rates and latencies count only of rounds whose probes agree within PROBE_SPREAD.
Figures are medians of the rounds; ratios are medians of the ratios within a round, against our own broker with a flush before each acknowledgement.

CPU is counted until the data is on disk (a sync is within the window): of the broker's process, and of the machine minus the client, which also holds
the kernel's writing and whatever else the machine does meanwhile. CPU time does not wait for a disk: its medians are of all rounds.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import time
import uuid

from harness import Broker, free_port, kafka_load, machine_cpu_seconds, probe, process_cpu_seconds, rounds

# name, record size, partitions, batching, MiB a run
SHAPES = (("100 B", 100, 1, "large", 128), ("100 B", 100, 16, "large", 128), ("1 KiB", 1024, 1, "large", 384), ("1 KiB", 1024, 16, "large", 384),
          ("100 B", 100, 1, "small", 8), ("100 B", 100, 16, "small", 8))
LATENCY_RATE = 100


class Ours:
    def __init__(self, directory, durability):
        self.name = {"fsync": "flush before ack", "os": "durability=os"}[durability]
        self.durability = durability
        self.broker = Broker(directory, f"kafka-{durability}").start()
        self.server = self.broker.kafka
        self.pid = self.broker.process.pid

    def topic(self, name, partitions):
        self.broker.topic(name, partitions, durability=self.durability)

    def drop(self, name):
        self.broker.cli("topic", "rm", name)

    def stop(self):
        self.broker.stop()
        self.broker.remove()


class ApacheKafka:
    """One KRaft node with the settings it comes with, data and listener apart."""

    name = "Apache Kafka"

    def __init__(self, directory, home):
        self.bin = pathlib.Path(home) / "bin"
        self.home = pathlib.Path(directory) / "apache-kafka"
        self.home.mkdir()
        port, controller = free_port(), free_port()
        self.server = f"127.0.0.1:{port}"
        properties = self.home / "server.properties"
        properties.write_text("\n".join((
            "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}", f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "controller.listener.names=CONTROLLER",
            "inter.broker.listener.name=PLAINTEXT", "offsets.topic.replication.factor=1", f"log.dirs={self.home / 'data'}")) + "\n")
        self.log = open(self.home / "log", "ab")
        self.run("kafka-storage.sh", "format", "-t", uuid.uuid4().hex[:22], "-c", properties)
        self.process = subprocess.Popen([self.bin / "kafka-server-start.sh", properties], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={**os.environ, "LOG_DIR": str(self.home / "logs")})
        self.pid = self.process.pid  # The script ends in exec.
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit("Apache Kafka did not start:\n" + (self.home / "log").read_text()[-2000:])
            time.sleep(0.1)

    def run(self, tool, *arguments):
        subprocess.run([self.bin / tool, *map(str, arguments)], check=True, stdout=self.log, stderr=self.log,
                       env={**os.environ, "LOG_DIR": str(self.home / "logs")})

    def topic(self, name, partitions):
        self.run("kafka-topics.sh", "--bootstrap-server", self.server, "--create", "--topic", name, "--partitions", partitions)

    def drop(self, name):
        self.run("kafka-topics.sh", "--bootstrap-server", self.server, "--delete", "--topic", name)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.home)


def with_cpu(pid, measure):
    """The figures of `measure`, with the CPU the broker and the rest of the machine used until everything was on disk."""
    os.sync()
    broker, machine = process_cpu_seconds(pid), machine_cpu_seconds()
    figures = measure()
    os.sync()
    for key, used in (("broker", process_cpu_seconds(pid) - broker),
                      ("machine", machine_cpu_seconds() - machine - figures["client_cpu_seconds"])):
        figures[f"{key}_cpu_per_million"] = used / figures["records"] * 1e6
        figures[f"{key}_cpu_per_gb"] = used / figures["bytes"] * 1e9
    return figures


def write_rate(options):
    return lambda: probe("write", options.dir, 128, 1024)["mb_per_second"]


def median(kept, peer, key):
    return statistics.median(one[peer.name][key] for one in kept)


def report(options, results, title, peers, done):
    """One line a peer."""
    kept = [one for one in done if one["agreed"]]
    for peer in peers:
        cpu = [f"{median(done, peer, f'broker_cpu_per_{unit}'):.2f} / {median(done, peer, f'machine_cpu_per_{unit}'):.2f}" for unit in ("million", "gb")]
        speed = f"no round whose probes agreed, of {options.pairs} | | | "
        if kept:
            ratios = [one[peer.name]["records_per_second"] / one[peers[0].name]["records_per_second"] for one in kept]
            latency = [f"{median(kept, peer, key):.3g}" for key in ("p50_ms", "p99_ms", "p999_ms") if key in kept[0][peer.name]]
            speed = (f"{median(kept, peer, 'records_per_second'):,.0f} | {median(kept, peer, 'mb_per_second'):.0f} | "
                     f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}, {len(kept)} of {options.pairs}) | {' / '.join(latency)}")
        print(f"| {title} | {peer.name} | {speed} | {cpu[0]} | {cpu[1]} |", flush=True)
    results.append({"row": f"kafka {title}", "rounds": done})


def bench_shape(options, results, peers, shape):
    label, size, partitions, batching, mib = shape
    count = int(mib * options.scale * 1024 * 1024) // size
    title = f"{label}, {partitions} partition{'s' if partitions > 1 else ''}, {'large batches' if batching == 'large' else '10 a request'}"
    for peer in peers:
        peer.topic("t", partitions)
    done = rounds(options.pairs, write_rate(options), peers, lambda peer, _: with_cpu(
        peer.pid, lambda: kafka_load("produce", peer.server, "t", partitions, count, size, batching)))
    report(options, results, f"produce {title}", peers, done)
    probes = [one["probe"] for one in done]
    print(f"|   raw write + flush in that time | | | {statistics.median(probes):.0f} ({min(probes):.0f}–{max(probes):.0f}) | | | | |")
    ceiling = kafka_load("produce", "--null", "t", partitions, count, size, batching)
    print(f"|   the client alone | | {ceiling['records_per_second']:,.0f} | {ceiling['mb_per_second']:.0f} | | | "
          f"client CPU {ceiling['client_cpu_seconds'] / count * 1e6:.2f} | |", flush=True)
    results.append({"row": f"kafka client alone {title}", **ceiling})
    if batching == "large":
        done = rounds(options.pairs, write_rate(options), peers, lambda peer, _: with_cpu(
            peer.pid, lambda: kafka_load("consume", peer.server, "t", partitions)))
        report(options, results, f"consume {title}", peers, done)
    for peer in peers:
        peer.drop("t")


def bench_latency(options, results, peers):
    def measure(peer, number):
        peer.topic(f"latency-{number}", 1)
        return kafka_load("latency", peer.server, f"latency-{number}", LATENCY_RATE * options.latency_seconds, 100, LATENCY_RATE)

    done = rounds(options.pairs, write_rate(options), peers, measure)
    kept = [one for one in done if one["agreed"]]
    print(f"\n| end to end, {LATENCY_RATE} records/s of 100 B | p50 / p99 / p99.9 ms | the acknowledgement alone |\n| --- | --- | --- |")
    if not kept:
        print(f"| no round whose probes agreed, of {options.pairs} | | |")
    for peer in peers if kept else ():
        figures = [" / ".join(f"{median(kept, peer, prefix + key):.3g}" for key in ("p50_ms", "p99_ms", "p999_ms")) for prefix in ("", "ack_")]
        print(f"| {peer.name} ({len(kept)} of {options.pairs} rounds) | {figures[0]} | {figures[1]} |", flush=True)
    flush = probe("flush", options.dir, 1000)
    print(f"| raw 4 KiB append + fdatasync | {flush['p50_ms']:.3g} / {flush['p99_ms']:.3g} | |", flush=True)
    results.append({"row": "kafka latency", "rounds": done})


def bench_kafka(options, results):
    home = os.environ.get("KAFKA_HOME")
    if not home:
        print("Apache Kafka is not measured: KAFKA_HOME is not set.")
    peers = []
    try:
        peers += [Ours(options.dir, "fsync"), Ours(options.dir, "os")]
        if home:
            peers.append(ApacheKafka(options.dir, home))
        print("| what | broker | records/s | MB/s | ratio (range, rounds) | p50 / p99 / p99.9 ms | CPU s per million records, broker / machine − client "
              "| the same per GB |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
        for shape in SHAPES:
            bench_shape(options, results, peers, shape)
        bench_latency(options, results, peers)
    finally:
        for peer in peers:
            peer.stop()
