"""What docs/OPERATIONS.md says of `-o json`, field by field, is what verbs print: nothing missing, nothing undocumented, in that order.
Usage: json_test.py BIN_DIR"""

import json
import pathlib
import re
import subprocess
import sys

from broker_process import Broker

page = (pathlib.Path(__file__).resolve().parents[2] / "docs/OPERATIONS.md").read_text()
section = page.split("\n## JSON\n")[1].split("\n## ")[0]
rows = re.findall(r"^\| `([^`]+)` \| (array|object) \| (.*) \|$", section, re.M)
assert len(rows) == 21, f"{len(rows)} rows were found"
# Whom the page calls T, G and Q; a group with a history is another one.
NAMES = {"T": "orders", "G": "audit", "Q": "mail"}
MOVED = "sought"


def arguments(verb):
    words = [NAMES.get(word, word) for word in verb.split()]
    return [MOVED if words[:2] == ["group", "history"] and word == NAMES["G"] else word for word in words]


with Broker(sys.argv[1]) as broker:
    broker.start()
    children = []
    try:
        broker.cli("topic", "create", "orders", "--partitions", 1)
        broker.cli("topic", "create", "copy", "--partitions", 1)
        broker.cli("produce", "orders", input="a\nb\nc\nd\n")
        # One record is dead, one is with a member that does nothing, one is delayed; a consumer and a job are there, a group was moved.
        broker.cli("group", "create", "mail", "--queue", "--topic", "orders", "delivery.limit=1")
        settler = broker.bin_dir / "queue_settler"
        subprocess.run([settler, broker.server, "orders", "mail", "refuser", "1", "mailbox is full"], stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=120, check=True)
        for command in ([settler, broker.server, "orders", "mail", "stuck", "1"],
                        [broker.bin_dir / "tidemark", "-s", broker.server, "consume", "orders", "-g", "audit"]):
            children.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            assert children[-1].stdout.readline()
        broker.cli("produce", "orders", "--delay", "1h", input="later\n")
        broker.cli("replay", "orders", "--from", "earliest", "--to", "latest", "--into", "copy")
        broker.cli("group", "create", MOVED, "--topic", "orders")
        broker.cli("group", "seek", MOVED, "--to", 2, "--execute")
        while not json.loads(broker.cli("dlq", "show", "mail", "-o", "json").stdout):
            pass

        for verb, shape, fields in rows:
            documented = re.findall(r"`(\w+)`", fields)
            answer = json.loads(broker.cli(*arguments(verb), "-o", "json", check=False).stdout)
            assert isinstance(answer, list) == (shape == "array"), f"{verb}: {answer}"
            objects = answer if shape == "array" else [answer]
            assert objects, f"{verb} answers nothing"
            for found in objects:
                assert list(found) == documented, f"{verb}: the page has {documented}, it prints {list(found)}"
            if shape == "array":
                lines = broker.cli(*arguments(verb), "-o", "jsonl", check=False).stdout.splitlines()
                assert all(list(json.loads(line)) == documented for line in lines) and len(lines) == len(answer), verb

        failed = broker.cli("topic", "show", "nowhere", "-o", "json", check=False)
        assert (failed.returncode, failed.stdout) == (3, "") and list(json.loads(failed.stderr)["error"]) == [
            "code", "message", "hint", "retriable"], failed
    finally:
        for child in children:
            child.kill()
            child.communicate()
print(f"the JSON of {len(rows)} verbs is as documented")
