"""`tidemark top` in a terminal: what it shows, what keys, sizes, signals and a lost broker do to it, and that the terminal is as before afterwards.
Also `group lag -w` on a terminal, and the checks for monitoring. Driven in tmux. Usage: top_test.py BIN_DIR"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from broker_process import Broker

PATIENCE = 120
OUTPUT = "^(?:# )?"  # Of a command typed ahead of the prompt, which it then stands behind.
bin_dir = pathlib.Path(sys.argv[1]).resolve()


class Pane:
    """A shell in a terminal of its own."""

    def __init__(self, home, width=80, height=24):
        self.socket = pathlib.Path(home) / "tmux"
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "PS1": "$ ", "TZ": "UTC",
                       "PATH": f"{bin_dir}:{os.environ['PATH']}"}
        environment.pop("TMUX", None)
        environment.pop("NO_COLOR", None)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-c", home, "-x", width, "-y", height, "sh", env=environment)

    def tmux(self, *arguments, env=None):
        return subprocess.run(["tmux", "-S", self.socket, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=60,
                              env=env).stdout

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def run(self, command):
        self.tmux("send-keys", "-l", command)
        self.type("Enter")

    def look(self, *flags):
        return self.tmux("capture-pane", "-p", *flags)

    def wait(self, *patterns, absent=()):
        """Until all of the patterns are on the screen and none of the others."""
        end = time.monotonic() + PATIENCE
        while True:
            screen = self.look()
            missing = [pattern for pattern in patterns if not re.search(pattern, screen, re.M)]
            left = [pattern for pattern in absent if re.search(pattern, screen, re.M)]
            if not missing and not left:
                return screen
            assert time.monotonic() < end, f"missing {missing}, still there {left}:\n{screen}"

    def close(self):
        self.tmux("kill-server")


def fill(broker):
    """A stream group that nobody reads for, a queue group with dead letters, and one with nothing to do."""
    broker.cli("topic", "create", "orders", "--partitions", 1)
    broker.cli("produce", "orders", input="".join(f"order {i}\n" for i in range(10)))
    broker.cli("consume", "orders", "-g", "audit", "-n", 4)
    broker.cli("topic", "create", "outbox", "--partitions", 1)
    broker.cli("group", "create", "mail", "--queue", "--topic", "outbox", "delivery.limit=1")
    broker.cli("produce", "outbox", input="to carol\nto dave\n")
    subprocess.run([broker.bin_dir / "queue_settler", broker.server, "outbox", "mail", "refuser", "2", "mailbox is full"],
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True)
    while sum(summary["letters"] for summary in json.loads(broker.cli("dlq", "ls", "mail", "-o", "json").stdout)) < 2:
        pass
    end = time.monotonic() + PATIENCE
    while json.loads(broker.cli("group", "show", "audit", "-o", "json").stdout)["verdict"] != "stopped":
        assert time.monotonic() < end, "a group without members is stopped"


GROUPS = r""" tidemark \S+ at 127\.0\.0\.1:\d+, up \w+ +\d\d:\d\d:\d\d
 in \S+  out \S+  flush p99 [\d.]+ ms  memory [\d.]+ \w+ of [\d.]+ \w+ .*
 3 topics  3 partitions  2 groups  1 stopped  1 ok

 groups \(2\)
 GROUP            VERDICT▼     LAG  LAG TIME      IN     OUT     ETA TREND
 audit            stopped        6 +\S+ +\S+/s +\S+/s       - +█+
 mail             ok             0      0\.0s +\S+/s +\S+/s       - +▁+
(?:\n){14} orders:0: .*no member reads this partition.*
 :groups :topics :clients :dlq  / filter  s sort  enter more  \? help  q quit
