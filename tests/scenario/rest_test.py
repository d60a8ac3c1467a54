#!/usr/bin/env python3
"""The REST interface of a whole broker, every reply held against its own description by python3-jsonschema; connections of all listeners,
and what bad input gets. Usage: rest_test.py BIN_DIR"""

import http.client
import json
import pathlib
import socket
import sys
import unittest
import urllib.parse

import jsonschema

from broker_process import Broker

BIN = pathlib.Path()  # Set by main.
BODY_MAX = 1024 * 1024


class Rest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(BIN, kafka="127.0.0.1:0", redis="127.0.0.1:0", flags=["--shards", "2"]).start()
        cls.addClassCleanup(cls.broker.close)
        cls.port = cls.broker.ports["http"]
        cls.description = json.loads(cls.raw("GET", "/api/v1/openapi.json")[2])
        cls.called = set()

    @classmethod
    def raw(cls, method, target, body=None, headers=None):
        """status, headers, body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", cls.port, timeout=60)
        try:
            connection.request(method, target, body, headers or ({"Content-Type": "application/json"} if body else {}))
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read().decode()
        finally:
            connection.close()

    def call(self, method, path, body=None, query="", **names):
        """Calls one operation; its reply must be one that is described. Answers status and value."""
        target = "/api/v1" + path
        for name, value in names.items():
            target = target.replace("{%s}" % name, urllib.parse.quote(str(value), safe=""))
        status, headers, text = self.raw(method, target + query, None if body is None else json.dumps(body))
        self.called.add((method.lower(), "/api/v1" + path))
        responses = self.description["paths"]["/api/v1" + path][method.lower()]["responses"]
        self.assertIn(str(status), responses, f"{method} {target}: {text}")
        content = responses[str(status)].get("content")
        if content is None:
            self.assertEqual(text, "")
            return status, None
        (media_type, media), = content.items()
        self.assertEqual(headers["Content-Type"], media_type)
        value = json.loads(text)
        self.check(value, media["schema"])
        return status, value

    def check(self, value, schema):
        # References of the schema lead into the description.
        jsonschema.Draft202012Validator({**schema, "components": self.description["components"]}).validate(value)

    def test_every_schema_is_one(self):
        for name, schema in self.description["components"]["schemas"].items():
            with self.subTest(name):
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_a_reply_that_does_not_fit_is_noticed(self):
        with self.assertRaises(jsonschema.ValidationError):
            self.check({"records": [], "next": None, "waiting": "many", "failed": 0}, {"$ref": "#/components/schemas/Schedules"})

    def test_every_operation_answers_as_described(self):
        self.topics_and_records()
        self.groups()
        self.dead_letters()
        self.replays()
        for path in ("/topics", "/groups", "/lag", "/dlq", "/connections", "/config", "/status", "/doctor", "/openapi.json"):
            self.assertEqual(self.call("GET", path)[0], 200)
        for name in ("g", "q"):
            self.assertEqual(self.call("DELETE", "/groups/{group}", group=name)[0], 204)
        self.assertEqual(self.call("DELETE", "/topics/{topic}", topic="a/b")[0], 204)
        with socket.create_connection(("127.0.0.1", self.port)) as idle:
            (row,) = [row for row in self.call("GET", "/connections")[1] if row["peer"].endswith(f":{idle.getsockname()[1]}")]
            self.assertEqual(self.call("DELETE", "/connections/{id}", id=row["id"])[0], 204)
        described = {(method, path) for path, methods in self.description["paths"].items() for method in methods}
        self.assertEqual(described - self.called, {("get", "/api/v1/events")})  # A stream without end has a test of its own.

    def topics_and_records(self):
        at = {"topic": "a/b"}
        self.assertEqual(self.call("POST", "/topics", {"name": "a/b", "partitions": 2})[0], 201)
        self.assertEqual(self.call("PATCH", "/topics/{topic}", {"config": {"retention.ms": "1d"}}, **at)[0], 200)
        self.assertEqual(self.call("GET", "/topics/{topic}", **at)[1]["config"]["retention.ms"], "86400000")
        records = [{"key": "k", "value": "<script>", "partition": 0}, {"key_base64": "/w==", "value": None, "partition": 0},
                   {"value": "later", "delay": "1h", "partition": 0}]
        status, produced = self.call("POST", "/topics/{topic}/records", {"records": records}, **at)
        self.assertEqual((status, produced["records"], produced["scheduled"]), (201, 3, 1))
        self.assertEqual(len(self.call("GET", "/topics/{topic}/records", **at)[1]["records"]), 2)
        self.assertEqual(self.call("GET", "/topics/{topic}/records/{partition}/{offset}", partition=0, offset=0, **at)[1]["value"], "<script>")
        self.assertEqual(self.call("POST", "/topics/{topic}/trim", {"partition": 0, "before": 1}, **at)[0], 200)
        (waiting,) = self.call("GET", "/schedules", query="?topic=a%2Fb")[1]["records"]
        self.assertEqual(waiting["id"], produced["scheduled_records"][0]["id"])
        listed = json.loads(self.broker.cli("schedule", "ls", "-o", "json").stdout)
        self.assertEqual([{key: waiting[key] for key in listed[0]}], listed)
        self.assertEqual(self.call("DELETE", "/schedules/{id}", id=waiting["id"])[0], 200)
        self.assertEqual(self.broker.cli("schedule", "ls", "-o", "json").stdout.strip(), "[]")

    def groups(self):
        self.assertEqual(self.call("POST", "/groups", {"group": "g", "topics": ["a/b"]})[0], 201)
        self.assertEqual(self.call("POST", "/groups", {"group": "q", "topics": ["a/b"], "kind": "queue"})[0], 201)
        for name in ("g", "q"):
            self.assertEqual(self.call("PATCH", "/groups/{group}", {"settings": {"lag.objective": "5m"}}, group=name)[0], 200)
            for path in ("", "/lag", "/members"):
                self.assertEqual(self.call("GET", "/groups/{group}" + path, group=name)[0], 200)
            self.assertEqual(self.call("GET", "/groups/{group}/lag/history", query="?seconds=60", group=name)[0], 200)
            self.assertEqual(self.call("POST", "/groups/{group}/seek", {"to": "earliest", "execute": True}, group=name)[0], 200)
        self.assertEqual(len(self.call("GET", "/groups/{group}/history", group="g")[1]), 1)
        self.assertEqual(self.call("POST", "/groups/{group}/undo", {}, group="g")[0], 200)
        self.assertEqual(self.call("GET", "/groups/{group}/pending", group="q")[0], 200)
        self.assertEqual(self.call("POST", "/groups/{group}/settle", {"settlements": [{"partition": 0, "offset": 1}]}, group="q")[0], 200)
        for verb in ("pause", "resume", "release", "kick", "purge"):
            self.assertEqual(self.call("POST", "/groups/{group}/" + verb, {}, group="q")[0], 200)

    def dead_letters(self):
        self.assertEqual(self.call("GET", "/dlq/{group}", group="q")[0], 404)
        for verb in ("redrive", "purge"):
            self.call("POST", "/dlq/{group}/" + verb, {}, group="q")

    def replays(self):
        self.assertEqual(self.call("POST", "/topics", {"name": "copy"})[0], 201)
        status, job = self.call("POST", "/replays", {"topic": "a/b", "into": "copy", "records_per_second": 1})
        self.assertEqual(status, 201)
        self.assertEqual(self.call("GET", "/replays")[1][0]["job"], job["job"])
        self.assertEqual(self.call("GET", "/replays/{id}", id=job["job"])[0], 200)
        for verb in ("pause", "resume", "cancel"):
            self.call("POST", "/replays/{id}/" + verb, id=job["job"])

    def test_connections_of_every_listener_are_listed_and_ended(self):
        for listener in ("native", "kafka", "redis", "http"):
            with self.subTest(listener), socket.create_connection(("127.0.0.1", self.broker.ports[listener]), timeout=60) as client:
                peer = f"127.0.0.1:{client.getsockname()[1]}"
                if listener == "redis":  # Has been heard: then it is in the list. Those of HTTP are taken in order.
                    client.sendall(b"PING\r\n")
                    self.assertEqual(client.recv(100), b"+PONG\r\n")
                rows = []
                while not rows:  # A listener of its own accepts it a moment later; bounded by the time limit of the whole test.
                    rows = [row for row in self.call("GET", "/connections", query=f"?listener={listener}")[1] if row["peer"] == peer]
                self.assertEqual(self.call("DELETE", "/connections/{id}", id=rows[0]["id"])[0], 204)
                try:
                    self.assertEqual(client.recv(100), b"")
                except ConnectionResetError:
                    pass
        self.assertEqual(self.call("DELETE", "/connections/{id}", id=4711)[0], 404)

    def test_settings_are_those_the_server_runs_with(self):
        settings = {row["key"]: row for row in self.call("GET", "/config")[1]}
        self.assertEqual((settings["shards"]["value"], settings["shards"]["source"]), ("2", "--shards"))
        self.assertEqual(settings["http.listen"]["value"], f"127.0.0.1:{self.port}")
        self.assertEqual(settings["redis.listen"]["value"], f"127.0.0.1:{self.broker.redis_port}")
        self.assertEqual((settings["num.partitions"]["value"], settings["num.partitions"]["source"]), ("4", "default"))

    def test_status_counts_groups_of_all_kinds(self):
        self.call("POST", "/topics", {"name": "counted"})
        before = self.call("GET", "/status")[1]["groups"]
        self.call("POST", "/groups", {"group": "counted-s", "topics": ["counted"]})
        self.call("POST", "/groups", {"group": "counted-q", "topics": ["counted"], "kind": "queue"})
        self.assertEqual(self.call("GET", "/status")[1]["groups"], before + 2)
        self.assertEqual(json.loads(self.broker.cli("status", "-o", "json").stdout)["groups"], before + 2)
        for name in ("counted-s", "counted-q"):
            self.call("DELETE", "/groups/{group}", group=name)

    def test_events_tell_of_groups(self):
        self.call("POST", "/topics", {"name": "eventful"})
        self.call("POST", "/groups", {"group": "listened", "topics": ["eventful"]})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/api/v1/events")
        reply = connection.getresponse()
        self.assertEqual(reply.headers["Content-Type"], "text/event-stream")
        seen = set()
        while "group" not in seen:
            line = reply.fp.readline().decode()
            if line.startswith("event: "):
                seen.add(line.removeprefix("event: ").strip())
                json.loads(reply.fp.readline().decode().removeprefix("data: "))
        self.assertGreaterEqual(seen, {"status", "lag", "group"})
        connection.close()
        self.call("DELETE", "/groups/{group}", group="listened")


class BadInput(Rest):
    """A problem names field and rule; nothing is a stack trace, and nothing holds a connection or memory for long."""

    def refused(self, status, method, target, body=None, headers=None):
        got, fields, text = self.raw(method, target, body, headers)
        self.assertEqual(got, status, text)
        self.assertEqual(fields["Content-Type"], "application/problem+json")
        problem = json.loads(text)
        self.check(problem, {"$ref": "#/components/schemas/Problem"})
        self.assertEqual(problem["status"], status)
        return problem

    def test_unknown_paths(self):
        for target in ("/nothing", "/api", "/api/v1", "/api/v1/", "/api/v2/topics", "/api/v1/topics/", "/api/v1/topics/a/b/c", "/metrics/",
                       "/../etc/passwd", "/api/v1/schedules/1-1/2", "//"):
            with self.subTest(target):
                self.assertEqual(self.refused(404, "GET", target)["code"], "not_found")

    def test_methods(self):
        self.refused(405, "DELETE", "/api/v1/topics")
        self.refused(405, "POST", "/metrics")
        self.refused(405, "PUT", "/api/v1/schedules/1-1", "{}")

    def test_fields_and_rules(self):
        for method, path, body, field in (
                ("POST", "/topics", {"name": 7}, "name"),
                ("POST", "/topics", {"name": "x", "partitions": 0}, "partitions"),
                ("POST", "/topics", {"name": "x", "colour": "red"}, "colour"),
                ("POST", "/groups", {"group": "g", "topics": "t"}, "topics"),
                ("POST", "/groups", {"group": "g", "topics": ["t"], "kind": "both"}, "kind"),
                ("POST", "/groups/g/seek", {"to": "somewhere"}, "to"),
                ("POST", "/replays", {"topic": "t", "into": "u", "records_per_second": -1}, "records_per_second"),
                ("POST", "/dlq/g/redrive", {"max": -1}, "max")):
            with self.subTest(body=body):
                problem = self.refused(400, method, "/api/v1" + path, json.dumps(body))
                self.assertEqual(problem["field"], field)
                self.assertTrue(problem["rule"])

    def test_bodies(self):
        for body in ("", "null", "[]", '"text"', "{", '{"name":', '{"name":"x"}x', "[" * 1000, '{"a":' * 100 + "1" + "}" * 100, "\x00"):
            with self.subTest(body[:10]):
                self.refused(400, "POST", "/api/v1/topics", body)
        self.refused(415, "POST", "/api/v1/topics", '{"name":"x"}', {"Content-Type": "text/plain"})
        self.refused(413, "POST", "/api/v1/topics", b'{"name":"' + b"x" * BODY_MAX + b'"}', {"Content-Type": "application/json"})

    def test_hosts_and_origins(self):
        self.refused(403, "GET", "/api/v1/topics", headers={"Host": "evil.example"})
        self.refused(403, "GET", "/api/v1/topics", headers={"Origin": "http://evil.example"})

    def exchange(self, data):
        """Sends bytes, and reads until the server ends the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            try:
                client.sendall(data)
            except (ConnectionResetError, BrokenPipeError):
                pass
            answer = b""
            try:
                while piece := client.recv(65536):
                    answer += piece
            except ConnectionResetError:
                pass
            return answer

    def test_endless_requests_are_cut(self):
        head = b"POST /api/v1/topics HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self.assertIn(b" 413 ", self.exchange(head + b"Content-Length: 99999999999\r\n\r\n"))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        self.assertIn(b" 413 ", self.exchange(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40))
        self.assertIn(b" 431 ", self.exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 100_000))

    def test_a_request_that_is_begun_and_not_continued_is_cut(self):
        self.assertEqual(self.exchange(b"GET /api/v1/topics HTTP/1.1\r\nHost: loc"), b"")  # After the request timeout, ten seconds.


def main():
    global BIN
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BIN = pathlib.Path(sys.argv[1]).resolve()
    suite = unittest.TestSuite()
    for case in (Rest, BadInput):
        own = [name for name in vars(case) if name.startswith("test_")]
        suite.addTest(unittest.TestSuite(case(name) for name in own))
    sys.exit(0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1)


if __name__ == "__main__":
    main()
