"""What the runs of Kafka's applications share: one broker or more, Java programs in the background, and waiting for what must come.

The applications come from the jars of one installation, KAFKA_HOME/libs. A script names the jars it needs beyond the clients; where one
is missing, nothing is run, the reason is printed, and the exit status is 77.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
from broker_process import Broker  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 300  # Seconds until a state that must come counts as never coming.
BIN_DIR = None
JARS = None

# Small and quick to start; the applications have little to do.
JAVA = ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC"]
LOG4J_1 = """
log4j.rootLogger=INFO, file
log4j.appender.file=org.apache.log4j.ConsoleAppender
log4j.appender.file.layout=org.apache.log4j.PatternLayout
log4j.appender.file.layout.ConversionPattern=%d{ISO8601} %p %t %c{1}: %m%n
"""
LOG4J_2 = """
rootLogger.level=INFO
rootLogger.appenderRef.file.ref=file
appender.file.type=Console
appender.file.name=file
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{ISO8601} %p %t %c{1}: %m%n
"""


class Jars:
    """The jars of one installation, and what is made of them."""

    def __init__(self, home):
        self.home = home
        self.libs = pathlib.Path(home) / "libs"
        self.class_path = f"{self.libs}/*"

    def find(self, name):
        """The jar `name`-VERSION.jar, or None."""
        return next((jar for jar in sorted(self.libs.glob(f"{name}-*.jar")) if re.fullmatch(rf"{re.escape(name)}-\d[\w.-]*\.jar", jar.name)), None)

    def missing(self, names):
        lacking = [name for name in names if not self.find(name)]
        return f"{self.libs} lacks {', '.join(f'{name}-VERSION.jar' for name in lacking)}" if lacking else None

    def version(self):
        return self.find("kafka-clients").stem.removeprefix("kafka-clients-")

    def compile(self, source, folder):
        """Compiles one of our Java sources; gives the class path to run it with."""
        done = subprocess.run(["javac", "-cp", self.class_path, "-d", folder, HERE / source], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{source} does not compile:\n{done.stderr}")
        return f"{folder}:{self.class_path}"

    def logging(self, folder):
        """The flags that send the logs of a program to its output."""
        (folder / "log4j.properties").write_text(LOG4J_1)
        (folder / "log4j2.properties").write_text(LOG4J_2)
        return [f"-Dlog4j.configuration=file:{folder}/log4j.properties", f"-Dlog4j2.configurationFile={folder}/log4j2.properties"]


class Program:
    """A Java program in the background. What it prints is kept in a file, over its restarts."""

    def __init__(self, name, command, log):
        self.name, self.command, self.log = name, [str(word) for word in command], pathlib.Path(log)
        self.process = None

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return self

    def ended_within(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, deadline=60):
        """SIGTERM; returns the exit status, 143 or 0 after an orderly end."""
        self.process.terminate()
        return self.process.wait(deadline)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines=60):
        """Errors of the program and what it said last."""
        text = self.text().splitlines()
        loud = [line for line in text if " ERROR " in line or " FATAL " in line][:20]
        return "\n".join([f"--- {self.name}: errors", *loud, f"--- {self.name}: end of the log", *text[-lines:]])


class Ecosystem(unittest.TestCase):
    """Verbs for a broker and what runs against it; all is gone at the end of a test."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-interop-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.brokers, self.programs = [], []
        self.began = time.monotonic()

    def new_broker(self, *flags):
        broker = Broker(BIN_DIR, kafka="127.0.0.1:0", flags=flags)
        self.addCleanup(broker.close)
        broker.start()
        broker.kafka_listen = broker.kafka  # The same after a restart: clients come back to it.
        self.brokers.append(broker)
        return broker

    def new_program(self, name, main_class, *arguments, class_path=None):
        program = Program(name, [*JAVA, *JARS.logging(self.scratch), "-cp", class_path or JARS.class_path, main_class, *arguments],
                          self.scratch / f"{name}.out")
        self.addCleanup(program.kill)
        self.programs.append(program)
        return program

    def properties(self, name, settings):
        path = self.scratch / name
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path

    def ask(self, method, url, body=None):
        """What an application's HTTP interface answers, {} for nothing; None while it does not answer, or refuses."""
        request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or "{}")
        except (OSError, ValueError):
            return None

    def tell(self, what):
        print(f"\n  {time.monotonic() - self.began:5.1f} s  {what}", end="", flush=True)

    def said(self):
        return "\n".join([*(program.tail() for program in self.programs), *(f"--- broker\n{broker.log_text()[-4000:]}" for broker in self.brokers)])

    def until(self, holds, what, patience=PATIENCE):
        """Looks until it holds. A program that ends meanwhile, or time that runs out, fails the test with everything that was said."""
        end = time.monotonic() + patience
        while not holds():
            over = [program.name for program in self.programs if program.process and program.process.poll() is not None]
            if over or time.monotonic() > end:
                self.fail(f"{what}{'; ended: ' + ', '.join(over) if over else ''}\n{self.said()}")
            for program in self.programs[:1]:
                program.ended_within(0.2)  # The next look is not for nothing, and leaves the processor to the program.

    def restart_after_kill(self, broker):
        broker.kill()
        broker.start()
        self.tell("broker killed and started again")

    # What is in the broker, asked through its own tool.

    def ends(self, broker, topic):
        """{partition: end offset}; empty when there is no such topic."""
        shown = broker.cli("topic", "show", topic, "-o", "json", check=False)
        if shown.returncode != 0:
            return {}
        return {each["partition"]: each["high_watermark"] for each in json.loads(shown.stdout)["partition_list"]}

    def end(self, broker, topic):
        return sum(self.ends(broker, topic).values())

    def records(self, broker, topic):
        """All committed records, by partition and offset; none when there is no such topic yet."""
        done = broker.cli("consume", topic, "--from", "earliest", "--exit-at-end", "-o", "jsonl", check=False)
        self.assertIn(done.returncode, (0, 3), f"{done.stderr}\n{self.said()}")
        return sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda each: (each["partition"], each["offset"]))

    def values_by_key(self, broker, topic):
        found = collections.defaultdict(list)
        for record in self.records(broker, topic):
            found[record["key"]].append(record["value"])
        return found

    def lag(self, broker, group):
        """What `group lag` says of each partition; nothing when there is no such group."""
        shown = broker.cli("group", "lag", group, "-o", "json", check=False)
        return json.loads(shown.stdout) if shown.returncode == 0 else []

    def config(self, broker, topic):
        return json.loads(broker.cli("topic", "show", topic, "-o", "json").stdout)["config"]


def run(jars, why_not=lambda: None):
    """The script's main: BIN_DIR, then unittest's arguments. `why_not` gives a further reason to run nothing."""
    global BIN_DIR, JARS
    BIN_DIR = pathlib.Path(sys.argv.pop(1))
    home = os.environ.get("KAFKA_HOME")
    JARS = Jars(home) if home else None
    reason = "KAFKA_HOME is not set: it names a folder with Apache Kafka's jars in libs/" if not home else \
        "there is no java with javac" if not (shutil.which("java") and shutil.which("javac")) else JARS.missing(["kafka-clients", *jars]) or why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    print(f"Apache Kafka {JARS.version()}", flush=True)
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    sys.exit(0 if result.wasSuccessful() else 1)
