#!/usr/bin/env python3
"""The same random commands into Debian's redis-server and into Tidemark, raw replies compared. Usage:
    redis_differential_test.py BIN_DIR [--commands N] [--seed S]

Generated ids and times are masked; nothing else may differ but what check_allowed_differences() does on purpose, with
the reason of each. The seed is printed, and how often each command ran with success and with an error.
"""

import argparse
import collections
import pathlib
import random
import re
import sys
import tempfile
import time

import redis_commands
from broker_process import Broker
from redis_wire import Connection, RedisServer, encode

CONNECTIONS = 16
BATCH = 200  # Commands of one connection under way together.
# Of each stream command and each of its options, or the run has proved nothing. Of the rarest some 15 errors are expected.
SUCCESSES_MIN, ERRORS_MIN = 50, 3

GENERATED_ID = re.compile(rb"\$\d+\r\n\d{13}-\d+\r\n")
NODES = re.compile(rb"(\$1[56]\r\nradix-tree-(?:keys|nodes)\r\n):\d+\r\n")
# What is pending, with its consumer or without: id, (consumer,) idle or time, count. And what is known of consumers.
PENDING = re.compile(rb"(\*4\r\n\$(?:\d+\r\n\d+-\d+|T)\r\n\$\d+\r\n[^\r]*\r\n):\d+\r\n")
HELD = re.compile(rb"(\*3\r\n\$(?:\d+\r\n\d+-\d+|T)\r\n):\d+\r\n")
SEEN = re.compile(rb"(\$(?:4\r\nidle|9\r\nseen-time)\r\n):\d+\r\n")
SOON = re.compile(rb":(?:1[789]|[23])\d{8,11}\r\n")  # Seconds or milliseconds of an expiry that counts from now.

# Replies that may differ in the random part: what we say, what Redis says instead. check_allowed_differences() shows the reason at work.
SAME = [
    (b"smaller than current max_deleted_entry_id", b"smaller than the target stream top item"),
]


def mask(reply):
    reply = GENERATED_ID.sub(b"$T\r\n", reply)
    reply = NODES.sub(rb"\1:N\r\n", reply)
    for times in (PENDING, HELD, SEEN):
        reply = times.sub(rb"\1:T\r\n", reply)
    for ours, theirs in SAME:
        reply = reply.replace(ours, theirs)
    return SOON.sub(b":T\r\n", reply)


class Pair:
    """One connection to each server, and what was said on both."""

    def __init__(self, redis, tidemark, generator, protocol):
        self.redis, self.tidemark = Connection(redis), Connection(tidemark)
        self.generator = generator
        self.history = collections.deque(maxlen=4000)
        if protocol == 3:
            self.redis.ask("HELLO", "3")
            self.tidemark.ask("HELLO", "3")

    def send(self, count):
        self.commands = [self.generator.next() for _ in range(count)]
        data = b"".join(map(encode, self.commands))
        self.redis.send_bytes(data)
        self.tidemark.send_bytes(data)

    def close(self):
        self.redis.close()
        self.tidemark.close()


