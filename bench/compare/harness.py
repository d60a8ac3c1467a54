"""What every row of the comparison is made of: probes, clients and a broker in a process of its own."""

import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = TOP / "build/release/bin"
PROBE_SPREAD = 1.3


def probe(*arguments):
    return json.loads(subprocess.run([BIN / "probe", *map(str, arguments)], check=True, capture_output=True, text=True).stdout)


def native_load(*arguments):
    return json.loads(subprocess.run([BIN / "native_load", *map(str, arguments)], check=True, capture_output=True, text=True).stdout)


def tool(program, *arguments):
    """The JSON that one of our load programs prints; a run that fails ends the comparison."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {arguments}: {done.stderr}")
    return json.loads(done.stdout)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def drop_caches():
    try:
        subprocess.run(["sync"], check=True)
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("1")
        return "page cache dropped"
    except OSError as error:
        return f"page cache warm ({error.strerror})"


def resident_mib(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


def disk_mib(directory):
    """What its files occupy."""
    return sum(path.stat().st_blocks * 512 for path in pathlib.Path(directory).rglob("*") if path.is_file()) / 2**20


def process_cpu_seconds(pid):
    # schedstat counts nanoseconds per thread; utime's ticks are too coarse for an idle process.
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def kafka_load(*arguments):
    return tool(BIN / "kafka_load", *arguments)


def machine_cpu_seconds():
    """CPU time of everything on the machine: whoever else is at work here is in it."""
    user, nice, system, _, _, irq, softirq = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class Broker:
    def __init__(self, directory, name, *flags):
        self.home = pathlib.Path(directory) / name
        self.home.mkdir(parents=True, exist_ok=True)
        self.flags = flags

    def start(self):
        ports = self.home / "ports.json"
        ports.unlink(missing_ok=True)
        began = time.monotonic()
        self.process = subprocess.Popen(
            [BIN / "tidemarkd", "--data-dir", self.home / "data", "--native", "127.0.0.1:0", "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0",
             "--redis", "off", "--ports-file", ports, *self.flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.home / "log", "ab"))
        while not ports.exists():
            if self.process.poll() is not None:
                sys.exit((self.home / "log").read_text()[-2000:])
            time.sleep(0.002)
        self.start_seconds = time.monotonic() - began
        listening = json.loads(ports.read_text())
        self.server = f"127.0.0.1:{listening['native']}"
        self.kafka = f"127.0.0.1:{listening['kafka']}"
        self.redis = f"127.0.0.1:{listening['redis']}"
        self.http = f"http://127.0.0.1:{listening['http']}"
        return self

    def cli(self, *arguments):
        done = subprocess.run([BIN / "tidemark", "-s", self.server, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"tidemark {arguments}: {done.stderr}")
        return done.stdout

    def topic(self, name, partitions, **config):
        self.cli("topic", "create", name, "--partitions", partitions, *sum((["--config", f"{k}={v}"] for k, v in config.items()), []))

    def metric(self, name):
        """The value of a series without labels."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=60) as page:
            return next(float(line.split()[1]) for line in page.read().decode().splitlines() if line.startswith(f"{name} "))

    def resident_mib(self):
        return resident_mib(self.process.pid)

    def cpu_seconds(self):
        return process_cpu_seconds(self.process.pid)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(300) != 0:
            sys.exit("the broker did not stop in good order:\n" + (self.home / "log").read_text()[-2000:])

    def remove(self):
        shutil.rmtree(self.home)


def paired(count, probe_once, measure, ratio):
    """[(ratio, probe, figure)] of the pairs whose two probes agree."""
    kept = []
    for _ in range(count):
        before = probe_once()
        figure = measure()
        after = probe_once()
        low, high = sorted((before, after))
        if high <= PROBE_SPREAD * low:
            kept.append((ratio(figure, (before + after) / 2), (before + after) / 2, figure))
    return kept


def rounds(count, probe_once, peers, measure):
    """[{peer: figures}] of so many rounds in which the peers take turns with probes between them; `agreed`: whether these did."""
    done = []
    for number in range(count):
        probes = [probe_once()]
        figures = {}
        for peer in peers:
            figures[peer.name] = measure(peer, number)
            probes.append(probe_once())
        done.append({**figures, "probe": statistics.median(probes), "agreed": max(probes) <= PROBE_SPREAD * min(probes)})
    return done
