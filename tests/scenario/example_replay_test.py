"""Runs the replay example against a broker of its own; the example checks itself."""

import pathlib
import subprocess
import sys

from broker_process import Broker

with Broker(sys.argv[1]) as broker:
    broker.start()
    example = pathlib.Path(__file__).resolve().parents[2] / "examples/replay/run"
    subprocess.run([example, "--server", broker.server, "--bin", sys.argv[1]], check=True)
    assert broker.stop() == 0, broker.log_text()