class Comparison:
    def __init__(self):
        self.successes, self.errors = collections.Counter(), collections.Counter()
        self.option_successes, self.option_errors = collections.Counter(), collections.Counter()
        self.compared = 0

    def take(self, pair):
        for command in pair.commands:
            theirs, ours = pair.redis.read_raw(), pair.tidemark.read_raw()
            pair.history.append((command, theirs, ours))
            self.compared += 1
            self.count(command, theirs)
            if theirs != ours and mask(theirs) != mask(ours):
                self.explain(pair, command, theirs, ours)

    def count(self, command, reply):
        failed = reply.startswith(b"-")
        name = str(command[0]).upper()
        (self.errors if failed else self.successes)[name] += 1
        for word in command[1:]:
            option = word.upper() if isinstance(word, str) else ""
            if option in OPTIONS:
                (self.option_errors if failed else self.option_successes)[f"{name} {option}"] += 1

    def explain(self, pair, command, theirs, ours):
        keys = {word for word in command if isinstance(word, str) and ":" in word}
        print("\nthe last commands on these keys:")
        related = [entry for entry in pair.history if keys & {word for word in entry[0] if isinstance(word, str)}]
        for said, redis, tidemark in related[-25:]:
            same = "" if mask(redis) == mask(tidemark) else "   <-- differs"
            print(f"  {said}\n      {redis[:200]!r}{same}")
        print(f"\nDIFFERENT: {command}\n  redis    {mask(theirs)[:1000]!r}\n  tidemark {mask(ours)[:1000]!r}")
        sys.exit(1)

    def report(self):
        print(f"{self.compared} commands compared; with success, with an error:")
        for name in sorted(set(self.successes) | set(self.errors)):
            print(f"  {name:12} {self.successes[name]:7} {self.errors[name]:7}")
            for option in sorted(set(self.option_successes) | set(self.option_errors)):
                if option.startswith(name + " "):
                    print(f"    {option:18} {self.option_successes[option]:7} {self.option_errors[option]:7}")

    def hollow(self):
        """Stream commands, and options of theirs, that ran too seldom to prove anything."""
        ran = [(name, self.successes[name], self.errors[name]) for name in STREAM_OPTIONS]
        for name, options in STREAM_OPTIONS.items():
            ran += [(option, self.option_successes[option], self.option_errors[option]) for option in (f"{name} {word}" for word in options.split())]
        return [f"{what}: {successes} successes, {errors} errors"
                for what, successes, errors in ran if successes < SUCCESSES_MIN or errors < ERRORS_MIN]


STREAM_OPTIONS = {
    "XACK": "", "XDEL": "", "XLEN": "",
    "XADD": "NOMKSTREAM MAXLEN MINID = ~ LIMIT *",
    "XAUTOCLAIM": "COUNT JUSTID",
    "XCLAIM": "IDLE TIME RETRYCOUNT FORCE JUSTID LASTID",
    "XGROUP": "CREATE SETID DESTROY CREATECONSUMER DELCONSUMER MKSTREAM ENTRIESREAD $",
    "XINFO": "STREAM GROUPS CONSUMERS FULL COUNT",
    "XPENDING": "IDLE",
    "XRANGE": "COUNT", "XREVRANGE": "COUNT",
    "XREAD": "COUNT BLOCK $",
    "XREADGROUP": "COUNT BLOCK NOACK >",
    "XSETID": "ENTRIESADDED MAXDELETEDID",
    "XTRIM": "MAXLEN MINID = ~ LIMIT",
}
OTHER_OPTIONS = {"REPLACE", "NX", "XX", "GT", "LT"}
OPTIONS = OTHER_OPTIONS | {word for options in STREAM_OPTIONS.values() for word in options.split()}


def compare_at_random(redis, tidemark, comparison, commands, seed):
    """Each connection has keys of its own, so its replies do not depend on the others."""
    pairs = [Pair(redis.port, tidemark.redis_port, redis_commands.Generator(random.Random(f"{seed} {n}"), f"c{n}"), 2 + n % 2)
             for n in range(CONNECTIONS)]
    while comparison.compared < commands:
        for pair in pairs:
            pair.send(BATCH)
        for pair in pairs:
            comparison.take(pair)
    for pair in pairs:
        pair.close()


class Both:
    """Commands one at a time into both servers; replies must be alike."""

    def __init__(self, redis, tidemark, comparison):
        self.ports = redis.port, tidemark.redis_port
        self.comparison = comparison
        self.main = self.connect()

    def connect(self):
        return [Connection(port) for port in self.ports]

    def ask(self, *command, on=None, mask=mask):
        theirs, ours = ((on or self.main)[n].ask_raw(*command) for n in range(2))
        self.check(command, theirs, ours, mask)
        return theirs, ours

    def check(self, command, theirs, ours, mask=mask):
        self.comparison.compared += 1
        self.comparison.count(command, theirs)
        if mask(theirs) != mask(ours):
            print(f"\nDIFFERENT: {command}\n  redis    {theirs[:1000]!r}\n  tidemark {ours[:1000]!r}")
            sys.exit(1)

    def read(self, on, command):
        theirs, ours = (connection.read_raw() for connection in on)
        self.check(command, theirs, ours)
        return theirs

    def send(self, *command, on):
        for connection in on:
            connection.send(command)

    def wait_for_blocked(self, count):
        wanted = b"blocked_clients:%d\r\n" % count
        for connection in self.main:
            end = time.monotonic() + 60
            while wanted not in connection.ask("INFO", "clients"):
                if time.monotonic() > end:
                    sys.exit(f"never {count} blocked clients: {connection.ask('INFO', 'clients')!r}")


