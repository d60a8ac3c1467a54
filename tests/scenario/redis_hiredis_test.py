#!/usr/bin/env python3
"""Debian's hiredis against a real broker: redis_hiredis.cc says what it does. Usage: redis_hiredis_test.py BIN_DIR"""

import pathlib
import subprocess
import sys
import unittest

from broker_process import Broker

BIN = pathlib.Path()  # Set by main.


class Hiredis(unittest.TestCase):
    def test_the_program(self):
        with Broker(BIN, redis="127.0.0.1:0") as broker:
            broker.start()
            broker.redis_listen = f"127.0.0.1:{broker.redis_port}"  # The same one after the restart.
            program = subprocess.Popen([BIN / "redis_hiredis", str(broker.redis_port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            try:
                if program.stdout.readline() == "restart\n":
                    broker.kill()
                    broker.start()
                _, complaint = program.communicate("\n", timeout=120)
                self.assertEqual((program.returncode, complaint), (0, ""))
            finally:
                program.kill()
                program.wait()


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
