"""Opens the data directory that each released format left behind, checked in under tests/storage/golden/: every record must come out as it went
in, the directory must be sound, and go on working. `golden_test.py BIN_DIR make FOLDER` makes a new one.

Usage: golden_test.py BIN_DIR [make FOLDER]
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from broker_process import Broker

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "storage" / "golden"


def make(bin_dir, folder):
    folder = pathlib.Path(folder)
    with Broker(bin_dir, data_dir=folder / "data") as broker:
        folder.mkdir(parents=True)
        broker.start()
        broker.cli("topic", "create", "codecs", "--partitions", 3, "--config", "segment.bytes=64KiB", "--config", "retention.ms=-1")
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            lines = "".join(f"key-{i % 7},{codec} record {i} " + "abcdefgh" * (i % 40) + "\n" for i in range(100))
            broker.cli("produce", "codecs", "-", "--key-sep", ",", "--compression", codec, "-H", f"codec={codec}", input=lines)
        broker.cli("topic", "create", "trimmed", "--partitions", 1, "--config", "segment.bytes=64KiB", "--config", "retention.ms=-1")
        for i in range(6):
            broker.cli("produce", "trimmed", "-", input=f"{i}" * 40_000 + "\n")
        broker.cli("-y", "topic", "trim", "trimmed", "--before", 3)
        broker.cli("topic", "create", "weak", "--partitions", 1, "--config", "durability=interval", "--config", "retention.ms=-1")
        broker.cli("produce", "weak", "-", input="one\ntwo\n")
        broker.cli("topic", "create", "gone", "--partitions", 1)
        broker.cli("-y", "topic", "rm", "gone")
        (folder / "expected.jsonl").write_text("".join(dump(broker, topic) for topic in ("codecs", "trimmed", "weak")))
        (folder / "topics.json").write_text(broker.cli("topic", "ls", "-o", "json").stdout)
        assert broker.stop() == 0, broker.log_text()


def dump(broker, topic):
    """Every record with everything about it, in an order that does not depend on how partitions are merged."""
    lines = broker.cli("consume", topic, "--from", "earliest", "--exit-at-end", "-o", "jsonl").stdout.splitlines()
    return "".join(line + "\n" for line in sorted(lines, key=lambda line: [json.loads(line)[k] for k in ("partition", "offset")]))


def check(bin_dir, golden):
    with tempfile.TemporaryDirectory() as copy:
        data = pathlib.Path(copy) / "data"
        shutil.copytree(golden / "data", data)
        subprocess.run([pathlib.Path(bin_dir) / "tidemark", "log", "verify", data], check=True, stdout=subprocess.DEVNULL)
        for clean in (True, False):
            with Broker(bin_dir, data_dir=data) as broker:
                broker.start()
                found = "".join(dump(broker, topic) for topic in ("codecs", "trimmed", "weak"))
                assert found == (golden / "expected.jsonl").read_text(), f"{golden.name}: records differ"
                topics = json.loads(broker.cli("topic", "ls", "-o", "json").stdout)
                assert topics == json.loads((golden / "topics.json").read_text()), topics
                # The second time without its clean marker, as after a crash.
                if clean:
                    assert broker.stop() == 0, broker.log_text()
                    (data / "clean").unlink()
                else:
                    broker.cli("produce", "codecs", "-", input="it goes on\n")
                    assert broker.stop() == 0, broker.log_text()


if __name__ == "__main__":
    if sys.argv[2:3] == ["make"]:
        make(sys.argv[1], sys.argv[3])
    else:
        formats = sorted(path for path in GOLDEN.iterdir() if path.is_dir())
        assert formats, "there is no golden directory"
        for golden in formats:
            check(sys.argv[1], golden)
        print(f"{len(formats)} formats opened: {', '.join(path.name for path in formats)}")
