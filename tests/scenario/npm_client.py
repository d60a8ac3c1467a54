"""JavaScript clients for whole-server tests, pinned by a lock file and installed into the build folder."""

import pathlib
import shutil
import subprocess
import sys

UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ERR_SOCKET_TIMEOUT")


def skip(reason):
    """Ends the program; ctest counts the exit status as skipped and the summary shows the reason."""
    print(f"Skipped:\n{reason}", flush=True)
    sys.exit(77)


def install(source, work, package):
    """Puts the files of `source` and the locked dependencies into `work`; `package` is the one whose folder tells that they are there."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            skip(f"there is no {tool}; it comes with the Debian packages nodejs and npm")
    work.mkdir(parents=True, exist_ok=True)
    changed = False
    for file in filter(pathlib.Path.is_file, source.iterdir()):  # Not a node_modules that somebody made there by hand.
        target = work / file.name
        if not target.exists() or target.read_bytes() != file.read_bytes():
            shutil.copy(file, target)
            changed = changed or file.name.startswith("package")
    if not changed and (work / "node_modules" / package).is_dir():
        return
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=1"], cwd=work, capture_output=True, text=True, timeout=300)
    if done.returncode == 0:
        return
    if any(word in done.stderr for word in UNREACHABLE):
        skip(f"{package} cannot be had from the npm registry: {done.stderr.strip().splitlines()[0]}")
    sys.exit(f"npm ci failed:\n{done.stderr}")
