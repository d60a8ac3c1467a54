"""The demo shows what it says: draining, stalled, stopped and dead letters; it leaves nothing behind. Usage: demo_test.py BIN_DIR"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from broker_process import Broker

bin_dir = pathlib.Path(sys.argv[1])
PATIENCE = 120
FAST = ("--rate", "40", "--backlog", "6000", "--objective", "2s")
TROUBLES = {("inventory", "draining"), ("shipping", "stalled"), ("analytics", "stopped"), ("billing.dlq", "dead letters")}


def start(*arguments, temporary):
    return subprocess.Popen([bin_dir / "tidemark", "-o", "json", *arguments, "demo", *FAST], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)})


def wait_for_troubles(demo):
    """What the demo tells until all of its troubles have been told."""
    opening = json.loads(demo.stdout.readline())
    told, end = set(), time.monotonic() + PATIENCE
    while not TROUBLES <= told:
        assert time.monotonic() < end, f"only {told} within {PATIENCE} s"
        line = demo.stdout.readline()
        assert line, f"the demo ended: {demo.stderr.read()}"
        change = json.loads(line)
        told.add((change["what"], change["state"]))
    return opening


def cli(server, *arguments):
    return json.loads(subprocess.run([bin_dir / "tidemark", "-s", server, "-o", "json", *arguments], capture_output=True, check=True,
                                     text=True, timeout=60).stdout)


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def ends_cleanly(demo):
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (0, ""), (demo.returncode, err, out)


def on_a_broker_of_its_own():
    with tempfile.TemporaryDirectory(prefix="tidemark-test-") as temporary:
        demo = start(temporary=temporary)
        try:
            opening = wait_for_troubles(demo)
            server, console = opening["server"], opening["http"]
            lag = {(row["group"], row["verdict"]) for row in cli(server, "group", "lag")}
            assert {("inventory", "draining"), ("shipping", "stalled"), ("analytics", "stopped")} <= lag, lag
            inventory = cli(server, "group", "show", "inventory")
            assert inventory["eta_seconds"] > 0 and "done in about" in inventory["cause"], inventory
            by_name = {group["group"]: group for group in get(f"{console}api/v1/groups")}
            assert (by_name["inventory"]["verdict"], by_name["shipping"]["verdict"]) == ("draining", "stalled"), by_name
            reasons = {reason["reason"] for summary in cli(server, "dlq", "ls", "billing") for reason in summary["reasons"]}
            assert reasons == {"no billing address", "card declined: expired"}, reasons
            assert cli(server, "schedule", "ls"), "reminders wait for their time"
            ends_cleanly(demo)
            assert list(pathlib.Path(temporary).iterdir()) == [], "the broker's directory is gone"
            refused = subprocess.run([bin_dir / "tidemark", "-s", server, "status"], capture_output=True, timeout=60)
            assert refused.returncode == 6, "the broker is gone"
        finally:
            demo.kill()
            demo.communicate()


def on_a_given_broker():
    with Broker(sys.argv[1]) as broker, tempfile.TemporaryDirectory(prefix="tidemark-test-") as temporary:
        broker.start()
        broker.cli("topic", "create", "mine", "--partitions", 1)
        demo = start("-s", broker.server, temporary=temporary)
        try:
            opening = json.loads(demo.stdout.readline())
            assert (opening["server"], opening["http"]) == (broker.server, None), opening
            second = subprocess.run([bin_dir / "tidemark", "-s", broker.server, "demo", "--for", "1s"], capture_output=True, text=True,
                                    timeout=60)
            assert second.returncode == 4 and "'orders' exists" in second.stderr, second
            ends_cleanly(demo)
        finally:
            demo.kill()
            demo.communicate()
        assert [topic["name"] for topic in cli(broker.server, "topic", "ls")] == ["mine"]
        assert cli(broker.server, "group", "ls") == []

        # A broker that ends is told, with an exit code.
        demo = start("-s", broker.server, "--timeout", "1s", temporary=temporary)
        try:
            assert json.loads(demo.stdout.readline())["server"] == broker.server
            broker.kill()
            demo.communicate(timeout=60)
            assert demo.returncode in (6, 7, 1), demo.returncode
        finally:
            demo.kill()
            demo.communicate()


def for_a_given_time():
    with tempfile.TemporaryDirectory(prefix="tidemark-test-") as temporary:
        done = subprocess.run([bin_dir / "tidemark", "demo", "--for", "1ms", *FAST], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "TMPDIR": temporary})
        assert done.returncode == 0 and "console   http://127.0.0.1:" in done.stdout, done
        refused = subprocess.run([bin_dir / "tidemark", "demo", "--for", "soon"], capture_output=True, text=True, timeout=60)
        assert refused.returncode == 2 and "--for" in refused.stderr, refused


def killed():
    """A demo that gets no chance to clean up leaves files, but no broker."""
    with tempfile.TemporaryDirectory(prefix="tidemark-test-", ignore_cleanup_errors=True) as temporary:
        demo = start(temporary=temporary)
        server = json.loads(demo.stdout.readline())["server"]
        demo.kill()
        demo.communicate()
        end = time.monotonic() + PATIENCE
        while subprocess.run([bin_dir / "tidemark", "-s", server, "status"], capture_output=True, timeout=60).returncode != 6:
            assert time.monotonic() < end, "its broker still answers"


on_a_broker_of_its_own()
on_a_given_broker()
for_a_given_time()
killed()
print("the demo shows what it says")