def sorted_names(reply):
    return b" ".join(sorted(reply.split(b"\r\n")))


def compare_whole_keyspace(both, random):
    """Commands that see all keys; on an empty server, one connection."""
    both.ask("FLUSHALL")
    for _ in range(40):
        for _ in range(random.randrange(4)):
            both.ask("XADD", f"k{random.randrange(12)}", "*", "f", "v")
        both.ask("DBSIZE")
        both.ask("KEYS", random.choice(["*", "k1*", "k[2-4]", "k?", "none*", "k\\1"]), mask=sorted_names)
        both.ask("SCAN", "0", "COUNT", "1000", *random.choice([[], ["MATCH", "k1*"], ["TYPE", "stream"], ["TYPE", "list"], ["COUNT", "0"], ["FOO"]]),
                 mask=sorted_names)
        both.ask("EXISTS", "k1", "k1", "k2")
        if random.random() < 0.2:
            both.ask("DEL", f"k{random.randrange(12)}", f"k{random.randrange(12)}")
        if random.random() < 0.1:
            both.ask(random.choice(["FLUSHALL", "FLUSHDB"]), *random.choice([[], ["ASYNC"], ["SYNC"], ["FOO"]]))
    both.ask("FLUSHALL", "SYNC")
    both.ask("RANDOMKEY")


def compare_blocking(both, random, rounds=30):
    """Readers that wait, and what ends their waiting."""
    both.ask("FLUSHALL")
    readers = [both.connect() for _ in range(3)]
    for reader in readers[:1]:
        for connection in reader:
            connection.ask("HELLO", "3")
    ms = 0
    for _ in range(rounds):
        ms += 1
        both.ask("XADD", "b1", f"{ms}-1", "f", "v")
        commands = []
        for n, reader in enumerate(readers):
            id = random.choice(["$", "$", f"{ms}-1"])
            command = ["XREAD", *random.choice([[], ["COUNT", "1"]]), "BLOCK", random.choice(["0", "100000"]), "STREAMS",
                       *random.choice([["b1", id], ["b2", "b1", "$", id], ["b1", "b3", id, "0"]])]
            both.send(*command, on=reader)
            both.send("ECHO", f"behind {n}", on=reader)  # Waits until the reader is served.
            both.wait_for_blocked(n + 1)
            commands.append(command)
        how = random.choice(["append", "append", "append", "delete", "exec", "unblock"])
        ms += 1
        if how == "delete":
            both.ask("DEL", "b1")
            both.wait_for_blocked(3)
        if how in ("append", "delete"):
            both.ask("XADD", "b1", f"{ms}-1", "g", "w")
        elif how == "exec":
            both.ask("MULTI")
            both.ask("XADD", "b1", f"{ms}-1", "g", "w")
            both.ask("XADD", "b2", f"{ms}-1", "g", "w")
            both.ask("EXEC")
        for n, reader in enumerate(readers):
            if how == "unblock":
                for connection, other in zip(both.main, reader):
                    found = re.search(rb"id=(\d+) addr=127\.0\.0\.1:%d " % other.socket.getsockname()[1], connection.ask("CLIENT", "LIST"))
                    unblocked = connection.ask("CLIENT", "UNBLOCK", found[1], *(["ERROR"] if n else []))
                    assert unblocked == 1, unblocked
            if how == "exec" and "b2" in commands[n]:
                # Redis 7.0 serves a woken reader from the stream that woke it; we look at all, as 7.2, and at what EXEC left.
                _, ours = (connection.read_raw() for connection in reader)
                if b"\r\nb1\r\n" not in ours or b"\r\nb2\r\n" not in ours:
                    sys.exit(f"a reader saw part of an EXEC: {ours!r}")
            else:
                both.read(reader, commands[n])
            both.read(reader, ["ECHO"])
        both.wait_for_blocked(0)


