#!/usr/bin/env python3
"""The console in headless Chromium. Usage: console_test.py BIN_DIR WORK_DIR [NODE-TEST-ARGUMENT...], such as
--test-name-pattern=lag. With TIDEMARK_REAL_TOPICS=1 ten thousand topics are really made.

The pinned playwright-core is installed into WORK_DIR, pictures of every page are left in WORK_DIR/pictures. Exit 77, with the reason, when
the npm registry cannot be reached; a missing chromium (Debian's package) is a failure.
"""

import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))

import npm_client  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent

if __name__ == "__main__":
    binaries, work = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    if shutil.which("chromium") is None:
        sys.exit("there is no chromium; install Debian's package of that name")
    npm_client.install(HERE, work, "playwright-core")
    done = subprocess.run(["node", "--test-reporter=spec", *sys.argv[3:], "console_test.mjs", str(binaries), str(work / "pictures")], cwd=work, timeout=850)
    sys.exit(done.returncode)
