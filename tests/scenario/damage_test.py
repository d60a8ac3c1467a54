"""Bit rot in a sealed segment: every byte of a small one is flipped in turn. Whatever is served is what was written; what cannot be served is
refused with file, position and offsets; the rest of the partition and the broker go on; `log verify` names the place.

Usage: damage_test.py BIN_DIR
"""

import json
import pathlib
import subprocess
import sys

from broker_process import Broker

RECORDS = 12
STEP = 11  # The broker is asked about every 11th byte and the bytes of the first header; verify about all of them.


def make(broker):
    """A topic whose first segment is small and sealed: three batches, then a roll by size."""
    broker.cli("topic", "create", "t", "--partitions", "1", "--config", "segment.bytes=64KiB", "--config", "segment.ms=1h")
    values = []
    for batch in range(3):
        lines = [f"record-{batch}-{i}-" + "abcdefgh" * 3 for i in range(RECORDS // 3)]
        broker.cli("produce", "t", "-", input="\n".join(lines) + "\n")
        values += lines
    filler = "f" * 65000
    broker.cli("produce", "t", "-", input=filler + "\n")
    values.append(filler)
    broker.cli("produce", "t", "-", input="last\n")
    values.append("last")
    return values


def segments(broker):
    return sorted(pathlib.Path(broker.data_dir).glob("topics/*/0/*.log"))


def read_one(broker, offset):
    """The value at an offset, or None when it is refused as damaged."""
    done = broker.cli("get", f"t:0:{offset}", "-o", "json", check=False)
    if done.returncode == 0:
        return json.loads(done.stdout)["value"]
    error = json.loads(done.stderr.strip().splitlines()[-1])["error"]
    assert error["code"] == "quarantined", error
    assert ".log at " in error["message"] and "offsets" in error["message"], error
    return None


def main():
    with Broker(sys.argv[1]) as broker:
        broker.start()
        values = make(broker)
        assert broker.stop() == 0
        small = segments(broker)[0]
        assert small.with_suffix(".seal").exists(), "the first segment is not sealed"
        sound = small.read_bytes()
        assert len(sound) < 2000, len(sound)

        # Offline: not one flipped byte is missed.
        for position in range(len(sound)):
            small.write_bytes(sound[:position] + bytes([sound[position] ^ 0x40]) + sound[position + 1:])
            done = subprocess.run([broker.bin_dir / "tidemark", "log", "verify", broker.data_dir, "-o", "json"],
                                                capture_output=True, text=True)
            assert done.returncode == 1, f"byte {position}: exit {done.returncode} {done.stderr}"
            report = json.loads(done.stdout)
            assert not report["sound"] and len(report["damage"]) >= 1, report
            for damage in report["damage"]:
                assert damage["file"].endswith(small.name) and 0 <= damage["from"] < damage["to"] <= RECORDS, damage
                assert damage["topic"] == "t" and damage["partition"] == 0, damage

        # Served: only what was written, and only what is damaged is refused.
        asked = refused = 0
        for position in [p for p in range(len(sound)) if p < 61 or p % STEP == 0]:
            small.write_bytes(sound[:position] + bytes([sound[position] ^ 0x40]) + sound[position + 1:])
            broker.start()
            offsets = [*range(RECORDS + 1), len(values) - 1]
            got = [read_one(broker, offset) for offset in offsets]
            for offset, value in zip(offsets, got):
                assert value is None or value == values[offset], f"byte {position}: served {value!r} at {offset}"
            assert None in got[:RECORDS], f"byte {position}: nothing was refused"
            assert None not in got[RECORDS:], f"byte {position}: the damage took more than its segment"
            asked += len(got)
            refused += got.count(None)
            done = broker.cli("consume", "t", "--from", "earliest", "--exit-at-end", check=False)
            assert done.returncode in (1, 8), done.returncode
            for line in done.stdout.splitlines():
                assert line in values, f"byte {position}: consume printed {line[:60]!r}"
            broker.cli("produce", "t", "-", input="still going\n")
            values.append("still going")
            topic = json.loads(broker.cli("topic", "show", "t", "-o", "json").stdout)
            assert topic["partition_list"][0]["quarantined"], topic
            assert broker.stop() == 0, broker.log_text()
        small.write_bytes(sound)
        broker.start()
        assert broker.cli("consume", "t", "--from", "earliest", "--exit-at-end").stdout.splitlines() == values
        print(f"{len(sound)} flipped bytes all found by verify; {asked} reads, {refused} refused, none wrong")


if __name__ == "__main__":
    main()