def compare_group_blocking(both, random, rounds=20):
    """Consumers that wait for new entries, and what ends their waiting."""
    both.ask("FLUSHALL")
    readers = [both.connect() for _ in range(3)]
    for connection in readers[0]:
        connection.ask("HELLO", "3")
    ms = 0
    for _ in range(rounds):
        for key in ("b1", "b2"):
            both.ask("XGROUP", "CREATE", key, "g", "$", "MKSTREAM")
        commands = []
        for n, reader in enumerate(readers):
            command = ["XREADGROUP", "GROUP", "g", f"c{n}", "COUNT", "1", "BLOCK", random.choice(["0", "100000"]), "STREAMS",
                       *random.choice([["b1", ">"], ["b2", "b1", ">", ">"]])]
            both.send(*command, on=reader)
            both.send("ECHO", f"behind {n}", on=reader)
            both.wait_for_blocked(n + 1)
            commands.append(command)
        how = random.choice(["append", "append", "destroy", "delete", "unblock"])
        if how == "append":
            for n in range(len(readers)):  # One for each, in the order in which they came.
                ms += 1
                both.ask("XADD", "b1", f"{ms}-1", "g", "w")
                both.wait_for_blocked(len(readers) - 1 - n)
        elif how == "destroy":
            both.ask("XGROUP", "DESTROY", "b1", "g")
        elif how == "delete":
            both.ask("DEL", "b1")
            ms = 0
        for n, reader in enumerate(readers):
            if how == "unblock":
                for connection, other in zip(both.main, reader):
                    found = re.search(rb"id=(\d+) addr=127\.0\.0\.1:%d " % other.socket.getsockname()[1], connection.ask("CLIENT", "LIST"))
                    unblocked = connection.ask("CLIENT", "UNBLOCK", found[1], *(["ERROR"] if n else []))
                    assert unblocked == 1, unblocked
            both.read(reader, commands[n])
            both.read(reader, ["ECHO"])
        both.wait_for_blocked(0)
        both.ask("XPENDING", "b1", "g")
    both.ask("FLUSHALL")


def compare_bytes(both, random, rounds=300):
    """Requests as bytes: inline ones, wrong ones, in pieces; up to the end of the connection."""
    pieces = [b"PING\r\n", b"PING\n", b"\r\n", b"*0\r\n", b"*-1\r\n", b"*-7\r\n", encode(["ECHO", "x"]), encode(["ECHO", ""]), b'ECHO "a\\x41 b"\r\n',
              b"ECHO 'a\\'b'\r\n", b"ECHO a b\r\n", b"   \r\n", encode(["XLEN", b"\x00\xff"]), encode(["NONE", b"\x00", b"\xff\r\n"]),
              encode([""]), b"*1\r\n$4\r\nPINGxx"]
    ends = [b"QUIT\r\n", b"*1\r\n:1\r\n", b"*x\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$x\r\n", b'ECHO "a\r\n', b"ECHO 'a'b\r\n", b"*2\r\n$4\r\nPING\r\n+x\r\n",
            b"*99999999999\r\n", b"*1\r\n$99999999999\r\n", b"x" * 70_000, b"*" + b"1" * 70_000,
            b"*1\r\n$" + b"1" * 70_000, b"*1\r\n\r\n"]
    whole = [b"POST / HTTP/1.1\r\n\r\nPING\r\n", b"Host: x\r\nPING\r\n"]  # Redis forgets what it owes such a peer; we say it first.
    for n in range(rounds):
        data = b"".join(random.choice(pieces) for _ in range(random.randrange(6))) + random.choice(ends) if n >= len(whole) else whole[n]
        cut = random.randrange(len(data) + 1)
        said = []
        for port in both.ports:
            with Connection(port) as connection:
                try:
                    connection.send_bytes(data[:cut])
                    connection.send_bytes(data[cut:])
                    connection.end_sending()
                    said.append(connection.closed())
                except OSError:
                    said.append(None)  # Closed with our bytes unread: what was said may be lost, on either side.
        if None not in said:
            both.check(["BYTES", repr(data[:200])], *said)


