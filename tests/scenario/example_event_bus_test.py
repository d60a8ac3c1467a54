"""Runs the event bus example against a broker of its own; the example checks itself."""

import pathlib
import re
import subprocess
import sys

from broker_process import Broker

with Broker(sys.argv[1]) as broker:
    broker.start()
    example = pathlib.Path(__file__).resolve().parents[2] / "examples/event-bus/run"
    done = subprocess.run([example, "--server", broker.server, "--bin", sys.argv[1]], stdout=subprocess.PIPE, text=True)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, f"exit {done.returncode}\n{broker.log_text()}"
    for line in ("in the dead letters, everything else is done", "3 dead letters redriven"):
        assert line in done.stdout, line
    for topic in ("orders", "stock-moves", "invoices"):
        assert re.search(rf"ok    {topic}: \d+ events of 2000 orders, none lost, all in order", done.stdout), topic
    assert "LAG TIME" in done.stdout, "the lag table ends the show"
    assert broker.stop() == 0, broker.log_text()
