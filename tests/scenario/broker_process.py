"""A tidemarkd of our own for whole-server tests: started on free ports, waited for, killed."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time


class Broker:
    """One data directory and the process that serves it."""

    def __init__(self, bin_dir, data_dir=None, flags=(), kafka="off", redis="off"):
        self.bin_dir = pathlib.Path(bin_dir)
        self.home = tempfile.TemporaryDirectory(prefix="tidemark-test-")
        self.data_dir = pathlib.Path(data_dir) if data_dir else pathlib.Path(self.home.name) / "data"
        self.flags = list(flags)
        self.kafka_listen = kafka  # "127.0.0.1:0": a free port.
        self.redis_listen = redis  # As kafka.
        self.native = "127.0.0.1:0"
        self.process = None
        self.ports = None

    def start(self, deadline=30):
        ports_file = pathlib.Path(self.home.name) / "ports.json"
        ports_file.unlink(missing_ok=True)
        if self.process:
            self.log.close()
        self.log = open(pathlib.Path(self.home.name) / "log", "ab")
        self.process = subprocess.Popen(
            [self.bin_dir / "tidemarkd", "--data-dir", self.data_dir, "--native", self.native, "--kafka", self.kafka_listen,
             "--redis", self.redis_listen, "--http", "127.0.0.1:0", "--ports-file", ports_file, *self.flags],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        end = time.monotonic() + deadline
        while not ports_file.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"tidemarkd did not start (exit {self.process.poll()}):\n{self.log_text()}")
            time.sleep(0.01)
        self.ports = json.loads(ports_file.read_text())
        return self

    @property
    def server(self):
        return f"127.0.0.1:{self.ports['native']}"

    @property
    def kafka(self):
        return f"127.0.0.1:{self.ports['kafka']}"

    @property
    def redis_port(self):
        return self.ports["redis"]

    @property
    def http(self):
        return f"http://127.0.0.1:{self.ports['http']}"

    def log_text(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, deadline=60):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(deadline)

    def cli(self, *arguments, input=None, check=True, timeout=120, text=True):
        """Runs the command line tool against this broker."""
        done = subprocess.run([self.bin_dir / "tidemark", "-s", self.server, *map(str, arguments)], input=input, capture_output=True,
                              timeout=timeout, text=text, env={**os.environ, "TZ": "UTC"})
        if check and done.returncode != 0:
            raise AssertionError(f"tidemark {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}\n{self.log_text()}")
        return done

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.process:
            self.log.close()
        self.home.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
