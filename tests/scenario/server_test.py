#!/usr/bin/env python3
"""tidemarkd as its operator meets it: start faults, signals, ports file, health pages. Usage: server_test.py BIN_DIR [TEST...]"""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

BIN = pathlib.Path()  # Set by main.
LOOPBACK = ["--native", "127.0.0.1:0", "--kafka", "off", "--redis", "off", "--http", "127.0.0.1:0"]


class Server:
    """A tidemarkd whose stderr is read until it says that it is ready; no clock decides when that is."""

    def __init__(self, home, *flags, environment=None):
        self.ports_file = home / "ports.json"
        command = [BIN / "tidemarkd", "--data-dir", home / "data", *LOOPBACK, "--ports-file", self.ports_file, *flags]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        self.said = ""
        for line in self.process.stderr:
            self.said += line
            if line.startswith("  try:"):
                break
        else:
            raise AssertionError(f"did not start: {self.said}")
        # The file comes right behind the banner, and the process answers only after it: readiness is asked of the server itself.
        while not self.ports_file.exists() and self.process.poll() is None:
            os.sched_yield()
        self.ports = json.loads(self.ports_file.read_text())

    def get(self, path, method="GET", headers=None):
        """(status, headers, body) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["http"], timeout=30)
        connection.request(method, path, headers=headers or {})
        reply = connection.getresponse()
        body = reply.read().decode()
        connection.close()
        return reply.status, reply.headers, body

    def cli(self, *arguments, data=None):
        command = [BIN / "tidemark", "-s", f"127.0.0.1:{self.ports['native']}", *arguments]
        return subprocess.run(command, input=data, capture_output=True, text=True, check=True, timeout=60).stdout

    def end(self, *signals):
        """Sends the signals all at once and returns the exit status."""
        self.process.send_signal(signal.SIGSTOP)
        for each in signals:
            self.process.send_signal(each)
        self.process.send_signal(signal.SIGCONT)
        self.said += self.process.stderr.read()
        self.process.stderr.close()
        return self.process.wait(60)


class ServerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tidemark-server-")
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)

    def server(self, *flags, home=None, environment=None):
        server = Server(home or self.home, *flags, environment=environment)

        def clean_up():
            if server.process.poll() is None:
                server.end(signal.SIGKILL)

        self.addCleanup(clean_up)
        return server

    def refused(self, *flags, environment=None):
        """Starts a server that must not start; returns the one line it says."""
        command = [BIN / "tidemarkd", *LOOPBACK, *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **(environment or {})})
        self.assertEqual(done.returncode, 2, done.stderr)
        complaints = [line for line in done.stderr.splitlines() if line.startswith("tidemarkd: ")]
        self.assertEqual(len(complaints), 1, done.stderr)
        return complaints[0]


class Faults(ServerTest):
    """Each start fault: exit 2 and one line that names the thing and what to do."""

    def test_taken_port(self):
        for flag in ("--native", "--kafka", "--http"):
            with self.subTest(flag), socket.create_server(("127.0.0.1", 0)) as taken:
                port = taken.getsockname()[1]
                said = self.refused("--data-dir", self.home / "data", flag, f"127.0.0.1:{port}")
                self.assertIn(f"127.0.0.1:{port}", said)
                self.assertIn(flag, said)

    def test_port_of_another_broker(self):
        first = self.server()
        said = self.refused("--data-dir", self.home / "other", "--native", f"127.0.0.1:{first.ports['native']}")
        self.assertIn("--native", said)
        self.assertEqual(first.get("/readyz")[0], 200)

    def test_locked_directory(self):
        first = self.server()
        said = self.refused("--data-dir", self.home / "data")
        self.assertIn(str(self.home / "data"), said)
        self.assertIn("in use", said)
        self.assertEqual(first.get("/readyz")[0], 200)
        self.assertEqual(first.end(signal.SIGTERM), 0)

    def test_refused_second_start_leaves_the_ports_file_of_the_first(self):
        first = self.server()
        self.refused("--data-dir", self.home / "data", "--ports-file", first.ports_file)
        self.assertEqual(json.loads(first.ports_file.read_text()), first.ports)

    def test_foreign_directory(self):
        foreign = self.home / "photos"
        foreign.mkdir()
        (foreign / "cat.jpg").write_text("meow")
        said = self.refused("--data-dir", foreign)
        self.assertIn(str(foreign), said)
        self.assertIn("--data-dir", said)
        self.assertEqual([path.name for path in foreign.iterdir()], ["cat.jpg"])

    def test_directory_that_cannot_be_written(self):
        # Not even root may make a directory there.
        self.assertIn("--data-dir", self.refused("--data-dir", "/sys/tidemark-data"))

    def test_read_only_directory(self):
        folder = self.home / "read-only"
        folder.mkdir()
        folder.chmod(0o555)
        self.home.chmod(0o755)
        # Permissions do not bind root: it becomes nobody, who may not be able to reach the build folder.
        program = self.home / "tidemarkd"
        shutil.copy2(BIN / "tidemarkd", program)
        as_nobody = {"user": 65534} if os.geteuid() == 0 else {}
        done = subprocess.run([program, *LOOPBACK, "--data-dir", folder], capture_output=True, text=True, check=False, timeout=60, **as_nobody)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(str(folder), done.stderr)
        self.assertIn("--data-dir", done.stderr)

    def test_file_in_place_of_the_directory(self):
        file = self.home / "file"
        file.write_text("x")
        self.assertIn(str(file), self.refused("--data-dir", file))

    def test_bad_values_name_their_place(self):
        config = self.home / "broker.toml"
        config.write_text('[memory]\nlimit = "lots"\n')
        self.assertIn("--shards", self.refused("--shards", "0"))
        self.assertIn("TIDEMARKD_NUM_PARTITIONS", self.refused(environment={"TIDEMARKD_NUM_PARTITIONS": "many"}))
        self.assertIn(f"{config}:2: memory.limit", self.refused("--config", config))
        config.write_text("\n\nshard = 1\n")
        self.assertIn(f"{config}:3: unknown key 'shard'; did you mean 'shards'?", self.refused("--config", config))
        self.assertIn("nowhere.toml", self.refused("--config", self.home / "nowhere.toml"))
        self.assertIn("--colour", self.refused("--colour"))

    def test_address_beyond_this_machine(self):
        self.assertIn("--insecure-listen", self.refused("--data-dir", self.home / "data", "--native", "0.0.0.0:0"))

    def test_nothing_to_listen_on(self):
        self.assertIn("nothing to serve", self.refused("--data-dir", self.home / "data", "--native", "off", "--http", "off"))

    def test_ports_file_that_cannot_be_written(self):
        said = self.refused("--data-dir", self.home / "data", "--ports-file", self.home / "missing" / "ports.json")
        self.assertIn("--ports-file", said)


class Life(ServerTest):
    def test_banner_says_what_it_runs_with(self):
        server = self.server("--kafka", "127.0.0.1:0")
        for part in ("tidemark ", str(self.home / "data"), "flush ", "flushed before every acknowledgement", str(server.ports["native"]),
                     str(server.ports["kafka"]), str(server.ports["http"])):
            self.assertIn(part, server.said)

    def test_first_command_of_the_banner_works(self):
        server = self.server()
        command = server.said.split("try:", 1)[1].strip()
        environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        subprocess.run(command, shell=True, check=True, env=environment, timeout=60, capture_output=True)
        self.assertEqual(server.cli("consume", "greetings", "--from", "earliest", "--exit-at-end"), "hello\n")

    def test_ports_file_tells_what_is_open(self):
        server = self.server("--kafka", "127.0.0.1:0", "--redis", "127.0.0.1:0")
        self.assertEqual(set(server.ports), {"native", "kafka", "redis", "http", "pid"})
        self.assertEqual(server.ports["pid"], server.process.pid)
        for listener in ("native", "kafka", "redis", "http"):
            socket.create_connection(("127.0.0.1", server.ports[listener]), timeout=30).close()

    def test_signals_stop_cleanly(self):
        for each in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(each.name):
                server = self.server()
                self.assertEqual(server.end(each), 0, server.said)
                self.assertFalse(server.ports_file.exists())
                self.assertIn("stopped cleanly", server.said)

    def test_clean_stop_needs_no_recovery_and_keeps_everything(self):
        server = self.server()
        server.cli("topic", "create", "t", "--partitions", "1")
        server.cli("produce", "t", data="a\nb\n")
        self.assertEqual(server.end(signal.SIGTERM), 0)
        again = self.server()
        self.assertNotIn("unclean", again.said)
        self.assertEqual(again.cli("consume", "t", "--from", "earliest", "--exit-at-end"), "a\nb\n")

    def test_second_signal_stops_at_once_and_loses_nothing_acknowledged(self):
        server = self.server()
        server.cli("topic", "create", "t", "--partitions", "1")
        server.cli("produce", "t", data="a\nb\n")
        self.assertEqual(server.end(signal.SIGTERM, signal.SIGINT), 1, server.said)
        again = self.server()
        self.assertIn("unclean", again.said)
        self.assertEqual(again.cli("consume", "t", "--from", "earliest", "--exit-at-end"), "a\nb\n")

    def test_killed_broker_leaves_a_ports_file_that_the_next_one_replaces(self):
        first = self.server()
        first.end(signal.SIGKILL)
        self.assertTrue(first.ports_file.exists())
        again = self.server()
        self.assertEqual(again.ports["pid"], again.process.pid)

    def test_signal_while_clients_wait_is_a_clean_stop(self):
        server = self.server()
        server.cli("topic", "create", "t", "--partitions", "1")
        server.cli("produce", "t", data="a\n")
        command = [BIN / "tidemark", "-s", f"127.0.0.1:{server.ports['native']}", "consume", "t", "--from", "earliest"]
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.assertEqual(waiting.stdout.readline(), "a\n")  # It has caught up and waits for more.
        self.assertEqual(server.end(signal.SIGTERM), 0, server.said)
        waiting.kill()
        waiting.wait()
        waiting.stdout.close()

    def test_soft_limit_of_descriptors_is_raised(self):
        server = self.server()
        for line in pathlib.Path(f"/proc/{server.process.pid}/limits").read_text().splitlines():
            if line.startswith("Max open files"):
                soft, hard = line.split()[3:5]
                self.assertEqual(soft, hard)

    def test_unknown_variable_is_a_warning(self):
        server = self.server(environment={"TIDEMARKD_SHARDZ": "2"})
        self.assertIn("unknown variable TIDEMARKD_SHARDZ", server.said)

    def test_printed_configuration_is_a_configuration(self):
        def printed(*flags):
            return subprocess.run([BIN / "tidemarkd", "--print-config", *flags], capture_output=True, text=True, check=True).stdout

        first = printed("--shards", "3", "--redis", "off")
        self.assertIn("shards = 3  # --shards\n", first)
        file = self.home / "printed.toml"
        file.write_text(first)
        again = printed("--config", file)

        def values(text):
            return [line.split("  # ")[0] for line in text.splitlines() if not line.startswith("#")]

        self.assertEqual(values(again), values(first))
        self.assertIn(f"# {file}:", again)

    def test_topic_defaults_reach_the_topics(self):
        server = self.server(environment={"TIDEMARKD_TOPIC_DURABILITY": "interval", "TIDEMARKD_NUM_PARTITIONS": "7"})
        self.assertIn("WEAK by default", server.said)
        server.cli("topic", "create", "t")
        topic = json.loads(server.cli("topic", "show", "t", "-o", "json"))
        self.assertEqual((topic["durability"], topic["partitions"]), ("interval", 7))


class HttpPages(ServerTest):
    def test_health_and_readiness(self):
        server = self.server()
        self.assertEqual(server.get("/healthz")[0], 200)
        status, headers, body = server.get("/readyz")
        self.assertEqual((status, headers["Content-Type"], json.loads(body)), (200, "application/json", {"ready": True, "reasons": []}))

    def test_metrics_follow_the_topics(self):
        server = self.server()
        server.cli("topic", "create", "orders", "--partitions", "2")
        server.cli("produce", "orders", data="a\nb\nc\n")
        status, headers, body = server.get("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        lines = body.splitlines()
        self.assertIn('tidemark_topic_records_in_total{topic="orders"} 3', lines)
        self.assertIn('tidemark_topic_partitions{topic="orders"} 2', lines)
        self.assertIn("# TYPE tidemark_log_fsync_duration_seconds histogram", lines)
        _, _, by_partition = server.get("/metrics/partitions")
        names = {line.split("{")[0] for line in by_partition.splitlines() if not line.startswith("#")}
        self.assertEqual({name for name in names if f"\n{name}{{" in body}, set(), "a name on both pages would be counted twice")

    def test_every_series_has_help_and_type(self):
        _, _, body = self.server().get("/metrics")
        told = {line.split()[2] for line in body.splitlines() if line.startswith("# HELP")}
        for line in body.splitlines():
            if not line.startswith("#"):
                name = line.split("{")[0].split(" ")[0]
                for suffix in ("_bucket", "_sum", "_count"):
                    name = name.removesuffix(suffix) if name.removesuffix(suffix) in told else name
                self.assertIn(name, told)

    def test_web_pages_elsewhere_are_kept_out(self):
        server = self.server()
        self.assertEqual(server.get("/metrics", headers={"Host": "evil.example"})[0], 403)
        self.assertEqual(server.get("/metrics", headers={"Origin": "http://evil.example"})[0], 403)


class OperationsPage(ServerTest):
    """docs/OPERATIONS.md names what there is, and nothing else."""

    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "OPERATIONS.md").read_text()

    def test_settings_and_defaults(self):
        printed = subprocess.run([BIN / "tidemarkd", "--print-config"], capture_output=True, text=True, check=True).stdout
        settings, section = {}, ""
        for line in printed.splitlines():
            if line.startswith("["):
                section = line.strip("[]") + "."
            elif line and not line.startswith("#"):
                key, value = line.split("  # ")[0].split(" = ")
                settings[section + key] = value.strip('"') or "empty"
        table = self.page.split("| key | default | meaning |")[1].split("\n\n")[0]
        described = {key: value.strip("`") for key, value in re.findall(r"^\| `([^`]+)` \| (\S+) \|", table, re.M)}
        self.assertEqual(described, settings)

    def test_flags(self):
        help_text = subprocess.run([BIN / "tidemarkd", "--help"], capture_output=True, text=True, check=True).stdout
        table = self.page.split("| flag | setting | default |")[1].split("\n\n")[0]
        self.assertEqual(set(re.findall(r"--[a-z][a-z-]+", table)), set(re.findall(r"--[a-z][a-z-]+", help_text)))

    def test_metrics(self):
        server = self.server()
        server.cli("topic", "create", "t")
        served = "".join(server.get(path)[2] for path in ("/metrics", "/metrics/partitions"))
        table = self.page.split("| metric | labels | type | meaning |")[1].split("\n\n")[0]
        self.assertEqual(set(re.findall(r"`(tidemark_\w+)`", table)), set(re.findall(r"^# TYPE (\w+)", served, re.M)))


def main():
    global BIN
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BIN = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])


if __name__ == "__main__":
    main()