"""


def looks_and_keys(pane, server):
    pane.wait("^[#$]")  # The shell is there: what is typed before it may be shown twice.
    pane.run("stty -g > before; echo what was here before")
    pane.wait("^what was here before")
    pane.run(f"tidemark -s {server} top --interval 200ms; echo ended with $?")
    screen = pane.wait("^ audit +stopped .*0/s +0/s.*█{2,}", absent=["what was here"])
    assert re.fullmatch(GROUPS, screen), f"{screen}\n{screen!r}"
    assert re.search(r"\x1b\[[0-9;]*31m(\x1b\[[0-9;]*m)*1 stopped", pane.look("-e")), "what needs somebody is red"

    pane.type("Down")
    pane.wait("^ :groups", absent=["no member reads"])
    pane.type("k", "Enter")
    pane.wait(r"^ verdict   stopped: orders:0: ", r"^ orders +0 +4 +10 +6 ", "esc back")
    pane.type("Escape")
    pane.wait(r"^ groups \(2\)")
    pane.type("/", "m", "a", "i", "Enter")
    pane.wait(r"^ groups \(1 of 2\)  /mai", absent=["^ audit"])
    pane.type("Escape")
    pane.wait(r"^ audit")
    pane.type(":", "d", "l", "q", "Enter")
    pane.wait(r"^ dlq \(1\)", r"^ mail +2 mailbox is full +outbox")
    pane.type("2")
    pane.wait(r"^ topics \(3\)", r"^ orders +1 +10 ", "^ mail\\.dlq")
    pane.type("3")
    pane.wait(r"^ clients \(\d\)")
    pane.type("?")
    pane.wait("any key goes back", "sort by the next column")
    pane.type("x", "1")
    pane.wait(r"^ groups \(2\)")


def sizes(pane):
    pane.tmux("resize-window", "-x", 140, "-y", 30)
    screen = pane.wait("HEADROOM +KIND +TOPICS")
    assert len(screen.splitlines()) == 30 and ":groups" in screen.splitlines()[-1], screen
    pane.tmux("resize-window", "-x", 40, "-y", 10)
    screen = pane.wait("VERDICT", absent=["TREND"])
    assert len(screen.splitlines()) <= 10 and max(map(len, screen.splitlines())) <= 40, screen
    pane.tmux("resize-window", "-x", 80, "-y", 24)
    pane.wait("TREND")


def a_lost_broker(pane, broker):
    broker.native = broker.server
    broker.kill()
    pane.wait("still trying")
    broker.start()
    pane.wait(r"^ audit +stopped", absent=["still trying"])


def ends(pane, server):
    """By its key, by Ctrl-C, and by a signal the terminal is as it was."""
    pane.type("q")
    pane.wait("^what was here before", f"{OUTPUT}ended with 0", absent=["VERDICT"])
    for number, end in enumerate((lambda: pane.type("C-c"), lambda: pane.run("q"), lambda: os.kill(pid(pane), 15))):
        pane.run("clear")
        pane.run(f"tidemark -s {server} top; echo end {number} with $?")
        pane.wait("VERDICT")
        end()
        pane.wait(f"{OUTPUT}end {number} with 0", absent=["VERDICT"])
    pane.run("stty -g | diff - before && echo all as before")
    pane.wait(f"{OUTPUT}all as before")


def pid(pane):
    """Of what runs in the shell."""
    shell = pane.tmux("display-message", "-p", "#{pane_pid}").strip()
    return int(pathlib.Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[-1])


def without_a_terminal(broker):
    refused = broker.cli("top", check=False)
    assert refused.returncode == 2 and "`tidemark top --once` prints one look" in refused.stderr, refused
    once = broker.cli("top", "--once", "--interval", "100ms").stdout
    assert re.search(r"^ audit +stopped +6 .* 0/s +0/s ", once, re.M) and "\x1b" not in once, once
    assert re.search(r"^ orders +1 +10 ", broker.cli("top", "--once", "--view", "topics", "--interval", "100ms").stdout, re.M)
    assert broker.cli("top", "--once", "-o", "json", check=False).returncode == 2
    assert broker.cli("top", "--view", "nonsense", check=False).returncode == 2


def lag_on_a_terminal(pane, server):
    pane.tmux("resize-window", "-x", 120, "-y", 24)
    pane.run("clear")
    pane.run(f"tidemark -s {server} group lag audit -w; echo watched with $?")
    pane.wait(r"VERDICT +MEMBER +TREND", r"^audit +orders +0 +4 +10 +6 +\S+ +stopped +- +█{2,}")
    pane.type("C-c")
    pane.wait(r"^(\^C)?watched with 0")


def checks(broker):
    """For monitoring: a line, and an exit code that says it all."""
    audit = broker.cli("group", "check", "audit", check=False)
    assert (audit.returncode, audit.stdout.count("\n")) == (2, 1) and audit.stdout.startswith("CRITICAL: audit stopped ("), audit
    mail = broker.cli("group", "check", "mail", check=False)
    assert mail.returncode == 0 and mail.stdout.startswith("OK: mail ok"), mail
    nobody = broker.cli("group", "check", "nobody", check=False)
    assert nobody.returncode == 3 and nobody.stdout.startswith("UNKNOWN: nobody"), nobody

    status = broker.cli("status", "--check", check=False)
    assert (status.returncode, status.stdout.count("\n")) == (2, 1) and re.match("CRITICAL: .*audit stopped; 2 groups, ", status.stdout), status
    told = json.loads(broker.cli("status", "--check", "-o", "json", check=False).stdout)
    assert (told["result"], told["worst_verdict"]) == ("CRITICAL", "stopped"), told
    assert "audit stopped" in told["message"], told
    assert "the worst is stopped" in broker.cli("status").stdout
    broker.cli("-y", "group", "rm", "audit")
    fine = broker.cli("status", "--check", check=False)
    # How full this machine's disk is is not ours to say.
    assert fine.returncode in (0, 1) and "audit" not in fine.stdout, fine
    gone = subprocess.run([broker.bin_dir / "tidemark", "-s", "127.0.0.1:1", "status", "--check"], capture_output=True, text=True, timeout=60)
    assert gone.returncode == 3 and gone.stdout.startswith("UNKNOWN: "), gone


with Broker(bin_dir) as broker, tempfile.TemporaryDirectory(prefix="tidemark-test-") as home:
    broker.start()
    fill(broker)
    without_a_terminal(broker)
    terminal = Pane(home)
    try:
        looks_and_keys(terminal, broker.server)
        sizes(terminal)
        a_lost_broker(terminal, broker)
        ends(terminal, broker.server)
        lag_on_a_terminal(terminal, broker.server)
    finally:
        terminal.close()
    checks(broker)
print("top shows groups, topics, clients and dead letters, and leaves the terminal as it was")
