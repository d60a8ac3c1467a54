"""What a transaction costs: the same records with and without one, from one client that waits for each, taking turns round by round.

Both meet the same minute, so their ratio needs no probe; a flush of the same disk stands beside them all the same, since they are made of flushes.
"""

import statistics

from harness import BIN, Broker, probe, tool

RECORDS = (100, 1000)
PARTITIONS = (1, 16)
SIZE = 100
ROUNDS = 300
COUNTED = 100  # Rounds in which flushes are counted.


def load(server, partitions, records, rounds, what="both"):
    return tool(BIN / "transaction_load", server, f"t{partitions}", partitions, records, SIZE, rounds, what)


def flushes(broker, partitions, records, what):
    """Commit rounds of the broker for one round of the client."""
    name = "tidemark_log_fsync_duration_seconds_count"
    before = broker.metric(name)
    figures = load(broker.kafka, partitions, records, COUNTED, what)
    return (broker.metric(name) - before) / (COUNTED + figures["warm_up_rounds"])


def bench_transactions(options, results):
    print("| one client, 100 B records, acks=all | records/s without : with | time with : without (range) | p50 / p99 ms without | with | the client alone, p50 ms "
          "| flushes | a flush, p50 ms |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    broker = Broker(options.dir, "transactions").start()
    for partitions in PARTITIONS:
        broker.topic(f"t{partitions}", partitions)
        for records in RECORDS:
            runs = []
            flush = [probe("flush", options.dir, 1000)["p50_ms"]]
            for _ in range(options.pairs):
                runs.append(load(broker.kafka, partitions, records, max(10, int(ROUNDS * options.scale))))
                flush.append(probe("flush", options.dir, 1000)["p50_ms"])
            alone = load("--null", partitions, records, COUNTED)
            counted = {what: flushes(broker, partitions, records, what) for what in ("plain", "transaction")}
            ratios = [run["transaction"]["seconds"] / run["plain"]["seconds"] for run in runs]

            def median(what, key):
                return statistics.median(run[what][key] for run in runs)

            rates, alone_p50, rounds = (" : ".join(f"{figure(what):{form}}" for what in ("plain", "transaction")) for figure, form in (
                (lambda what: median(what, "records_per_second"), ",.0f"), (lambda what: alone[what]["p50_ms"], ".2f"), (counted.get, ".1f")))
            latency = [f"{median(what, 'p50_ms'):.2f} / {median(what, 'p99_ms'):.2f}" for what in ("plain", "transaction")]
            print(f"| {records} records, {partitions} partition{'s' if partitions > 1 else ''} | {rates} | "
                  f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | {latency[0]} | {latency[1]} | {alone_p50} | {rounds} | "
                  f"{statistics.median(flush):.2f} |", flush=True)
            results.append({"row": f"transactions {records} {partitions}", "runs": runs, "alone": alone, "flushes": counted, "flush_p50_ms": flush})
    broker.stop()
    broker.remove()
