"""Runs the session of docs/OPERATIONS.md, block by block, against a broker with a group in the state it tells of. Usage: operations_test.py BIN_DIR"""

import json
import os
import pathlib
import re
import subprocess
import sys

from broker_process import Broker

page = pathlib.Path(__file__).resolve().parents[2] / "docs/OPERATIONS.md"
blocks = re.findall(r"^```sh session\n(.*?)^```$", page.read_text(), re.M | re.S)
assert len(blocks) == 5, f"{len(blocks)} blocks of the session were found"
GROUP = ("group", "show", "mail", "-o", "json")


def run(block):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"exit {done.returncode} of\n{block}\n{done.stdout}\n{done.stderr}"
    sys.stdout.write(done.stdout + done.stderr)
    return done


with Broker(sys.argv[1]) as broker:
    broker.start()
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.argv[1]).resolve()}:{os.environ['PATH']}", "TIDEMARK_SERVER": broker.server}

    # Two letters are dead for want of a mailbox; of six others three are with a member that does nothing.
    broker.cli("topic", "create", "outbox", "--partitions", 1)
    broker.cli("group", "create", "mail", "--queue", "--topic", "outbox", "delivery.limit=1")
    broker.cli("produce", "outbox", input="to carol\nto dave\n")
    refuser = subprocess.run([broker.bin_dir / "queue_settler", broker.server, "outbox", "mail", "refuser", "2", "mailbox is full"],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert refuser.stdout.count("\n") == 2, refuser
    while json.loads(broker.cli("dlq", "ls", "mail", "-o", "json").stdout or "[]") == [] or json.loads(broker.cli(*GROUP).stdout)["dead"] < 2:
        pass
    broker.cli("produce", "outbox", input="".join(f"letter {i}\n" for i in range(6)))
    stuck = subprocess.Popen([broker.bin_dir / "queue_settler", broker.server, "outbox", "mail", "stuck", "3"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        assert [stuck.stdout.readline() for _ in range(3)] == ["letter 0\n", "letter 1\n", "letter 2\n"]
        while len(json.loads(broker.cli("group", "pending", "mail", "--older", "100ms", "-o", "json").stdout)) < 3:
            pass

        look, who, take_back, letters, redrive = map(run, blocks)
        assert "in flight" in look.stdout and "queue group on outbox" in look.stdout, look.stdout
        assert who.stdout.count("outbox:0:2 ") == 2, who.stdout
        assert "would release 3 records" in take_back.stderr and "\nreleased 3 records" in take_back.stderr, take_back.stderr
        assert take_back.stdout.count("letter") == 3, take_back.stdout
        assert letters.stdout.count("mailbox is full") >= 5 and "to dave" in letters.stdout, letters.stdout
        assert "2 dead letters" in redrive.stderr, redrive.stderr
        printed = [line for line in (take_back.stdout + redrive.stdout).splitlines() if line.startswith(("letter ", "to "))]
        assert sorted(printed) == [*(f"letter {i}" for i in range(6)), "to carol", "to dave"], printed

        group = json.loads(broker.cli(*GROUP).stdout)
        assert (group["lag"], group["in_flight"], group["done"], group["dead"]) == (0, 0, 8, 2), group
        assert sum(letter["letters"] for letter in json.loads(broker.cli("dlq", "ls", "-o", "json").stdout)) == 0
    finally:
        stuck.kill()
        stuck.communicate()
print(f"{len(blocks)} blocks of the session ran")
