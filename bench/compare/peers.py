"""The other servers of the comparison, each in a process and a directory of its own, set to flush before it answers unless it says otherwise."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import BIN, free_port

GO_CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tidemark-bench"
NATS_SOURCE = pathlib.Path(__file__).resolve().parent / "nats"
RABBITMQ_SERVER = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Missing(Exception):
    """This peer cannot be measured here, and why."""


def need_load(program, package):
    if not (BIN / program).exists():
        raise Missing(f"{program} was not built, which wants {package}")


class Server:
    """A process that listens on a port of ours; its directory goes with it."""

    def __init__(self, directory, name):
        self.home = pathlib.Path(directory) / name
        self.home.mkdir(parents=True)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = open(self.home / "log", "ab")

    def launch(self, command, seconds=60, **options):
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, **options)
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{command[0]} did not start:\n" + (self.home / "log").read_text()[-2000:])
            time.sleep(0.002)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.home)


class Redis(Server):
    """Append-only file, no snapshots: what is answered is what the file has."""

    def __init__(self, directory, appendfsync):
        if not shutil.which("redis-server"):
            raise Missing("redis-server is not installed")
        need_load("redis_load", "libhiredis-dev")
        super().__init__(directory, f"redis-{appendfsync}")
        self.name = f"Redis, appendfsync {appendfsync}"
        self.appendfsync = appendfsync
        self.start()

    def start(self):
        self.launch(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.home, "--save", "", "--appendonly", "yes",
                     "--appendfsync", self.appendfsync])

    def unlink(self, key):
        subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "UNLINK", key], check=True, capture_output=True)


class RabbitMq(Server):
    """One node; its port mapper is ours as well, so that neither meets a broker that is on the machine already."""

    name = "RabbitMQ, quorum queue"

    def __init__(self, directory):
        if not RABBITMQ_SERVER.exists() or not shutil.which("epmd"):
            raise Missing("rabbitmq-server is not installed")
        need_load("amqp_load", "librabbitmq-dev")
        super().__init__(directory, "rabbitmq")
        mapper = str(free_port())
        environment = {**os.environ, "HOME": str(self.home), "ERL_EPMD_PORT": mapper, "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_NODENAME": "bench@localhost",
                       "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(free_port()),
                       "RABBITMQ_MNESIA_BASE": str(self.home / "data"), "RABBITMQ_LOG_BASE": str(self.home / "logs"),
                       "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "plugins"), "RABBITMQ_CONFIG_FILE": str(self.home / "none")}
        self.mapper = subprocess.Popen(["epmd"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment)
        self.launch([RABBITMQ_SERVER], env=environment)

    def stop(self):
        super().stop()
        self.mapper.terminate()
        self.mapper.wait()


class Nats(Server):
    """JetStream with a flush before each acknowledgement of a publisher, from the versions that nats/go.mod pins."""

    name = "NATS JetStream, sync_interval always"

    def __init__(self, directory):
        if not shutil.which("go"):
            raise Missing("nats-server 2.10 is built from source, and Go is not installed")
        GO_CACHE.mkdir(parents=True, exist_ok=True)
        for output, package in (("nats-server", "github.com/nats-io/nats-server/v2"), ("nats_load", ".")):
            built = subprocess.run(["go", "build", "-o", GO_CACHE / output, package], cwd=NATS_SOURCE, capture_output=True, text=True)
            if built.returncode != 0:
                raise Missing(f"{output} does not build: {built.stderr.strip().splitlines()[-1]}")
        super().__init__(directory, "nats")
        self.load = GO_CACHE / "nats_load"
        config = self.home / "server.conf"
        config.write_text(f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.home / "data"}", sync_interval: always }}\n')
        self.launch([GO_CACHE / "nats-server", "-c", config])


@contextlib.contextmanager
def running(row, makers):
    """Those of the peers that can be had."""
    with contextlib.ExitStack() as stack:
        found = []
        for make in makers:
            try:
                peer = make()
            except Missing as missing:
                print(f"{row}: one peer is left out: {missing}.")
                continue
            stack.callback(peer.stop)
            found.append(peer)
        yield found
