#!/usr/bin/env python3
"""Confluent's Schema Registry: 10 000 schemas, which it keeps in a compacted topic, over `kill -9` of the broker and of the registry.

Usage: KAFKA_HOME=FOLDER SCHEMA_REGISTRY_HOME=FOLDER tests/interop/schema_registry_test.py BIN_DIR [unittest arguments]

SCHEMA_REGISTRY_HOME is an unpacked Confluent Platform, or any folder with the registry's jars somewhere below it.
"""

import json
import os
import pathlib
import socket

import ecosystem

SUBJECTS, VERSIONS = 100, 100
KIND = "kafka-schema-registry"


def jars():
    home = os.environ.get("SCHEMA_REGISTRY_HOME")
    return sorted(pathlib.Path(home).rglob("*.jar")) if home else []


def why_not():
    if not os.environ.get("SCHEMA_REGISTRY_HOME"):
        return "SCHEMA_REGISTRY_HOME is not set: it names a folder with the jars of Confluent's Schema Registry"
    return None if any(jar.name.startswith(f"{KIND}-") for jar in jars()) else f"there is no {KIND}-VERSION.jar below SCHEMA_REGISTRY_HOME"


def schema(subject, version):
    """Each version adds a field that may be left out, so it is compatible with those before."""
    fields = [{"name": f"field_{subject}_{version}", "type": "int", "default": version}]
    return json.dumps({"type": "record", "name": f"Order{subject}", "fields": fields})


class SchemaRegistry(ecosystem.Ecosystem):
    def setUp(self):
        super().setUp()
        self.broker = self.new_broker()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        settings = self.properties("registry.properties", {
            "listeners": self.url, "host.name": "127.0.0.1", "kafkastore.bootstrap.servers": f"PLAINTEXT://{self.broker.kafka}",
            "kafkastore.topic": "_schemas", "kafkastore.topic.replication.factor": 1})
        self.registry = self.new_program("registry", "io.confluent.kafka.schemaregistry.rest.SchemaRegistryMain", settings,
                                         class_path=":".join(map(str, jars())))

    def register(self, subject, version):
        """Asked again, the registry gives the id that the schema has: so an answer that was lost does no harm."""
        ids = []

        def registered():
            answer = self.ask("POST", f"{self.url}/subjects/orders-{subject}/versions", {"schema": schema(subject, version)})
            ids.extend([answer["id"]] if answer else [])
            return ids

        self.until(registered, f"version {version} of subject {subject} is not taken")
        return ids[0]

    def test_schemas_survive_kill_9_of_broker_and_registry(self):
        self.registry.start()
        self.until(lambda: self.ask("GET", f"{self.url}/subjects") == [], "the registry does not come up")
        ids = {}
        for version in range(VERSIONS):
            for subject in range(SUBJECTS):
                ids[subject, version] = self.register(subject, version)
            if version in (VERSIONS // 4, VERSIONS // 2):
                self.restart_after_kill(self.broker)
            elif version == 3 * VERSIONS // 4:
                self.registry.kill()
                self.registry.start()
                self.tell("registry killed and started again")
        self.assertEqual(len(set(ids.values())), SUBJECTS * VERSIONS)
        self.registry.kill()
        self.registry.start()
        self.until(lambda: len(self.ask("GET", f"{self.url}/subjects") or []) == SUBJECTS, "the registry does not read its topic again")
        for (subject, version), number in ids.items():
            found = self.ask("GET", f"{self.url}/schemas/ids/{number}")
            self.assertEqual(json.loads(found["schema"]), json.loads(schema(subject, version)), self.said())
        self.assertEqual(self.config(self.broker, "_schemas")["cleanup.policy"], "compact")


if __name__ == "__main__":
    ecosystem.run([], why_not)
