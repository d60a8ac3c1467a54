"""Queues side by side: one publisher, W workers that take up to B records each and settle them, everything durable; peers taking turns within one run.

The native queue has one client with a window of its own per worker; the others hand a worker its next records when it has settled the ones before.
"""

import statistics

from harness import BIN, Broker, probe, rounds, tool
from peers import GO_CACHE, Nats, RabbitMq, Redis, running

WORKERS = (1, 8, 64)
BATCHES = (1, 100)
SIZE = 100
LATENCY_RATE = 100


class Ours:
    name = "Tidemark, native queue"

    def __init__(self, directory):
        self.broker = Broker(directory, "queue").start()

    def run(self, workers, batch, count, rate):
        pace = ["--rate", f"{rate}/s"] if rate else []
        figures = tool(BIN / "tidemark", "-s", self.broker.server, "-o", "json", "bench", "queue", "--workers", workers, "--batch", batch, "--records", count,
                       "--size", SIZE, *pace)
        return {**figures, "p50_ms": figures["latency_ms"]["p50"], "p99_ms": figures["latency_ms"]["p99"]}

    def stop(self):
        self.broker.stop()
        self.broker.remove()


class OursByRedis:
    name = "Tidemark, XREADGROUP + XACK"

    def __init__(self, directory):
        self.broker = Broker(directory, "queue-redis", "--redis", "127.0.0.1:0").start()

    def run(self, workers, batch, count, rate):
        figures = tool(BIN / "redis_load", "queue", self.broker.redis, "stream", workers, batch, count, SIZE, rate)
        self.broker.cli("topic", "rm", "stream")
        return figures

    def stop(self):
        self.broker.stop()
        self.broker.remove()


class RedisGroup(Redis):
    def __init__(self, directory):
        super().__init__(directory, "always")

    def run(self, workers, batch, count, rate):
        figures = tool(BIN / "redis_load", "queue", self.address, "stream", workers, batch, count, SIZE, rate)
        self.unlink("stream")
        return figures


class RabbitQueue(RabbitMq):
    def run(self, workers, batch, count, rate):
        return tool(BIN / "amqp_load", self.address, "bench", workers, batch, count, SIZE, rate)


class NatsQueue(Nats):
    def run(self, workers, batch, count, rate):
        return tool(GO_CACHE / "nats_load", self.address, workers, batch, count, SIZE, rate)


def count_for(scale, workers, batch):
    """Records of a run of a second or two: with batch 1 a flush or two pay for one record of each worker."""
    return int(scale * (3000 * min(workers, 4) if batch == 1 else 100_000))


def report(results, title, peers, done, key, show, higher_is_better):
    """One line a peer, with our ratio to it within a round; of the rounds whose probes agree, of all rounds where fewer than two do."""
    agreed = [one for one in done if one["agreed"]]
    kept = agreed if len(agreed) > 1 else done
    for peer in peers:
        ratios = [one[peers[0].name][key] / one[peer.name][key] for one in kept]
        print(f"| {title} | {peer.name} | {show([one[peer.name] for one in kept])} | "
              + (f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | " if higher_is_better else "")
              + f"{len(agreed)} of {len(done)} agreed, flush p50 {statistics.median(one['probe'] for one in kept):.3f} ms |", flush=True)
    results.append({"row": f"queue {title}", "peers": [peer.name for peer in peers], "rounds": done})


def checked(peer, *arguments):
    figures = peer.run(*arguments)
    if figures.get("lost", 0):
        raise SystemExit(f"{peer.name}: {figures}")
    return figures


def bench_queue(options, results):
    def flush():
        return probe("flush", options.dir, 300)["p50_ms"]

    def rate(figures):
        return f"{statistics.median(one['records_per_second'] for one in figures):,.0f}"

    def latency(figures):
        return " / ".join(f"{statistics.median(one[key] for one in figures):.2f}" for key in ("p50_ms", "p99_ms"))

    peers_of_the_row = Ours, OursByRedis, RedisGroup, RabbitQueue, NatsQueue
    if not (BIN / "redis_load").exists():
        print("queue: our own Redis listener is left out, too.")
        peers_of_the_row = Ours, RabbitQueue, NatsQueue
    with running("queue", [lambda make=make: make(options.dir) for make in peers_of_the_row]) as peers:
        print("\n| what | queue | records settled/s | ours, native : this one | rounds |\n| --- | --- | --- | --- | --- |")
        for workers in WORKERS:
            for batch in BATCHES:
                count = count_for(options.scale, workers, batch)
                done = rounds(options.pairs, flush, peers, lambda peer, _: checked(peer, workers, batch, count, 0))
                report(results, f"{workers} worker{'s' if workers > 1 else ''}, batch {batch}", peers, done, "records_per_second", rate, True)
        print("\n| publish to delivery | queue | p50 / p99 ms | rounds |\n| --- | --- | --- | --- |")
        done = rounds(options.pairs, flush, peers, lambda peer, _: checked(peer, 1, 1, LATENCY_RATE * options.latency_seconds, LATENCY_RATE))
        report(results, f"{LATENCY_RATE} records/s, one worker", peers, done, "p99_ms", latency, False)
