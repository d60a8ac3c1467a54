"""Installs the client, builds a project outside the tree and the event bus against it with g++, and runs the project against
a broker.

usage: outside_project_test.py BUILD_DIR SOURCE_DIR"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

build_dir, source_dir = map(pathlib.Path, sys.argv[1:3])
sys.path.insert(0, str(source_dir / "tests/scenario"))
from broker_process import Broker  # noqa: E402: the path comes from the command line


def run(*command):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


with tempfile.TemporaryDirectory(prefix="tidemark-outside-") as home:
    home = pathlib.Path(home)
    # A copy, so that nothing of the tree can be found by a relative path.
    shutil.copytree(source_dir / "tests/client/outside_project", home / "source")
    run("cmake", "--install", build_dir, "--prefix", home / "prefix", "--component", "client")
    run("cmake", "-S", home / "source", "-B", home / "build", "-DCMAKE_CXX_COMPILER=g++", "-DCMAKE_BUILD_TYPE=Debug",
        f"-DCMAKE_PREFIX_PATH={home / 'prefix'}")
    run("cmake", "--build", home / "build")
    # The example's services are such programs too.
    shutil.copytree(source_dir / "examples/event-bus", home / "event-bus")
    run("cmake", "-S", home / "event-bus", "-B", home / "event-bus-build", "-DCMAKE_CXX_COMPILER=g++", "-DCMAKE_BUILD_TYPE=Debug",
        f"-DCMAKE_PREFIX_PATH={home / 'prefix'}")
    run("cmake", "--build", home / "event-bus-build")
    with Broker(build_dir / "bin") as broker:
        broker.start()
        output = run(home / "build/outside", broker.server, "outside-project")
        assert output == "read 3\n", output