def check_allowed_differences(both, _):
    """Everything that is answered differently on purpose, and nothing of it at random."""
    def differ(theirs, ours, *command):
        said = tuple(connection.ask_raw(*command) for connection in both.main)
        if said[0] != theirs or not said[1].startswith(ours):
            sys.exit(f"no longer the known difference: {command}\n  redis    {said[0]!r}\n  tidemark {said[1]!r}")

    both.ask("FLUSHALL")
    # Ids of deleted entries still take part in finding entries, so the last id does not go below them.
    both.ask("XADD", "s", "5-5", "f", "v")
    both.ask("XDEL", "s", "5-5")
    differ(b"+OK\r\n", b"-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id", "XSETID", "s", "4-4")
    # Nodes are counted in offsets: when the newest has gone, Redis begins a full one, we go on with what is left of it.
    for n in range(1, 4):
        both.ask("XADD", "t", f"{n}-1", "f", "v")
    both.ask("XTRIM", "t", "MAXLEN", "~", "0")
    for n in range(4, 15):
        both.ask("XADD", "t", f"{n}-1", "f", "v")
    differ(b":0\r\n", b":7\r\n", "XTRIM", "t", "MAXLEN", "~", "2")
    # Keys are topics, and those have names and one name space.
    differ(b"$3\r\n1-1\r\n", b"-ERR invalid key: a topic name has", "XADD", "a key", "1-1", "f", "v")
    differ(b"+OK\r\n", b"-ERR DB index is out of range", "SELECT", "1")
    both.ask("SELECT", "0")
    # Streams are the only data type.
    differ(b"+OK\r\n", b"-ERR 'set' is not served: Tidemark serves streams", "SET", "k", "v")
    differ(b"-ERR unknown subcommand 'FOO'. Try CLUSTER HELP.\r\n", b"-ERR This instance has cluster support disabled", "CLUSTER", "FOO")
    # Redis 7.0 serves a woken reader from one stream once; we, as 7.2, do the whole command anew.
    reader = both.connect()
    both.send("XREAD", "BLOCK", "0", "STREAMS", "u", "u", "0", "0", on=reader)
    both.wait_for_blocked(1)
    both.ask("XADD", "u", "1-1", "f", "v")
    entries = b"*2\r\n$1\r\nu\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
    said = [connection.read_raw() for connection in reader]
    if said != [b"*1\r\n" + entries, b"*2\r\n" + entries + entries]:
        sys.exit(f"no longer the known difference: {said}")
    for connection in both.main:
        connection.ask("DEL", "k", "a key")
    both.ask("FLUSHALL")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("bin_dir", type=pathlib.Path)
    options.add_argument("--commands", type=int, default=100_000)
    options.add_argument("--seed", default=str(random.SystemRandom().randrange(1 << 32)))
    options = options.parse_args()
    print(f"seed {options.seed}", flush=True)
    choices = random.Random(options.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidemark-test-") as home:
        config = pathlib.Path(home) / "tidemark.toml"
        # Durability has tests of its own; here it would only take time.
        config.write_text('[redis]\ncompat = "7.0"\nlag = "redis"\n[topic]\ndurability = "os"\n')
        with RedisServer("--stream-node-max-bytes", "0", "--stream-node-max-entries", "10") as redis, \
                Broker(options.bin_dir, redis="127.0.0.1:0", flags=["--config", config]) as tidemark:
            redis.start()
            tidemark.start()
            comparison = Comparison()
            both = Both(redis, tidemark, comparison)
            both.ask("CONFIG", "SET", "stream-node-max-entries", "10")
            for part in (check_allowed_differences, compare_bytes, compare_blocking, compare_group_blocking, compare_whole_keyspace):
                part(both, choices)
                print(f"{part.__name__}: {time.monotonic() - began:.1f} s", flush=True)
            compare_at_random(redis, tidemark, comparison, options.commands, options.seed)
            comparison.report()
            print(f"{time.monotonic() - began:.1f} s")
            if hollow := comparison.hollow():
                sys.exit("too few of " + "; ".join(hollow))


if __name__ == "__main__":
    main()
