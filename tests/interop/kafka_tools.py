"""Apache Kafka's command-line tools from the jars of one installation, run without its shell scripts: a folder `libs` with the jars is enough."""

import pathlib
import re
import subprocess
import time
import zipfile

# The script's name, and the class behind it: which package it is in differs from release to release.
CLASSES = {
    "kafka-topics": "TopicCommand",
    "kafka-configs": "ConfigCommand",
    "kafka-console-producer": "ConsoleProducer",
    "kafka-console-consumer": "ConsoleConsumer",
    "kafka-consumer-groups": "ConsumerGroupCommand",
    "kafka-get-offsets": "GetOffsetShell",
    "kafka-delete-records": "DeleteRecordsCommand",
    "kafka-broker-api-versions": "BrokerApiVersionsCommand",
    "kafka-log-dirs": "LogDirsCommand",
    "kafka-producer-perf-test": "ProducerPerformance",
    "kafka-consumer-perf-test": "ConsumerPerformance",
    "kafka-verifiable-producer": "VerifiableProducer",
    "kafka-client-compatibility-test": "ClientCompatibilityTest",
    "kafka-transactions": "TransactionsCommand",
    "kafka-streams-application-reset": "StreamsResetter",
    "kafka-dump-log": "DumpLogSegments",
}

# Small and quick to start; the tools do little work.
JAVA = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC"]


class KafkaTools:
    """The tools of one installation. Each command is printed when it has run, so that an interrupted run tells how far it came."""

    def __init__(self, home):
        self.libs = pathlib.Path(home) / "libs"
        self.version = next((found[1] for jar in self.libs.glob("kafka-clients-*.jar")
                             if (found := re.fullmatch(r"kafka-clients-(\d[\d.]*)\.jar", jar.name))), None)
        self.classes = {}
        for jar in sorted(self.libs.glob("kafka*.jar")):
            with zipfile.ZipFile(jar) as entries:
                for entry in entries.namelist():
                    self.classes.setdefault(entry.rpartition("/")[2], entry.removesuffix(".class").replace("/", "."))
        self.last = None  # The line about the last command.

    def missing(self):
        """Why these tools cannot be used, or None."""
        if self.version is None:
            return f"{self.libs} has no kafka-clients-VERSION.jar"
        lacking = [name for name, simple in CLASSES.items() if f"{simple}.class" not in self.classes]
        return f"{self.libs} lacks {', '.join(lacking)}" if lacking else None

    def tell(self, line):
        self.last = line
        print(f"  {line}", flush=True)

    def command(self, tool, *arguments):
        return [*JAVA, "-cp", f"{self.libs}/*", self.classes[f"{CLASSES[tool]}.class"], *map(str, arguments)]

    def run(self, tool, *arguments, input=None, timeout=180):
        """Runs one tool to its end; gives the completed process with text output."""
        begin = time.monotonic()
        done = subprocess.run(self.command(tool, *arguments), input=input, capture_output=True, text=True, timeout=timeout, check=False)
        self.tell(f"{tool} {' '.join(map(str, arguments))}  [{done.returncode}, {time.monotonic() - begin:.1f} s]")
        return done

    def start(self, tool, *arguments):
        """Starts one tool that goes on until it is killed; its output comes by the line."""
        self.tell(f"{tool} {' '.join(map(str, arguments))}  [in the background]")
        return subprocess.Popen(self.command(tool, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
