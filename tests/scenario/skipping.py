"""How a scenario says that it cannot run here: ctest counts exit status 77 as skipped and shows the reason."""

import sys

SKIPPED = 77


def skip(reason):
    print(f"Skipped:\n{reason}", flush=True)
    sys.exit(SKIPPED)
