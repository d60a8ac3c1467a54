"""Runs the README's tour, line by line, against a fresh broker. Usage: readme_test.py BIN_DIR"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from broker_process import Broker

readme = pathlib.Path(__file__).resolve().parents[2] / "README.md"
blocks = re.findall(r"^```sh tour\n(.*?)^```$", readme.read_text(), re.M | re.S)
assert len(blocks) >= 5, f"only {len(blocks)} blocks of the tour were found"

with Broker(sys.argv[1], kafka="127.0.0.1:0") as broker, tempfile.TemporaryDirectory() as folder:
    broker.start()
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.argv[1]).resolve()}:{os.environ['PATH']}", "TIDEMARK_SERVER": broker.server,
                   "TIDEMARK_DATA": str(broker.data_dir), "TIDEMARK_KAFKA": broker.kafka}
    output = ""
    for block in blocks:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"exit {done.returncode} of\n{block}\n{done.stdout}\n{done.stderr}"
        output += done.stdout
    assert "ada=paid" in output and "bob=created" in output, output
    assert output.index("ada=created") < output.index("ada=paid"), "one key's records keep their order"
    assert "\n1001\n1002\n1003\n" in "\n" + output, output[-2000:]
    assert "kafka" in output, output  # A Kafka client's group, as our own command shows it.
    assert "sound" in output, output[-500:]
    # The promise the tour ends with.
    broker.kill()
    broker.start()
    numbers = broker.cli("consume", "lines", "--from", "earliest", "--exit-at-end").stdout
    assert numbers == (pathlib.Path(folder) / "numbers.txt").read_text()
print(f"{len(blocks)} blocks of the tour ran")
