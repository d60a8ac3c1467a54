"""RESP for tests: requests, raw replies, what they say; and a redis-server of our own to compare with."""

import pathlib
import shutil
import socket
import subprocess
import tempfile
import time


def encode(arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Incomplete(Exception):
    pass


def end_of_reply(data, at):
    """Where the reply ends that begins at `at`; Incomplete if it is not all there."""
    left = 1  # Replies still to be passed.
    while left:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            raise Incomplete
        kind = data[at]
        at_value = at + 1
        at = line_end + 2
        left -= 1
        if kind in b"$=":
            length = int(data[at_value:line_end])
            if length >= 0:
                at += length + 2
        elif kind in b"*~>":
            left += max(int(data[at_value:line_end]), 0)
        elif kind == ord("%"):
            left += 2 * int(data[at_value:line_end])
        if at > len(data):
            raise Incomplete
    return at


def parse(data):
    """A whole reply as Python values: bytes, int, None, list, dict; errors as Failure."""
    value, at = parse_at(data, 0)
    assert at == len(data), data[at:at + 100]
    return value


class Failure(str):
    pass


def parse_at(data, at):
    line_end = data.index(b"\r\n", at)
    kind, text, at = data[at:at + 1], data[at + 1:line_end], line_end + 2
    if kind == b"+":
        return text, at
    if kind == b"-":
        return Failure(text.decode("latin-1")), at
    if kind == b":":
        return int(text), at
    if kind == b"_":
        return None, at
    if kind == b"#":
        return text == b"t", at
    if kind in (b"$", b"="):
        size = int(text)
        if size < 0:
            return None, at
        return data[at:at + size], at + size + 2
    if kind in (b"*", b"~", b">"):
        if int(text) < 0:
            return None, at
        items = []
        for _ in range(int(text)):
            item, at = parse_at(data, at)
            items.append(item)
        return items, at
    if kind == b"%":
        pairs = []
        for _ in range(int(text)):
            key, at = parse_at(data, at)
            value, at = parse_at(data, at)
            pairs.append((key, value))
        return dict((key, value) if not isinstance(key, list) else (repr(key), value) for key, value in pairs), at
    raise ValueError(f"no reply: {kind + text!r}")


class Connection:
    """A blocking connection that keeps replies as the bytes they came in."""

    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()
        self.at = 0

    def send(self, *commands):
        self.socket.sendall(b"".join(map(encode, commands)))

    def send_bytes(self, data):
        self.socket.sendall(data)

    def read_raw(self):
        while True:
            try:
                end = end_of_reply(self.data, self.at)
                break
            except Incomplete:
                more = self.socket.recv(1 << 18)
                if not more:
                    raise ConnectionError(f"closed by the server behind {bytes(self.data[self.at:])[:200]!r}") from None
                if self.at:
                    del self.data[:self.at]
                    self.at = 0
                self.data += more
        reply = bytes(self.data[self.at:end])
        self.at = end
        return reply

    def read(self):
        return parse(self.read_raw())

    def ask(self, *arguments):
        self.send(arguments)
        return self.read()

    def ask_raw(self, *arguments):
        self.send(arguments)
        return self.read_raw()

    def end_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def closed(self):
        """All that the server still says until it closes."""
        rest = bytes(self.data[self.at:])
        while more := self.socket.recv(1 << 16):
            rest += more
        return rest

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    """Debian's redis-server in a directory of its own, without persistence."""

    def __init__(self, *flags):
        assert shutil.which("redis-server"), "there is no redis-server: tools/install-packages"
        self.flags = flags
        self.home = tempfile.TemporaryDirectory(prefix="tidemark-test-")
        self.process = None

    def start(self):
        # The port may be taken between the probe and the start.
        for _ in range(20):
            self.port = free_port()
            self.log = open(pathlib.Path(self.home.name) / "log", "ab")
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                 self.home.name, *self.flags], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
            end = time.monotonic() + 30
            while self.process.poll() is None and time.monotonic() < end:
                try:
                    with Connection(self.port) as probe:
                        if probe.ask("PING") == b"PONG":
                            return self
                except OSError:
                    time.sleep(0.01)
            self.process.kill()
            self.process.wait()
        raise RuntimeError(pathlib.Path(self.log.name).read_text())

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process:
            self.log.close()
        self.home.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
