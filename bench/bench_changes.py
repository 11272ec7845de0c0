"""Memory of a collection of many changes of one branch: flat, whether there are 1,000 pull requests, 10,000 or 100,000.

    python bench/bench_changes.py [FEW] [MANY]

The server is a process of its own (see `bench_github`). Each collection is one, too; its memory is what the system says that
it used at most. Prints the memory that the many need beyond the few, against 64 MB.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BEYOND_MB = 64.0
OTHERS = 7
"""Repositories of the company's own; one more has the changes."""


def gather(scope: Path, run: Path) -> None:
    """Collect changes, and print how many there are, the seconds and the megabytes."""
    from compliancectl import store
    from compliancectl.cli.project import open_project
    from compliancectl.collect import collect

    start = time.perf_counter()
    project = open_project(scope)
    collect(project.scope, {"github": project.collectors["github"]}, ["github.pull_request"], run)
    # Before this bench reads the record of what was collected, which the collection itself does not.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (item,) = [item for item in store.read_items(run) if item.target.endswith("/service-001")]
    if item.status != "collected":
        raise SystemExit(f"not collected: {item.reason}")
    pulls = next(table.rows for table in item.tables if table.table == "github.pull_request")
    print(json.dumps({"pulls": pulls, "s": time.perf_counter() - start, "mb": memory, "cpu_s": time.process_time()}))


def measured(merged: int) -> dict[str, float]:
    """What a collection of so many merged pull requests takes."""
    serve = [sys.executable, str(Path(__file__).with_name("bench_github.py")), "serve"]
    with tempfile.TemporaryDirectory() as scratch:
        command = [*serve, str(Path(scratch) / "company"), str(OTHERS + 1), str(merged)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())
            command = [sys.executable, __file__, "gather", said["scope"], str(Path(scratch) / "run")]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=said["env"])
            server.stdin.close()
    found: dict[str, float] = json.loads(done.stdout)
    if found["pulls"] != merged:
        raise SystemExit(f"{found['pulls']} pull requests were kept, of {merged}")
    return found


def main(few: int = 1_000, many: int = 10_000) -> None:
    """Print how much more memory the many need."""
    small, large = measured(few), measured(many)
    detail = (
        f"{large['mb']:.0f} MB for {many:,} pull requests of one branch, {small['mb']:.0f} MB for {few:,}; "
        f"{large['s']:.0f} s at 50 ms a request, {large['cpu_s']:.0f} s of them work of this program"
    )
    ratio = (large["mb"] - small["mb"]) / BEYOND_MB
    print(json.dumps({"name": "memory of many changes", "ratio": ratio, "limit": 1.0, "detail": detail}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["gather", scope, run]:
            gather(Path(scope), Path(run))
        case sizes:
            main(*map(int, sizes))
