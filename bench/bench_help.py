"""`compliancectl --help` against `python -c pass`: whole processes, in turn, medians."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 15


def cpu(command: list[str]) -> float:
    """CPU seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main() -> None:
    """Print the ratio of the medians."""
    program = str(Path(sys.executable).with_name("compliancectl"))
    pairs = [(cpu([program, "--help"]), cpu([sys.executable, "-c", "pass"])) for _ in range(RUNS)]
    ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    detail = f"{ours * 1000:.0f} ms against {bare * 1000:.0f} ms CPU, median of {RUNS}"
    print(json.dumps({"name": "--help against python -c pass", "ratio": ours / bare, "limit": 6, "detail": detail}))


if __name__ == "__main__":
    main()
