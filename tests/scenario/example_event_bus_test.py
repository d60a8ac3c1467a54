"""Runs the event bus example against a broker of its own; the example checks itself."""

import pathlib
import subprocess
import sys

from broker_process import Broker

with Broker(sys.argv[1]) as broker:
    broker.start()
    example = pathlib.Path(__file__).resolve().parents[2] / "examples/event-bus/run"
    done = subprocess.run([example, "--server", broker.server, "--bin", sys.argv[1]], stdout=subprocess.PIPE, text=True)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, f"exit {done.returncode}\n{broker.log_text()}"
    assert "LAG TIME" in done.stdout, "the lag table ends the show"
    assert broker.stop() == 0, broker.log_text()
